//! Traces, as a collector receives them from the program itself.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<u8>>>);

async fn collect(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    collector.0.lock().expect("not poisoned").extend_from_slice(&body);
    StatusCode::OK
}

impl Collector {
    /// Whether a text stands in what came. Texts stand in protobuf as they are.
    fn holds(&self, text: &str) -> bool {
        self.0.lock().expect("not poisoned").windows(text.len()).any(|window| window == text.as_bytes())
    }
}

#[tokio::test]
async fn requests_reach_the_collector_without_what_they_carry() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().route("/v1/traces", post(collect)).with_state(collector.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let folder = tempfile::tempdir().expect("a folder");
    let (dir, ready) = (folder.path().join("server"), folder.path().join("ready"));
    let address = portcullis_fixtures::ports::free().to_string();
    let program = env!("CARGO_BIN_EXE_portcullis-server");
    let made = Command::new(program).args(["init", "--listen", &address, "--dir"]).arg(&dir).output();
    assert!(made.expect("runs").status.success());
    let mut server = Command::new(program)
        .args(["serve", "--stop-with-input", "--dir"])
        .arg(&dir)
        .arg("--ready-file")
        .arg(&ready)
        .env("PORTCULLIS_SERVER_TRACES_ENDPOINT", &endpoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let begun = Instant::now();
    while !ready.is_file() && begun.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let origin = std::fs::read_to_string(&ready).expect("it listens");
    let origin = origin.trim();
    let answer = reqwest::get(format!("{origin}/v1/search?q=a-word-of-the-caller")).await.expect("answers");
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
    assert_eq!(reqwest::get(format!("{origin}/invite/an-invitation-token")).await.expect("answers").status(), 404);

    drop(server.stdin.take());
    let output = tokio::task::spawn_blocking(move || server.wait_with_output()).await.expect("waited").expect("ends");
    assert!(output.status.success());
    for text in ["portcullis-server", "GET /v1/search", "GET /invite/{token}", &id] {
        assert!(collector.holds(text), "{text} is traced");
    }
    for text in ["a-word-of-the-caller", "an-invitation-token"] {
        assert!(!collector.holds(text), "{text} is nobody's business");
    }
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("answered") && !log.contains("otel.name"), "the log is as it was: {log}");
}
