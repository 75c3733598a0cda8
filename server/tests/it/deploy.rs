//! The samples of `docs/deploy/`: real proxies in front of two processes pass what they have to, unit and container
//! file are what systemd and a linter accept. What a sample names as its own is put in the place of addresses and
//! files of the test; nothing else of it is changed.

use crate::browser::Browser;
use crate::processes::certificates;
use crate::stage::{PASSWORD, Stage, config, picture, start, terms, upload};
use crate::terminal::{Draft, Terminal, rng};
use futures::stream;
use portcullis_fixtures::ports::free;
use portcullis_protocol::wire::{
    AuthorisationAnswer, AuthorisationRequest, Done, OffersAnswer, OffersRequest, PublishAnswer, VerificationAnswer,
    VerificationRequest,
};
use portcullis_protocol::{Origin, Rights, SecretKey, paths};
use portcullis_server::ops::config::Config;
use portcullis_server::store::DatabaseAddress;
use portcullis_server::{Parts, Running};
use reqwest::{Client, StatusCode};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A sample with other words in the place of its own, each of which it has.
fn with(mut sample: String, words: &[(&str, String)]) -> String {
    for (old, new) in words {
        assert!(sample.contains(old), "the sample has no `{old}`");
        sample = sample.replace(old, new);
    }
    sample
}

/// A program of the system, which may not be in the path of everybody.
fn installed(name: &str) -> PathBuf {
    let program = Path::new("/usr/sbin").join(name);
    if program.is_file() { program } else { name.into() }
}

/// A proxy in front of two processes. Dropped, it ends.
struct Proxy {
    child: Child,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nginx,
    HaProxy,
}

impl Kind {
    fn start(self, folder: &Path, port: u16, behind: [SocketAddr; 2]) -> Proxy {
        let file = |name: &str| folder.join(name).display().to_string();
        let [one, two] = behind.map(|address| address.to_string());
        let shared = [("127.0.0.1:8433", one), ("127.0.0.1:8434", two)];
        let mut command = match self {
            Self::Nginx => {
                let words = [
                    ("/etc/ssl/store.example/fullchain.pem", file("server.pem")),
                    ("/etc/ssl/store.example/key.pem", file("server.key")),
                    ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
                    ("listen 80;", format!("listen 127.0.0.1:{};", free().port())),
                    ("store.example", "localhost".to_owned()),
                ];
                let sample = with(sample("nginx.conf"), &[&words[..], &shared[..]].concat());
                std::fs::write(folder.join("portcullis.conf"), sample).expect("written");
                // What the system's own file has around it.
                let around = format!(
                    "daemon off;\nmaster_process off;\npid {pid};\nerror_log stderr;\nevents {{ worker_connections 512; }}\n\
                     http {{\n  client_body_temp_path {body};\n  proxy_temp_path {proxy};\n  include {sample};\n}}\n",
                    pid = file("pid"),
                    body = file("body"),
                    proxy = file("proxy"),
                    sample = file("portcullis.conf"),
                );
                std::fs::write(folder.join("nginx.conf"), around).expect("written");
                let mut command = Command::new(installed("nginx"));
                command.args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(folder.join("nginx.conf"));
                command
            }
            Self::HaProxy => {
                let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("made");
                std::fs::write(folder.join("haproxy.pem"), read("server.pem") + &read("server.key")).expect("written");
                let words = [
                    ("/etc/ssl/store.example/haproxy.pem", file("haproxy.pem")),
                    ("bind :443 ", format!("bind 127.0.0.1:{port} ")),
                    ("bind :80\n", format!("bind 127.0.0.1:{}\n", free().port())),
                    ("store.example", "localhost".to_owned()),
                ];
                let sample = with(sample("haproxy.cfg"), &[&words[..], &shared[..]].concat());
                std::fs::write(folder.join("haproxy.cfg"), sample).expect("written");
                let mut command = Command::new(installed("haproxy"));
                command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
                command
            }
        };
        let log = std::fs::File::create(folder.join("proxy.log")).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{self:?}: {error}: run `cargo xtask foreign`"));
        let mut proxy = Proxy { child };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = proxy.child.try_wait().expect("asked");
            let log = std::fs::read_to_string(folder.join("proxy.log")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(20), "{self:?} does not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        proxy
    }
}

/// A store behind a proxy: one of its processes is the stage's.
struct Front {
    folder: tempfile::TempDir,
    stage: Stage,
    second: Running,
    origin: Origin,
    port: u16,
    _proxy: Proxy,
}

fn behind_proxy(config: Config, origin: &Origin) -> Config {
    let mut config = Config {
        origin: Some(origin.clone()),
        behind_proxy: true,
        // The proxy alone: clients of the test have other addresses of the loopback network.
        trusted_proxies: vec!["127.0.0.1/32".parse().expect("a network")],
        ..config
    };
    config.limits.sign_in_attempts = 3;
    config
}

impl Front {
    async fn open(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        certificates(folder.path());
        let port = free().port();
        let origin = Origin::new(format!("https://localhost:{port}")).expect("an origin");
        let stage = start(Parts::default(), |folder| behind_proxy(config(folder), &origin)).await;
        let database: Option<DatabaseAddress> = stage.running.app().config.database.clone();
        let twin = Config { database, ..behind_proxy(config(&stage.folder), &origin) };
        let second = Running::start_with(twin, Parts::default()).await.expect("a second process");
        let behind = [stage.running.address(), second.address()];
        let proxy = kind.start(folder.path(), port, behind);
        Self { folder, stage, second, origin, port, _proxy: proxy }
    }

