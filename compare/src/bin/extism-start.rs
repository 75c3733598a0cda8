//! A process that starts an Extism plug-in with its cache: `extism-start PLUGIN CACHE TEXT` prints what `echo` gives.

#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use extism::{Manifest, PluginBuilder, Wasm};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("usage: extism-start PLUGIN CACHE TEXT");
    let (plugin, cache, text) = (next()?, next()?, next()?);
    let manifest = Manifest::new([Wasm::data(std::fs::read(plugin)?)]);
    let mut plugin = PluginBuilder::new(manifest).with_wasi(false).with_cache_config(cache).build()?;
    // The plug-in copies eight bytes at a time.
    println!("{}", plugin.call::<&str, &str>("echo", &format!("{text:<8}"))?);
    Ok(())
}
