//! Each way to sign in, to servers that note what they are told; and servers that do not say all that they could.

use crate::servers::{Certificates, Talk, serve};
use crate::signer::sign;
use crate::stage::{account, fetcher, records, registry};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_mail::{Account, Fetcher, MailError, Protocol, Renewal, SealedFolder, Secret, connect, fetch, sign_in};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

const BILL: &str = "From: a@b.example\r\nTo: kim@user.example\r\nSubject: Invoice\r\n\r\nAmount due: EUR 5.00\r\n";
const TOKEN: &str = "ya29.token";

/// What a client said, line by line.
type Heard = Arc<Mutex<Vec<String>>>;

/// What a server offers, and whom it lets in.
#[derive(Clone, Copy, Default)]
struct Offers {
    capabilities: &'static str,
    /// Whether EXAMINE says the next UID.
    uid_next: bool,
    /// Whether it keeps modification sequences.
    modseq: bool,
    /// The token that it takes; any if empty.
    token: &'static str,
}

async fn imap(mut talk: Talk, offers: Offers, heard: Heard) {
    talk.say("* OK ready\r\n").await;
    loop {
        let line = talk.hear().await;
        let Some((tag, command)) = line.split_once(' ') else { return };
        heard.lock().expect("noted").push(command.to_owned());
        let mut words = command.split(' ');
        let verb = words.next().unwrap_or_default();
        match verb {
            "CAPABILITY" => talk.say(&format!("* CAPABILITY IMAP4rev1 {}\r\n", offers.capabilities)).await,
            "AUTHENTICATE" => {
                let mut message = words.nth(1).unwrap_or_default().to_owned();
                if message.is_empty() {
                    talk.say("+ \r\n").await;
                    message = talk.hear().await;
                    heard.lock().expect("noted").push(message.clone());
                }
                let said = STANDARD.decode(&message).unwrap_or_default();
                if !String::from_utf8_lossy(&said).contains(offers.token) {
                    // Its details, in base64; the client has to answer with an empty line.
                    talk.say("+ eyJzdGF0dXMiOiI0MDEifQ==\r\n").await;
                    let answered = talk.hear().await;
                    heard.lock().expect("noted").push(format!("then `{answered}`"));
                    talk.say(&format!("{tag} NO AUTHENTICATE failed\r\n")).await;
                    continue;
                }
            }
            "EXAMINE" => {
                let next = if offers.uid_next { "* OK [UIDNEXT 2] x\r\n" } else { "" };
                let modseq = if offers.modseq { "* OK [HIGHESTMODSEQ 9] x\r\n" } else { "" };
                talk.say(&format!("* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n{next}{modseq}")).await;
            }
            "UID" if command.contains("RFC822.SIZE") => {
                // `n:*` always names the last mail.
                talk.say(&format!("* 1 FETCH (UID 1 RFC822.SIZE {})\r\n", BILL.len())).await;
            }
            "UID" => talk.say(&format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n{BILL})\r\n", BILL.len())).await,
            "LOGIN" => {}
            other => panic!("an unexpected command: {other}"),
        }
        talk.say(&format!("{tag} OK done\r\n")).await;
    }
}

async fn pop3(mut talk: Talk, token: &'static str, heard: Heard) {
    talk.say("+OK ready\r\n").await;
    loop {
        let line = talk.hear().await;
        if line.is_empty() {
            return;
        }
        heard.lock().expect("noted").push(line.clone());
        let verb = line.split(' ').next().unwrap_or_default();
        let answer = match verb {
            "AUTH" => {
                let message = line.rsplit(' ').next().unwrap_or_default();
                let said = STANDARD.decode(message).unwrap_or_default();
                if String::from_utf8_lossy(&said).contains(token) { "+OK" } else { "+ eyJzdGF0dXMiOiI0MDEifQ==" }
            }
            "USER" | "PASS" => "+OK",
            "STAT" => "+OK 0 0",
            "CAPA" => "-ERR",
            other => panic!("an unexpected command: {other}"),
        };
        talk.say(&format!("{answer}\r\n")).await;
    }
}

struct Server {
    home: tempfile::TempDir,
    certificates: Certificates,
    address: SocketAddr,
    heard: Heard,
}

impl Server {
    async fn imap(offers: Offers) -> Self {
        Self::start(move |talk, heard| imap(talk, offers, heard)).await
    }

