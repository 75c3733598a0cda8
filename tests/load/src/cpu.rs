//! The processor time of a process.

use anyhow::{Context as _, Result};
use std::fs;
use std::time::Duration;

/// Ticks per second in which Linux tells it (`getconf CLK_TCK`), on every architecture that it runs on today.
const TICKS: u64 = 100;
/// The least that can be told. Only a run that is too short to say anything uses less.
pub(crate) const LEAST: Duration = Duration::from_millis(1000 / TICKS);

/// What all threads of a process have used so far, those that ended too.
///
/// # Errors
/// If there is no such process.
pub(crate) fn used(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("the server is gone")?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')').context("no name in the process's status")?;
    let field = |at: usize| rest.split_ascii_whitespace().nth(at).and_then(|text| text.parse::<u64>().ok());
    let (user, system) = (field(11).context("no user time")?, field(12).context("no system time")?);
    Ok(Duration::from_millis((user + system) * 1000 / TICKS))
}
