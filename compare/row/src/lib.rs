//! One row per measure, as a line of JSON: the 10th percentile of batches, in nanoseconds.

#![forbid(unsafe_code)]

use anyhow::Result;
use serde_json::json;
use std::time::{Duration, Instant};

/// As in the benchmarks of the workspace.
const BATCH: Duration = Duration::from_micros(150);
const BATCHES: usize = 3000;
/// What takes longer than a batch has fewer of them.
const MOST: Duration = Duration::from_secs(10);

/// Prints the 10th percentile of batches of `work`.
pub fn row(id: &str, what: &str, mut work: impl FnMut() -> Result<()>) -> Result<()> {
    let mut repetitions = 1_u32;
    while time(&mut work, repetitions)? < BATCH {
        repetitions = repetitions.saturating_mul(2);
    }
    let mut batches = Vec::with_capacity(BATCHES);
    let begun = Instant::now();
    while batches.len() < BATCHES && begun.elapsed() < MOST {
        batches.push(time(&mut work, repetitions)?.as_nanos() as f64 / f64::from(repetitions));
    }
    batches.sort_by(f64::total_cmp);
    println!("{}", json!({ "id": id, "what": what, "other": batches[batches.len() / 10], "unit": "ns" }));
    Ok(())
}

fn time(work: &mut impl FnMut() -> Result<()>, repetitions: u32) -> Result<Duration> {
    let begun = Instant::now();
    for _ in 0..repetitions {
        work()?;
    }
    Ok(begun.elapsed())
}
