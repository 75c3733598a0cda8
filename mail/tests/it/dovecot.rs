//! A real mail server: dovecot, on this machine and free ports, stopped at the end.

use crate::servers::Certificates;
use crate::signer::sign;
use crate::stage::{account, fetcher, records, registry};
use portcullis_mail::{Account, Encryption, Fetcher, Protocol, SealedFolder, Summary, connect, fetch};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Dovecot {
    child: Child,
    home: tempfile::TempDir,
    pub(crate) certificates: Certificates,
    imap: [u16; 2],
    pop3: [u16; 2],
}

impl Dovecot {
    /// Starts a server with these mails in the user's mailbox, each `(bytes, flags)`.
    pub(crate) fn start(mails: impl Iterator<Item = (Vec<u8>, &'static str)>) -> Self {
        // Not below a folder that only root enters: dovecot reads mail as another user.
        let home = tempfile::Builder::new().prefix("portcullis-dovecot").tempdir_in("/tmp").expect("a folder");
        let root = home.path();
        let certificates = Certificates::make(root);
        for folder in ["mail/cur", "mail/new", "mail/tmp", "run"] {
            fs::create_dir_all(root.join(folder)).expect("made");
        }
        for (at, (mail, flags)) in mails.enumerate() {
            // Their sizes stand in their names, so that a list takes no look into them.
            let lines = mail.iter().filter(|byte| **byte == b'\n').count();
            let bare = lines - mail.windows(2).filter(|pair| pair == b"\r\n").count();
            let name =
                format!("{}.M{at}P1.test,S={},W={}:2,{flags}", 1_700_000_000 + at, mail.len(), mail.len() + bare);
            fs::write(root.join("mail/cur").join(name), mail).expect("written");
        }
        let ports: [u16; 4] = free_ports();
        fs::write(root.join("conf"), configuration(root, &certificates, &ports)).expect("written");
        let is_root = output("id", &["-u"]) == "0";
        if is_root {
            let mut own = Command::new("chown");
            assert!(own.args(["-R", "nobody"]).arg(root.join("mail")).status().expect("chown").success());
            assert!(Command::new("chmod").arg("755").arg(root).status().expect("chmod").success());
        }
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(root.join("conf")).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("dovecot is installed; `cargo xtask foreign` does it");
        let server = Self { child, certificates, imap: [ports[0], ports[1]], pop3: [ports[2], ports[3]], home };
        server.wait();
        server
    }

    fn wait(&self) {
        let start = Instant::now();
        for port in self.imap.iter().chain(&self.pop3) {
            while std::net::TcpStream::connect(("127.0.0.1", *port)).is_err() {
                let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
                assert!(start.elapsed() < Duration::from_secs(60), "dovecot does not start: {log}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    pub(crate) fn account(&self, protocol: Protocol, encryption: Encryption) -> Account {
        let ports = if protocol == Protocol::Pop3 { self.pop3 } else { self.imap };
        let port = ports[usize::from(encryption == Encryption::StartTls)];
        Account { protocol, encryption, port, authority: Some(self.certificates.authority.clone()), ..account() }
    }

    /// The names of all mails, which hold their flags.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut names: Vec<String> = ["cur", "new"]
            .iter()
            .flat_map(|folder| fs::read_dir(self.home.path().join("mail").join(folder)).expect("there"))
            .map(|entry| entry.expect("entry").file_name().into_string().expect("ours"))
            .collect();
        names.sort();
        names
    }

    fn deliver(&self, mail: &[u8]) {
        let root: PathBuf = self.home.path().join("mail");
        fs::write(root.join("tmp/late"), mail).expect("written");
        fs::rename(root.join("tmp/late"), root.join(format!("cur/1800000000.M9P1.test,S={}:2,", mail.len())))
            .expect("moved");
        let _ = Command::new("chown").arg("-R").arg("nobody").arg(root.join("cur")).status();
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // The master stops its children on SIGTERM.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Ports that nobody listens on.
pub(crate) fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    [(); COUNT].map(|()| portcullis_fixtures::ports::free().port())
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect(program);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn configuration(root: &Path, certificates: &Certificates, ports: &[u16]) -> String {
    let user = output("id", &["-un"]);
    let (mail_user, internal) = match user.as_str() {
        "root" => ("nobody".to_owned(), String::new()),
        user => {
            let group = output("id", &["-gn"]);
            (
                user.to_owned(),
                format!(
                    "default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n\
                 service anvil {{\n chroot =\n}}\nservice imap-login {{\n chroot =\n}}\nservice pop3-login {{\n chroot =\n}}\n"
                ),
            )
        }
    };
    let (uid, gid) = (output("id", &["-u", &mail_user]), output("id", &["-g", &mail_user]));
    let root = root.display();
    format!(
        "base_dir = {root}/run\nlog_path = {root}/log\nprotocols = imap pop3\nlisten = 127.0.0.1\nssl = required\n\
         ssl_cert = <{}\nssl_key = <{}\nmail_location = maildir:{root}/mail\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n\
         disable_plaintext_auth = yes\nauth_mechanisms = plain login\n{internal}\
         passdb {{\n driver = static\n args = password=secret\n}}\n\
         userdb {{\n driver = static\n args = uid={uid} gid={gid} home={root}/mail\n}}\n\
         service imap-login {{\n inet_listener imaps {{\n  port = {}\n  ssl = yes\n }}\n inet_listener imap {{\n  port = {}\n }}\n}}\n\
         service pop3-login {{\n inet_listener pop3s {{\n  port = {}\n  ssl = yes\n }}\n inet_listener pop3 {{\n  port = {}\n }}\n}}\n",
        certificates.chain.display(),
        certificates.key.display(),
        ports[0],
        ports[1],
        ports[2],
        ports[3],
    )
}

fn bill(amount: usize) -> Vec<u8> {
    format!(
        "From: a@b.example\r\nTo: kim@user.example\r\nSubject: Invoice\r\n\r\n.\r\n..dots\r\nAmount due: EUR {amount}.00\r\n"
    )
    .into_bytes()
}

async fn run(fetcher: &Fetcher, folder: &SealedFolder) -> Summary {
    let mut source = connect(&fetcher.account).await.expect("signed in");
    fetch(fetcher, folder, &mut *source).await.expect("a run")
}

#[tokio::test]
async fn a_mailbox_is_read_once_and_left_as_it_was() {
    let mails = (1..=60).map(|at| (bill(at), if at % 3 == 0 { "S" } else { "" }));
    let dovecot = Dovecot::start(mails);
    let before = dovecot.flags();
    for (protocol, encryption) in [
        (Protocol::Imap, Encryption::Tls),
        (Protocol::Imap, Encryption::StartTls),
        (Protocol::Pop3, Encryption::Tls),
        (Protocol::Pop3, Encryption::StartTls),
    ] {
        let home = tempfile::tempdir().expect("a folder");
        let folder = SealedFolder::open(home.path().join("mail")).expect("open");
        let account = dovecot.account(protocol, encryption);
        let fetcher = Fetcher { account: Arc::new(account.clone()), ..fetcher(sign(&[]).1, registry(&[])) };
        let first = run(&fetcher, &folder).await;
        assert_eq!((first.read, first.bills), (60, 60), "{protocol:?} {encryption:?}");
        let amounts: Vec<i64> =
            records(&folder).iter().map(|record| record.amount.expect("read").minor_units()).collect();
        assert_eq!(amounts, (1..=60).map(|at| at * 100).collect::<Vec<_>>(), "in the order of the mailbox");
        let second = run(&fetcher, &folder).await;
        assert_eq!((second.read, second.bills), (0, 0));
        assert!(second.received < 64 * 1024, "{} bytes", second.received);
        assert_eq!(dovecot.flags(), before, "{protocol:?} left every flag as it was");

        let wrong = Account { secret: portcullis_mail::Secret::Password("wrong".to_owned().into()), ..account };
        let Err(error) = connect(&wrong).await else { panic!("a wrong password") };
        assert!(error.to_string().contains("refused the sign-in") && !error.to_string().contains("wrong"), "{error}");
    }
}

#[tokio::test]
async fn what_arrives_later_is_all_that_is_read_then() {
    let dovecot = Dovecot::start((1..=5).map(|at| (bill(at), "S")));
    let homes: Vec<_> = (0..2).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let mut runs = Vec::new();
    for (home, protocol) in homes.iter().zip([Protocol::Imap, Protocol::Pop3]) {
        let folder = SealedFolder::open(home.path().join("mail")).expect("open");
        let account = Arc::new(dovecot.account(protocol, Encryption::Tls));
        let fetcher = Fetcher { account, ..fetcher(sign(&[]).1, registry(&[])) };
        assert_eq!(run(&fetcher, &folder).await.bills, 5);
        runs.push((fetcher, folder));
    }
    dovecot.deliver(&bill(77));
    for (fetcher, folder) in &runs {
        let later = run(fetcher, folder).await;
        assert_eq!((later.read, later.bills), (1, 1), "{:?}", fetcher.account.protocol);
    }
    let missing = Account { mailbox: "Nowhere".into(), ..dovecot.account(Protocol::Imap, Encryption::Tls) };
    let Err(error) = connect(&missing).await else { panic!("no such mailbox") };
    assert!(error.to_string().contains("has no mailbox `Nowhere`"), "{error}");
}

/// 38,000 mails: a well-known product fetched 2.5 GB of such a mailbox every ten minutes.
#[tokio::test]
async fn an_unchanged_mailbox_of_38000_mails_costs_no_body_and_little_traffic() {
    let dovecot = Dovecot::start((0..38_000).map(|at| (bill(at), "")));
    for protocol in [Protocol::Imap, Protocol::Pop3] {
        let account = dovecot.account(protocol, Encryption::Tls);
        let mut first = connect(&account).await.expect("signed in");
        let all = first.changes(None).await.expect("listed");
        assert_eq!((all.fresh, all.new.len()), (true, 38_000), "{protocol:?}");
        drop(first);
        let mut second = connect(&account).await.expect("signed in");
        let none = second.changes(Some(&all.cursor)).await.expect("listed");
        assert_eq!((none.fresh, none.new.len()), (false, 0), "{protocol:?}");
        assert!(second.received() <= 64 * 1024, "{protocol:?}: {} bytes", second.received());
    }
}
