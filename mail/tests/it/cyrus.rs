//! JMAP against a real server: Debian's cyrus, unpacked below `target/foreign/cyrus`, since its package and dovecot's
//! cannot be installed together. It runs as nobody, on free ports, and is stopped at the end.

use crate::dovecot::free_ports;
use crate::signer::sign;
use crate::stage::{BILL, USER, account, fetcher, mail, records, registry};
use portcullis_mail::{Account, Fetcher, Protocol, SealedFolder, Summary, connect, fetch};
use serde_json::json;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Cyrus {
    child: Child,
    home: tempfile::TempDir,
    imap: u16,
    http: u16,
}

/// Where it was unpacked; `None` on a system that has no such package.
fn unpacked() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign/cyrus");
    let is_root = rustix::process::getuid().is_root();
    (is_root && folder.join("usr/lib/cyrus/bin/httpd").exists()).then(|| folder.canonicalize().expect("there"))
}

impl Cyrus {
    fn start(unpacked: &Path) -> Self {
        // Not below a folder that only root enters: it runs as another user.
        let home = tempfile::Builder::new().prefix("portcullis-cyrus").tempdir_in("/tmp").expect("a folder");
        let (root, [imap, http]) = (home.path().display().to_string(), free_ports());
        for folder in ["lib", "spool", "run"] {
            fs::create_dir(home.path().join(folder)).expect("made");
        }
        let copy = home.path().join("cyrus");
        let copied = Command::new("cp").arg("-r").arg(unpacked).arg(&copy).status().expect("cp");
        assert!(copied.success());
        let program = |name: &str| format!("{}/usr/lib/cyrus/bin/{name} -C {root}/imapd.conf", copy.display());
        let configuration = format!(
            "configdirectory: {root}/lib\npartition-default: {root}/spool\ndefaultpartition: default\n\
             proc_path: {root}/run/proc\nmboxname_lockpath: {root}/run/lock\nidlesocket: {root}/run/idle\n\
             notifysocket: {root}/run/notify\nlmtpsocket: {root}/run/lmtp\nadmins: admin\ncyrus_user: nobody\n\
             cyrus_group: nogroup\nsasl_pwcheck_method: auxprop\nsasl_auxprop_plugin: sasldb\n\
             sasl_sasldb_path: {root}/users\nsasl_mech_list: PLAIN LOGIN\nallowplaintext: yes\nunixhierarchysep: yes\n\
             conversations: yes\nhttpmodules: jmap\nservername: localhost\n"
        );
        fs::write(home.path().join("imapd.conf"), configuration).expect("written");
        let services = format!(
            "START {{\n recover cmd=\"{} -r\"\n}}\nSERVICES {{\n imap cmd=\"{}\" listen=\"127.0.0.1:{imap}\"\n \
             http cmd=\"{}\" listen=\"127.0.0.1:{http}\"\n}}\nEVENTS {{ }}\n",
            program("ctl_cyrusdb"),
            program("imapd"),
            program("httpd")
        );
        fs::write(home.path().join("cyrus.conf"), services).expect("written");
        let libraries = ["usr/lib", "lib"].map(|folder| {
            let architecture = format!("{}-linux-gnu", std::env::consts::ARCH);
            copy.join(folder).join(architecture).display().to_string()
        });
        let libraries = libraries.join(":");
        for user in ["admin", "kim"] {
            let mut set = Command::new(copy.join("usr/sbin/saslpasswd2"));
            set.args(["-p", "-c", "-u", "localhost", "-f"]).arg(home.path().join("users")).arg(user);
            let mut setting = set.env("LD_LIBRARY_PATH", &libraries).stdin(Stdio::piped()).spawn().expect("starts");
            setting.stdin.take().expect("piped").write_all(b"secret\n").expect("written");
            assert!(setting.wait().expect("ends").success());
        }
        let owned = Command::new("chown").args(["-R", "nobody:nogroup", &root]).status().expect("chown");
        assert!(owned.success());
        let mut command = Command::new(copy.join("usr/lib/cyrus/bin/master"));
        command.args(["-D", "-C", &format!("{root}/imapd.conf"), "-M", &format!("{root}/cyrus.conf")]);
        command.args(["-p", &format!("{root}/run/pid")]).env("LD_LIBRARY_PATH", &libraries);
        command.uid(65534).gid(65534).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("starts");
        let server = Self { child, home, imap, http };
        let start = Instant::now();
        for port in [imap, http] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(start.elapsed() < Duration::from_secs(60), "cyrus does not start");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        server
    }

