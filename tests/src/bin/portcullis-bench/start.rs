//! P3: whole processes, second start: from a sealed file to the first result. And what each stage of it takes.

use crate::Bench;
use crate::held::now;
use crate::others::Others;
use crate::resource::{ADD, Specimen};
use crate::shop::Shop;
use crate::stages::Stages;
use anyhow::{Context as _, Result, anyhow, ensure};
use portcullis_host::{Limits, engine_config};
use portcullis_load::duel::{Contestant, duel_of};
use portcullis_load::row::{Row, Targets};
use portcullis_tests::checkout;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use wasmtime::Engine;

/// Starts that the stages are read from.
const STARTS: usize = 60;

/// P3.
pub(crate) fn processes(bench: &Bench) -> Result<(Vec<Row>, Vec<Stages>)> {
    let shop = bench.tokio.block_on(Shop::open(&bench.folder))?;
    let small = bench.specimen.body.clone();
    let mut bodies = vec![("small", small)];
    if let Some(script) = bench.others.script().filter(|_| !bench.quick) {
        bodies.push(("script", fs::read(script)?));
    }
    let (mut rows, mut stages) = (Vec::new(), Vec::new());
    for (name, body) in bodies {
        let start = Start::new(bench, &shop, name, body)?;
        rows.extend(start.measure(bench, &shop)?);
        stages.extend(start.stages(bench)?);
    }
    Ok((rows, stages))
}

/// One body, in the form that each contestant starts.
struct Start {
    name: &'static str,
    /// Sealed for the billing server, and bought.
    sold: PathBuf,
    /// Sealed for `key`.
    sealed: PathBuf,
    key: PathBuf,
    cache: PathBuf,
    /// Compiled for the bare engine.
    compiled: PathBuf,
    /// Compiled by wasmtime's own command, where that is installed.
    wasmtime: Option<PathBuf>,
}

impl Start {
    fn new(bench: &Bench, shop: &Shop, name: &'static str, body: Vec<u8>) -> Result<Self> {
        let path = |what: &str| bench.folder.join(format!("{name}.{what}"));
        let sold = shop.sell(name, &body)?;
        let engine = Engine::new(&engine_config(&Limits::default(), None)).map_err(failed)?;
        fs::write(path("compiled"), engine.precompile_component(&body).map_err(failed)?)?;
        let wasmtime = match bench.others.wasmtime() {
            Some(wasmtime) => {
                fs::write(path("body.wasm"), &body)?;
                let mut compile = Command::new(wasmtime);
                compile.arg("compile").arg(path("body.wasm")).arg("-o").arg(path("cwasm"));
                output(&mut compile)?;
                Some(path("cwasm"))
            }
            None => None,
        };
        let specimen = Specimen::of(body, &[ADD])?;
        fs::write(path("sealed.wasm"), &specimen.file)?;
        fs::write(path("key"), specimen.wrapped_key()?)?;
        let start = Self {
            name,
            sold,
            sealed: path("sealed.wasm"),
            key: path("key"),
            cache: path("cache"),
            compiled: path("compiled"),
            wasmtime,
        };
        // The first start compiles, and leaves its code in the cache.
        sum(&mut shop.run(&start.sold)?)?;
        sum(&mut start.held()?)?;
        Ok(start)
    }

    fn held(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("held").arg(&self.sealed).arg(&self.key).arg(&self.cache);
        Ok(command)
    }

    fn bare(&self) -> Result<Command> {
        let (interface, function) = ADD.split_once('#').context("an export of an interface")?;
        let mut command = Command::new(checkout::program("portcullis-bare")?);
        command.arg(&self.compiled).args([interface, function]);
        Ok(command)
    }

    fn wasmtime(&self, others: &Others) -> Option<Command> {
        let mut command = Command::new(others.wasmtime()?);
        command.args(["run", "--allow-precompiled", "-W", "unknown-imports-trap=y", "--invoke", "add(2, 3)"]);
        command.arg(self.wasmtime.as_ref()?);
        Some(command)
    }

    /// All of them in turn, each a process of its own.
    fn measure(&self, bench: &Bench, shop: &Shop) -> Result<Vec<Row>> {
        let mut commands = vec![self.held()?, shop.run(&self.sold)?, self.bare()?];
        let mut names = Vec::new();
        if let Some(command) = self.wasmtime(&bench.others) {
            commands.push(command);
            names.push("wasmtime run --allow-precompiled");
        }
        if let Some(command) = bench.others.extism(&bench.folder)?.filter(|_| self.name == "small") {
            commands.push(command);
            names.push("Extism");
        }
        let mut closures: Vec<_> = commands.iter_mut().map(repeated).collect();
        let mut contestants: Vec<Contestant<'_>> =
            closures.iter_mut().map(|closure| closure as Contestant<'_>).collect();
        let series = duel_of(bench.pace, &mut contestants)?;
        let [held, online, bare, others @ ..] = &series[..] else { return Err(anyhow!("a contestant is missing")) };
        let id = |what: &str| {
            let name = if self.name == "small" { String::new() } else { format!(" {}", self.name) };
            format!("P3{name} {what}")
        };
        let what = match self.name {
            "small" => "second start of a process, the smallest guest",
            _ => "second start of a process, a JavaScript component of 12 MB",
        };
        let row = |mode: &str, ours, most| {
            let targets = Targets { bare: Some(most), ..Targets::default() };
            Row::new(id(mode), format!("{what}, {mode}"), ours, bare, targets)
        };
        let mut rows = vec![row("held", held, 1.06), row("online", online, 1.30)];
        for (name, series) in names.into_iter().zip(others) {
            let most = if name == "Extism" { 0.5 } else { 0.85 };
            for (mode, ours) in [("held", held), ("online", online)] {
                let targets = Targets { other: Some(most), ..Targets::default() };
                let short = name.split(' ').next().unwrap_or(name);
                let beside = Row::new(id(&format!("{mode}, {short}")), format!("{what}, {mode}"), ours, bare, targets);
                rows.push(beside.against(name, Some(series.p10())));
            }
        }
        Ok(rows)
    }

    /// What each stage takes.
    fn stages(&self, bench: &Bench) -> Result<Vec<Stages>> {
        let starts = if bench.quick { 2 } else { STARTS };
        let read = |command: Result<Command>, what: &str| {
            let mut command = command?;
            command.arg("--stages");
            Stages::of(format!("{}, {what}", self.name), starts, || {
                let begun = now();
                let printed = output(&mut command)?;
                let ended: Vec<(String, u64)> = serde_json::from_slice(&printed).context("no stages were printed")?;
                Ok((begun, ended, now()))
            })
        };
        Ok(vec![read(self.held(), "held")?, read(self.bare(), "bare")?])
    }
}

/// A contestant that starts a command so many times.
fn repeated(command: &mut Command) -> impl FnMut(u32) -> Result<()> {
    |repetitions| {
        for _ in 0..repetitions {
            sum(command)?;
        }
        Ok(())
    }
}

/// Runs the command to its end; it has to print 5.
fn sum(command: &mut Command) -> Result<()> {
    let printed = String::from_utf8(output(command)?)?;
    ensure!(printed.split_whitespace().any(|word| word == "5"), "{command:?} printed {printed:?}");
    Ok(())
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("the bare engine: {error:#}")
}
