//! Questions, on a real terminal: `script` (util-linux) makes one.

#![cfg(target_os = "linux")]

use crate::stage::Stage;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs a command line as the user, who types this. Gives the exit code and all that stood on the terminal.
pub(crate) fn type_in(stage: &Stage, line: &str, typed: &str) -> (Option<i32>, String) {
    let line = format!("{} {line}", stage.command("user").get_program().display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(stage.path(""));
    script.env("PORTCULLIS_HOME", stage.path("user")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.spawn().expect("script runs: it is part of util-linux");
    child.stdin.take().expect("input").write_all(typed.as_bytes()).expect("typed");
    let output = child.wait_with_output().expect("script ends");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn unpaid_on_a_terminal_it_offers_to_buy() {
    let stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    let run = "run --invoke 'view()' -o full.txt sketch";
    let (code, said) = type_in(&stage, run, "n\n");
    assert!(said.contains("Costs 1.99 EUR. Buy? [y/N]"), "{said}");
    assert_eq!(code, Some(20), "{said}");
    assert!(!stage.path("full.txt").exists(), "no means no");
    let (code, said) = type_in(&stage, run, "y\n");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(std::fs::read(stage.path("full.txt")).expect("written"), b"everything");
    let (code, said) = type_in(&stage, run, "");
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("Buy?"), "what is bought is not asked for again: {said}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_upload_shows_how_far_it_is() {
    use crate::stage::Stage;
    use std::process::{Command, Stdio};

    let stage = Stage::with_store();
    stage.login("publisher");
    stage.succeed("publisher", &["keygen"]);
    crate::guest::project(&stage.path("sketch"), "1.0.0");
    std::fs::write(stage.path("sketch/full.svg"), vec![b' '; 8 << 20]).expect("asset");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering", "--output", "sketch.sealed.wasm"]);
    let command = stage.command("publisher");
    let line = format!("{} publish sketch.sealed.wasm --project sketch", command.get_program().display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(stage.path(""));
    script.env("PORTCULLIS_HOME", stage.path("publisher")).stdin(Stdio::null());
    let output = script.output().expect("script runs: it is part of util-linux");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("uploading [") && said.contains("/8.0"), "{said}");
    assert!(said.contains("published acme/sketch") || said.contains("published"), "{said}");
}