    async fn start<F: Future<Output = ()> + Send + 'static>(talk: impl Fn(Talk, Heard) -> F + Send + 'static) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let certificates = Certificates::make(home.path());
        let heard = Heard::default();
        let own = Arc::clone(&heard);
        let address = serve(&certificates, move |one| talk(one, Arc::clone(&own))).await;
        Self { home, certificates, address, heard }
    }

    fn account(&self, secret: Secret) -> Account {
        let authority = Some(self.certificates.authority.clone());
        Account { server: "localhost".into(), port: self.address.port(), authority, secret, ..account() }
    }

    fn folder(&self) -> SealedFolder {
        SealedFolder::open(self.home.path().join("mail")).expect("open")
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("noted").clone()
    }
}

fn password(text: &str) -> Secret {
    Secret::Password(Zeroizing::new(text.to_owned()))
}

fn token(text: &str) -> Secret {
    Secret::Token(Zeroizing::new(text.to_owned()))
}

fn xoauth2(token: &str) -> String {
    STANDARD.encode(format!("user=kim\x01auth=Bearer {token}\x01\x01"))
}

#[tokio::test]
async fn a_token_signs_in_over_imap_and_pop3() {
    let server = Server::imap(Offers { capabilities: "AUTH=XOAUTH2 SASL-IR", token: TOKEN, ..Offers::default() }).await;
    connect(&server.account(token(TOKEN))).await.expect("let in");
    assert_eq!(server.heard()[1], format!("AUTHENTICATE XOAUTH2 {}", xoauth2(TOKEN)));

    // Without SASL-IR the message goes on a line of its own.
    let server = Server::imap(Offers { capabilities: "AUTH=XOAUTH2", token: TOKEN, ..Offers::default() }).await;
    connect(&server.account(token(TOKEN))).await.expect("let in");
    assert_eq!(server.heard()[1..3], ["AUTHENTICATE XOAUTH2".to_owned(), xoauth2(TOKEN)]);

    // One that has ended: the server's details are answered, and say nothing to the user that could be misused.
    let Err(error) = connect(&server.account(token("ended"))).await else { panic!("it has ended") };
    assert!(matches!(error, MailError::SignIn { .. }) && !error.to_string().contains("ended"), "{error}");
    assert_eq!(server.heard().last().map(String::as_str), Some("then ``"));

    // A server without XOAUTH2 is not told the token at all.
    let plain = Server::imap(Offers { capabilities: "AUTH=PLAIN SASL-IR", ..Offers::default() }).await;
    assert!(matches!(connect(&plain.account(token(TOKEN))).await, Err(MailError::SignIn { .. })));
    assert_eq!(plain.heard(), ["CAPABILITY"]);

    let server = Server::start(|talk, heard| pop3(talk, TOKEN, heard)).await;
    let over_pop3 = |secret| Account { protocol: Protocol::Pop3, ..server.account(secret) };
    connect(&over_pop3(token(TOKEN))).await.expect("let in");
    assert_eq!(server.heard(), [format!("AUTH XOAUTH2 {}", xoauth2(TOKEN)), "CAPA".to_owned()]);
    assert!(matches!(connect(&over_pop3(token("ended"))).await, Err(MailError::SignIn { .. })));
}

