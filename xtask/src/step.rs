//! One step of a verb: announced, timed, stopped at the first failure.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// What a verb is about to do, printed before the first step starts.
pub(crate) fn announce(title: &str, steps: &[(&str, &str)]) {
    println!("{title}\n");
    for (index, (what, how_long)) in steps.iter().enumerate() {
        println!("  {}. {what:<58} {how_long}", index + 1);
    }
    println!("\nTimes are for a first run on two cores; later runs reuse what is built.\n");
}

/// Runs a command with its output shown.
///
/// # Errors
/// If it cannot be started, or fails: with the command line, so that it can be repeated by hand.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    let start = Instant::now();
    run_last(what, command)?;
    println!("   {:.1} s", start.elapsed().as_secs_f32());
    Ok(())
}

/// The same, with nothing printed after the command's own last line.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_last(what: &str, command: &mut Command) -> Result<()> {
    println!("── {what}\n   {}", line(command));
    let status = command.status().with_context(|| format!("cannot start `{}`", line(command)))?;
    ensure!(status.success(), "{what}: `{}` failed ({status})", line(command));
    Ok(())
}

/// A step beside others: what it prints is shown when it is waited for.
pub(crate) struct Beside {
    what: &'static str,
    line: String,
    child: Child,
    output: PathBuf,
}

impl Beside {
    /// Starts a command. Its output goes to a file below `folder` meanwhile.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(what: &'static str, command: &mut Command, folder: &Path) -> Result<Self> {
        let line = line(command);
        println!("── {what}, meanwhile\n   {line}");
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let output = folder.join(format!("{}.log", what.replace(' ', "-")));
        let file = File::create(&output).with_context(|| format!("cannot write {}", output.display()))?;
        let both = file.try_clone().context("no second handle of a file")?;
        let child = command.stdin(Stdio::null()).stdout(file).stderr(both).spawn();
        let child = child.with_context(|| format!("cannot start `{line}`"))?;
        Ok(Self { what, line, child, output })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it failed: with the command line, so that it can be repeated by hand.
    pub(crate) fn finish(mut self) -> Result<()> {
        let start = Instant::now();
        let status = self.child.wait().with_context(|| format!("cannot wait for `{}`", self.line))?;
        print!("── {}, at its end\n{}", self.what, fs::read_to_string(&self.output).unwrap_or_default());
        ensure!(status.success(), "{}: `{}` failed ({status})", self.what, self.line);
        println!("   {:.1} s more", start.elapsed().as_secs_f32());
        Ok(())
    }
}

impl Drop for Beside {
    /// When another step has failed, nobody waits for this one.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command as a person types it.
pub(crate) fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
