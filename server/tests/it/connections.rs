//! Connections and bodies at the client's pace: what is idle, slow or half, and how a server ends.

use crate::command::{free_address, json, run, serve, terminate};
use crate::stage::{Stage, picture, upload};
use crate::terminal::Draft;
use portcullis_protocol::wire::{Problem, PublishAnswer};
use reqwest::StatusCode;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream
}

/// What the server answers on a connection until it closes it, or says nothing for long.
fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Waits until the server wants the body of a request that expects to be told so (RFC 9110 section 10.1.1): then it is
/// being answered.
fn told_to_go_on(stream: &mut TcpStream) {
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&interim), "HTTP/1.1 100 Continue\r\n\r\n");
}

/// A connection on which the body of a form arrives byte by byte.
fn trickle(address: SocketAddr, path: &str) -> String {
    let mut stream = connect(address);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 1000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut writer = stream.try_clone().expect("a handle");
    let sending = std::thread::spawn(move || {
        while writer.write_all(b"a").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let text = answer(&mut stream);
    drop(stream);
    sending.join().expect("ended");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_body_has_a_deadline_also_that_of_a_page() {
    let stage = Stage::with(|config| config.limits.request_seconds = 1).await;
    let address = stage.running.address();
    for path in ["/sign-in", "/sign-up", "/device", "/v1/orders", "/oauth/token", "/v1/publishers"] {
        let begun = Instant::now();
        let text = tokio::task::spawn_blocking(move || trickle(address, path)).await.expect("ended");
        assert!(text.starts_with("HTTP/1.1 408"), "{path}: {text}");
        assert!(text.contains("in time") && text.to_ascii_lowercase().contains("connection: close"), "{path}: {text}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{path}: {:?}", begun.elapsed());
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_has_to_keep_up_a_pace_and_may_be_slow() {
    // Two seconds' grace, then 64 KiB a second.
    let stage = Stage::with(|config| {
        config.limits.request_seconds = 2;
        config.limits.upload_rate = 64 * 1024;
        config.limits.uploads_per_account = 1;
    })
    .await;
    let (mut publisher, key) = stage.publisher("lumen").await;
    let file = picture(&publisher, &key, "lumen", "1.0.0");
    // The first upload stands still after its head, and holds the only slot of its account.
    let draft = upload(&[b' '; 100_000]);
    let _ = publisher.send(&Draft::get("/v1/account")).await;
    let proof = publisher.prove(&draft, publisher.nonce.as_deref());
    let head = format!(
        "PUT /v1/resources HTTP/1.1\r\nhost: x\r\ndpop: {proof}\r\nauthorization: DPoP {}\r\nidempotency-key: {}\r\ncontent-type: application/wasm\r\nexpect: 100-continue\r\ncontent-length: 100000\r\n\r\n",
        publisher.token.as_deref().expect("a token"),
        draft.idempotency_key.as_ref().expect("a key").as_str(),
    );
    let mut held = connect(stage.running.address());
    held.write_all(head.as_bytes()).expect("sent");
    let mut held = tokio::task::spawn_blocking(move || {
        told_to_go_on(&mut held);
        held
    })
    .await
    .expect("ended");
    held.write_all(b"abc").expect("sent");
    let busy = publisher.send(&upload(&file)).await;
    assert_eq!(busy.status, StatusCode::TOO_MANY_REQUESTS, "one at a time of one account");
    // Another account is not held up by it.
    let (mut other, other_key) = stage.publisher("other").await;
    let others = picture(&other, &other_key, "other", "1.0.0");
    let _: PublishAnswer = other.get_yes(&upload(&others)).await;
    let text = tokio::task::spawn_blocking(move || answer(&mut held)).await.expect("ended");
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("faster line"), "{text}");
    // The control: the slot is free again.
    let _: PublishAnswer = publisher.get_yes(&upload(&file)).await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cannot_publish_holds_no_slot() {
    let stage = Stage::with(|config| config.limits.uploads = 1).await;
    let mut stranger = stage.customer("eve@example.org").await;
    let _ = stranger.send(&Draft::get("/v1/account")).await;
    // Four uploads at no pace at all, as long as they are let.
    let mut held = Vec::new();
    for _ in 0..4 {
        let draft = upload(&[b' '; 100_000]);
        let proof = stranger.prove(&draft, stranger.nonce.as_deref());
        let head = format!(
            "PUT /v1/resources HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ndpop: {proof}\r\nauthorization: DPoP {}\r\nidempotency-key: {}\r\ncontent-length: 100000\r\n\r\n",
            stranger.token.as_deref().expect("a token"),
            draft.idempotency_key.as_ref().expect("a key").as_str(),
        );
        let mut stream = connect(stage.running.address());
        stream.write_all(head.as_bytes()).expect("sent");
        held.push(stream);
    }
    let (mut publisher, key) = stage.publisher("lumen").await;
    let file = picture(&publisher, &key, "lumen", "1.0.0");
    let _: PublishAnswer = publisher.get_yes(&upload(&file)).await;
    for mut stream in held {
        let text = tokio::task::spawn_blocking(move || {
            stream.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
            let mut text = [0; 4096];
            let read = stream.read(&mut text).expect("an answer");
            String::from_utf8_lossy(&text[..read]).into_owned()
        });
        let text = text.await.expect("ended");
        // Nobody was told to go on sending.
        assert!(text.starts_with("HTTP/1.1 403"), "{text}");
        assert!(text.contains("claim one"), "it says what to do: {text}");
    }
    stage.stop().await;
}

/// A client that sends all of a large body before it listens still hears why it was refused.
#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let stage = Stage::with(|config| config.limits.upload_bytes = 64 * 1024 * 1024).await;
    let mut stranger = stage.customer("eve@example.org").await;
    let answer = stranger.send(&upload(&vec![b' '; 24 * 1024 * 1024])).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let problem: Problem = answer.problem().expect("a problem");
    assert!(problem.detail.contains("claim one"), "{}", problem.detail);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_has_not_all_the_connections() {
    let stage = Stage::with(|config| config.limits.connections_per_address = 3).await;
    let address = stage.running.address();
    let held: Vec<TcpStream> = (0..8).map(|_| connect(address)).collect();
    let open = || {
        let is_open = |stream: &&TcpStream| {
            stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
            // Closed is an end, open is silence.
            !matches!((&mut &**stream).read(&mut [0]), Ok(0))
        };
        held.iter().filter(is_open).count()
    };
    let begun = Instant::now();
    while open() > 3 {
        assert!(begun.elapsed() < Duration::from_secs(20), "one too many is not closed");
    }
    assert_eq!(open(), 3, "and none of the others");
    drop(held);
    let asked = || reqwest::get(format!("{}/.well-known/portcullis", stage.origin));
    while !asked().await.is_ok_and(|answer| answer.status() == StatusCode::OK) {
        assert!(begun.elapsed() < Duration::from_secs(40), "the control: there is room again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.stop().await;
}

/// All connections are the proxy's: there a client has so many requests that are being answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_one_client_has_not_all_the_connections() {
    let stage = Stage::with(|config| {
        config.limits.connections_per_address = 3;
        config.behind_proxy = true;
        config.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    })
    .await;
    let address = stage.running.address();
    let half = |client: &str| {
        let mut stream = connect(address);
        let head = format!(
            "POST /sign-in HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\nexpect: 100-continue\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: 1000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        told_to_go_on(&mut stream);
        stream
    };
    let asked = async |client: &str| {
        let url = format!("{}/.well-known/portcullis", stage.origin);
        let asked = reqwest::Client::new().get(url).header("x-forwarded-for", client);
        asked.send().await.expect("answers").status()
    };
    let held: Vec<TcpStream> = (1..=3).map(|last| half(&format!("2001:db8:1:2::{last}"))).collect();
    assert_eq!(asked("2001:db8:1:2::9").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(asked("2001:db8:1:3::9").await, StatusCode::OK, "another client of the same proxy");
    drop(held);
    let begun = Instant::now();
    while asked("2001:db8:1:2::9").await != StatusCode::OK {
        assert!(begun.elapsed() < Duration::from_secs(20), "the places stay taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.stop().await;
}

#[cfg(unix)]
#[test]
fn a_server_that_is_told_to_stop_ends_soon_whatever_hangs_on_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    json(&run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]));
    let mut served = serve(dir);
    let address: SocketAddr = served.origin.as_str().strip_prefix("http://").expect("plain").parse().expect("address");
    // Half a head, a connection that says nothing, and one that was answered and stays.
    let mut half = connect(address);
    half.write_all(b"GET /.well-known/portcullis HTTP/1.1\r\nhost: x\r\n").expect("sent");
    let _silent = connect(address);
    let mut kept = connect(address);
    kept.write_all(b"GET /.well-known/portcullis HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    let mut first = [0; 15];
    kept.read_exact(&mut first).expect("answered");
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let begun = Instant::now();
    assert!(terminate(&mut served), "a clean end");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let log = std::fs::read_to_string(dir.join("log")).expect("a log");
    assert!(log.contains("serving") && log.contains(served.origin.as_str()), "a line at its start: {log}");
    assert!(log.contains("stopping") && log.contains("stopped"), "and at its end: {log}");
    assert!(!log.contains('\u{1b}'), "no colours in a file: {log}");
}

#[cfg(unix)]
#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    json(&run(dir, &["init", "--dir", "store", "--json", "--listen", &free_address()]));
    let mut served = serve(dir);
    let address: SocketAddr = served.origin.as_str().strip_prefix("http://").expect("plain").parse().expect("address");
    let mut stream = connect(address);
    let form = "email=a%40b.example&password=x&csrf=y";
    let head = format!(
        "POST /sign-in HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
        form.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    told_to_go_on(&mut stream);
    let rest = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        stream.write_all(form.as_bytes()).expect("sent");
        answer(&mut stream)
    });
    assert!(terminate(&mut served), "a clean end");
    let text = rest.join().expect("ended");
    assert!(text.starts_with("HTTP/1.1 "), "answered: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_http_2_cannot_hold_an_answer_with_a_closed_window() {
    let stage = Stage::open().await;
    let address = stage.running.address();
    let asked = |bytes: &'static [u8]| {
        tokio::task::spawn_blocking(move || {
            let mut stream = connect(address);
            stream.write_all(bytes).expect("sent");
            answer(&mut stream)
        })
    };
    // The preface of RFC 9113 section 3.4, settings with a window of nothing, and GET / of the static table.
    let text = asked(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\
          \x00\x00\x03\x01\x05\x00\x00\x00\x01\x82\x86\x84",
    );
    let text = text.await.expect("ended");
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 5"), "{text}");
    let text = asked(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("ended");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    stage.stop().await;
}
