//! `cargo xtask shots`: a picture of every page of the store, on a phone and on a desktop, light and dark, and what is wrong
//! with each for people who cannot see it, use no mouse or have a small screen.

#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, ensure};
use portcullis_tests::{Window, checkout};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let shots = checkout::root().join("target/shots");
    std::fs::create_dir_all(&shots)?;
    let folder = tempfile::tempdir()?;
    let window = Window::open(folder.path(), &[]).await?;
    let looked = window.drive("store", json!({"screenshots": shots})).await?;
    let wrong = looked["wrong"].as_array().context("a list")?;
    for text in wrong {
        println!("{}", text.as_str().unwrap_or_default());
    }
    let seen = looked["seen"].as_array().map_or(0, Vec::len);
    println!("{seen} pages, four pictures of each, in {}", shots.display());
    ensure!(wrong.is_empty(), "{} things are wrong", wrong.len());
    Ok(())
}
