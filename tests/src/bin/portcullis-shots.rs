//! `cargo xtask shots`: a picture of every page of the store, on a phone and on a desktop, light and dark, and what is
//! wrong with each for people who cannot see it, use no mouse or have a small screen. An argument names one script of
//! [`SCRIPTS`] to run alone.

#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, ensure};
use portcullis_tests::{Window, checkout};
use serde_json::json;

/// What is looked at: the store and the account in their states, and a person's way from the first page to a terminal.
const SCRIPTS: [&str; 2] = ["store", "walk"];

#[tokio::main]
async fn main() -> Result<()> {
    let only = std::env::args().nth(1);
    let scripts = SCRIPTS.into_iter().filter(|script| only.as_deref().is_none_or(|only| only == *script));
    let folder = tempfile::tempdir()?;
    let window = Window::open(folder.path(), &[]).await?;
    window.crowd().await?;
    let (mut seen, mut wrong) = (0, 0);
    for script in scripts {
        let shots = checkout::root().join("target/shots").join(script);
        std::fs::create_dir_all(&shots)?;
        let looked = window.drive(script, json!({"screenshots": shots})).await?;
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
