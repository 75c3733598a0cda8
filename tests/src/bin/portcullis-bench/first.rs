//! P4: the first start, in the process: from a sealed file to code. The bare minimum compiles the same bytes.

use crate::Bench;
use crate::resource::{ADD, ECHO, OPERATION, Specimen, granted};
use anyhow::{Result, anyhow, ensure};
use portcullis_host::{Limits, engine_config};
use portcullis_load::duel::duel;
use portcullis_load::row::{Row, Targets};
use portcullis_protocol::seal::body;
use portcullis_tests::checkout;
use std::fs;
use std::hint::black_box;
use wasmtime::Engine;
use wasmtime::component::Component;

/// An export of the software resource of the examples.
const RESIZE: &str = "pixelforge:resize/images@1.0.0#resize";

/// P4.
pub(crate) fn start(bench: &Bench) -> Result<Vec<Row>> {
    let targets = Targets { bare: Some(1.10), ..Targets::default() };
    let small = Targets { other: Some(0.2), ..Targets::default() };
    let mut rows = Vec::new();
    let extism = bench.others.get("P4");
    rows.push(
        row(bench, "P4 small", "the smallest guest, first start", &bench.specimen, small)?.against("Extism", extism),
    );
    if bench.quick {
        return Ok(rows);
    }
    let software = Specimen::of(body(&fs::read(checkout::guest("pixelforge-resize")?)?)?, &[RESIZE])?;
    rows.insert(0, row(bench, "P4", "first start of software of 1 MB: verify, unseal, compile", &software, targets)?);
    if let Some(script) = bench.others.script() {
        let script = Specimen::of(fs::read(script)?, &[ADD, ECHO])?;
        rows.push(row(bench, "P4 script", "the same of a JavaScript component of 12 MB", &script, targets)?);
    }
    Ok(rows)
}

fn row(bench: &Bench, id: &'static str, what: &'static str, specimen: &Specimen, targets: Targets) -> Result<Row> {
    let runtime = granted(specimen.key()?, None)?.build()?;
    let file: std::sync::Arc<[u8]> = specimen.file.clone().into();
    let mut ours = |repetitions| {
        for _ in 0..repetitions {
            let resource = runtime.load(portcullis_host::Source::Bytes(file.clone()))?;
            let authorised = bench.tokio.block_on(resource.authorize(OPERATION))?;
            ensure!(authorised.exports().next().is_some(), "nothing can be called");
        }
        Ok(())
    };
    let engine = Engine::new(&engine_config(&Limits::default(), None)).map_err(failed)?;
    let mut bare = |repetitions| {
        for _ in 0..repetitions {
            black_box(Component::from_binary(&engine, black_box(&specimen.body)).map_err(failed)?);
        }
        Ok(())
    };
    let [taken, least] = duel(bench.pace, [&mut ours, &mut bare])?;
    Ok(Row::new(id, what, &taken, &least, targets))
}

fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("the bare engine: {error:#}")
}
