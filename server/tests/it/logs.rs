//! What the log of a whole run holds, and what it must not.

use crate::stage::{PASSWORD, Stage};
use crate::terminal::{Draft, Terminal};
use portcullis_protocol::encoding::base64url;
use portcullis_protocol::wire::{AuthorisationAnswer, OrderAnswer, VerificationRequest};
use portcullis_server::ops::config::{Log, LogFormat, TracesSettings};
use portcullis_server::ops::log;
use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_whole_run_logs_no_secret_and_no_person() {
    let sink = Sink::default();
    let config = Log { level: "trace".into(), format: LogFormat::Json };
    let writer = sink.clone();
    log::start(&config, &TracesSettings::default(), move || writer.clone()).expect("the only log of this process");

    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    browser.get("/invite/an-invitation-token").await;
    browser.sign_in("ada@example.org", "a mistyped password").await;
    let cookie = browser.cookies.values().next().cloned().expect("a cookie");
    let mut customer = Terminal::new(&stage.origin).await;
    let device = customer.device_code("ada's own machine").await;
    browser.decide(&device.user_code, "approve").await;
    let tokens = customer.poll(&device.device_code).await.expect("tokens");
    customer.enrol("ada's own machine").await;
    let order: OrderAnswer = shop.buy(&mut customer, "view").await;
    let request = shop.request("view");
    let code: AuthorisationAnswer = customer.get_yes(&Draft::post("/v1/authorizations", &request)).await;
    let verification = Draft::post("/v1/verifications", &VerificationRequest { code: code.code.clone(), request });
    let answer = customer.send(&verification).await;
    let proof = answer.proof.clone();
    let _ = customer.send(&Draft::get("/v1/orders/nonsense")).await;
    let terminal_key = base64url(&customer.key.public().to_bytes());
    stage.stop().await;

    let log = String::from_utf8(sink.0.lock().expect("not poisoned").clone()).expect("text");
    // The control: the log is there, and says what happened.
    assert!(log.contains("/v1/verifications") && log.contains("/invite/{token}") && log.contains("published"), "{log}");
    let own = log.lines().filter(|line| line.contains("portcullis_server")).count();
    assert!(own > 20, "a line per request: {own}");
    for line in log.lines() {
        let _: serde_json::Value = serde_json::from_str(line).expect("one JSON object per line");
    }
    let secrets = [
        ("e-mail address", "ada@example.org".to_owned()),
        ("password", PASSWORD.to_owned()),
        ("mistyped password", "a mistyped password".to_owned()),
        ("invitation", "an-invitation-token".to_owned()),
        ("cookie", cookie),
        ("device code", device.device_code),
        ("user code", device.user_code.replace('-', "")),
        ("user code as shown", device.user_code),
        ("access token", tokens.access_token),
        ("refresh token", tokens.refresh_token),
        ("proof", proof),
        ("status code", code.code.expose()),
        ("receipt", order.receipt.expect("a receipt")),
        ("label", "ada's own machine".to_owned()),
        ("terminal key", terminal_key),
        ("terminal thumbprint", customer.key.public().thumbprint().to_string()),
        ("payment token", "\"ok\"".to_owned()),
    ];
    for (what, secret) in secrets {
        assert!(!log.contains(&secret), "the log holds a {what}");
    }
}
