//! P1 and P2: what a call costs under a held grant, in a warm instance and in a new one; P10: what of it is the gate.

use crate::Bench;
use crate::bare::{Bare, Live};
use crate::resource::{ADD, ECHO, OPERATION};
use anyhow::{Result, ensure};
use portcullis_host::{Pool, Typed};
use portcullis_load::duel::{allocations, duel};
use portcullis_load::row::{Row, Targets};
use portcullis_protocol::limits::MAX_QUANTITY;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that `echo` gets and gives.
const ECHOED: usize = 4096;
/// Stores of the pools. One at a time is in use.
const POOL: Pool = Pool { stores: 16 };

fn payload() -> &'static [u8] {
    let bytes: Vec<u8> = (0..ECHOED).map(|n| (n * 31) as u8).collect();
    bytes.leak()
}

/// P1.
pub(crate) fn warm(bench: &Bench) -> Result<Vec<Row>> {
    let (tokio, specimen) = (&bench.tokio, &bench.specimen);
    let mut authorised = tokio.block_on(specimen.load(None, None)?.authorize(OPERATION))?;
    let bare = Bare::new(&specimen.body, None)?;
    let mut live = tokio.block_on(bare.instantiate())?;
    let targets = Targets { bare: Some(1.02), other: Some(0.04), allocations: Some(0.0), ..Targets::default() };

    let payload = payload();
    let mut own = authorised.typed::<(&'static [u8],), (Vec<u8>,)>(ECHO)?;
    let mut ours = |repetitions| {
        tokio.block_on(async {
            for _ in 0..repetitions {
                let (echoed,) = own.call((payload,)).await?;
                ensure!(echoed == payload, "echo gave something else");
            }
            Ok(())
        })
    };
    let function = bare.echo(&mut live)?;
    let mut floor = |repetitions| {
        tokio.block_on(async {
            for _ in 0..repetitions {
                let (echoed,) = live.call(&function, (payload,)).await?;
                ensure!(echoed == payload, "echo gave something else");
            }
            Ok(())
        })
    };
    let [taken, least] = duel(bench.pace, [&mut ours, &mut floor])?;
    let more = allocations(&mut ours)? - allocations(&mut floor)?;
    let echo = Row::new("P1", "a warm call under a held grant: 4 KB echo", &taken, &least, targets)
        .allocating(more)
        .against("Extism", bench.others.get("P1"));

    let what = "the same with the smallest export: adds two numbers";
    let add = added(bench, "P1 add", what, authorised.typed(ADD)?, (&bare, &mut live), targets)?;
    let what = "the smallest export, for a caller who keeps all others out (`typed_mut`)";
    let alone = added(bench, "P1 add alone", what, authorised.typed_mut(ADD)?, (&bare, &mut live), targets)?;
    Ok(vec![echo, add, alone])
}

/// A warm call of `add`.
fn added(
    bench: &Bench,
    id: &'static str,
    what: &'static str,
    mut own: Typed<'_, (u32, u32), (u32,)>,
    (bare, live): (&Bare, &mut Live),
    targets: Targets,
) -> Result<Row> {
    let tokio = &bench.tokio;
    let mut ours = |repetitions| {
        tokio.block_on(async {
            for n in 0..repetitions {
                ensure!(own.call((n, 3)).await? == (n.wrapping_add(3),), "add gave something else");
            }
            Ok(())
        })
    };
    let function = bare.add(live)?;
    let mut floor = |repetitions| {
        tokio.block_on(async {
            for n in 0..repetitions {
                ensure!(live.call(&function, (n, 3)).await? == (n.wrapping_add(3),), "add gave something else");
            }
            Ok(())
        })
    };
    let [taken, least] = duel(bench.pace, [&mut ours, &mut floor])?;
    let more = allocations(&mut ours)? - allocations(&mut floor)?;
    Ok(Row::new(id, what, &taken, &least, targets).allocating(more))
}

/// P2.
pub(crate) fn fresh(bench: &Bench) -> Result<Vec<Row>> {
    let (tokio, specimen) = (&bench.tokio, &bench.specimen);
    let authorised = tokio.block_on(specimen.load(Some(POOL), None)?.authorize(OPERATION))?;
    let bare = Bare::new(&specimen.body, Some(POOL))?;
    let payload = payload();
    let mut own = authorised.typed::<(&'static [u8],), (Vec<u8>,)>(ECHO)?;
    let mut ours = |repetitions| {
        tokio.block_on(async {
            for _ in 0..repetitions {
                let (echoed,) = own.call((payload,)).await?;
                ensure!(echoed == payload, "echo gave something else");
                authorised.reset().await;
            }
            Ok(())
        })
    };
    let mut floor = |repetitions| {
        tokio.block_on(async {
            for _ in 0..repetitions {
                let mut live = bare.instantiate().await?;
                let function = bare.echo(&mut live)?;
                let (echoed,) = live.call(&function, (payload,)).await?;
                ensure!(echoed == payload, "echo gave something else");
            }
            Ok(())
        })
    };
    let [taken, least] = duel(bench.pace, [&mut ours, &mut floor])?;
    let more = allocations(&mut ours)? - allocations(&mut floor)?;
    let targets = Targets { bare: Some(1.05), other: Some(0.05), ..Targets::default() };
    let row = Row::new("P2", "a new instance from a pool, its first call, its end", &taken, &least, targets);
    Ok(vec![row.allocating(more).against("Extism", bench.others.get("P2"))])
}

/// P10.
pub(crate) fn gate(bench: &Bench) -> Result<Vec<Row>> {
    let (tokio, specimen) = (&bench.tokio, &bench.specimen);
    const ROWS: [(&str, &str, Option<u32>); 2] = [
        ("P10", "the gate alone, under a grant bounded by time", None),
        ("P10 counted", "the gate alone, under a grant that counts uses", Some(MAX_QUANTITY)),
    ];
    let targets = Targets { ours: Some(500.0), allocations: Some(0.0), ..Targets::default() };
    let mut rows = Vec::with_capacity(ROWS.len());
    for (id, what, uses) in ROWS {
        let resource = specimen.load(None, uses)?;
        let mut authorised = tokio.block_on(resource.authorize(OPERATION))?;
        let mut left = uses;
        let mut ours = |repetitions| {
            let mut passes = repetitions;
            while passes > 0 {
                // A grant counts to a million. One batch in twenty begins a new one, which the 10th percentile leaves
                // out.
                if left == Some(0) {
                    authorised = tokio.block_on(resource.authorize(OPERATION))?;
                    left = uses;
                }
                let now = left.map_or(passes, |left| left.min(passes));
                for _ in 0..now {
                    black_box(&authorised).pass()?;
                }
                left = left.map(|left| left - now);
                passes -= now;
            }
            Ok(())
        };
        let end = AtomicU64::new(2);
        let mut floor = |repetitions| {
            for now in 0..repetitions {
                ensure!(black_box(u64::from(now & 1)) < black_box(&end).load(Ordering::Relaxed), "it has ended");
            }
            Ok(())
        };
        let [taken, least] = duel(bench.pace, [&mut ours, &mut floor])?;
        let more = allocations(&mut ours)? - allocations(&mut floor)?;
        rows.push(Row::new(id, what, &taken, &least, targets).allocating(more));
    }
    Ok(rows)
}
