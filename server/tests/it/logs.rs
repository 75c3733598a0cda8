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

/// A stranger decides neither how long a line is nor how many there are.
#[tokio::test]
async fn what_is_sent_too_fast_is_counted_and_no_line_is_as_long_as_its_method() {
    let sink = Sink::default();
    let writer = sink.clone();
    let lines = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(lines);
    let stage = Stage::with(|config| (config.limits.address_burst, config.limits.address_rate) = (5, 1)).await;
    let http = reqwest::Client::new();
    let long = reqwest::Method::from_bytes("A".repeat(8_000).as_bytes()).expect("a token");
    let answer = http.request(long, stage.origin.to_string()).send().await.expect("answers");
    assert!(answer.status().is_client_error(), "{}", answer.status());
    let mut refused = 0;
    for number in 0..40 {
        // As a person and as a program.
        let accept = if number % 2 == 0 { "text/html" } else { "application/json" };
        let answer = http.get(format!("{}/sign-in", stage.origin)).header("accept", accept).send().await;
        refused += u64::from(answer.expect("answers").status() == reqwest::StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused > 20, "{refused}");
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    stage.stop().await;

    let log = String::from_utf8(sink.0.lock().expect("not poisoned").clone()).expect("text");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().any(|line| line["method"] == "other"), "{log}");
    assert!(!log.contains(&"A".repeat(100)), "the method is not repeated");
    let answered = lines.iter().filter(|line| line["message"] == "answered");
    assert!(answered.clone().all(|line| line["status"] != 429), "{log}");
    assert!(answered.count() as u64 <= 41 - refused, "{log}");
    let counted: Vec<u64> = lines.iter().filter_map(|line| line["requests"].as_u64()).collect();
    assert_eq!(counted.iter().sum::<u64>(), refused, "each is counted: {counted:?}");
    assert!(counted.len() as u64 <= refused / 10, "{counted:?}");
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
