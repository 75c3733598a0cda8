//! The least that starts a component: reads code compiled beforehand, links WASI, calls one export, prints what it
//! gives.
//!
//! `portcullis-bench` starts it as the bare minimum beside `portcullis run`: the same engine configuration, nothing to
//! verify, nothing to open and nobody to ask. With `--stages` it prints when each step ended instead.

use anyhow::{Context as _, Result, anyhow};
use portcullis_host::{Limits, engine_config};
use rustix::time::{ClockId, clock_gettime};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

const USAGE: &str = "usage: portcullis-bare COMPILED INTERFACE FUNCTION [--stages]";

struct State {
    table: ResourceTable,
    wasi: WasiCtx,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

fn main() -> Result<()> {
    let mut stages = vec![("spawn", now())];
    let mut ended = |stage| stages.push((stage, now()));
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context(USAGE);
    let (file, interface, function) = (next()?, next()?, next()?);
    let engine = Engine::new(&engine_config(&Limits::default(), None)).map_err(failed)?;
    ended("engine");
    #[expect(unsafe_code, reason = "what is measured is a program that trusts its compiled code")]
    // SAFETY: `portcullis-bench` compiled the file a moment before.
    let component = unsafe { Component::deserialize_file(&engine, file) }.map_err(failed)?;
    ended("code");
    let mut linker = Linker::<State>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).map_err(failed)?;
    linker.define_unknown_imports_as_traps(&component).map_err(failed)?;
    ended("linker");
    let state = State { table: ResourceTable::new(), wasi: WasiCtxBuilder::new().build() };
    let mut store = Store::new(&engine, state);
    store.set_epoch_deadline(1);
    let instance = linker.instantiate(&mut store, &component).map_err(failed)?;
    ended("instance");
    let interface = component.get_export_index(None, &interface).context("no such interface")?;
    let function = component.get_export_index(Some(&interface), &function).context("no such function")?;
    let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, function).map_err(failed)?;
    let (sum,) = add.call(&mut store, (2, 3)).map_err(failed)?;
    ended("call");
    if arguments.next().as_deref() == Some("--stages") {
        println!("{}", serde_json::to_string(&stages)?);
    } else {
        println!("{sum}");
    }
    Ok(())
}

/// Nanoseconds on the clock that all processes share.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("the bare engine: {error:#}")
}
