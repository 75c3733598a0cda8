//! The documentation, checked with what its tests were compiled against.
//!
//! `cargo doc` checks every dependency anew, which takes minutes in a clone. `cargo test --doc` hands rustdoc the same
//! crates as they were built. So this program stands in for rustdoc there: it has the real one make each crate's
//! documentation first, with every warning an error, and then run its tests.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Tells this program that it is called as rustdoc, and names the real one.
const REAL: &str = "PORTCULLIS_RUSTDOC";
/// Where the documentation goes.
const OUTPUT: &str = "PORTCULLIS_RUSTDOC_OUTPUT";

/// Has `cargo test --doc` check the documentation as well: `this` stands in for rustdoc.
///
/// # Errors
/// If rustdoc is not installed.
pub(crate) fn check(tests: &mut Command, this: &Path, output: &Path) -> Result<()> {
    let real = std::env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into());
    Command::new(&real).arg("--version").output().context("cannot run rustdoc")?;
    tests.env("RUSTDOC", this).env(REAL, real).env(OUTPUT, output);
    Ok(())
}

/// What is to be done if this program is called as rustdoc: the exit code is rustdoc's.
pub(crate) fn called_as() -> Option<ExitCode> {
    let real = std::env::var_os(REAL)?;
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut runs = Vec::new();
    if arguments.iter().any(|argument| argument == "--test") {
        let mut documented = without_tests(&arguments);
        documented.extend(["-D", "warnings", "-o"].map(OsString::from));
        documented.push(std::env::var_os(OUTPUT)?);
        runs.push(documented);
    }
    runs.push(arguments);
    for run in runs {
        // A program that a test starts is none of ours.
        match Command::new(&real).args(run).env_remove(REAL).status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Some(status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8))),
            Err(error) => {
                eprintln!("error: cannot start {}: {error}", real.display());
                return Some(ExitCode::FAILURE);
            }
        }
    }
    Some(ExitCode::SUCCESS)
}

/// What cargo says of a crate, without what it says of how its tests run.
fn without_tests(arguments: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy();
        if ["--test-args", "--test-run-directory", "--test-runtool", "--test-runtool-arg"].contains(&&*text) {
            rest.next();
        } else if !text.starts_with("--test") && text != "--no-run" {
            kept.push(argument.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_crate_stays_and_what_is_said_of_its_tests_goes() {
        let arguments = |words: &str| words.split(' ').map(OsString::from).collect::<Vec<_>>();
        let said = arguments(
            "--edition=2024 --crate-name a --test a/src/lib.rs --test-run-directory /w --test-args -q --extern b=b.rlib",
        );
        assert_eq!(without_tests(&said), arguments("--edition=2024 --crate-name a a/src/lib.rs --extern b=b.rlib"));
    }
}
