//! Measures what other products take for rows of `docs/performance.md`: one JSON line per row, in nanoseconds.
//!
//! `cargo xtask bench --compare` builds it and merges what it prints.

#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use biscuit_auth::{Biscuit, KeyPair};
use extism::{Manifest, Plugin, PluginBuilder, Wasm};
use serde_json::json;
use std::hint::black_box;
use std::io::Read as _;
use std::iter;
use std::time::{Duration, Instant};

/// As in the benchmarks of the workspace.
const BATCH: Duration = Duration::from_micros(150);
const BATCHES: usize = 3000;
/// What takes longer than a batch has fewer of them.
const MOST: Duration = Duration::from_secs(10);
/// Bytes of a part, with its row.
const PARTS: [(usize, &str); 5] = [
    (1 << 10, "P5 1 KiB"),
    (32 << 10, "P5 32 KiB"),
    (1 << 20, "P5 1 MiB"),
    (10 << 20, "P5 10 MiB"),
    (100 << 20, "P5"),
];

fn main() -> Result<()> {
    let payload: Vec<u8> = (0..4096_usize).map(|n| (n * 31) as u8).collect();
    let plugin_bytes = wat::parse_str(include_str!("echo.wat"))?;
    let manifest = Manifest::new([Wasm::data(plugin_bytes.clone())]);
    let compiled = PluginBuilder::new(manifest).with_wasi(false).compile()?;

    let mut plugin = Plugin::new_from_compiled(&compiled)?;
    row("P1", "Extism: warm echo of 4 KB", || {
        let echoed = plugin.call::<&[u8], &[u8]>("echo", &payload)?;
        ensure!(echoed == payload, "echo gave something else");
        Ok(())
    })?;

    row("P2", "Extism: from compiled, and one echo of 4 KB", || {
        let mut plugin = Plugin::new_from_compiled(&compiled)?;
        let echoed = plugin.call::<&[u8], &[u8]>("echo", &payload)?;
        ensure!(echoed == payload, "echo gave something else");
        Ok(())
    })?;

    row("P4", "Extism: compile the plug-in, without its cache", || {
        let manifest = Manifest::new([Wasm::data(plugin_bytes.clone())]);
        black_box(PluginBuilder::new(manifest).with_wasi(false).with_cache_disabled().compile()?);
        Ok(())
    })?;

    let root = KeyPair::new();
    let token = Biscuit::builder()
        .fact(
            r#"grant("https://store.example", "bench", "guest", "1.0.0", "view", "main", 1800000000, 1800003600, 300)"#,
        )?
        .build(&root)?
        .to_vec()?;
    // Reading and the signature alone: no authoriser runs, which would add to it.
    row("P12 biscuit", "Biscuit: read and verify, one block", || {
        let read = Biscuit::from(black_box(&token), root.public())?;
        ensure!(read.block_count() == 1, "another token");
        Ok(())
    })?;

    // The whole file is in memory, and its key is unwrapped with the rest.
    let identity = age::x25519::Identity::generate();
    for (size, id) in PARTS {
        let plain: Vec<u8> = (0..size).map(|n| (n * 31) as u8).collect();
        let file = age::encrypt(&identity.to_public(), &plain)?;
        let mut opened = vec![0; size];
        row(id, "age: open a file", || {
            let reader = age::Decryptor::new(&file[..])?;
            reader.decrypt(iter::once(&identity as &dyn age::Identity))?.read_exact(&mut opened)?;
            ensure!(opened.last() == plain.last(), "age gave something else");
            Ok(())
        })?;
        ensure!(opened == plain, "age did not give every byte");
    }
    Ok(())
}

/// Prints the 10th percentile of batches of `work`.
fn row(id: &str, what: &str, mut work: impl FnMut() -> Result<()>) -> Result<()> {
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