    /// A client at an address of its own, which believes the test's authority alone.
    fn client(&self, last: u8) -> Client {
        let authority = std::fs::read(self.folder.path().join("right.pem")).expect("made");
        let authority = reqwest::Certificate::from_pem(&authority).expect("a certificate");
        Client::builder()
            .tls_certs_only([authority])
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .resolve("localhost", SocketAddr::from(([127, 0, 0, 1], self.port)))
            .local_address(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)))
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client")
    }

    /// A terminal that somebody has signed in and enrolled, with his browser.
    async fn customer(&self, email: &str, last: u8) -> Terminal {
        let mut browser = Browser::with(self.client(last), &self.origin);
        let page = browser.sign_up(email, PASSWORD).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        let cookies: Vec<&String> = browser.cookies.keys().collect();
        assert!(cookies.iter().all(|name| name.starts_with("__Host-")), "{cookies:?}");
        let mut terminal = Terminal::with(self.client(last), &self.origin).await;
        let code = terminal.device_code("a terminal").await;
        assert_eq!(browser.decide(&code.user_code, "approve").await.status, StatusCode::OK);
        terminal.poll(&code.device_code).await.expect("tokens");
        terminal.enrol("a terminal").await;
        terminal
    }

    /// A connection of bytes, through TLS.
    fn raw(&self) -> Line {
        let mut command = Command::new("openssl");
        let address = format!("127.0.0.1:{}", self.port);
        command.args(["s_client", "-quiet", "-verify_return_error", "-servername", "localhost", "-alpn", "http/1.1"]);
        command.args(["-connect", &address, "-CAfile"]).arg(self.folder.path().join("right.pem"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("openssl");
        let input = child.stdin.take().expect("input");
        let mut output = child.stdout.take().expect("output");
        let (sender, received) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read) = output.read(&mut piece) {
                if read == 0 || sender.send(piece[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Line { child, input, received }
    }
}

struct Line {
    child: Child,
    input: ChildStdin,
    received: Receiver<Vec<u8>>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Line {
    fn send(&mut self, bytes: &[u8]) {
        self.input.write_all(bytes).and_then(|()| self.input.flush()).expect("sent");
    }

    /// What came, once it has these words.
    fn until(&self, words: &str) -> String {
        let (begun, mut text) = (Instant::now(), String::new());
        while !text.contains(words) {
            let left = Duration::from_secs(20).checked_sub(begun.elapsed()).unwrap_or_default();
            match self.received.recv_timeout(left) {
                Ok(piece) => text.push_str(&String::from_utf8_lossy(&piece)),
                Err(error) => panic!("no `{words}` ({error}): {text}"),
            }
        }
        text
    }
}

/// Bytes that have arrived of uploads.
fn arrived(uploads: &Path) -> u64 {
    let files = std::fs::read_dir(uploads).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).max().unwrap_or(0)
}

/// The head of an upload, as a terminal sends it.
fn head(terminal: &Terminal, draft: &Draft, length: u64) -> String {
    format!(
        "PUT /v1/resources HTTP/1.1\r\nhost: localhost:{}\r\ndpop: {}\r\nauthorization: DPoP {}\r\nidempotency-key: {}\r\n\
         content-type: application/wasm\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n",
        terminal.origin.as_str().rsplit(':').next().expect("a port"),
        terminal.prove(draft, terminal.nonce.as_deref()),
        terminal.token.as_deref().expect("a token"),
        draft.idempotency_key.as_ref().expect("a key").as_str(),
    )
}

async fn passes(kind: Kind) {
    let front = Front::open(kind).await;
    // Pages, over TLS and HTTP/2.
    let client = front.client(2);
    let page = client.get(front.origin.to_string()).send().await.expect("a page");
    assert_eq!((page.status(), page.version()), (StatusCode::OK, reqwest::Version::HTTP_2));
    assert!(page.headers().contains_key("strict-transport-security"));
    let stranger = Client::builder().resolve("localhost", SocketAddr::from(([127, 0, 0, 1], front.port))).build();
    assert!(
        stranger.expect("a client").get(front.origin.to_string()).send().await.is_err(),
        "the control: its authority"
    );

    // A whole shop: proofs name host and path as they were sent.
    let mut publisher = front.customer("lumen@example.org", 2).await;
    let key = SecretKey::generate(&mut rng());
    let Done {} = publisher.get_yes(&crate::stage::claim(&front.origin, "lumen", &key)).await;
    let file = picture(&publisher, &key, "lumen", "1.0.0");
    let published: PublishAnswer = publisher.get_yes(&upload(&file)).await;
    let offers = OffersRequest { offers: vec![terms("preview", Rights::Free {}, "0.00 EUR")] };
    let path = paths::fill(paths::OFFERS, &[&"lumen", &"alpine-lake"]);
    let draft = Draft::json(reqwest::Method::PUT, path, &offers);
    let _: OffersAnswer = publisher.get_yes(&draft).await;
    let mut customer = front.customer("ada@example.org", 3).await;
    let request = AuthorisationRequest {
        resource: published.resource,
        operation: "preview".parse().expect("a name"),
        quantity: 1,
        offer: None,
        nonce: portcullis_protocol::encoding::BoundedOctets::new(b"nonce".to_vec()).expect("short"),
    };
    let code: AuthorisationAnswer = customer.get_yes(&Draft::post("/v1/authorizations", &request)).await;
    let verification = VerificationRequest { code: code.code, request };
    let _: VerificationAnswer = customer.get_yes(&Draft::post("/v1/verifications", &verification)).await;

    // Ranges of a sealed file.
    let url = format!("{}/v1/files/{}", front.origin, published.resource);
    let part = client.get(&url).header("range", "bytes=10-19").send().await.expect("a part");
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    let range = part.headers()["content-range"].to_str().expect("text").to_owned();
    let part = part.bytes().await.expect("bytes");
    let whole = client.get(&url).send().await.expect("a file").bytes().await.expect("bytes");
    assert_eq!((range, part), (format!("bytes 10-19/{}", whole.len()), whole.slice(10..20)));

    // An upload arrives as it is sent: half of it is on the server's disk before the other half is on its way.
    let uploads = front.stage.folder.path().join("uploads");
    let draft = upload(&vec![b' '; 800_000]);
    let (sender, receiver) = tokio::sync::mpsc::channel::<Vec<u8>>(1);
    let body = stream::unfold(receiver, async |mut receiver| {
        let piece = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(piece), receiver))
    });
    let sent = publisher
        .http
        .put(format!("{}{}", front.origin, draft.path))
        .header("DPoP", publisher.prove(&draft, publisher.nonce.as_deref()))
        .header("content-type", draft.content_type)
        .header("content-length", "800000")
        .header("authorization", format!("DPoP {}", publisher.token.as_deref().expect("a token")))
        .header("Idempotency-Key", draft.idempotency_key.as_ref().expect("a key").as_str())
        .body(reqwest::Body::wrap_stream(body))
        .send();
    let sending = tokio::spawn(sent);
    sender.send(vec![b' '; 400_000]).await.expect("sent");
    let begun = Instant::now();
    while arrived(&uploads) < 200_000 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the proxy keeps the upload: {} arrived", arrived(&uploads));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sender.send(vec![b' '; 400_000]).await.expect("sent");
    drop(sender);
    let answer = sending.await.expect("ends").expect("answered");
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "it was no sealed file");

    // A client that waits to be told to go on is told, and one that wants too much is told at once.
    let _ = publisher.send(&Draft::get("/v1/account")).await;
    let draft = upload(b"not a sealed file");
    let mut line = front.raw();
    line.send(head(&publisher, &draft, 17).as_bytes());
    let told = line.until("\r\n\r\n");
    assert!(told.starts_with("HTTP/1.1 100"), "{told}");
    line.send(&draft.body);
    line.until("HTTP/1.1 422");
    let mut line = front.raw();
    line.send(head(&publisher, &draft, 5 << 30).as_bytes());
    line.until("HTTP/1.1 413");

    // Whose tries are counted: what a client writes of itself is worth nothing, and clients are told apart.
    for (forged, last) in [("x-forwarded-for", 4), ("forwarded", 5)] {
        let mut tries = 0;
        loop {
            let mut guesser = Browser::with(front.client(last), &front.origin);
            let invented =
                if forged == "forwarded" { format!("for=203.0.113.{tries}") } else { format!("203.0.113.{tries}") };
            guesser.through_proxy(forged, &invented);
            let status = guesser.sign_in("ada@example.org", "a wrong password").await.status;
            if status == StatusCode::TOO_MANY_REQUESTS {
                break;
            }
            tries += 1;
            assert!(tries < 10, "{forged} is believed");
        }
        assert_eq!(tries, 3, "{forged}");
    }
    let mut owner = Browser::with(front.client(6), &front.origin);
    assert_eq!(owner.sign_in("ada@example.org", PASSWORD).await.status, StatusCode::SEE_OTHER, "another address");

    // One process ends, and nobody notices.
    front.second.stop().await.expect("stops");
    for _ in 0..20 {
        let page = client.get(front.origin.to_string()).send().await.expect("a page");
        assert_eq!(page.status(), StatusCode::OK);
    }
    front.stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_passes_what_it_has_to() {
    passes(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_passes_what_it_has_to() {
    passes(Kind::HaProxy).await;
}

/// What systemd says of the unit, with a program that exists. Without systemd this says so.
#[test]
fn systemd_accepts_the_unit() {
    let folder = tempfile::tempdir().expect("a folder");
    let unit = with(sample("portcullis@.service"), &[("/usr/local/bin/portcullis-server", "/bin/true".to_owned())]);
    let file = folder.path().join("portcullis@8433.service");
    std::fs::write(&file, unit).expect("written");
    let analyze = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).arg(&file).output();
    let verified = analyze(&["verify", "--man=no"]).expect("systemd-analyze, which `cargo xtask foreign` installs");
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
    // In tenths: what the unit leaves open is its network, without which it serves nobody.
    let security = analyze(&["security", "--offline=true", "--threshold=15", "--no-pager"]).expect("runs");
    assert!(security.status.success(), "{}", String::from_utf8_lossy(&security.stdout));
    let unsafe_unit = "[Service]\nExecStart=/bin/true\n";
    std::fs::write(&file, unsafe_unit).expect("written");
    let security = analyze(&["security", "--offline=true", "--threshold=15", "--no-pager"]).expect("runs");
    assert!(!security.status.success(), "the control: a unit without protection is over the threshold");
}

#[test]
fn the_linter_accepts_the_container_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy/Containerfile");
    let linter: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign/hadolint/bin/hadolint");
    let lint = |file: &Path| {
        let output = Command::new(&linter).arg("--no-color").arg(file).output();
        output.unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask foreign`", linter.display()))
    };
    let linted = lint(&file);
    assert!(linted.status.success(), "{}", String::from_utf8_lossy(&linted.stdout));
    let text = sample("Containerfile");
    let last = text.rsplit("\nFROM ").next().expect("a stage");
    let lines: Vec<&str> = last.lines().collect();
    assert!(!lines.iter().any(|line| line.starts_with("RUN")), "the last stage has no shell");
    let user = lines.iter().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    assert!(!user.starts_with('0') && !user.contains("root"), "{user}");
    for exec in ["ENTRYPOINT [", "CMD ["] {
        assert!(lines.iter().any(|line| line.starts_with(exec)), "{exec}: without a shell");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("Containerfile");
    std::fs::write(&broken, "FROM debian:latest\nRUN cd /tmp\n").expect("written");
    assert!(!lint(&broken).status.success(), "the control");
}
