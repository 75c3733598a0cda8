//! The worst bodies that are accepted: what they take to be read and to be compiled. Each is weighed in a process of
//! its own, by `portcullis-weigh`. The bounds on what a body consists of (`protocol/src/limits.rs`) stand on these
//! figures.

use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::Heavy;
use portcullis_tests::checkout;
use serde::Deserialize;
use std::process::Command;

/// Memory that opening the worst body takes on a host, in MiB.
const HOST_MIB: u64 = 1_024;
/// Memory that reading it takes at a store, in MiB.
const STORE_MIB: u64 = 400;
/// Seconds that opening the worst body takes on two cores that have nothing else to do, several times over: a machine
/// that runs tests has other things to do.
const SECONDS: f64 = 240.0;

#[derive(Debug, Deserialize)]
struct Weight {
    bytes: u64,
    seconds: f64,
    peak_mib: u64,
    before_mib: u64,
    outcome: String,
}

fn weigh(how: &str, kind: Heavy, n: usize) -> Result<Weight> {
    let output =
        Command::new(checkout::program("portcullis-weigh")?).args([how, &kind.name(), &n.to_string()]).output()?;
    ensure!(output.status.success(), "{kind:?} {n}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("it prints JSON")
}

/// Weighs bodies at their bounds, which have to be accepted, by a store and by a host.
fn within(bodies: &[(Heavy, usize)]) -> Result<()> {
    for (kind, n) in bodies {
        for (how, mib) in [("read", STORE_MIB), ("host", HOST_MIB)] {
            let weight = weigh(how, *kind, *n)?;
            let took = weight.peak_mib.saturating_sub(weight.before_mib);
            println!("{how} {kind:?} {n}: {} bytes, {took} MiB, {:.1} s", weight.bytes, weight.seconds);
            ensure!(weight.outcome == "ok", "{how} {kind:?} {n}: {}", weight.outcome);
            ensure!(took <= mib, "{how} {kind:?} {n} took {took} MiB of {mib}");
            ensure!(weight.seconds <= SECONDS, "{how} {kind:?} {n} took {:.1} s", weight.seconds);
        }
    }
    Ok(())
}

#[test]
fn bodies_at_the_lighter_bounds_are_read_and_compiled_in_bounded_memory() -> Result<()> {
    within(&[(Heavy::EmptyModules, 255), (Heavy::Lifts, 110), (Heavy::Components, 14), (Heavy::Nested, 16)])
}

#[test]
#[ignore = "slow: cargo xtask test --all"]
fn bodies_at_the_heavier_bounds_are_read_and_compiled_in_bounded_memory() -> Result<()> {
    within(&[
        (Heavy::Types, 4_990),
        (Heavy::Globals, 20_000),
        (Heavy::Segments, 49_000),
        (Heavy::Elements, 199_000),
        (Heavy::Functions, 49_900),
        (Heavy::Modules, 49_000),
        (Heavy::Signatures, 4_990),
        (Heavy::Exports, 99_000),
        (Heavy::Code, 45_000),
        (Heavy::LongFunction, 430_000),
        (Heavy::Stack, 2_700),
        (Heavy::Values, 100),
        (Heavy::Indirect, 5_000),
        (Heavy::Flow, 2_700),
        (Heavy::Nesting, 9_990),
        (Heavy::Targets, 65_500),
        (Heavy::Adapters, 1_000),
    ])
}

/// What the bounds are against: without them, less than four megabytes take more than any accepted body may.
#[test]
#[ignore = "slow: cargo xtask test --all"]
fn a_body_beyond_the_bounds_would_take_more() -> Result<()> {
    let weight = weigh("bare", Heavy::Functions, 400_000)?;
    let took = weight.peak_mib.saturating_sub(weight.before_mib);
    ensure!(weight.outcome == "ok" && weight.bytes < 4_000_000 && took > HOST_MIB, "{weight:?}");
    let refused = weigh("host", Heavy::Functions, 400_000)?;
    ensure!(refused.outcome.contains("400000 functions") && refused.outcome.contains("50000"), "{refused:?}");
    ensure!(refused.peak_mib.saturating_sub(refused.before_mib) < STORE_MIB, "{refused:?}");
    Ok(())
}
