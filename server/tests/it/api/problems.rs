//! Whatever is wrong with a request to whatever route: the answer says so as RFC 9457 has it.

use super::{document, operations};
use crate::stage::Stage;
use crate::terminal::Draft;
use portcullis_protocol::limits::MAX_REQUEST_BODY;
use reqwest::{Client, Method, Response};
use serde_json::Value;

/// An error of an API route: problem details, or an OAuth error if the endpoint is one of OAuth's.
async fn check(what: &str, path: &str, answer: Response) {
    let status = answer.status();
    assert!(!status.is_server_error(), "{what}: {status}");
    if !status.is_client_error() {
        return;
    }
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().expect("ASCII").to_owned());
    let text = answer.text().await.expect("a body");
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: {status} {text}"));
    if kind.as_deref() == Some("application/json") {
        assert!(path.starts_with("/oauth/") && body["error"].is_string(), "{what}: {text}");
        return;
    }
    assert_eq!(kind.as_deref(), Some("application/problem+json"), "{what}: {status}");
    assert_eq!(body["status"], status.as_u16(), "{what}: {text}");
    for member in ["type", "title", "detail", "instance"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{what}: no {member} in {text}");
    }
}

#[tokio::test]
async fn every_route_answers_wrong_input_with_problem_details() {
    let stage = Stage::with(|config| {
        config.limits.address_burst = 100_000;
        config.limits.terminal_burst = 100_000;
    })
    .await;
    let document = document(&stage).await;
    let mut terminal = stage.customer("ada@example.org").await;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let long = vec![b'{'; MAX_REQUEST_BODY + 1];
    let mut tried = 0;
    for (method, template, _) in operations(&document) {
        // Names and identifiers of other forms; text that is not UTF-8; nothing.
        for segment in ["x", "%ff", "..%2f", "-1"] {
            let path = template.split('/').map(|part| if part.starts_with('{') { segment } else { part });
            let path = path.collect::<Vec<_>>().join("/");
            let url = format!("{}{path}", stage.origin);
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            for (kind, body) in [
                ("", &b""[..]),
                ("application/json", b"{"),
                ("application/json", b"{\"x\":1}"),
                ("text/plain", b"\xff"),
                ("application/x-www-form-urlencoded", b"%ff=1"),
                ("application/octet-stream", &long),
            ] {
                let mut request = client.request(method.clone(), &url).body(body.to_vec());
                if !kind.is_empty() {
                    request = request.header("content-type", kind);
                }
                check(&format!("{method} {path} {kind}"), template, request.send().await.expect("answers")).await;
                tried += 1;
            }
            // The same from a terminal that proves itself.
            for body in [&b""[..], b"{", b"{\"x\":1}", &long] {
                let draft = Draft { method: method.clone(), body: body.to_vec(), ..Draft::post(path.as_str(), &()) };
                let proof = terminal.prove(&draft, terminal.nonce.as_deref());
                let request = client
                    .request(method.clone(), &url)
                    .header("DPoP", proof)
                    .header("Authorization", format!("DPoP {}", terminal.token.as_deref().expect("a token")))
                    .header("Idempotency-Key", draft.idempotency_key.as_ref().expect("a key").as_str())
                    .header("content-type", "application/json")
                    .body(body.to_vec());
                let answer = request.send().await.expect("answers");
                if let Some(nonce) = answer.headers().get("dpop-nonce") {
                    terminal.nonce = Some(nonce.to_str().expect("ASCII").to_owned());
                }
                check(&format!("proven {method} {path}"), template, answer).await;
                tried += 1;
            }
        }
        for wrong in [Method::PATCH, Method::TRACE] {
            let url = format!("{}{}", stage.origin, template.replace(['{', '}'], ""));
            let answer = client.request(wrong.clone(), url).send().await.expect("answers");
            assert_eq!(answer.status(), 405, "{wrong} {template}");
            assert!(answer.headers().contains_key("allow"), "{wrong} {template}");
            check(&format!("{wrong} {template}"), template, answer).await;
        }
    }
    assert!(tried > 1000, "{tried} requests");
    for path in ["/v1/nothing", "/nothing", "/v1/account/", "/webhooks/", "/oauth/nothing"] {
        let answer = client.get(format!("{}{path}", stage.origin)).send().await.expect("answers");
        assert_eq!(answer.status(), 404, "{path}");
        check(path, path, answer).await;
    }
    stage.stop().await;
}
