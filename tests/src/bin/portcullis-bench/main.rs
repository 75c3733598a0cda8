//! Measures rows of `docs/performance.md`: ours, the bare minimum that does the same work, and another product.
//!
//! `cargo xtask bench` builds it with optimisation and runs it. Every result is checked where it is measured.

#![forbid(unsafe_code)]

mod bare;
mod calls;
mod first;
mod grants;
mod growth;
mod held;
mod others;
mod parts;
mod plot;
mod resource;
mod seal;
mod shop;
mod stages;
mod start;

use anyhow::{Context as _, Result, bail};
use others::Others;
use portcullis_load::duel::Pace;
use portcullis_load::report::Report;
use portcullis_load::rows::{self, Setting};
use portcullis_tests::checkout;
use resource::Specimen;
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
    /// For curves.
    figures: PathBuf,
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

/// Whether everything was measured and, if that was asked, every target was met.
fn run(arguments: impl Iterator<Item = String>) -> Result<bool> {
    let Arguments { json, figures, only, check, quick } = Arguments::read(arguments)?;
    let wanted = |id: &str| only.as_deref().is_none_or(|only| only == id);
    let steps: Vec<&Step> = STEPS.iter().filter(|step| wanted(step.id)).collect();
    let of_the_server: Vec<&rows::Step> = rows::STEPS.iter().filter(|step| wanted(step.id)).collect();
    if steps.is_empty() && of_the_server.is_empty() {
        let mut ids: Vec<&str> = STEPS.iter().map(|step| step.id).collect();
        ids.extend(rows::STEPS.iter().map(|step| step.id));
        ids.dedup();
        bail!("no such row; there are {}", ids.join(", "));
    }
    let folder = checkout::root().join("target/bench");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).context("cannot make target/bench")?;
    let bench = Bench {
        tokio: Builder::new_current_thread().enable_all().build()?,
        specimen: Specimen::new()?,
        others: if quick { Others::none() } else { Others::measure()? },
        pace: if quick { Pace::QUICK } else { Pace::FULL },
        quick,
        figures: figures.unwrap_or_else(|| folder.clone()),
        folder,
    };
    if bench.others.is_empty() && !quick {
        println!("Other products are left out: `cargo xtask bench --compare` builds what measures them.\n");
    }
    let mut report = Report::new(json);
    for step in steps {
        if let Err(error) = (step.measure)(&bench, &mut report) {
            report.fail(step.id, &error);
        }
    }
    let setting = Setting { folder: bench.folder.clone(), quick };
    for step in of_the_server {
        if let Err(error) = (step.measure)(&setting, &mut |rows| report.add(rows)) {
            report.fail(step.id, &error);
        }
    }
    Ok(report.end() && (report.all_met() || !check))
}

/// Something that is measured by itself: it returns rows, or draws curves.
struct Step {
    id: &'static str,
    measure: fn(&Bench, &mut Report) -> Result<()>,
}

/// In this order.
const STEPS: &[Step] = &[
    Step { id: "P1", measure: |bench, report| report.add(calls::warm(bench)?) },
    Step { id: "P2", measure: |bench, report| report.add(calls::fresh(bench)?) },
    Step { id: "P4", measure: |bench, report| report.add(first::start(bench)?) },
    Step { id: "P5", measure: |bench, report| report.add(parts::unseal(bench)?) },
    Step { id: "P9", measure: |bench, report| report.add(seal::seal(bench)?) },
    Step { id: "P10", measure: |bench, report| report.add(calls::gate(bench)?) },
    Step { id: "P12", measure: |bench, report| report.add(grants::verify(bench)?) },
    Step { id: "P3", measure: processes },
    Step { id: "growth", measure: |bench, _| draw(bench, "size.svg", growth::sizes) },
    Step { id: "growth", measure: |bench, _| draw(bench, "installed.svg", growth::installed) },
];

fn processes(bench: &Bench, report: &mut Report) -> Result<()> {
    if checkout::program("portcullis-bare").is_err() {
        println!("P3 is left out: `portcullis-bare` is built by `cargo xtask bench`");
        return Ok(());
    }
    let (rows, stages) = start::processes(bench)?;
    report.add(rows)?;
    println!();
    stages.iter().for_each(stages::Stages::print);
    Ok(())
}

fn draw(bench: &Bench, file: &str, curves: fn(&Bench) -> Result<plot::Plot>) -> Result<()> {
    let plot = curves(bench).with_context(|| format!("the curves of {file}"))?;
    plot.print();
    fs::create_dir_all(&bench.figures)?;
    plot.write(&bench.figures.join(file))
}
