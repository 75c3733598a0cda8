//! What a body costs: how long it takes to be compiled, and how much memory its process took for that.
//!
//! ```text
//! portcullis-weigh count FILE         what a component consists of, by the counters that bound it
//! portcullis-weigh host KIND N        a heavy body, as a host opens it: counted, checked, compiled, instantiated
//! portcullis-weigh read KIND N        the same, as a store reads it: counted, its surface, validated
//! portcullis-weigh bare KIND N        the same, compiled by the engine alone, without any bound
//! portcullis-weigh text FILE          a component in text form, compiled by the engine alone
//! ```
//!
//! Tests start it: a process of its own has a peak of its own.

use anyhow::{Context as _, Result, anyhow, bail};
use portcullis_fixtures::{Bench, Fixture, Heavy};
use portcullis_host::{Limits, engine_config};
use portcullis_protocol::census::{self, Census, Counted};
use portcullis_protocol::surface::Surface;
use std::time::Instant;
use wasmtime::Engine;
use wasmtime::component::Component;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["count", file] => count(&std::fs::read(file)?),
        ["text", file] => weigh("bare", wat::parse_file(file)?),
        [how @ ("host" | "read" | "bare"), kind, n] => {
            let known = Heavy::ALL.into_iter().find(|known| known.name() == *kind);
            let known = known.with_context(|| format!("no such kind; there are {:?}", Heavy::ALL))?;
            weigh(how, known.body(n.parse()?))
        }
        _ => bail!("usage: portcullis-weigh count FILE | host KIND N | read KIND N | bare KIND N | text FILE"),
    }
}

fn count(component: &[u8]) -> Result<()> {
    let begun = Instant::now();
    let census = Census::of(component)?;
    let took = begun.elapsed();
    for what in Counted::ALL {
        println!("{:>12} of {:>12} {what}", census.count(what), what.most());
    }
    println!("{:?}\ncounted in {took:?}", census.needs());
    Ok(())
}

fn weigh(how: &str, body: Vec<u8>) -> Result<()> {
    // What the text took to be read is not what is measured.
    let before = peak()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let specimen = (how == "host").then(|| Fixture::single(&Heavy::Instances.body(1), &["add"]).with_body(&body));
    let begun = Instant::now();
    let outcome = match specimen {
        Some(sealed) => runtime.block_on(open(&sealed)),
        None if how == "read" => read(&body),
        None => Engine::new(&engine_config(&Limits::default(), None))
            .and_then(|engine| Component::from_binary(&engine, &body).map(drop))
            .map_err(|error| anyhow!("{error:#}")),
    };
    let seconds = begun.elapsed().as_secs_f64();
    let outcome = outcome.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
    let report = serde_json::json!({
        "bytes": body.len(), "seconds": seconds, "peak_mib": peak()? / 1024, "before_mib": before / 1024, "outcome": outcome,
    });
    println!("{report}");
    Ok(())
}

async fn open(sealed: &Fixture) -> Result<()> {
    let bench = Bench::of(sealed, |builder| builder);
    let authorised = bench.resource.authorize("view").await?;
    let (sum,) = authorised.call_typed::<(u32, u32), (u32,)>("add", (2, 3)).await?;
    if sum == 5 { Ok(()) } else { bail!("the body computes wrongly") }
}

fn read(body: &[u8]) -> Result<()> {
    let census = Census::of(body)?;
    Surface::of_counted(body, &census)?;
    Ok(census::validate(body)?)
}

/// The most memory that this process ever held, in KiB.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
