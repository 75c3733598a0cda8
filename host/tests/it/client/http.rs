//! The transport over HTTP, against a server of a few lines that misbehaves as it is told.
#![cfg(feature = "http")]

use futures::StreamExt as _;
use portcullis_host::{
    AccessToken, BillingServer as _, Body, Download, Exchange, HttpBillingServer, MAX_ANSWER, Method, Sent,
    TransportError,
};
use portcullis_protocol::{Digest, IdempotencyKey, Origin};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers every connection with `answer` and keeps what was asked. Ends with the runtime of its test.
async fn server(answer: Vec<u8>) -> (Origin, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let origin = format!("http://{}", listener.local_addr().expect("address")).parse().expect("origin");
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, log) = (answer.clone(), Arc::clone(&log));
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                loop {
                    let read = stream.read(&mut piece).await.unwrap_or(0);
                    request.extend_from_slice(&piece[..read]);
                    let text = String::from_utf8_lossy(&request);
                    let head = text.split_once("\r\n\r\n");
                    let length = |head: &str| {
                        head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())
                    };
                    if read == 0 || head.is_some_and(|(head, body)| body.len() >= length(head).unwrap_or(0)) {
                        break;
                    }
                }
                log.lock().expect("log").push(String::from_utf8_lossy(&request).into_owned());
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (origin, asked)
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ndpop-nonce: fresh\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn exchange(origin: &Origin, body: Body) -> Exchange {
    Exchange {
        method: Method::Post,
        origin: origin.clone(),
        path_and_query: "/v1/orders?x=1".into(),
        token: Some(AccessToken::new("the-token".into())),
        proof: Some("the.proof".into()),
        idempotency_key: Some(IdempotencyKey::new("the-key").expect("key")),
        body,
    }
}

#[tokio::test]
async fn headers_and_body_travel_and_the_nonce_comes_back() {
    let (origin, asked) = server(ok(b"{}")).await;
    let client = HttpBillingServer::new().expect("client");
    let body = Body::Text("application/json", "{\"a\":1}".into());
    let answer = client.exchange(exchange(&origin, body)).await.expect("answered");
    assert_eq!((answer.status, answer.nonce.as_deref(), &answer.body[..]), (200, Some("fresh"), &b"{}"[..]));
    let asked = asked.lock().expect("log")[0].to_ascii_lowercase();
    for line in [
        "post /v1/orders?x=1 http/1.1",
        "authorization: dpop the-token",
        "dpop: the.proof",
        "idempotency-key: the-key",
        "content-type: application/json",
        "{\"a\":1}",
    ] {
        assert!(asked.contains(line), "{line} in {asked}");
    }
    assert!(!asked.contains("accept-encoding") && !asked.contains("cookie") && !asked.contains("referer"));
}

#[tokio::test]
async fn a_file_is_streamed_with_its_length() {
    let (origin, asked) = server(ok(b"{}")).await;
    let folder = tempfile::TempDir::new().expect("folder");
    let path = folder.path().join("file");
    std::fs::write(&path, vec![b'x'; 300_000]).expect("written");
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let sent = Sent::new(move |bytes| tell.lock().expect("lock").push(bytes));
    let body = Body::File { path, size: 300_000, digest: Digest::of(b""), sent };
    let client = HttpBillingServer::new().expect("client");
    client.exchange(exchange(&origin, body)).await.expect("answered");
    let told = told.lock().expect("told").clone();
    assert!(told.is_sorted() && told.len() > 2, "{told:?}");
    assert_eq!(told.last(), Some(&300_000), "the whole file has gone out");
    let asked = asked.lock().expect("log");
    assert!(asked[0].to_ascii_lowercase().contains("content-length: 300000"));
    assert_eq!(
        asked[0].matches('x').count() - asked[0].split("\r\n\r\n").next().expect("head").matches('x').count(),
        300_000
    );
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (elsewhere, reached) = server(ok(b"{}")).await;
    for status in [301, 302, 303, 307, 308] {
        let answer = format!("HTTP/1.1 {status} Moved\r\nlocation: {elsewhere}/v1/orders\r\ncontent-length: 0\r\n\r\n");
        let (origin, _) = server(answer.into_bytes()).await;
        let client = HttpBillingServer::new().expect("client");
        let error = client.exchange(exchange(&origin, Body::Empty)).await.expect_err("redirect");
        assert_eq!(error, TransportError::Redirect);
        let download = Download { url: format!("{origin}/v1/files/x"), from: 0, length: None, etag: None };
        assert_eq!(client.download(download).await.expect_err("redirect"), TransportError::Redirect);
    }
    assert!(reached.lock().expect("log").is_empty());
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let (origin, _) = server(ok(&vec![b' '; MAX_ANSWER + 1])).await;
    let client = HttpBillingServer::new().expect("client");
    let error = client.exchange(exchange(&origin, Body::Empty)).await.expect_err("too long");
    assert_eq!(error, TransportError::TooLong);
    let (origin, _) = server(ok(&vec![b' '; MAX_ANSWER])).await;
    assert_eq!(client.exchange(exchange(&origin, Body::Empty)).await.expect("fits").body.len(), MAX_ANSWER);
}

