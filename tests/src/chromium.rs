//! A real browser: Debian's Chromium, driven by scripts in `tests/clients/browser/scripts/`.

use crate::checkout;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

const MISSING: &str = "run `cargo xtask foreign`: it installs the browser and what drives it";
/// How long a script may do nothing that it tells of. Each of its steps ends within a minute; how many steps it has,
/// and how fast the machine is, is not asked.
const PATIENCE: Duration = Duration::from_secs(120);
/// The program, where it is not one of the names below.
const CHOICE: &str = "PORTCULLIS_CHROMIUM";
const NAMES: [&str; 2] = ["chromium", "chromium-browser"];

/// Runs a script with these arguments and returns what it returns.
///
/// # Errors
/// If a program is missing, or the script fails: with what it says.
pub async fn drive(script: &str, arguments: &Value) -> Result<Value> {
    let packages = checkout::root().join("target/foreign/browser");
    ensure!(packages.join("node_modules/playwright-core").exists(), "playwright-core is missing; {MISSING}");
    let mut command = tokio::process::Command::new("node");
    command.arg(checkout::root().join("tests/clients/browser/drive.js")).arg(script);
    command.env("PORTCULLIS_NPM", &packages).env(CHOICE, program()?);
    // Ended before its time, it takes the browser with it, which listens to it through a pipe.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot start node; {MISSING}"))?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(&serde_json::to_vec(arguments)?).await?;
    drop(input);
    let mut output = child.stdout.take().context("no standard output")?;
    let printed = tokio::spawn(async move {
        let mut printed = Vec::new();
        output.read_to_end(&mut printed).await.map(|_| printed)
    });
    let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
    let mut said = Vec::new();
    while let Some(line) = tokio::time::timeout(PATIENCE, lines.next_line()).await.with_context(|| {
        format!("the script `{script}` did nothing for {} s after:\n{}", PATIENCE.as_secs(), last(&said))
    })?? {
        said.push(line);
    }
    if !child.wait().await?.success() {
        bail!("the script `{script}` failed:\n{}", last(&said));
    }
    serde_json::from_slice(&printed.await??).with_context(|| format!("the script `{script}` printed no JSON"))
}

/// The last lines that a script said: where it was, and what went wrong.
fn last(said: &[String]) -> String {
    said[said.len().saturating_sub(40)..].join("\n")
}

/// The browser.
fn program() -> Result<PathBuf> {
    if let Some(chosen) = std::env::var_os(CHOICE).filter(|chosen| !chosen.is_empty()) {
        return Ok(chosen.into());
    }
    for name in NAMES {
        let path = Command::new("sh").args(["-c", &format!("command -v {name}")]).stdin(Stdio::null()).output()?;
        if path.status.success() {
            return Ok(String::from_utf8(path.stdout)?.trim().into());
        }
    }
    bail!("Chromium is missing; {MISSING}")
}
