//! `cargo xtask demo | shots | attacks | bench`: builds what the driver of each needs, and runs it. The drivers live in
//! `tests/src/bin/`, since they link what xtask does not.

use anyhow::Result;

use crate::step::{announce, cargo, run as step};
use crate::{Workspace, compare, foreign, guests};

/// Builds, sells and runs the example resources, then tries to cheat.
pub(crate) fn demo(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    announce(
        "cargo xtask demo: seal real resources, refuse them unpaid, sell them, run them; then try to cheat",
        &[
            ("guests: set up the target, make assets, build the examples", "3 min"),
            ("build the host, the server and the command line", "11 min"),
            ("the demo itself: five kinds of resource, a merchant, and the cheats", "45 s"),
        ],
    );
    guests::build(workspace, &[])?;
    debug(workspace, "portcullis-demo", arguments)
}

/// Pictures of every page, phone and desktop, light and dark.
pub(crate) fn shots(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    announce(
        "cargo xtask shots: a picture of every page, and what is wrong with it, below target/shots",
        &[
            ("guests: set up the target, make assets, build the examples", "3 min"),
            ("a browser", "1 min"),
            ("build the host, the server and the command line", "11 min"),
            ("the pictures", "2 min"),
        ],
    );
    guests::build(workspace, &[])?;
    foreign::browser(workspace)?;
    debug(workspace, "portcullis-shots", arguments)
}

/// Tries every attack, each with its control.
pub(crate) fn attacks(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    announce(
        "cargo xtask attacks: every attack of docs/threats.md, each with the control that shows it would work",
        &[
            ("guests: set up the target, make assets, build the examples", "3 min"),
            ("a browser, for the attacks on pages", "1 min"),
            ("build the host, the server and the command line", "11 min"),
            ("the attacks", "3 min"),
        ],
    );
    guests::build(workspace, &[])?;
    foreign::browser(workspace)?;
    debug(workspace, "portcullis-attacks", arguments)
}

/// Rows that need no engine.
const OF_THE_SERVER: [&str; 5] = ["P6", "P7", "P8", "P11", "P13"];

/// Measures the rows of `docs/performance.md`.
pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if arguments == ["--only", "mail"] {
        return bench_mail(workspace);
    }
    if arguments.windows(2).any(|pair| pair[0] == "--only" && OF_THE_SERVER.contains(&pair[1].as_str())) {
        return bench_server(workspace, arguments);
    }
    announce(
        "cargo xtask bench: the rows of docs/performance.md, ours and the bare minimum in turn",
        &[
            ("guests: set up the target, make assets, build the examples", "3 min"),
            ("build with optimisation", "25 min"),
            ("with --compare: build and install other products", "15 min"),
            ("measure", "8 min"),
        ],
    );
    guests::build(workspace, &[])?;
    foreign::database()?;
    // The features of the whole workspace, so that everything that is built with optimisation shares its engine.
    let mut build = cargo();
    build.current_dir(&workspace.root).args(["build", "--release", "--workspace", "--locked"]);
    build.args(["--features", "portcullis-tests/bench"]);
    for program in ["portcullis", "portcullis-server", "portcullis-load", "portcullis-bench", "portcullis-bare"] {
        build.args(["--bin", program]);
    }
    step("build", &mut build)?;
    // What is compared has an engine of its own, and takes as long again to build: only where asked for.
    let (compared, arguments): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| *argument == "--compare");
    if !compared.is_empty() {
        compare::set_up(workspace)?;
    }
    let mut bench = std::process::Command::new(workspace.target("release/portcullis-bench"));
    step("bench", bench.current_dir(&workspace.root).args(arguments))
}

/// Measures rows of the billing server: as it is released, with a generator of load, and nothing that links an engine.
fn bench_server(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    announce(
        "cargo xtask bench --only ROW: what a cycle costs the billing server, beside the least that does the same",
        &[
            ("PostgreSQL", "1 min"),
            ("build the server and the generator with optimisation", "8 min"),
            ("measure", "1 to 5 min"),
        ],
    );
    foreign::database()?;
    let mut build = cargo();
    build.current_dir(&workspace.root).args(["build", "--release", "--locked"]);
    step("build", build.args(["--package", "portcullis-server", "--package", "portcullis-load"]))?;
    let mut rows = std::process::Command::new(workspace.target("release/portcullis-load"));
    step("bench", rows.current_dir(&workspace.root).arg("rows").args(arguments))
}

/// Measures the mail program, which links no engine, and writes the figures of `docs/bill-mail.md`.
fn bench_mail(workspace: &Workspace) -> Result<()> {
    announce(
        "cargo xtask bench --only mail: what is found in mail, and how fast; written into docs/bill-mail.md",
        &[
            ("what signs mails, published invoices, a mail server", "1 min"),
            ("build with optimisation", "5 min"),
            ("measure", "2 min"),
        ],
    );
    foreign::run(workspace, &[])?;
    let mut measure = cargo();
    measure.current_dir(&workspace.root).env("PORTCULLIS_UPDATE", "1");
    measure.args(["test", "--release", "--locked", "--package", "portcullis-mail", "--test", "it", "--"]);
    step("measure", measure.args(["--ignored", "--nocapture", "figures::"]))
}

/// Builds with the profile of the tests and runs a driver.
fn debug(workspace: &Workspace, driver: &str, arguments: &[String]) -> Result<()> {
    step("build", cargo().current_dir(&workspace.root).args(["build", "--workspace", "--bins", "--locked"]))?;
    let mut command = std::process::Command::new(workspace.target("debug").join(driver));
    step(driver, command.current_dir(&workspace.root).args(arguments))
}
