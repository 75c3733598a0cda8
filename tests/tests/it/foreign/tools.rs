//! Running the tools.

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_tests::checkout;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const MISSING: &str = "run `cargo xtask foreign`: it installs the tools that this test compares with";

/// The Python of the foreign environment, with a script of `tests/clients/python/`.
pub(super) fn python(script: &str) -> Result<Command> {
    let mut command = Command::new(installed("venv/bin/python")?);
    // The scripts lie in the checkout, which tests leave as it is.
    command.arg("-B").arg(checkout::root().join("tests/clients/python").join(script)).stdin(Stdio::null());
    Ok(command)
}

/// A script of `tests/clients/node/`, with the foreign npm packages.
pub(super) fn node(script: &str) -> Result<Command> {
    let packages = installed("npm/node_modules")?;
    let mut command = Command::new("node");
    command.arg(checkout::root().join("tests/clients/node").join(script)).stdin(Stdio::null());
    command.env("PORTCULLIS_NPM", packages.parent().context("packages lie in a folder")?);
    Ok(command)
}

pub(super) fn installed(below: &str) -> Result<PathBuf> {
    let path = checkout::root().join("target/foreign").join(below);
    ensure!(path.exists(), "{} is missing; {MISSING}", path.display());
    Ok(path)
}

/// A program of the system that a test needs; none, said aloud, where `cargo xtask foreign` could not install it.
pub(super) fn optional(name: &str, commands: &[&str]) -> Result<Option<Command>> {
    for command in commands {
        let there = Command::new(command).arg("--version").output();
        if there.is_ok_and(|output| output.status.success()) {
            let mut command = Command::new(command);
            command.stdin(Stdio::null());
            return Ok(Some(command));
        }
    }
    let absent = std::fs::read_to_string(checkout::root().join("target/foreign/absent")).unwrap_or_default();
    ensure!(absent.lines().any(|line| line == name), "{name} is missing; {MISSING}");
    eprintln!("SKIPPED: {name} is not on this machine, and `cargo xtask foreign` could not install it");
    Ok(None)
}

/// Runs a command to its end, whatever that is.
pub(super) fn output(command: &mut Command) -> Result<Output> {
    command.output().with_context(|| format!("cannot start {:?}; {MISSING}", command.get_program()))
}

/// What a command that has to succeed prints.
pub(super) fn printed(command: &mut Command) -> Result<Vec<u8>> {
    let output = output(command)?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{command:?} ended with {}:\n{out}{err}", output.status);
    }
    Ok(output.stdout)
}

/// The last line that a command prints, as JSON.
pub(super) fn json(command: &mut Command) -> Result<Value> {
    last_line(&printed(command)?)
}

/// The last line of an output, as JSON.
pub(super) fn last_line(output: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(output)?;
    let line = text.lines().next_back().context("nothing was printed")?;
    serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
