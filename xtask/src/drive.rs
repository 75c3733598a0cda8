//! `cargo xtask demo | attacks | bench`: builds what the driver of each needs, and runs it. The drivers live in
//! `tests/src/bin/`, since they link what xtask does not.

use anyhow::Result;

use crate::step::{announce, cargo, run as step};
use crate::{Workspace, guests};

/// Builds, sells and runs the example resources, then tries to cheat.
pub(crate) fn demo(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    announce(
        "cargo xtask demo: seal real resources, refuse them unpaid, sell them, run them; then try to cheat",
        &[
            ("guests: set up the target, build the examples", "2 min"),
            ("build the host, the server and the command line", "11 min"),
            ("the demo itself", "20 s"),
        ],
    );
    guests::build(workspace, &[])?;
    debug(workspace, "portcullis-demo", arguments)
}

/// Tries every attack, each with its control.
pub(crate) fn attacks(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    announce(
        "cargo xtask attacks: every attack of docs/threats.md, each with the control that shows it would work",
        &[
            ("guests: set up the target, build the examples", "2 min"),
            ("build the host, the server and the command line", "11 min"),
            ("the attacks", "2 min"),
        ],
    );
    guests::build(workspace, &[])?;
    debug(workspace, "portcullis-attacks", arguments)
}

/// Measures the rows of `docs/performance.md`.
pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    announce(
        "cargo xtask bench: the rows of docs/performance.md, ours and the bare minimum in turn",
        &[("build with optimisation", "15 min"), ("measure", "2 min")],
    );
    let mut build = cargo();
    build.current_dir(&workspace.root).args([
        "build",
        "--release",
        "--locked",
        "-p",
        "portcullis-tests",
        "--bin",
        "portcullis-bench",
    ]);
    step("build", &mut build)?;
    // What is compared has an engine of its own, and takes as long again to build: only where asked for.
    let (compare, arguments): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| *argument == "--compare");
    if !compare.is_empty() {
        let mut build = cargo();
        build.current_dir(workspace.root.join("compare")).args(["build", "--release", "--locked", "--target-dir"]);
        step("build what is compared", build.arg(workspace.target("compare")))?;
    }
    let mut bench = std::process::Command::new(workspace.target("release/portcullis-bench"));
    step("bench", bench.current_dir(&workspace.root).args(arguments))
}

/// Builds with the profile of the tests and runs a driver.
fn debug(workspace: &Workspace, driver: &str, arguments: &[String]) -> Result<()> {
    step("build", cargo().current_dir(&workspace.root).args(["build", "--workspace", "--bins", "--locked"]))?;
    let mut command = std::process::Command::new(workspace.target("debug").join(driver));
    step(driver, command.current_dir(&workspace.root).args(arguments))
}
