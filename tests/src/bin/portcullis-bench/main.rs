//! Measures rows of `docs/performance.md`: ours, the bare minimum that does the same work, and another product.
//!
//! `cargo xtask bench` builds it with optimisation and runs it. Every result is checked where it is measured.

#![forbid(unsafe_code)]

mod bare;
mod calls;
mod duel;
mod grants;
mod others;
mod resource;
mod row;

use anyhow::{Context as _, Result, bail};
use others::Others;
use resource::Specimen;
use row::Row;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::runtime::Builder;

/// What the user asked for.
#[derive(Default)]
struct Arguments {
    json: Option<PathBuf>,
    only: Option<String>,
    check: bool,
}

impl Arguments {
    fn read() -> Result<Self> {
        let mut read = Self::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => read.json = Some(arguments.next().context("--json needs a file")?.into()),
                "--only" => read.only = Some(arguments.next().context("--only needs a row, for example P1")?),
                "--check" => read.check = true,
                _ => bail!("usage: cargo xtask bench [--compare] [--only ROW] [--check] [--json FILE]"),
            }
        }
        Ok(read)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every target was met, where that was asked.
fn run() -> Result<bool> {
    let Arguments { json, only, check } = Arguments::read()?;
    let wanted = |id: &str| only.as_deref().is_none_or(|only| only == id);
    let tokio = Builder::new_current_thread().enable_all().build()?;
    let specimen = Specimen::new()?;
    let others = Others::measure()?;
    if others.is_empty() {
        println!("Extism and Biscuit are left out: `cargo xtask bench --compare` builds what measures them.\n");
    }
    let mut rows: Vec<Row> = Vec::new();
    if wanted("P1") {
        rows.extend(shown(calls::warm(&tokio, &specimen, &others)?));
    }
    if wanted("P2") {
        rows.extend(shown(calls::fresh(&tokio, &specimen, &others)?));
    }
    if wanted("P10") {
        rows.extend(shown(calls::gate(&tokio, &specimen)?));
    }
    if wanted("P12") {
        rows.extend(shown(grants::verify(&tokio, &specimen, &others)?));
    }
    if rows.is_empty() {
        bail!("no such row; there are P1, P2, P10 and P12");
    }
    if let Some(file) = json {
        fs::write(&file, serde_json::to_vec_pretty(&rows)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let missed: Vec<&str> = rows.iter().filter(|row| !row.met()).map(|row| row.id).collect();
    println!("\nbench: {} rows, {} missed a target {}", rows.len(), missed.len(), missed.join(", "));
    Ok(missed.is_empty() || !check)
}

fn shown(rows: Vec<Row>) -> Vec<Row> {
    rows.iter().for_each(Row::print);
    rows
}
