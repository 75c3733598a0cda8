//! Measures what other products take for rows of `docs/performance.md`: one JSON line per row, in nanoseconds.
//!
//! `cargo xtask bench --compare` builds it and merges what it prints.

#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use biscuit_auth::{Biscuit, KeyPair};
use extism::{Manifest, Plugin, PluginBuilder, Wasm};
use portcullis_compare_row::row;
use std::hint::black_box;

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
    })
}
