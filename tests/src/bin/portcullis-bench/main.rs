//! Measures rows of `docs/performance.md`: ours, the bare minimum that does the same work, and another product.
//!
//! `cargo xtask bench` builds it with optimisation and runs it. Every result is checked where it is measured.

#![forbid(unsafe_code)]

mod bare;
mod calls;
mod duel;
mod first;
mod grants;
mod growth;
mod held;
mod others;
mod parts;
mod plot;
mod resource;
mod row;
mod seal;
mod shop;
mod stages;
mod start;

use anyhow::{Context as _, Result, bail};
use duel::Pace;
use others::Others;
use portcullis_tests::checkout;
use resource::Specimen;
use row::Row;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

const USAGE: &str =
    "usage: cargo xtask bench [--compare] [--only ROW] [--quick] [--check] [--json FILE] [--figures FOLDER]";

/// What the user asked for.
#[derive(Default)]
struct Arguments {
    json: Option<PathBuf>,
    figures: Option<PathBuf>,
    only: Option<String>,
    check: bool,
    quick: bool,
}

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut read = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => read.json = Some(arguments.next().context("--json needs a file")?.into()),
                "--figures" => read.figures = Some(arguments.next().context("--figures needs a folder")?.into()),
                "--only" => read.only = Some(arguments.next().context("--only needs a row, for example P1")?),
                "--check" => read.check = true,
                "--quick" => read.quick = true,
                _ => bail!(USAGE),
            }
        }
        Ok(read)
    }
}

/// What the rows are measured with.
struct Bench {
    tokio: Runtime,
    specimen: Specimen,
    others: Others,
    pace: Pace,
    /// Whether everything runs and gives what it should is all that is asked.
    quick: bool,
    /// For files.
    folder: PathBuf,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let outcome = if arguments.next_if(|verb| verb == "held").is_some() {
        held::start(arguments).map(|()| true)
    } else {
        run(arguments)
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every target was met, where that was asked.
fn run(arguments: impl Iterator<Item = String>) -> Result<bool> {
    let Arguments { json, figures, only, check, quick } = Arguments::read(arguments)?;
    let folder = checkout::root().join("target/bench");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).context("cannot make target/bench")?;
    let bench = Bench {
        tokio: Builder::new_current_thread().enable_all().build()?,
        specimen: Specimen::new()?,
        others: if quick { Others::none() } else { Others::measure()? },
        pace: if quick { Pace::QUICK } else { Pace::FULL },
        quick,
        folder,
    };
    if bench.others.is_empty() && !quick {
        println!("Other products are left out: `cargo xtask bench --compare` builds what measures them.\n");
    }
    let rows = measure(&bench, only.as_deref(), figures)?;
    if let Some(file) = json {
        fs::write(&file, serde_json::to_vec_pretty(&rows)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let missed: Vec<&str> = rows.iter().filter(|row| !row.met()).map(|row| &*row.id).collect();
    println!("\nbench: {} rows, {} missed a target: {}", rows.len(), missed.len(), missed.join("; "));
    Ok(missed.is_empty() || !check)
}

type Measure = fn(&Bench) -> Result<Vec<Row>>;

/// The rows that are measured in this process.
const ROWS: &[(&str, Measure)] = &[
    ("P1", calls::warm),
    ("P2", calls::fresh),
    ("P4", first::start),
    ("P5", parts::unseal),
    ("P9", seal::seal),
    ("P10", calls::gate),
    ("P12", grants::verify),
];

fn measure(bench: &Bench, only: Option<&str>, figures: Option<PathBuf>) -> Result<Vec<Row>> {
    let wanted = |id: &str| only.is_none_or(|only| only == id);
    let mut rows: Vec<Row> = Vec::new();
    let mut known = false;
    for (id, measure) in ROWS.iter().filter(|(id, _)| wanted(id)) {
        known = true;
        rows.extend(shown(measure(bench).with_context(|| format!("row {id}"))?));
    }
    if wanted("P3") && bench.quick && checkout::program("portcullis-bare").is_err() {
        println!("P3 is left out: `portcullis-bare` is built by `cargo xtask bench`");
    } else if wanted("P3") {
        known = true;
        let (measured, stages) = start::processes(bench).context("row P3")?;
        rows.extend(shown(measured));
        println!();
        stages.iter().for_each(stages::Stages::print);
    }
    let figures = figures.unwrap_or_else(|| bench.folder.clone());
    for (id, file, draw) in [
        ("growth", "size.svg", growth::sizes as fn(&Bench) -> Result<plot::Plot>),
        ("growth", "installed.svg", growth::installed),
    ] {
        if wanted(id) {
            known = true;
            let plot = draw(bench).with_context(|| format!("the curves of {file}"))?;
            plot.print();
            fs::create_dir_all(&figures)?;
            plot.write(&figures.join(file))?;
        }
    }
    if !known {
        let ids: Vec<&str> = ROWS.iter().map(|(id, _)| *id).collect();
        bail!("no such row; there are {}, P3 and growth", ids.join(", "));
    }
    Ok(rows)
}

fn shown(rows: Vec<Row>) -> Vec<Row> {
    rows.iter().for_each(Row::print);
    rows
}
