//! Sets up what `cargo xtask bench --compare` compares with, below `target/compare/`: the programs of `compare/`,
//! wasmtime's own command, and a component that componentize-js makes of a script.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::Workspace;
use crate::foreign::{once, packages, tools, virtual_environment};
use crate::step::{cargo, run as step};

/// Builds and installs what is missing.
///
/// # Errors
/// The command that failed.
pub(crate) fn set_up(workspace: &Workspace) -> Result<()> {
    // One by one: together, the features that one asks of shared crates would build the engine of the other again.
    for package in ["portcullis-compare", "portcullis-compare-age"] {
        let mut build = cargo();
        build.current_dir(workspace.root.join("compare")).args(["build", "--release", "--locked", "-p", package]);
        step("build what is compared", build.arg("--target-dir").arg(workspace.target("compare")))?;
    }
    tools()?;
    wasmtime(workspace)?;
    script(workspace)
}

/// `target/compare/wasmtime`, of the package that `compare/requirements.txt` pins.
fn wasmtime(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target("compare/venv");
    virtual_environment(&folder, &workspace.root.join("compare/requirements.txt"))?;
    let found = file_named("wasmtime", &folder.join("lib"))?.context("the package brought no `wasmtime`")?;
    let program = workspace.target("compare/wasmtime");
    fs::copy(found, &program)?;
    // The package does not say that it is a program.
    step("make it executable", Command::new("chmod").arg("+x").arg(program))
}

/// The first file of this name that is large enough to be a program.
fn file_named(name: &str, folder: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = match entry.file_type()? {
            kind if kind.is_dir() => file_named(name, &entry.path())?,
            _ if entry.file_name() == name && entry.metadata()?.len() > 1 << 20 => Some(entry.path()),
            _ => None,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// `target/compare/script.wasm`.
fn script(workspace: &Workspace) -> Result<()> {
    let source = workspace.root.join("compare/script");
    let npm = workspace.target("compare/npm");
    packages(&source, &npm)?;
    let made = workspace.target("compare/component");
    let pins = ["guest.js", "world.wit", "componentize.js", "package-lock.json"].map(|name| source.join(name));
    once(&made, &pins.each_ref().map(PathBuf::as_path), || {
        // A package with its dependencies beside it, as the tool wants them.
        let gate = made.join("wit/deps/gate");
        fs::create_dir_all(&gate)?;
        fs::copy(source.join("world.wit"), made.join("wit/world.wit"))?;
        for entry in fs::read_dir(workspace.root.join("wit"))? {
            let path = entry?.path();
            if let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|kind| kind == "wit")) {
                fs::copy(&path, gate.join(name))?;
            }
        }
        // Node looks for packages beside the script that imports them.
        let tool = npm.join("componentize.js");
        fs::copy(source.join("componentize.js"), &tool)?;
        let mut node = Command::new("node");
        node.arg(tool).arg(source.join("guest.js")).arg(made.join("wit")).arg(workspace.target("compare/script.wasm"));
        step("make a component of a script", &mut node)
    })
}
