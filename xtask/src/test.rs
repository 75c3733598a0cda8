//! `cargo xtask test`: sets up what tests need and runs them. It ends in the test runner's own summary.
//!
//! Tests that take minutes (drills, soaks, measurements of worst cases) are marked `#[ignore = "slow: …"]`, and run
//! only with `--all`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::setup::Toolchain;
use crate::step::{Beside, announce, cargo, run as step, run_last as last};
use crate::{Workspace, guests};

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
            ("guests: set up the target, make assets, build the examples; beside it", ""),
            (
                "foreign tools: Chromium, PostgreSQL, dovecot, nginx, HAProxy, systemd, curl, Python, npm, FFmpeg, age, bat, Vim",
                "4 min",
            ),
            ("formatting, lints, documentation, dependency policy", "8 min"),
            ("build everything (the engine is the longest part)", "8 min"),
            ("the tests of the server, on PostgreSQL, and of the examples", "5 min"),
            ("all other tests", "6 min"),
        ],
    );
    // Both install packages, so one after the other; what is mostly downloaded is so while guests are built.
    Toolchain::ready(workspace)?;
    let logs = workspace.target("tools");
    let foreign = Beside::start("foreign tools", Command::new(std::env::current_exe()?).arg("foreign"), &logs)?;
    let deny = if lint { install_deny(workspace, &logs)? } else { None };
    guests::build(workspace, &[])?;
    foreign.finish()?;
    if lint {
        lints(workspace)?;
        if let Some(deny) = deny {
            deny.finish()?;
        }
        policy(workspace)?;
    }
    if extent == Extent::All {
        // Whoever brings a transport of his own embeds the host without ours.
        let embedded = ["check", "--package", "portcullis-host", "--no-default-features", "--locked"];
        step("the host without HTTP", cargo().current_dir(&workspace.root).args(embedded))?;
    }
    step("build", cargo().current_dir(&workspace.root).args(["build", "--workspace", "--all-targets", "--locked"]))?;
    // Compiling them fills what the tests on the database leave of the processors.
    let examples =
        Beside::start("tests of the examples", Command::new(std::env::current_exe()?).arg("examples"), &logs)?;
    step(
        "documentation tests",
        cargo().current_dir(&workspace.root).args(["test", "--workspace", "--doc", "--locked"]),
    )?;
    on_postgres(workspace, extent)?;
    examples.finish()?;
    tests(workspace, extent)
}

/// The tests of each example resource: a workspace of its own, so that a resource's author can copy the folder.
pub(crate) fn examples(workspace: &Workspace, _: &[String]) -> Result<()> {
    for example in guests::folders(&workspace.root.join("example-resources"))? {
        let what = format!("tests of {}", workspace.display(&example));
        let mut tests = cargo();
        tests.current_dir(&example).args(["test", "--workspace", "--locked", "--target-dir"]);
        step(&what, tests.arg(workspace.target("guest-tests")))?;
    }
    Ok(())
}

/// The tests of the server once more, on the second database, and with all tests the attacks as well. What only SQLite
/// has stands in modules of that name.
fn on_postgres(workspace: &Workspace, extent: Extent) -> Result<()> {
    let mut runner = cargo();
    runner.current_dir(&workspace.root).env("PORTCULLIS_TEST_DATABASE", "postgres");
    if available(&["nextest", "--version"]) {
        let server = "package(portcullis-server) & binary(it) & not test(sqlite::)";
        let attacks = "package(portcullis-tests) & test(every_attack_is_refused_and_every_control_passes)";
        let which = match extent {
            Extent::Usual => server.to_owned(),
            Extent::All => format!("({server}) | ({attacks})"),
        };
        runner.args([
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
            "--test-threads",
            &at_once(),
            "-E",
        ]);
        runner.arg(&which);
    } else {
        runner.args(["test", "--workspace", "--locked", "--no-fail-fast", "--test", "it"]);
        runner.args(["--", "--skip", "sqlite::"]);
    }
    step("tests of the server, on PostgreSQL", &mut runner)
}

/// How many tests run at once: two for each processor, since they wait for disks, lines and other processes for half of
/// their time.
fn at_once() -> String {
    (2 * std::thread::available_parallelism().map_or(2, std::num::NonZero::get)).to_string()
}

/// The runner, last, so that its summary is the last thing printed.
fn tests(workspace: &Workspace, extent: Extent) -> Result<()> {
    let mut runner = cargo();
    runner.current_dir(&workspace.root);
    let slow: &[&str] = if available(&["nextest", "--version"]) {
        runner.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--test-threads", &at_once()]);
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
    // An example brings the features of dev-dependencies in: what was checked for clippy is checked for this as well.
    let documented = ["doc", "--workspace", "--no-deps", "--lib", "--example", "embed", "--locked"];
    step("documentation", here().args(documented).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Begins to install what [`policy`] asks, if it is not there.
fn install_deny(workspace: &Workspace, logs: &Path) -> Result<Option<Beside>> {
    if available(&["deny", "--version"]) || own_deny(workspace).is_file() {
        return Ok(None);
    }
    let mut install = cargo();
    // It runs once, for seconds: what matters is how long it is built.
    install.env("CARGO_PROFILE_DEV_DEBUG", "none").env("CARGO_PROFILE_DEV_INCREMENTAL", "false");
    install.args(["install", "--quiet", "--locked", "--debug", "cargo-deny", "--root"]).arg(workspace.target("tools"));
    Beside::start("install cargo-deny", &mut install, logs).map(Some)
}

fn own_deny(workspace: &Workspace) -> PathBuf {
    workspace.target("tools/bin/cargo-deny")
}

/// Licences, sources and banned crates. Advisories need a database from the network: `cargo deny check advisories`.
fn policy(workspace: &Workspace) -> Result<()> {
    let mut deny = if available(&["deny", "--version"]) {
        let mut command = cargo();
        command.arg("deny");
        command
    } else {
        Command::new(own_deny(workspace))
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
