//! An IMAP server that lies. Each lie ends the run with an error or changes nothing; the honest server is the control.

use crate::servers::{Certificates, Talk, serve};
use crate::signer::sign;
use crate::stage::{account, fetcher, records, registry};
use portcullis_mail::{Account, Encryption, Fetcher, MailError, Protocol, SealedFolder, Summary, connect, fetch};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const BILL: &str = "From: a@b.example\r\nTo: kim@user.example\r\nSubject: Invoice\r\n\r\nAmount due: EUR 5.00\r\n";

/// What is untrue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    UidValidityMidway,
    LongLiteral,
    HugeLiteral,
    EndlessLine,
    EndlessAnswer,
    Nested,
    ForeignUid,
    TwoBodies,
    Unsolicited,
    NoUidValidity,
    Preauthenticated,
    Goodbye,
    Cut,
}

async fn talk(mut talk: Talk, lie: Lie) {
    if lie == Lie::Preauthenticated {
        talk.say("* PREAUTH welcome\r\n").await;
    } else {
        talk.say("* OK ready\r\n").await;
    }
    loop {
        let line = talk.hear().await;
        let Some((tag, command)) = line.split_once(' ') else { return };
        let upper = command.to_ascii_uppercase();
        if upper.starts_with("CAPABILITY") {
            talk.say("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n").await;
        } else if upper.starts_with("EXAMINE") {
            let validity = if lie == Lie::NoUidValidity { "" } else { "* OK [UIDVALIDITY 7] x\r\n" };
            talk.say(&format!("* 1 EXISTS\r\n{validity}* OK [UIDNEXT 2] x\r\n")).await;
        } else if upper.contains("RFC822.SIZE") {
            talk.say(&format!("* 1 FETCH (UID 1 RFC822.SIZE {})\r\n", BILL.len())).await;
        } else if upper.contains("BODY.PEEK") {
            body(&mut talk, lie).await;
        } else if !upper.starts_with("AUTHENTICATE") {
            // Nothing that could change a mailbox is ever said.
            panic!("an unexpected command: {command}");
        }
        talk.say(&format!("{tag} OK done\r\n")).await;
    }
}

async fn body(talk: &mut Talk, lie: Lie) {
    let honest = format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n{BILL})\r\n", BILL.len());
    match lie {
        Lie::UidValidityMidway => talk.say(&format!("* OK [UIDVALIDITY 8] x\r\n{honest}")).await,
        Lie::LongLiteral => talk.say(&format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n", 64 * 1024 * 1024)).await,
        Lie::HugeLiteral => talk.say("* 1 FETCH (UID 1 BODY[] {99999999999999999999999}\r\n").await,
        Lie::EndlessLine => talk.say(&"x".repeat(1024 * 1024)).await,
        Lie::EndlessAnswer => {
            for _ in 0..200 {
                talk.say(&"* 1 EXISTS\r\n".repeat(100)).await;
            }
        }
        Lie::Nested => {
            talk.say(&format!("* 1 FETCH (UID 1 BODYSTRUCTURE {}\r\n{honest}", "(".repeat(60_000))).await;
        }
        Lie::ForeignUid => talk.say(&honest.replace("UID 1", "UID 9")).await,
        Lie::TwoBodies => talk.say(&format!("{honest}{}", honest.replace("5.00", "6.00"))).await,
        Lie::Unsolicited => {
            let noise =
                "* 5 EXPUNGE\r\n* XFOO bar {3}\r\nabc baz\r\n* FLAGS (\\Seen)\r\n* 1 FETCH (FLAGS (\\Seen))\r\n";
            talk.say(&format!("{noise}{honest}* OK [ALERT] hello\r\n")).await;
        }
        Lie::Goodbye => talk.say("* BYE enough\r\n").await,
        Lie::Cut => {
            talk.say(&honest[..honest.len() / 2]).await;
            let _ = talk.0.shutdown().await;
        }
        _ => talk.say(&honest).await,
    }
}

struct Mailbox {
    _home: tempfile::TempDir,
    folder: SealedFolder,
    fetcher: Fetcher,
}

fn mailbox(port: u16, certificates: &Certificates) -> Mailbox {
    let home = tempfile::tempdir().expect("a folder");
    let account =
        Account { server: "localhost".into(), port, authority: Some(certificates.authority.clone()), ..account() };
    let folder = SealedFolder::open(home.path().join("mail")).expect("open");
    let fetcher = Fetcher { account: Arc::new(account), ..fetcher(sign(&[]).1, registry(&[])) };
    Mailbox { _home: home, folder, fetcher }
}

impl Mailbox {
    async fn run(&self) -> Result<Summary, MailError> {
        let mut source = connect(&self.fetcher.account).await?;
        fetch(&self.fetcher, &self.folder, &mut *source).await
    }
}

#[tokio::test]
async fn lies_are_found_and_cost_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::make(home.path());
    for (lie, expected) in [
        (Lie::None, Ok(1)),
        (Lie::Unsolicited, Ok(1)),
        (Lie::TwoBodies, Ok(1)),
        (Lie::ForeignUid, Ok(0)),
        (Lie::UidValidityMidway, Err("changed its identity")),
        (Lie::LongLiteral, Err("more at once")),
        (Lie::HugeLiteral, Err("more at once")),
        (Lie::EndlessLine, Err("line is too long")),
        (Lie::EndlessAnswer, Err("does not end its answer")),
        (Lie::Nested, Err("nested too deeply")),
        (Lie::NoUidValidity, Err("UIDVALIDITY")),
        (Lie::Preauthenticated, Err("greeting")),
        (Lie::Goodbye, Err("goodbye")),
        (Lie::Cut, Err("")),
    ] {
        let port = serve(&certificates, move |with| talk(with, lie)).await.port();
        let mailbox = mailbox(port, &certificates);
        match (mailbox.run().await, expected) {
            (Ok(_), Ok(bills)) => assert_eq!(records(&mailbox.folder).len(), bills, "{lie:?}"),
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{lie:?}: {error}"),
            (other, _) => panic!("{lie:?}: {other:?}"),
        }
        if expected.is_err() && lie != Lie::NoUidValidity && lie != Lie::Preauthenticated {
            // What was listed and could not be read is read the next time.
            let honest = serve(&certificates, move |with| talk(with, Lie::None)).await.port();
            let account = Account { port: honest, ..(*mailbox.fetcher.account).clone() };
            let again =
                Mailbox { fetcher: Fetcher { account: Arc::new(account), ..mailbox.fetcher.clone() }, ..mailbox };
            again.run().await.expect("an honest server");
            assert_eq!(records(&again.folder).len(), 1, "{lie:?}");
        }
    }
}