    /// What it answers to the last of these commands of IMAP, as this user.
    fn say(&self, user: &str, commands: &[Vec<u8>]) -> String {
        let stream = TcpStream::connect(("127.0.0.1", self.imap)).expect("connects");
        let mut answers = BufReader::new(stream.try_clone().expect("a stream"));
        let mut stream = stream;
        let mut last = String::new();
        answers.read_line(&mut last).expect("a greeting");
        let sign_in = format!("LOGIN {user} secret").into_bytes();
        for (at, command) in [sign_in].iter().chain(commands).enumerate() {
            let tag = format!("a{at} ");
            stream.write_all(&[tag.as_bytes(), command, b"\r\n"].concat()).expect("sent");
            last.clear();
            loop {
                let mut line = String::new();
                assert!(answers.read_line(&mut line).expect("a line") > 0, "{last}");
                last += &line;
                if let Some(done) = line.strip_prefix(&tag) {
                    assert!(done.starts_with("OK"), "{line}");
                    break;
                }
            }
        }
        drop(stream.shutdown(std::net::Shutdown::Write));
        let _ = answers.read_to_string(&mut String::new());
        last
    }

    fn deliver(&self, mails: &[Vec<u8>]) {
        let append = |mail: &Vec<u8>| [format!("APPEND INBOX {{{}+}}\r\n", mail.len()).as_bytes(), mail].concat();
        self.say("kim", &mails.iter().map(append).collect::<Vec<_>>());
    }

    fn account(&self) -> Account {
        let server = format!("http://127.0.0.1:{}/jmap/", self.http);
        Account { protocol: Protocol::Jmap, server, ..account() }
    }
}

impl Drop for Cyrus {
    fn drop(&mut self) {
        // The master stops its children on SIGTERM.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        drop(fs::remove_dir_all(self.home.path()));
    }
}

async fn read(cyrus: &Cyrus, fetcher: &Fetcher, folder: &SealedFolder) -> Summary {
    let mut source = connect(&cyrus.account()).await.expect("connects");
    fetch(fetcher, folder, &mut *source).await.expect("a run")
}

#[tokio::test]
#[ignore = "slow: cargo xtask test --all"]
async fn a_mailbox_of_cyrus_is_read_once_over_jmap_and_left_as_it_was() {
    let Some(unpacked) = unpacked() else {
        println!("SKIPPED: cyrus is not below target/foreign, so JMAP was tried on the double alone (jmap.rs)");
        return;
    };
    let cyrus = Cyrus::start(&unpacked);
    cyrus.say("admin", &[b"CREATE user/kim".to_vec(), b"SETACL user/kim kim lrswipkxtecda".to_vec()]);
    let (signed, names) = sign(&[
        json!({"raw": mail("power.example", USER, "Invoice", BILL), "domain": "power.example", "selector": "k1"}),
    ]);
    let other = |at: usize| mail("power.example", USER, "News", &format!("Hello {at}.")).into_bytes();
    let mails: Vec<Vec<u8>> = (0..150).map(other).chain(signed).collect();
    cyrus.deliver(&mails);
    // Without the line that says how long it took.
    let flags = || -> Vec<String> {
        let said = cyrus.say("kim", &[b"EXAMINE INBOX".to_vec(), b"FETCH 1:* (UID FLAGS)".to_vec()]);
        said.lines().filter(|line| line.contains("FETCH (")).map(str::to_owned).collect()
    };
    let before = flags();
    assert!(before.len() == 151 && !before.iter().any(|line| line.contains("\\Seen")), "{before:?}");

    let home = tempfile::tempdir().expect("a folder");
    let folder = SealedFolder::open(home.path().join("mail")).expect("open");
    let fetcher = Fetcher { account: Arc::new(cyrus.account()), ..fetcher(names, registry(&["power.example"])) };
    let first = read(&cyrus, &fetcher, &folder).await;
    assert_eq!((first.read, first.bills), (151, 1), "{first:?}");
    assert_eq!(records(&folder)[0].level, portcullis_mail::Level::Verified);
    let second = read(&cyrus, &fetcher, &folder).await;
    assert!(second.read == 0 && second.received <= 64 * 1024, "{second:?}");
    assert_eq!(flags(), before, "nothing is marked");
    cyrus.deliver(&[other(200)]);
    assert_eq!(read(&cyrus, &fetcher, &folder).await.read, 1);
}
