//! One step of a verb: announced, timed, stopped at the first failure.

use std::process::Command;
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
