//! Webhooks of the real server, verified by packages of others, and rejected with a bit flipped, replayed late, or sent
//! on to another endpoint.

use super::tools::{installed, last_line};
use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::{Draft, Terminal};
use portcullis_protocol::wire::WebhookKeysAnswer;
use portcullis_protocol::{Unverified, WebhookKeys, paths};
use portcullis_tests::{Browser, Inbox, Posted, Server, checkout};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

const PASSWORD: &str = "correct horse battery staple";

/// Has the packages of others verify a message, and forgeries of it.
fn verified(posted: &Posted, endpoint: &Value) -> Result<Value> {
    let script = checkout::root().join("tests/clients/webhooks/verify.py");
    let mut python = Command::new(installed("webhooks/bin/python")?)
        .arg("-B")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let given = json!({
        "secret": endpoint["secret"], "key": endpoint["key"], "headers": posted.headers, "body": posted.body,
    });
    python.stdin.take().context("a pipe")?.write_all(given.to_string().as_bytes())?;
    let output = python.wait_with_output()?;
    ensure!(output.status.success(), "verify.py failed");
    last_line(&output.stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packages_of_others_verify_webhooks_and_reject_every_forgery() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::init(&folder.path().join("server"))?;
    server.configure("webhooks", "networks", toml::Value::Array(vec!["127.0.0.0/8".into()]))?;
    server.start(&[])?;
    let (inbox, other) = (Inbox::open().await?, Inbox::open().await?);
    let add = |inbox: &Inbox| server.operator(&["webhook", "add", &format!("http://127.0.0.1:{}/in", inbox.port())]);
    let (own, others) = (add(&inbox)?, add(&other)?);

    // Somebody pays money in, and the store is told.
    let mut browser = Browser::new(server.origin())?;
    browser.sign_up("ada@example.org", PASSWORD).await?;
    let mut terminal = Terminal::new(&server.origin().parse()?).await?;
    let device = terminal.device_code("a terminal").await?;
    browser.approve(&device.user_code, &terminal.key.public().thumbprint().words()).await?;
    terminal.poll(&device.device_code).await?;
    terminal.enrol("a terminal").await?;
    let top_up = json!({
        "amount": {"minor_units": 500, "currency": "EUR"}, "payment": {"provider": "sandbox", "token": "ok"},
    });
    let _: Value = terminal.ask(&Draft::post(paths::TOP_UPS, &top_up)).await?;
    let posted = inbox.wait_for(1).await?;

    let told = verified(&posted[0], &own)?;
    for package in ["standardwebhooks", "svix", "pynacl"] {
        assert_eq!(told[package]["accepted"], true, "{package}: {told}");
        assert_eq!(told[package]["forged"], 0, "{package}: {told}");
        assert!(told[package]["tried"].as_u64() > Some(80), "{package}: {told}");
    }
    // A message to one endpoint is none of another: neither its keys nor its address fit.
    let turned = verified(&posted[0], &others)?;
    for package in ["standardwebhooks", "svix", "pynacl"] {
        assert_eq!(turned[package]["accepted"], false, "{package}: {turned}");
    }
    let said: Value = serde_json::from_str(&posted[0].body)?;
    assert_eq!((&said["aud"], &said["type"]), (&own["url"], &"order.paid".into()));
    assert_ne!(said["aud"], others["url"]);

    // The key is the one that the server publishes, signed.
    let endpoint = own["endpoint"].as_str().context("an endpoint")?;
    let url = format!("{}{}", server.origin(), paths::fill(paths::WEBHOOK_KEYS, &[&endpoint]));
    let answer: WebhookKeysAnswer = serde_json::from_slice(&terminal.http.get(url).send().await?.bytes().await?)?;
    let keys = Unverified::<WebhookKeys>::parse(&answer.signed)?;
    let key = terminal.keys.signing_key(keys.kid(), portcullis_fixtures::now()).context("a current key")?;
    let keys = keys.verify(key)?.into_document();
    assert_eq!(
        keys.keys.iter().map(|key| key.key.as_str()).collect::<Vec<_>>(),
        [own["key"].as_str().context("a key")?]
    );
    Ok(())
}