/// Whoever sits on the line speaks between the server's consent to TLS and its beginning.
#[tokio::test]
async fn starttls_takes_over_nothing_that_was_said_in_the_clear() {
    let home = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::make(home.path());
    for (greeting, answer, expected) in [
        ("* OK hi\r\n", "P0 OK go\r\n* OK [UIDVALIDITY 9] injected\r\n", "cannot be trusted|between agreeing"),
        ("* OK hi\r\n", "P0 NO never\r\n", "offers no TLS"),
        ("* OK hi\r\n", "P0 BAD what\r\n", "offers no TLS"),
        ("* PREAUTH hi\r\n", "", "greeting"),
        ("* OK hi\r\n", "* CAPABILITY IMAP4rev1\r\n* x\r\nP0 NO\r\n", "offers no TLS"),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("address").port();
        let heard = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.expect("a client");
            tcp.write_all(greeting.as_bytes()).await.expect("said");
            let mut buffer = [0; 1024];
            let mut heard = Vec::new();
            if tcp.read(&mut buffer).await.unwrap_or(0) > 0 {
                let _ = tcp.write_all(answer.as_bytes()).await;
            }
            while let Ok(count) = tcp.read(&mut buffer).await
                && count > 0
            {
                heard.extend_from_slice(&buffer[..count]);
            }
            heard
        });
        let mailbox = mailbox(port, &certificates);
        let account = Account { encryption: Encryption::StartTls, ..(*mailbox.fetcher.account).clone() };
        let Err(error) = connect(&account).await else { panic!("connected") };
        assert!(expected.split('|').any(|text| error.to_string().contains(text)), "{answer}: {error}");
        let heard = heard.await.expect("ended");
        assert!(!String::from_utf8_lossy(&heard).contains("AUTHENTICATE"), "credentials in the clear");
    }
}

/// A port that talks in the clear to whoever connects, or says nothing.
async fn in_the_clear(said: &'static [u8]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut tcp, _)) = listener.accept().await {
            let _ = tcp.write_all(said).await;
            open.push(tcp);
        }
    });
    port
}

#[tokio::test]
async fn a_port_without_tls_is_called_that() {
    let port = in_the_clear(b"* OK IMAP4rev1 ready, and a good day to you\r\n").await;
    let imap = Account { port, ..account() };
    let pop3 = Account { protocol: Protocol::Pop3, ..imap.clone() };
    let jmap =
        Account { protocol: Protocol::Jmap, server: format!("https://localhost:{port}/session"), ..imap.clone() };
    for (account, is_mail) in [(imap, true), (pop3, true), (jmap, false)] {
        let listed = match connect(&account).await {
            Ok(mut source) => source.changes(None).await.map(drop),
            Err(error) => Err(error),
        };
        let error = listed.expect_err("no TLS");
        let said = error.to_string();
        let is_named = match error {
            MailError::NoTls { .. } => is_mail,
            MailError::NoHttps { .. } => !is_mail,
            _ => false,
        };
        assert!(is_named && said.contains("does not speak TLS") && said.contains("--starttls") == is_mail, "{said}");
    }
}

#[tokio::test]
async fn what_goes_wrong_below_http_is_named() {
    let home = tempfile::tempdir().expect("a folder");
    let port = serve(&Certificates::make(home.path()), |with| talk(with, Lie::None)).await.port();
    let list = async |port: u16| {
        let server = format!("https://localhost:{port}/session");
        let mut source =
            connect(&Account { protocol: Protocol::Jmap, server, ..account() }).await.expect("not asked yet");
        source.changes(None).await.expect_err("no JMAP")
    };
    let stranger = list(port).await;
    assert!(matches!(stranger, MailError::Untrusted { .. }), "{stranger}");
    let free = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port").local_addr().expect("address").port();
    let nobody = list(free).await.to_string();
    assert!(nobody.contains("Connection refused"), "{nobody}");
}

#[tokio::test]
#[ignore = "slow: a client that waits for a greeting waits a minute"]
async fn a_port_that_says_nothing_in_the_clear_may_want_tls_first() {
    let account = Account { port: in_the_clear(b"").await, encryption: Encryption::StartTls, ..account() };
    let Err(error) = connect(&account).await else { panic!("nobody spoke") };
    let said = error.to_string();
    assert!(matches!(error, MailError::NoGreeting { .. }) && said.contains("without --starttls"), "{said}");
}

#[tokio::test]
async fn a_certificate_of_nobody_is_refused() {
    let home = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::make(home.path());
    let other = tempfile::tempdir().expect("a folder");
    let strangers = Certificates::make(other.path());
    let port = serve(&strangers, |with| talk(with, Lie::None)).await.port();
    let mailbox = mailbox(port, &certificates);
    assert!(matches!(mailbox.run().await, Err(MailError::Untrusted { .. })));
}
