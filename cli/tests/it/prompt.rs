//! Questions, on a real pseudo-terminal.

#![cfg(target_os = "linux")]

use crate::stage::Stage;
use portcullis_fixtures::Pty;

/// Runs a command line as the user, who waits for each text and then types. Returns the exit code and all that stood on
/// the terminal.
pub(crate) fn type_in(stage: &Stage, arguments: &[&str], dialogue: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut pty = Pty::start(stage.command("user").args(arguments)).expect("a terminal");
    for (question, answer) in dialogue {
        pty.wait_for(question).expect("a question");
        pty.type_in(answer);
    }
    pty.end().expect("it ends")
}

#[test]
fn unpaid_on_a_terminal_it_offers_to_buy() {
    let stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    let run = ["run", "--invoke", "view()", "-o", "full.txt", "sketch"];
    let question = "Costs 1.99 EUR. Buy? [y/N] ";
    let (code, said) = type_in(&stage, &run, &[(question, "n\n")]);
    assert!(said.contains("Portcullis asks:") && said.contains("acme/sketch"), "{said}");
    assert_eq!(code, Some(20), "{said}");
    assert!(!stage.path("full.txt").exists(), "no means no");
    let (code, said) = type_in(&stage, &run, &[(question, "y\n")]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(std::fs::read(stage.path("full.txt")).expect("written"), b"everything");
    let (code, said) = type_in(&stage, &run, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("Buy?"), "what is bought is not asked for again: {said}");
}

/// An order of the same that is not paid is shown before one more is ordered.
#[test]
fn it_asks_whether_one_more_is_wanted_beside_an_order_that_is_not_paid() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let buy = ["buy", "acme/sketch", "--operation", "count"];
    stage.succeed("user", &[&buy[..], &["--yes", "--payment", "sandbox:redirect"]].concat());
    let (price, more) = (("Buy? [y/N] ", "y\n"), "Order one more beside it? [y/N] ");
    let (code, said) = type_in(&stage, &buy, &[price, (more, "n\n")]);
    assert_eq!(code, Some(38), "{said}");
    for shown in ["is not paid yet", "/sandbox/", "portcullis cancel "] {
        assert!(said.contains(shown), "{shown}: {said}");
    }
    let (code, said) = type_in(&stage, &buy, &[price, (more, "y\n")]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("bought"), "{said}");
}

/// Whatever the standard streams are, the question goes to the terminal and the answer comes from there.
#[test]
fn questions_are_asked_at_the_controlling_terminal() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let buy = |line: &str, dialogue: &[(&str, &str)]| {
        let program = stage.command("user").get_program().display().to_string();
        let mut shell = stage.command("user");
        let line = line.replace("BUY", &format!("{program} buy acme/sketch --operation view"));
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &line]).current_dir(stage.path(""));
        for (name, value) in shell.stdin(std::process::Stdio::null()).get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let mut pty = Pty::start(&command).expect("a terminal");
        for (question, answer) in dialogue {
            pty.wait_for(question).expect("a question");
            pty.type_in(answer);
        }
        pty.end().expect("it ends")
    };
    // A file that says yes is no answer.
    let (code, said) = buy("yes | BUY", &[("Buy? [y/N] ", "n\n")]);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = buy("BUY < /dev/null > bought 2> said", &[]);
    assert_eq!(code, Some(1), "no terminal to confirm on: {said}");
    assert!(!said.contains("Buy?"), "{said}");
    let (code, said) = buy("BUY < /dev/null > bought", &[("Buy? [y/N] ", "y\n")]);
    assert_eq!(code, Some(0), "{said}");
    let bought = std::fs::read_to_string(stage.path("bought")).expect("written");
    assert!(bought.starts_with("bought acme/sketch"), "{bought}");
}

/// What cannot be undone needs somebody who agrees.
#[test]
fn a_version_is_withdrawn_only_when_somebody_agrees() {
    let stage = Stage::with_sketch();
    let refused = stage.run("publisher", &["withdraw", "acme/sketch@1.0.0"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("nobody can be asked") && said.contains("--yes"), "{said}");
    stage.succeed("publisher", &["withdraw", "acme/sketch@1.0.0", "--yes"]);
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
