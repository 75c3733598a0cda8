//! Every page in a real browser: for people who do not see them, have a small screen, a dark room, or no mouse.
//!
//! `PORTCULLIS_SCREENSHOTS=DIR` keeps a picture of each.

use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::Terminal;
use portcullis_tests::{Browser, Server, Window, chromium, counter};
use serde_json::json;

const EMAIL: &str = "ada@mail.example";
const PASSWORD: &str = "correct horse battery staple";
/// As long as a name may be, and without a space at which a line could break.
const LONG: &str = "the-machine-in-the-workshop-whose-name-is-one-hundred-and-twenty-bytes-long-and-has-no-space-for-a-line-to-break-at-all";

async fn place(folder: &std::path::Path) -> Result<(Server, Browser)> {
    let mut server = Server::init(folder)?;
    server.configure("limits", "poll_seconds", 0)?;
    server.start(&[])?;
    let mut browser = Browser::new(server.origin())?;
    browser.sign_up(EMAIL, PASSWORD).await?;
    Ok((server, browser))
}

async fn signed_in(server: &Server, browser: &mut Browser, label: &str) -> Result<Terminal> {
    let mut terminal = Terminal::new(&server.origin().parse()?).await?;
    let code = terminal.device_code(label).await?;
    browser.approve(&code.user_code, &terminal.key.public().thumbprint().words()).await?;
    terminal.poll(&code.device_code).await?;
    Ok(terminal)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_for_everybody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, mut browser) = place(&folder.path().join("server")).await?;
    for label in ["The machine in the workshop", LONG] {
        let mut terminal = signed_in(&server, &mut browser, label).await?;
        terminal.enrol(label).await?;
    }
    let waiting = signed_in(&server, &mut browser, "Nobody has enrolled this one").await?;
    let mut asks = Terminal::new(&server.origin().parse()?).await?;
    let code = asks.device_code(LONG).await?;
    let invitation = server.operator(&["invite"])?;
    let invitation = invitation["invitation"].as_str().context("a URL")?.trim_start_matches(server.origin()).to_owned();
    let arguments = json!({
        "origin": server.origin(), "email": EMAIL, "password": PASSWORD, "pending": code.user_code,
        "unfinished": waiting.key.public().thumbprint().words(), "invitation": invitation,
        "screenshots": std::env::var("PORTCULLIS_SCREENSHOTS").ok(),
    });
    let looked = chromium::drive("pages", &arguments).await?;
    let wrong = looked["wrong"].as_array().context("a list")?;
    ensure!(wrong.is_empty(), "{wrong:#?}");
    ensure!(looked["seen"].as_array().is_some_and(|seen| seen.len() >= 20), "{looked}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_codes_is_for_everybody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, mut browser) = place(&folder.path().join("server")).await?;
    let codes = counter::every_state(&server, &mut browser, PASSWORD).await?;
    let arguments = json!({
        "origin": server.origin(), "email": EMAIL, "password": PASSWORD, "codes": codes,
        "screenshots": std::env::var("PORTCULLIS_SCREENSHOTS").ok(),
    });
    let looked = chromium::drive("codes", &arguments).await?;
    let wrong = looked["wrong"].as_array().context("a list")?;
    ensure!(wrong.is_empty(), "{wrong:#?}");
    ensure!(looked["seen"].as_array().is_some_and(|seen| seen.len() >= 20), "{looked}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyboard_is_enough() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, mut browser) = place(&folder.path().join("server")).await?;
    let mut lost = signed_in(&server, &mut browser, "lost").await?;
    lost.enrol("lost").await?;
    let mut asks = Terminal::new(&server.origin().parse()?).await?;
    let code = asks.device_code("new").await?;
    let arguments = json!({"origin": server.origin(), "email": EMAIL, "password": PASSWORD, "pending": code.user_code});
    let did = chromium::drive("keyboard", &arguments).await?;
    ensure!(did["kept"] == EMAIL, "the address is typed once: {did}");
    ensure!(did["asked"] == format!("{}/device?code={}", server.origin(), code.user_code), "{did}");
    ensure!(did["approved"] == "Approved" && did["out"] == 1, "{did}");
    ensure!(did["revoked"].as_str().is_some_and(|text| text.contains("revoked")), "{did}");
    asks.poll(&code.device_code).await?;
    Ok(())
}

/// Finds, signs up, buys, and runs what was bought on a terminal that was approved in the browser; nothing was known
/// before.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_a_shell_buys_and_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let window = Window::open(folder.path(), &["picture", "software", "theme"]).await?;
    let arguments = json!({"screenshots": std::env::var("PORTCULLIS_SCREENSHOTS").ok()});
    let walked = window.drive("walk", arguments).await?;
    let wrong = walked["wrong"].as_array().context("a list")?;
    ensure!(wrong.is_empty(), "{wrong:#?}");
    ensure!(walked["did"].as_object().is_some_and(|did| did.len() >= 30), "{walked}");
    ensure!(walked["seen"].as_array().is_some_and(|seen| seen.len() >= 26), "{walked}");
    Ok(())
}

/// Empty lists and full ones, long words, forms with mistakes, orders in every state.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_for_everybody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let window = Window::open(folder.path(), &["picture", "software"]).await?;
    window.crowd().await?;
    let looked = window.drive("store", json!({"screenshots": std::env::var("PORTCULLIS_SCREENSHOTS").ok()})).await?;
    let wrong = looked["wrong"].as_array().context("a list")?;
    ensure!(wrong.is_empty(), "{wrong:#?}");
    ensure!(looked["seen"].as_array().is_some_and(|seen| seen.len() >= 30), "{looked}");
    Ok(())
}