#[tokio::test]
async fn a_broken_connection_and_a_closed_port_are_told_apart_from_answers() {
    let (origin, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec()).await;
    let client = HttpBillingServer::new().expect("client");
    let error = client.exchange(exchange(&origin, Body::Empty)).await.expect_err("broken");
    assert!(matches!(error, TransportError::Interrupted(_)), "{error}");
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        format!("http://{}", listener.local_addr().expect("address")).parse::<Origin>().expect("origin")
    };
    let error = client.exchange(exchange(&closed, Body::Empty)).await.expect_err("closed");
    assert!(matches!(error, TransportError::Unreachable(_)), "{error}");
    assert!(!error.to_string().contains("the-token"));
}

#[tokio::test]
async fn a_range_is_asked_for_and_read() {
    let answer = "HTTP/1.1 206 Partial\r\ncontent-range: bytes 3-9/10\r\ncontent-length: 7\r\n\r\ndefghij";
    let (origin, asked) = server(answer.into()).await;
    let client = HttpBillingServer::new().expect("client");
    let download = Download { url: format!("{origin}/v1/files/x"), from: 3, length: None, etag: Some("\"x\"".into()) };
    let mut file = client.download(download).await.expect("answered");
    assert_eq!((file.status, file.from, file.total), (206, 3, Some(10)));
    let mut bytes = Vec::new();
    while let Some(chunk) = file.body.next().await {
        bytes.extend_from_slice(&chunk.expect("chunk"));
    }
    assert_eq!(bytes, b"defghij");
    let asked = asked.lock().expect("log")[0].to_ascii_lowercase();
    assert!(asked.contains("range: bytes=3-\r\n") && asked.contains("if-range: \"x\""), "{asked}");
    assert!(!asked.contains("authorization") && !asked.contains("dpop"));
}

#[tokio::test]
async fn nothing_is_fetched_from_what_is_neither_https_nor_this_machine() {
    let client = HttpBillingServer::new().expect("client");
    for url in [
        "http://example.org/x",
        "http://10.0.0.1/x",
        "ftp://example.org/x",
        "file:///etc/passwd",
        "https://user:secret@example.org/x",
        "http://localhost.example.org/x",
        "nonsense",
    ] {
        let download = Download { url: url.into(), from: 0, length: None, etag: None };
        assert_eq!(client.download(download).await.expect_err(url), TransportError::Address, "{url}");
    }
}

#[tokio::test]
async fn a_proxy_is_asked_for_servers_elsewhere_and_never_for_this_machine() {
    let (proxy, asked) = server(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let url = proxy.as_str().replace("http://", "http://ada:hunter2@");
    let client = HttpBillingServer::with_proxy(&url).expect("a proxy");
    let elsewhere: Origin = "https://store.example".parse().expect("origin");
    let error = client.exchange(exchange(&elsewhere, Body::Empty)).await.expect_err("the proxy says no");
    assert!(error.to_string().contains("proxy") && !error.to_string().contains("hunter2"), "{error}");
    assert!(!format!("{client:?}").contains("hunter2"));
    assert!(asked.lock().expect("log")[0].starts_with("CONNECT store.example:443 "));
    let (here, direct) = server(ok(b"{}")).await;
    client.exchange(exchange(&here, Body::Empty)).await.expect("directly");
    assert_eq!((asked.lock().expect("log").len(), direct.lock().expect("log").len()), (1, 1));
}
