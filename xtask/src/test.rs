//! `cargo xtask test`: sets up what tests need and runs them. It ends in the test runner's own summary.
//!
//! Tests that take minutes (drills, soaks, measurements of worst cases) are marked `#[ignore = "slow: …"]`, and run
//! only with `--all`.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::step::{announce, cargo, run as step, run_last as last};
use crate::{Workspace, foreign, guests};

/// Which tests run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Those that a person waits for, and CI.
    Usual,
    /// The slow ones, too.
    All,
}

/// The verb. `--no-lint` leaves out formatting, lints and documentation; `--all` adds the slow tests.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut lint = true;
    let mut extent = Extent::Usual;
    for argument in arguments {
        match argument.as_str() {
            "--no-lint" => lint = false,
            "--all" => extent = Extent::All,
            other => bail!("`{other}` is not a known argument. Usage: cargo xtask test [--no-lint] [--all]"),
        }
    }
    announce(
        "cargo xtask test",
        &[
            ("guests: set up the target, make assets, build the examples", "3 min"),
            ("foreign tools: Chromium, PostgreSQL, Python and npm packages, FFmpeg, age, dovecot, bat", "3 min"),
            ("formatting, lints, documentation, dependency policy", "6 min"),
            ("build everything (the engine is the longest part)", "13 min"),
            ("tests of the examples and of the documentation", "8 min"),
            ("the tests of the server, on PostgreSQL", "4 min"),
            ("all other tests", "6 min"),
        ],
    );
    guests::build(workspace, &[])?;
    foreign::set_up(workspace)?;
    if lint {
        lints(workspace)?;
    }
    step("build", cargo().current_dir(&workspace.root).args(["build", "--workspace", "--all-targets", "--locked"]))?;
    for example in guests::folders(&workspace.root.join("example-resources"))? {
        // A workspace of its own, so that a resource's author can copy the folder.
        let what = format!("tests of {}", workspace.display(&example));
        let mut tests = cargo();
        tests.current_dir(&example).args(["test", "--workspace", "--locked", "--target-dir"]);
        step(&what, tests.arg(workspace.target("guest-tests")))?;
    }
    step(
        "documentation tests",
        cargo().current_dir(&workspace.root).args(["test", "--workspace", "--doc", "--locked"]),
    )?;
    on_postgres(workspace)?;
    tests(workspace, extent)
}

/// The tests of the server once more, on the second database. What only SQLite has stands in modules of that name.
fn on_postgres(workspace: &Workspace) -> Result<()> {
    let mut runner = cargo();
    runner.current_dir(&workspace.root).env("PORTCULLIS_TEST_DATABASE", "postgres");
    if available(&["nextest", "--version"]) {
        let which = "package(portcullis-server) & binary(it) & not test(sqlite::)";
        runner.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "-E", which]);
    } else {
        runner.args(["test", "--workspace", "--locked", "--no-fail-fast", "--test", "it"]);
        runner.args(["--", "--skip", "sqlite::"]);
    }
    step("tests of the server, on PostgreSQL", &mut runner)
}

/// The runner, last, so that its summary is the last thing printed.
fn tests(workspace: &Workspace, extent: Extent) -> Result<()> {
    let mut runner = cargo();
    runner.current_dir(&workspace.root);
    let slow: &[&str] = if available(&["nextest", "--version"]) {
        runner.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]);
        &["--run-ignored", "all"]
    } else {
        runner.args(["test", "--workspace", "--tests", "--locked", "--no-fail-fast"]);
        &["--", "--include-ignored"]
    };
    if extent == Extent::All {
        runner.args(slow);
    }
    last("tests", &mut runner)
}

fn lints(workspace: &Workspace) -> Result<()> {
    let here = || {
        let mut command = cargo();
        command.current_dir(&workspace.root);
        command
    };
    if available(&["fmt", "--version"]) {
        step("formatting", here().args(["fmt", "--all", "--check"]))?;
    } else {
        println!("── formatting: not checked, rustfmt is not installed");
    }
    if available(&["clippy", "--version"]) {
        step("lints", here().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    } else {
        println!("── lints: not checked, clippy is not installed");
    }
    step(
        "documentation",
        here().args(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    policy(workspace)
}

/// Licences, sources and banned crates. Advisories need a database from the network: `cargo deny check advisories`.
fn policy(workspace: &Workspace) -> Result<()> {
    let own = workspace.target("tools/bin/cargo-deny");
    let mut deny = if available(&["deny", "--version"]) {
        let mut command = cargo();
        command.arg("deny");
        command
    } else {
        if !own.is_file() {
            let mut install = cargo();
            install
                .args(["install", "--quiet", "--locked", "--debug", "cargo-deny", "--root"])
                .arg(workspace.target("tools"));
            step("install cargo-deny (1 min)", &mut install)?;
        }
        Command::new(own)
    };
    deny.current_dir(&workspace.root).args(["--all-features", "check", "bans", "licenses", "sources"]);
    step("dependency policy", &mut deny)
}

fn available(arguments: &[&str]) -> bool {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
