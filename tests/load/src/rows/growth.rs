//! P7: what a cycle costs however much there is.

use super::{Setting, Sink, figures};
use crate::crowd;
use crate::drive::{Kind, Outcome};
use crate::duel::Series;
use crate::row::{Row, Targets};
use crate::shop::Shop;
use anyhow::Result;

/// At most so many times the smallest.
const MOST: f64 = 1.10;
/// Entitlements, each of an account of its own. The first is the smallest.
const ENTITLEMENTS: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// As many as a server of years has; only if the folder has room for 8 GB and somebody waits for it.
const LARGEST: u64 = 10_000_000;
const RESOURCES: u64 = 10_000;
const TERMINALS: [usize; 4] = [16, 64, 256, 1000];
/// How long a start may take, in nanoseconds.
const START: f64 = 50e6;

pub(super) fn measure(setting: &Setting, sink: Sink<'_>) -> Result<()> {
    let most = setting.few(1000);
    let mut small = setting.shop("p7-small", most)?;
    let mut large = setting.shop("p7-large", setting.few(64))?;
    small.stop()?;
    crowd::entitlements(&small.database(), if setting.quick { 10 } else { ENTITLEMENTS[0] })?;
    small.start()?;
    let asked = std::env::var_os("PORTCULLIS_BENCH_LARGEST").is_some();
    let sizes = ENTITLEMENTS[1..].iter().copied().chain(asked.then_some(LARGEST));
    let sizes: Vec<u64> = if setting.quick { vec![100] } else { sizes.collect() };
    for size in sizes.iter().copied() {
        large.stop()?;
        crowd::entitlements(&large.database(), size)?;
        large.start()?;
        sink(vec![pair(setting, (&large, 64), (&small, 64), &format!("P7 {size}"), &format!("{size} entitlements"))?])?;
    }
    sink(vec![starts(setting, (&mut large, sizes.last().copied().unwrap_or_default()), &mut small)?])?;
    large.stop()?;
    let mut wide = setting.shop("p7-wide", setting.few(64))?;
    wide.stop()?;
    crowd::resources(&wide.database(), if setting.quick { 20 } else { RESOURCES })?;
    wide.start()?;
    sink(vec![pair(setting, (&wide, 64), (&small, 64), "P7 resources", "10,000 resources")?])?;
    for terminals in TERMINALS.into_iter().take(if setting.quick { 1 } else { TERMINALS.len() }) {
        let (id, what) = (format!("P7 {terminals} terminals"), format!("{terminals} terminals beside one"));
        sink(vec![pair(setting, (&small, terminals), (&small, 1), &id, &what)?])?;
    }
    Ok(())
}

/// Processor time of a cycle there and here, in turn.
fn pair(
    setting: &Setting,
    (large, many): (&Shop, usize),
    (small, few): (&Shop, usize),
    id: &str,
    what: &str,
) -> Result<Row> {
    let (mut there, mut here): (Vec<Outcome>, Vec<Outcome>) = (Vec::new(), Vec::new());
    for _ in 0..setting.rounds() {
        here.push(setting.drive(small, Kind::Cycle, few)?);
        there.push(setting.drive(large, Kind::Cycle, many)?);
    }
    let cpu = |outcomes: &[Outcome]| figures(outcomes, |outcome| outcome.cpu);
    let targets = Targets { bare: Some(MOST), ..Targets::default() };
    let what = format!("processor time of a cycle, {what}");
    Ok(Row::new(id.to_owned(), what, &cpu(&there), &cpu(&here), targets))
}

/// How long the server takes to listen.
fn starts(setting: &Setting, (large, size): (&mut Shop, u64), small: &mut Shop) -> Result<Row> {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..2 * setting.rounds() {
        for (shop, times) in [&mut *large, &mut *small].into_iter().zip(&mut times) {
            shop.stop()?;
            times.push(shop.start()?.as_nanos() as f64);
        }
    }
    let [there, here] = times.map(|times| Series::of(&times));
    let targets = Targets { ours: Some(START), ..Targets::default() };
    Ok(Row::new("P7 start", format!("a start with {size} accounts, beside one with few"), &there, &here, targets))
}
