//! Assets that code makes: no large binary lies in the repository.
//!
//! An example whose folder holds a package `studio` has one. It is a program of one argument, a folder, into which it
//! writes the same bytes on every machine; `target/assets/EXAMPLE/` is that folder.

use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};

use crate::Workspace;
use crate::step::{cargo, line};

/// Builds the studio of an example, where it has one, and runs it, unless it has not changed since it last ran.
///
/// # Errors
/// If the studio does not build or does not end well.
pub(crate) fn make(workspace: &Workspace, example: &Path) -> Result<()> {
    let studio = example.join("studio");
    if !studio.join("Cargo.toml").is_file() {
        return Ok(());
    }
    let start = Instant::now();
    let name = example.file_name().context("an example lies in a folder of its own")?.to_string_lossy();
    println!("[assets] {name}");
    // The profile and the folder of the example's tests, which build the same.
    let target = workspace.target("guest-tests");
    let mut build = cargo();
    build.current_dir(&studio).args(["build", "--locked", "--target-dir"]).arg(&target);
    let status = build.status().context("cannot run cargo")?;
    ensure!(status.success(), "`{}` failed in {}", line(&build), workspace.display(&studio));

    let program = target.join("debug").join(format!("{}{}", package(&studio)?, std::env::consts::EXE_SUFFIX));
    let output = workspace.target("assets").join(&*name);
    // Written last: a run that was interrupted starts again.
    let stamp = output.join("made-by");
    let built = modified(&program).with_context(|| format!("cannot find {}", program.display()))?;
    let built = format!("{built:?}");
    if !fs::read_to_string(&stamp).is_ok_and(|by| by == built) {
        let _ = fs::remove_dir_all(&output);
        let mut run = std::process::Command::new(&program);
        let status = run.arg(&output).status().with_context(|| format!("cannot start {}", program.display()))?;
        ensure!(status.success(), "`{}` failed", line(&run));
        fs::write(&stamp, built).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    println!("      {}/ · {:.1} s", workspace.display(&output), start.elapsed().as_secs_f32());
    Ok(())
}

fn modified(file: &Path) -> Result<SystemTime> {
    Ok(fs::metadata(file)?.modified()?)
}

fn package(folder: &Path) -> Result<String> {
    let manifest = folder.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let name = text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    Ok(name.with_context(|| format!("{} has no line `name = \"…\"`", manifest.display()))?.to_owned())
}
