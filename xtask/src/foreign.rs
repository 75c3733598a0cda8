//! Sets up the tools of others that tests compare with: `age` from the distribution, and below `target/foreign/` a
//! Python environment and npm packages in the versions that `tests/clients/` pins.
//!
//! A test that lacks its tool fails; this says what to install. The second time it takes a second.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::Workspace;
use crate::step::line;

/// What has to be installed on the machine itself.
struct Tool {
    /// A command that succeeds where the tool is installed.
    probe: &'static [&'static str],
    /// Debian's and Ubuntu's packages that bring it.
    packages: &'static [&'static str],
    /// What a person installs elsewhere.
    name: &'static str,
}

const TOOLS: &[Tool] = &[
    // The probe is what a virtual environment needs: Debian's plain `python3` lacks it.
    Tool {
        probe: &["python3", "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"],
        packages: &["python3", "python3-venv"],
        name: "Python 3.11 or newer with venv",
    },
    Tool { probe: &["npm", "--version"], packages: &["nodejs", "npm"], name: "Node.js 18 or newer with npm" },
    Tool { probe: &["age", "--version"], packages: &["age"], name: "age 1.1 or newer" },
];

/// The verb.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("`foreign` takes no argument, but got `{argument}`");
    }
    set_up(workspace)
}

/// Installs what is missing.
///
/// # Errors
/// Names everything that has to be installed by hand, or the command that failed.
pub(crate) fn set_up(workspace: &Workspace) -> Result<()> {
    println!("── foreign tools\n   age, a Python environment and npm packages, below target/foreign/");
    let start = Instant::now();
    tools()?;
    python(workspace)?;
    npm(workspace)?;
    println!("   {:.1} s", start.elapsed().as_secs_f32());
    Ok(())
}

/// Installs what has to be installed on the machine itself, where that is allowed.
pub(crate) fn tools() -> Result<()> {
    let missing = || TOOLS.iter().filter(|tool| !succeeds(tool.probe)).collect::<Vec<_>>();
    let wanted = missing();
    if wanted.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = wanted.iter().flat_map(|tool| tool.packages).copied().collect();
    if is_root() && succeeds(&["apt-get", "--version"]) {
        let mut install = Command::new("apt-get");
        install
            .args(["install", "-y", "--no-install-recommends"])
            .args(&packages)
            .env("DEBIAN_FRONTEND", "noninteractive");
        // The list of packages may be old or absent: only then is it fetched.
        if execute(&mut install).is_err() {
            execute(Command::new("apt-get").arg("update"))?;
            execute(&mut install)?;
        }
    }
    let wanted = missing();
    ensure!(
        wanted.is_empty(),
        "tests compare with tools of others, and these are missing: {}.\n\
         On Debian 12 or newer and on Ubuntu 24.04 or newer: sudo apt-get install {}\n\
         Elsewhere install them as the system does, then run this again.",
        wanted.iter().map(|tool| tool.name).collect::<Vec<_>>().join("; "),
        packages.join(" ")
    );
    Ok(())
}

/// `target/foreign/venv`, with what `tests/clients/python/requirements.txt` pins.
fn python(workspace: &Workspace) -> Result<()> {
    virtual_environment(
        &workspace.target("foreign/venv"),
        &workspace.root.join("tests/clients/python/requirements.txt"),
    )
}

/// A Python environment in `folder` with the packages that `pins` lists.
pub(crate) fn virtual_environment(folder: &Path, pins: &Path) -> Result<()> {
    once(folder, &[pins], || {
        execute(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        execute(
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]).arg(pins),
        )
    })
}

/// `target/foreign/npm`, with what `tests/clients/node/package-lock.json` pins.
fn npm(workspace: &Workspace) -> Result<()> {
    packages(&workspace.root.join("tests/clients/node"), &workspace.target("foreign/npm"))
}

/// npm packages in `folder`, as `package-lock.json` in `source` pins them. No script of a package runs.
pub(crate) fn packages(source: &Path, folder: &Path) -> Result<()> {
    let pins = [source.join("package.json"), source.join("package-lock.json")];
    once(folder, &[&pins[0], &pins[1]], || {
        for pin in &pins {
            let name = pin.file_name().context("a file has a name")?;
            fs::copy(pin, folder.join(name)).with_context(|| format!("cannot copy {}", pin.display()))?;
        }
        // Not `npm ci`: it refuses a lock file that lacks optional packages for other systems.
        let mut npm = Command::new("npm");
        execute(
            npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
                .current_dir(folder),
        )
    })
}

/// Makes `folder` anew, unless it was made from these very `pins`.
pub(crate) fn once(folder: &Path, pins: &[&Path], make: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut wanted = String::new();
    for pin in pins {
        wanted += &fs::read_to_string(pin).with_context(|| format!("cannot read {}", pin.display()))?;
    }
    // Written last: a set-up that was interrupted starts again.
    let stamp = folder.join("made-from");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    make()?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn execute(command: &mut Command) -> Result<()> {
    println!("   {}", line(command));
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

fn succeeds(command: &[&str]) -> bool {
    let [program, arguments @ ..] = command else { return false };
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
