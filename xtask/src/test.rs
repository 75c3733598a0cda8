//! `cargo xtask test`: sets up what tests need and runs them. It ends in the test runner's own summary.
//!
//! Tests that take minutes (drills, soaks, measurements of worst cases) are marked `#[ignore = "slow: …"]`, and run
//! only with `--all`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::setup::Toolchain;
use crate::step::{Beside, announce, cargo, run as step, run_last as last};
use crate::{Workspace, guests, rustdoc};

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
                "3 min",
            ),
            ("formatting, dependency policy if cargo-deny is installed (--all installs it)", ""),
            ("build everything, with lints (the engine is the longest part)", "8 to 20 min"),
            ("the documentation and its tests", "1 min"),
            ("the tests of the server, on PostgreSQL, and of the examples", "4 to 8 min"),
            ("all other tests", "8 to 15 min"),
        ],
    );
    // Both install packages, so one after the other; what is mostly downloaded is so while everything is built.
    Toolchain::ready(workspace)?;
    let logs = workspace.target("tools");
    let this = itself(&logs)?;
    let foreign = Beside::start("foreign tools", Command::new(&this).arg("foreign"), &logs)?;
    let deny = if lint && extent == Extent::All { install_deny(workspace, &logs)? } else { None };
    guests::build(workspace, &[])?;
    if lint {
        formatting(workspace)?;
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
    let build = Build::new(workspace, lint)?;
    let what = if build.lints.is_some() { "build, with lints" } else { "build" };
    step(what, build.cargo("build").args(["--workspace", "--all-targets", "--locked"]))?;
    // Compiling them fills what the tests on the database leave of the processors.
    let examples = Beside::start("tests of the examples", Command::new(&this).arg("examples"), &logs)?;
    let mut documentation = build.cargo("test");
    documentation.args(["--workspace", "--doc", "--locked"]);
    if lint {
        rustdoc::check(&mut documentation, &this, &workspace.target("doc"))?;
    }
    step(if lint { "documentation and its tests" } else { "documentation tests" }, &mut documentation)?;
    foreign.finish()?;
    on_postgres(&build, extent)?;
    examples.finish()?;
    tests(&build, extent)
}

/// This program, where it stays while cargo builds it again: what runs beside the build is started from there.
fn itself(folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("xtask").with_extension(std::env::consts::EXE_EXTENSION);
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // Not written over: the copy of a run that goes on is in use.
    let _ = fs::remove_file(&copy);
    fs::copy(std::env::current_exe()?, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(copy)
}

/// How the workspace is compiled, the same for all steps, so that each crate is compiled once.
///
/// Clippy is the compiler with lints besides. `cargo clippy` has it check only, which compiles every dependency twice
/// in a clone, once to be checked against and once to be linked: here it compiles what is tested.
struct Build<'a> {
    workspace: &'a Workspace,
    /// The compiler with lints, if they are wanted and it is installed.
    lints: Option<PathBuf>,
}

impl<'a> Build<'a> {
    fn new(workspace: &'a Workspace, lint: bool) -> Result<Self> {
        let lints = if lint { clippy_driver()? } else { None };
        if lint && lints.is_none() {
            println!("── lints: not checked, clippy is not installed");
        }
        Ok(Self { workspace, lints })
    }

    /// A command of cargo that compiles the workspace. The compiler is named as an option and not in the environment,
    /// which the cargos that tests start inherit.
    fn cargo(&self, command: &str) -> Command {
        let mut cargo = cargo();
        cargo.current_dir(&self.workspace.root).args(command.split(' '));
        if let Some(driver) = &self.lints {
            cargo.arg("--config").arg(format!("build.rustc-workspace-wrapper={:?}", driver.display().to_string()));
            // As `cargo clippy -- -D warnings` hands it over.
            cargo.env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
        }
        cargo
    }
}

/// Clippy's compiler, beside that of the toolchain in use.
fn clippy_driver() -> Result<Option<PathBuf>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().context("cannot run rustc")?;
    let sysroot = String::from_utf8(output.stdout).context("rustc names a folder that is not text")?;
    let driver = Path::new(sysroot.trim()).join("bin/clippy-driver").with_extension(std::env::consts::EXE_EXTENSION);
    Ok(driver.is_file().then_some(driver))
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
fn on_postgres(build: &Build<'_>, extent: Extent) -> Result<()> {
    let nextest = available(&["nextest", "--version"]);
    let mut runner = build.cargo(if nextest { "nextest run" } else { "test" });
    runner.env("PORTCULLIS_TEST_DATABASE", "postgres");
    if nextest {
        // A long fuzzing of what is above the database; once for each database with all tests.
        let fuzzing = match extent {
            Extent::Usual => " & not test(a_fuzzer_finds_no_failure)",
            Extent::All => "",
        };
        let server = format!("package(portcullis-server) & binary(it) & not test(sqlite::){fuzzing}");
        let attacks = "package(portcullis-tests) & test(every_attack_is_refused_and_every_control_passes)";
        let which = match extent {
            Extent::Usual => server,
            Extent::All => format!("({server}) | ({attacks})"),
        };
        runner.args(["--workspace", "--locked", "--no-fail-fast", "--test-threads", &at_once(), "-E", &which]);
    } else {
        runner.args(["--workspace", "--locked", "--no-fail-fast", "--test", "it"]);
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
fn tests(build: &Build<'_>, extent: Extent) -> Result<()> {
    let nextest = available(&["nextest", "--version"]);
    let mut runner = build.cargo(if nextest { "nextest run" } else { "test" });
    runner.args(["--workspace", "--locked", "--no-fail-fast"]);
    let slow: &[&str] = if nextest {
        runner.args(["--test-threads", &at_once()]);
        &["--run-ignored", "all"]
    } else {
        runner.arg("--tests");
        &["--", "--include-ignored"]
    };
    if extent == Extent::All {
        runner.args(slow);
    }
    last("tests", &mut runner)
}

fn formatting(workspace: &Workspace) -> Result<()> {
    if available(&["fmt", "--version"]) {
        return step("formatting", cargo().current_dir(&workspace.root).args(["fmt", "--all", "--check"]));
    }
    println!("── formatting: not checked, rustfmt is not installed");
    Ok(())
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

/// Licences, sources and banned crates, if what looks at them is installed: to build it takes longer than what it looks
/// at changes. Advisories need a database from the network: `cargo deny check advisories`.
fn policy(workspace: &Workspace) -> Result<()> {
    let mut deny = if available(&["deny", "--version"]) {
        let mut command = cargo();
        command.arg("deny");
        command
    } else if own_deny(workspace).is_file() {
        Command::new(own_deny(workspace))
    } else {
        println!(
            "── dependency policy: not checked, cargo-deny is not installed; `cargo xtask test --all` installs it"
        );
        return Ok(());
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
