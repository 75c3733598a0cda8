//! Sealed files in a bucket, as a service of somebody else keeps it (moto), and what is left when a process dies.

use crate::stage::{PREVIEW, Stage, picture_manifest, stub, upload};
use crate::terminal::{Draft, Terminal, rng};
use crate::world::World;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use portcullis_fixtures::ports::free;
use portcullis_protocol::age::Recipient;
use portcullis_protocol::sealed::{Package, Sealed};
use portcullis_protocol::wire::{AuthorisationAnswer, PublishAnswer, VerificationAnswer, VerificationRequest};
use portcullis_protocol::{Digest, SecretKey};
use portcullis_server::ops::config::Config;
use portcullis_server::{Objects, StorageSettings};
use std::io::Cursor;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// How long a foreign program or the housekeeping may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// moto, on a free port. Dropped, it ends.
struct Service {
    child: Child,
    address: String,
    http: reqwest::Client,
}

impl Service {
    async fn start() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign/moto/bin/moto_server");
        assert!(program.is_file(), "{} is missing: run `cargo xtask foreign`", program.display());
        let address = free();
        let mut command = Command::new(program);
        command
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("moto starts");
        let service = Self { child, address: format!("http://{address}"), http: reqwest::Client::new() };
        let made = eventually(async || {
            let made = service.http.put(format!("{}/store", service.address)).send().await;
            made.is_ok_and(|made| made.status().is_success())
        });
        assert!(made.await, "moto makes a bucket");
        service
    }

    /// What it answers to `GET /store?…`.
    async fn list(&self, query: &str) -> String {
        let answer = self.http.get(format!("{}/store?{query}", self.address)).send().await.expect("answers");
        answer.text().await.expect("text")
    }

    async fn uploads(&self) -> usize {
        self.list("uploads").await.matches("<UploadId>").count()
    }

    async fn objects(&self) -> usize {
        self.list("list-type=2").await.matches("<Key>").count()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether something is so before [`PATIENCE`] ends.
async fn eventually(is: impl AsyncFn() -> bool) -> bool {
    let begun = std::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        if is().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    false
}

fn storage(endpoint: &str) -> StorageSettings {
    let text = format!(
        "bucket = \"s3://store/sealed/here\"\nendpoint = \"{endpoint}\"\naccess_key_id = \"id\"\nsecret_access_key = \"secret\""
    );
    toml::from_str(&text).expect("settings")
}

fn in_bucket(endpoint: &str) -> impl FnOnce(&mut Config) {
    let storage = storage(endpoint);
    move |config| {
        config.storage = storage;
        config.limits.upload_bytes = 64 * 1024 * 1024;
    }
}

/// Between the server and the service: lets everything pass, or nothing from a part of this number on.
struct Line {
    service: String,
    http: reqwest::Client,
    broken_from: AtomicU64,
    /// What the service's list says of when uploads began: moto says 2010 of all.
    began: Mutex<Option<String>>,
}

impl Line {
    /// Returns its address.
    async fn lay(service: &Service) -> (Arc<Self>, String) {
        let line = Arc::new(Self {
            service: service.address.clone(),
            http: reqwest::Client::new(),
            broken_from: AtomicU64::new(u64::MAX),
            began: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(pass).with_state(line.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (line, address)
    }

    fn began_at(&self, at: SystemTime) {
        *self.began.lock().expect("not poisoned") = Some(humantime::format_rfc3339_seconds(at).to_string());
    }

    fn break_from(&self, part: u64) {
        self.broken_from.store(part, Ordering::SeqCst);
    }
}

async fn pass(State(line): State<Arc<Line>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let part = query.split('&').find_map(|pair| pair.strip_prefix("partNumber=")?.parse::<u64>().ok());
    let from = line.broken_from.load(Ordering::SeqCst);
    // 0 breaks everything; otherwise the parts from this one on, and what gives an upload up.
    let is_broken =
        from == 0 || from != u64::MAX && (part.is_some_and(|part| part >= from) || request.method() == "DELETE");
    if is_broken {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let (parts, body) = request.into_parts();
    let url = format!("{}{}", line.service, parts.uri);
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let mut headers = parts.headers;
    headers.remove("host");
    let answer = line.http.request(parts.method, url).headers(headers).body(body).send().await.expect("moto answers");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove("transfer-encoding");
    let mut body = answer.bytes().await.expect("a body");
    if let Some(began) = line.began.lock().expect("not poisoned").as_ref().filter(|_| query.starts_with("uploads")) {
        let initiated = regex::Regex::new("<Initiated>[^<]*").expect("a pattern");
        let text = String::from_utf8(body.to_vec()).expect("XML");
        body = initiated.replace_all(&text, format!("<Initiated>{began}")).into_owned().into();
        response.headers_mut().remove("content-length");
    }
    *response.body_mut() = Body::from(body);
    response
}

/// A sealed picture whose full part has 20 MiB: more than goes up in one request.
fn large(terminal: &Terminal, key: &SecretKey, version: &str) -> Vec<u8> {
    let full: Vec<u8> = (0..20 * 1024 * 1024_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut manifest = picture_manifest(terminal, key, "lumen", version);
    manifest.parts[1].size = full.len() as u64;
    manifest.parts[2].size = stub().len() as u64;
    let recipient: Recipient = terminal.keys.recipient.parse().expect("the server's recipient");
    let sources: Vec<Box<dyn std::io::Read>> =
        vec![Box::new(PREVIEW), Box::new(Cursor::new(full)), Box::new(Cursor::new(stub()))];
    let stub = stub();
    let package = Package { stub: &stub, manifest, sources, recipients: std::slice::from_ref(&recipient) };
    let mut file = Cursor::new(Vec::new());
    package.write(&mut file, key, &mut rng()).expect("sealed");
    file.into_inner()
}

fn intents(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder.join("uploads")).expect("a folder").flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "intent")).count()
}

#[tokio::test]
async fn a_store_sells_out_of_a_bucket() {
    let service = Service::start().await;
    let stage = Stage::with(in_bucket(&service.address)).await;
    let shop = stage.shop().await;
    assert_eq!(service.objects().await, 1, "one object, under the resource's digest");
    assert!(service.list("list-type=2").await.contains(&format!("sealed/here/files/{}.wasm", shop.resource)));
    assert!(!stage.folder.path().join("files").exists(), "nothing lies in the folder");

    // Whole, and a range of it, as from a folder.
    let url = format!("{}/v1/files/{}", stage.origin, shop.resource);
    let whole = service.http.get(&url).send().await.expect("answers");
    assert_eq!(whole.status(), 200);
    let whole = whole.bytes().await.expect("the file");
    assert!(whole.len() > shop.file.len(), "with the store's countersignature");
    let part = service.http.get(&url).header("Range", "bytes=10-99").send().await.expect("answers");
    assert_eq!(
        (part.status(), part.headers()["content-range"].to_str().expect("text")),
        (StatusCode::PARTIAL_CONTENT, format!("bytes 10-99/{}", whole.len()).as_str())
    );
    assert_eq!(part.bytes().await.expect("the range"), whole.slice(10..100));

    // Bought and run.
    let mut customer = stage.customer("ada@example.org").await;
    shop.buy(&mut customer, "view").await;
    let request = shop.request("view");
    let code: AuthorisationAnswer = customer.get_yes(&Draft::post("/v1/authorizations", &request)).await;
    let verification = VerificationRequest { code: code.code, request };
    let _: VerificationAnswer = customer.get_yes(&Draft::post("/v1/verifications", &verification)).await;

    // Its page reads the stub out of the bucket.
    let page = service.http.get(format!("{}/resources/lumen/alpine-lake", stage.origin)).send().await.expect("answers");
    assert_eq!(page.status(), 200);
    let ready = service.http.get(format!("{}/readyz", stage.origin)).send().await.expect("answers");
    assert_eq!(ready.status(), 200);
    assert_eq!(intents(stage.folder.path()), 0);
    stage.stop().await;
}

#[tokio::test]
async fn a_large_file_goes_up_in_parts_and_a_broken_line_leaves_none() {
    let service = Service::start().await;
    let (line, endpoint) = Line::lay(&service).await;
    let stage = Stage::with(in_bucket(&endpoint)).await;
    let (mut terminal, key) = stage.publisher("lumen").await;
    let file = large(&terminal, &key, "1.0.0");

    // The line breaks at the second part, and the upload cannot be given up either.
    line.break_from(2);
    let answer = terminal.send(&upload(&file)).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!((service.uploads().await, service.objects().await), (1, 0), "parts lie at the service");
    assert_eq!(intents(stage.folder.path()), 1, "and it is known");

    // When the line is back, the server gives the upload up by itself.
    line.break_from(u64::MAX);
    assert!(eventually(async || service.uploads().await == 0).await, "no part is left");
    // The intent stays while the service may still be at it: three minutes.
    for entry in std::fs::read_dir(stage.folder.path().join("uploads")).expect("a folder").flatten() {
        let file = std::fs::File::options().write(true).open(entry.path()).expect("opened");
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("aged");
    }
    assert!(eventually(async || intents(stage.folder.path()) == 0).await);

    // And the publisher's next try succeeds.
    let published: PublishAnswer = terminal.get_yes(&upload(&file)).await;
    assert_eq!((service.uploads().await, service.objects().await), (0, 1));
    let url = format!("{}/v1/files/{}", stage.origin, published.resource);
    let whole = service.http.get(&url).send().await.expect("answers").bytes().await.expect("the file");
    let sealed = Sealed::open(whole.to_vec()).expect("a sealed file");
    assert_eq!(sealed.digest(), published.resource);
    sealed.verify_blocks().expect("every part came in its place");
    let at = 9 * 1024 * 1024;
    let part =
        service.http.get(&url).header("Range", format!("bytes={at}-{}", at + 999)).send().await.expect("answers");
    assert_eq!(part.bytes().await.expect("the range"), whole.slice(at..at + 1000));
    stage.stop().await;
}

#[tokio::test]
async fn uploads_that_nobody_remembers_are_given_up_after_a_day() {
    let service = Service::start().await;
    for key in ["sealed/here/files/a.wasm", "sealed/here/files/b.wasm", "sealed/here/files-of-others/c.wasm"] {
        let begun =
            service.http.post(format!("{}/store/{key}?uploads", service.address)).send().await.expect("answers");
        assert!(begun.status().is_success());
    }
    let (line, endpoint) = Line::lay(&service).await;
    let objects = Objects::open(Path::new("nowhere"), &storage(&endpoint)).expect("a bucket");
    line.began_at(SystemTime::now());
    assert_eq!(objects.abort_forgotten(SystemTime::now()).await.expect("listed"), 0, "somebody may be at work");
    assert_eq!(service.uploads().await, 3);
    let tomorrow = SystemTime::now() + Duration::from_secs(25 * 3600);
    assert_eq!(objects.abort_forgotten(tomorrow).await.expect("listed"), 2);
    assert_eq!(service.uploads().await, 1, "what is not below this server's prefix is somebody else's");
}

#[tokio::test]
async fn what_was_stored_and_never_published_is_removed_and_nothing_else() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let (files, uploads) = (stage.folder.path().join("files"), stage.folder.path().join("uploads"));
    let published = files.join(format!("{}.wasm", shop.resource));
    // A process stored one file and died; another one died between publishing and forgetting its intent.
    let orphan = Digest::of(b"never published");
    let left = files.join(format!("{orphan}.wasm"));
    std::fs::write(&left, b"what a dead process stored").expect("written");
    let young = Digest::of(b"another process is about to publish it");
    let fresh = files.join(format!("{young}.wasm"));
    std::fs::write(&fresh, b"stored just now").expect("written");
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    for path in [&left, &published] {
        let file = std::fs::File::options().write(true).open(path).expect("opened");
        file.set_modified(hour_ago).expect("aged");
    }
    for (name, digest) in [("a", &orphan), ("b", &shop.resource), ("c", &young)] {
        let record = serde_json::json!({ "digest": digest, "upload": null });
        std::fs::write(uploads.join(format!("{name}.intent")), record.to_string()).expect("written");
    }
    std::fs::write(uploads.join("d.intent"), b"").expect("written");

    assert!(eventually(async || intents(stage.folder.path()) == 1).await, "one stays: it cannot be decided yet");
    assert!(!left.exists(), "nobody can name it");
    assert!(published.exists() && fresh.exists(), "sold, and perhaps about to be");
    let answer = reqwest::get(format!("{}/v1/files/{}", stage.origin, shop.resource)).await.expect("answers");
    assert_eq!(answer.status(), 200);
    stage.stop().await;
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_is_named_without_its_secret() {
    let nowhere = free();
    let objects = Objects::open(Path::new("nowhere"), &storage(&format!("http://{nowhere}"))).expect("settings");
    let error = objects.abort_forgotten(SystemTime::now()).await.expect_err("nobody listens").to_string();
    assert!(error.contains("s3://store") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_gone_comes_back_when_its_publisher_uploads_it_again() {
    let stage = Stage::open().await;
    let mut shop = stage.shop().await;
    let file = stage.folder.path().join("files").join(format!("{}.wasm", shop.resource));
    let whole = std::fs::read(&file).expect("published");
    let url = format!("{}/v1/files/{}", stage.origin, shop.resource);
    std::fs::remove_file(&file).expect("lost");
    assert_eq!(reqwest::get(&url).await.expect("answers").status(), StatusCode::INTERNAL_SERVER_ERROR);
    let _: PublishAnswer = shop.terminal.get_yes(&upload(&shop.file)).await;
    let back = reqwest::get(&url).await.expect("answers").bytes().await.expect("the file");
    assert_eq!(back.len(), whole.len());
    Sealed::open(back.to_vec()).expect("sealed").verify_blocks().expect("whole");

    // A disk that gives back other bytes, of the same length: in the last block of a part, and in what wraps its key.
    let database = stage.running.app().config.database.clone();
    let check = |more: &[&str]| {
        let dir = stage.folder.path();
        let check = [&["operator", "--dir", ".", "check"], more].concat();
        let output = crate::backup::run(&check, dir, stage.origin.as_str(), database.as_ref());
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let share = back.windows(10).position(|bytes| bytes == b"-> X25519 ").expect("a wrapped key") + 12;
    for at in [back.len() - 1, share] {
        let mut rotten = back.to_vec();
        rotten[at] ^= 1;
        std::fs::write(&file, &rotten).expect("damaged");
        assert!(check(&[]).0, "its length is right: {}", check(&[]).1);
        let (is_well, said) = check(&["--contents"]);
        assert!(!is_well && said.contains("has other bytes than were published"), "{said}");
        assert!(said.contains(&shop.resource.to_string()), "{said}");
        let _: PublishAnswer = shop.terminal.get_yes(&upload(&shop.file)).await;
        assert_ne!(std::fs::read(&file).expect("stored"), rotten);
        assert!(check(&["--contents"]).0, "{}", check(&["--contents"]).1);
    }
    // One that cannot be read at all keeps nobody from hearing of the rest.
    std::fs::remove_file(&file).expect("removed");
    std::fs::create_dir(&file).expect("something else in its place");
    let (is_well, said) = check(&["--contents"]);
    assert!(!is_well && said.contains(&shop.resource.to_string()), "{said}");
    assert_eq!(intents(stage.folder.path()), 0);
    stage.stop().await;
}

#[tokio::test]
async fn a_directory_may_be_named_by_a_way_round() {
    let world = World::new().await;
    let dir = world.folder.path().join("x/..");
    std::fs::create_dir_all(world.folder.path().join("x")).expect("a folder");
    let around = Objects::open(&dir, &StorageSettings::default()).expect("a place");
    let damaged = portcullis_server::damaged_files(&*world.core.store, &around).await.expect("looked at");
    assert_eq!(damaged.len(), 1, "the file of the world's resource is missing, and that is all that is wrong");
}

/// Names the process that [`a_range_of_a_large_file_is_passed_on_piece_by_piece`] measures.
const MEASURED: &str = "PORTCULLIS_TEST_MEASURED";
/// Bytes of the large file.
const LARGE: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes of it that are asked for.
const ASKED: u64 = 256 * 1024 * 1024;
/// By how many KiB handing them out may make the process grow.
const GROWS: u64 = 16 * 1024;

/// The most memory that this process ever held, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// In a process of its own, since every other test of a process counts too.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_range_of_a_large_file_is_passed_on_piece_by_piece() {
    if std::env::var_os(MEASURED).is_none() {
        let mut measured = Command::new(std::env::current_exe().expect("this program"));
        let name = "objects::a_range_of_a_large_file_is_passed_on_piece_by_piece";
        let output = measured.args(["--exact", name, "--nocapture"]).env(MEASURED, "1").output().expect("runs");
        let (told, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && told.contains("1 passed"), "{told}{failed}");
        return;
    }
    let world = World::new().await;
    let (mut resource, _) = world.new_resource("feature-film", "1.0.0");
    resource.size = LARGE;
    let digest = resource.digest;
    world.core.store.publish(resource).await.expect("published");
    let files = world.folder.path().join("files");
    std::fs::create_dir_all(&files).expect("a folder");
    // Sparse: it takes no room on the disk.
    let file = std::fs::File::create(files.join(format!("{digest}.wasm"))).expect("a file");
    file.set_len(LARGE).expect("long");

    let config = Config { dir: world.folder.path().to_owned(), ..Config::default() };
    let router =
        portcullis_server::router(portcullis_server::Server::new(config, world.core.clone()).expect("a server"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1/files/{digest}", listener.local_addr().expect("an address"));
    let service = router.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });

    let ask = async |start: u64, length: u64| {
        let range = format!("bytes={start}-{}", start + length - 1);
        let mut answer = reqwest::Client::new().get(&url).header("Range", range).send().await.expect("answers");
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
        let mut came = 0;
        while let Some(piece) = answer.chunk().await.expect("a piece") {
            came += piece.len() as u64;
        }
        assert_eq!(came, length);
    };
    // What the first request sets up is there before it is measured.
    ask(0, 1024 * 1024).await;
    let before = peak();
    ask(LARGE - ASKED, ASKED).await;
    let grew = peak() - before;
    assert!(grew < GROWS, "{ASKED} bytes made the process grow by {grew} KiB");
}
