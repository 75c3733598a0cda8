//! An emergency: only the server's age identity is left. Any age tool opens a part with it.

use super::stage::Stage;
use super::tools::{output, printed, python, text};
use anyhow::{Context as _, Result, ensure};
use portcullis_tests::checkout;
use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn age_tools_open_an_extracted_part() -> Result<()> {
    let stage = Stage::selling("picture").await?;
    let (part, identity) = (stage.path("full.age"), stage.path("identity.txt"));
    let extract = ["inspect", "sealed.wasm", "--extract", "full", "--output", text(&part)?];
    stage.publisher.run_in(stage.folder(), &extract)?.done()?;
    stage.server.operator(&["export-identity", "--output", text(&identity)?])?;
    let wanted = fs::read(checkout::root().join("example-resources/picture/assets/full.jpg"))?;

    // The age command, from its own author.
    let mut age = Command::new("age");
    age.args(["--decrypt", "--identity"]).arg(&identity).arg(&part).stdin(Stdio::null());
    ensure!(printed(&mut age)? == wanted, "age opens something else");

    // pyrage, and another implementation in Rust.
    let opened = stage.path("opened.jpg");
    printed(python("age_part.py")?.arg(&identity).arg(&part).arg(&opened))?;
    ensure!(fs::read(&opened)? == wanted, "pyrage opens something else");
    let key = fs::read_to_string(&identity)?;
    let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).context("no identity was exported")?;
    let key: age::x25519::Identity = key.parse().map_err(anyhow::Error::msg)?;
    let file = fs::read(&part)?;
    let mut clear = Vec::new();
    let identities = std::iter::once(&key as &dyn age::Identity);
    age::Decryptor::new(&file[..])?.decrypt(identities)?.read_to_end(&mut clear)?;
    ensure!(clear == wanted, "the crate age opens something else");

    // The control: another identity opens nothing, and a changed byte is noticed.
    let stranger = stage.path("stranger.txt");
    let made = output(Command::new("age-keygen").arg("-o").arg(&stranger))?;
    ensure!(made.status.success(), "age-keygen failed");
    let mut age = Command::new("age");
    age.args(["--decrypt", "--identity"]).arg(&stranger).arg(&part).stdin(Stdio::null());
    ensure!(!output(&mut age)?.status.success(), "a stranger's identity opened the part");
    let mut changed = file.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&part, changed)?;
    let mut age = Command::new("age");
    age.args(["--decrypt", "--identity"]).arg(&identity).arg(&part).stdin(Stdio::null());
    ensure!(!output(&mut age)?.status.success(), "a changed part was opened");
    Ok(())
}
