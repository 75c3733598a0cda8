//! The client in Python, written from `docs/protocol.md` alone, against the real server.

use super::stage::{PICTURE, Stage};
use super::tools::{json, output, python, text};
use anyhow::{Result, ensure};
use portcullis_tests::checkout;
use std::fs;

/// The page says how long such a client may be: short enough to read.
const MOST_LINES: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_written_from_the_page_runs_the_whole_cycle() -> Result<()> {
    let stage = Stage::selling("picture").await?;
    let account = stage.login_python().await?;
    assert_eq!(account["account"], "python@example.com");

    let found = stage.ask(&["search", "picos"])?;
    assert_eq!(found["results"][0]["name"], "picos-de-europa");
    let installed = stage.ask(&["install", PICTURE, "installed.wasm"])?;
    assert_eq!(installed["manifest"]["publisher"]["name"], "lumen");
    // What the store sends is what the publisher sealed, and one countersignature more.
    assert!(fs::metadata(stage.path("installed.wasm"))?.len() > fs::metadata(stage.path("sealed.wasm"))?.len());

    // A free operation needs no order; a paid one is refused, with its offer, and nothing is written.
    let free = stage.ask(&["open", "installed.wasm", "preview", "preview", "preview.jpg"])?;
    assert_eq!(free["grant"]["model"], "free");
    let assets = checkout::root().join("example-resources/picture/assets");
    ensure!(fs::read(stage.path("preview.jpg"))? == fs::read(assets.join("preview.jpg"))?, "another preview");
    let open = ["open", "installed.wasm", "view", "full", "full.jpg"];
    assert_eq!(stage.refused(&open)?, ("payment-required".to_owned(), 1));
    assert!(!stage.path("full.jpg").exists());

    // Declined, then bought.
    let declined = stage.ask(&["buy", PICTURE, "view", "decline"])?;
    assert_eq!((&declined["state"], &declined["receipt"]), (&"declined".into(), &serde_json::Value::Null));
    assert_eq!(stage.refused(&open)?.0, "payment-required");
    let bought = stage.ask(&["buy", PICTURE, "view"])?;
    assert_eq!(bought["receipt"]["price"], serde_json::json!({"minor_units": 199, "currency": "EUR"}));
    let granted = stage.ask(&open)?;
    assert_eq!(granted["grant"]["parts"], serde_json::json!(["viewer", "full"]));
    ensure!(fs::read(stage.path("full.jpg"))? == fs::read(assets.join("full.jpg"))?, "another picture");

    // The rest of the account, and a name that is not sold.
    let entitlements = stage.ask(&["ask", "GET", "/v1/account/entitlements"])?;
    assert_eq!(entitlements["entitlements"][0]["rights"], serde_json::json!({"model": "perpetual"}));
    assert_eq!(stage.ask(&["ask", "GET", "/v1/account/receipts"])?["receipts"].as_array().map(Vec::len), Some(1));
    let unknown = stage.refused(&["open", "installed.wasm", "steal", "full", "stolen.jpg"])?;
    assert_eq!(unknown.0, "operation-unknown");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_believes_no_lie() -> Result<()> {
    let stage = Stage::selling("picture").await?;
    // The root that the server shows is not the one that the user was told.
    let wrong = stage.server.words().replace('-', "-x");
    let refused = output(&mut stage.client(&["login", stage.server.origin(), &wrong, "deceived"])?)?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("the root key of"));

    stage.login_python().await?;
    stage.ask(&["install", PICTURE, "installed.wasm"])?;
    stage.ask(&["buy", PICTURE, "view"])?;
    let mut hostile = python("hostile.py")?;
    hostile.arg(stage.path("python")).arg(stage.path("installed.wasm")).args(["view", "full"]);
    let told = json(&mut hostile)?;
    assert!(told["lies"].as_u64() > Some(350), "{told}");
    assert!(told["controls"].as_u64() >= Some(5), "{told}");
    // What the server says to a client that lies.
    let refusals = serde_json::json!({
        "forged": "status-code-unknown",
        "another request": "binding-mismatch",
        "used twice": "status-code-spent",
    });
    assert_eq!(told["refusals"], refusals);
    Ok(())
}

#[test]
fn the_client_is_short() -> Result<()> {
    let file = checkout::root().join("tests/clients/python/portcullis_client.py");
    let lines = fs::read_to_string(&file)?.lines().count();
    assert!(lines < MOST_LINES, "{} has {lines} lines", text(&file)?);
    Ok(())
}
