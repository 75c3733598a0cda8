//! `cargo xtask shots`: a picture of every page of the store, on a phone and on a desktop, light and dark, and what is
//! wrong with each for people who cannot see it, use no mouse or have a small screen. An argument names one script of
//! [`SCRIPTS`] to run alone.

#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, ensure};
use portcullis_tests::{Browser, Window, checkout, counter};
use serde_json::json;

/// What is looked at: the store and the account in their states, a person's way from the first page to a terminal, and
/// orders of codes.
const SCRIPTS: [&str; 3] = ["store", "walk", "codes"];
const EMAIL: &str = "ada@mail.example";
const PASSWORD: &str = "correct horse battery staple";

#[tokio::main]
async fn main() -> Result<()> {
    let only = std::env::args().nth(1);
    let scripts = SCRIPTS.into_iter().filter(|script| only.as_deref().is_none_or(|only| only == *script));
    let folder = tempfile::tempdir()?;
    let window = Window::open(folder.path(), &[]).await?;
    window.crowd().await?;
    let mut browser = Browser::new(window.server.origin())?;
    browser.sign_up(EMAIL, PASSWORD).await?;
    let codes = counter::every_state(&window.server, &mut browser, PASSWORD).await?;
    let (mut seen, mut wrong) = (0, 0);
    for script in scripts {
        let shots = checkout::root().join("target/shots").join(script);
        std::fs::create_dir_all(&shots)?;
        let looked = window.drive(script, json!({"screenshots": shots, "codes": codes, "email": EMAIL})).await?;
        for text in looked["wrong"].as_array().context("a list")? {
            println!("{script}: {}", text.as_str().unwrap_or_default());
            wrong += 1;
        }
        let pages = looked["seen"].as_array().map_or(0, Vec::len);
        println!("{script}: {pages} pages, four pictures of each, in {}", shots.display());
        seen += pages;
    }
    ensure!(seen > 0, "no such script; there are: {}", SCRIPTS.join(", "));
    ensure!(wrong == 0, "{wrong} things are wrong");
    Ok(())
}