#[tokio::test]
async fn a_password_goes_by_login_only_where_there_is_nothing_better() {
    let server = Server::imap(Offers::default()).await;
    connect(&server.account(password(r#"a"b\c"#))).await.expect("let in");
    assert_eq!(server.heard()[1], r#"LOGIN "kim" "a\"b\\c""#);
    let server = Server::imap(Offers { capabilities: "AUTH=PLAIN", ..Offers::default() }).await;
    connect(&server.account(password("secret"))).await.expect("let in");
    assert_eq!(server.heard()[1..3], ["AUTHENTICATE PLAIN".to_owned(), STANDARD.encode("\0kim\0secret")]);
    // A server that wants no LOGIN is not told the password.
    let server = Server::imap(Offers { capabilities: "LOGINDISABLED", ..Offers::default() }).await;
    assert!(matches!(connect(&server.account(password("secret"))).await, Err(MailError::SignIn { .. })));
    assert_eq!(server.heard(), ["CAPABILITY"]);
}

/// Some servers do not say the next UID (RFC 3501 lets them). Then mails are listed, and none is read twice.
#[tokio::test]
async fn a_server_without_uidnext_is_read_once() {
    for (modseq, lists) in [(false, 2), (true, 1)] {
        let capabilities = if modseq { "AUTH=PLAIN SASL-IR CONDSTORE" } else { "AUTH=PLAIN SASL-IR" };
        let server = Server::imap(Offers { capabilities, modseq, ..Offers::default() }).await;
        let (account, folder) = (server.account(password("secret")), server.folder());
        let fetcher = Fetcher { account: Arc::new(account), ..fetcher(sign(&[]).1, registry(&[])) };
        for (read, bills) in [(1, 1), (0, 0)] {
            let mut source = connect(&fetcher.account).await.expect("let in");
            let summary = fetch(&fetcher, &folder, &mut *source).await.expect("a run");
            assert_eq!((summary.read, summary.bills), (read, bills), "{modseq}");
        }
        assert_eq!(records(&folder).len(), 1);
        let heard = server.heard();
        let listed = heard.iter().filter(|line| line.contains("RFC822.SIZE")).count();
        // With CONDSTORE the second run sees that nothing has changed.
        assert_eq!(listed, lists, "{heard:?}");
        assert_eq!(heard.iter().filter(|line| line.contains("BODY.PEEK")).count(), 1);
    }
}

/// A token endpoint over http on this machine: answers each POST in turn.
async fn endpoint(answers: &'static [(u16, &'static str)]) -> (String, Heard) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("address");
    let heard = Heard::default();
    let own = Arc::clone(&heard);
    tokio::spawn(async move {
        for (status, body) in answers {
            let (mut tcp, _) = listener.accept().await.expect("a client");
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            while !String::from_utf8_lossy(&request).contains("client_id=") {
                let count = tcp.read(&mut piece).await.expect("a request");
                request.extend_from_slice(&piece[..count]);
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            own.lock().expect("noted").push(text.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned());
            let answer = format!(
                "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            tcp.write_all(answer.as_bytes()).await.expect("answered");
        }
    });
    (format!("http://{address}/token"), heard)
}

#[tokio::test]
async fn a_token_that_has_ended_is_renewed_once_and_kept() {
    let offers = Offers { capabilities: "AUTH=XOAUTH2 SASL-IR", token: "second", ..Offers::default() };
    let server = Server::imap(offers).await;
    let (url, asked) = endpoint(&[
        (200, r#"{"access_token":"first","token_type":"Bearer","expires_in":3600}"#),
        (200, r#"{"access_token":"second","token_type":"Bearer","expires_in":3600,"refresh_token":"r2"}"#),
        (400, r#"{"error":"invalid_grant"}"#),
    ])
    .await;
    let renewal = Renewal {
        endpoint: url,
        client: "portcullis".into(),
        client_secret: Zeroizing::default(),
        refresh_token: Zeroizing::new("r1".into()),
        expires: 0,
    };
    // As an earlier version stored it, with a forwarder that no new account may have: it is passed over.
    let forwarders = vec!["localhost".to_owned()];
    let account = Account { renewal: Some(renewal), forwarders, ..server.account(token("")) };
    assert!(account.check().is_err());
    let folder = server.folder();
    // None yet: one is got, and it is refused; only what was fresh before is renewed again.
    assert!(matches!(sign_in(account, &folder).await, Err(MailError::SignIn { .. })));
    let stored = Account::load(&folder, &server.account(token("")).name).expect("stored");
    // The server has forgotten it meanwhile: renewed, and let in.
    let (account, _source) = sign_in(stored, &folder).await.expect("let in");
    assert!(matches!(&account.secret, Secret::Token(token) if **token == "second"));
    let stored = Account::load(&folder, &account.name).expect("stored");
    let renewal = stored.renewal.clone().expect("kept");
    assert_eq!(*renewal.refresh_token, "r2", "the next one replaces it");
    assert!(!format!("{stored:?}").contains("r2") && !format!("{stored:?}").contains("second"));
    // It goes nowhere in the clear.
    let endpoint = "http://login.example/token".to_owned();
    let clear = Account { renewal: Some(Renewal { endpoint, ..renewal.clone() }), ..stored.clone() };
    assert!(clear.check().is_err());
    // A refresh token that was taken back.
    let ended = Account { renewal: Some(Renewal { expires: 0, ..renewal }), ..stored };
    let Err(error) = sign_in(ended, &folder).await else { panic!("it was taken back") };
    assert!(error.to_string().contains("sign in at your provider again"), "{error}");
    let asked = asked.lock().expect("noted").clone();
    assert_eq!(asked[0], "grant_type=refresh_token&refresh_token=r1&client_id=portcullis");
    assert!(asked[2].contains("refresh_token=r2"));
}
