//! Tries every attack of `docs/threats.md`, each with the control that shows it would work.
//!
//! `cargo xtask attacks` builds what this needs and runs it.

#![forbid(unsafe_code)]

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result, bail};
use portcullis_tests::attacks::{Arena, Report, all};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// How often one code is verified at once.
const VERIFICATIONS: u32 = 10_000;
const NAME: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the user asked for.
struct Arguments {
    json: Option<PathBuf>,
    only: Option<String>,
}

impl Arguments {
    fn read() -> Result<Self> {
        let mut read = Self { json: None, only: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match (argument.as_str(), arguments.next()) {
                ("--json", Some(file)) => read.json = Some(PathBuf::from(file)),
                ("--only", Some(part_of_name)) => read.only = Some(part_of_name),
                _ => bail!("usage: cargo xtask attacks [--json FILE] [--only PART-OF-A-NAME]"),
            }
        }
        Ok(read)
    }
}

async fn run() -> Result<bool> {
    let Arguments { json, only } = Arguments::read()?;
    let mut attacks = all();
    attacks.retain(|attack| only.as_deref().is_none_or(|only| attack.name.contains(only)));
    let mut arena = Arena::new(VERIFICATIONS)?;
    let mut reports: Vec<Report> = Vec::with_capacity(attacks.len());
    for (index, attack) in attacks.iter().enumerate() {
        let report = attack.run(&mut arena).await;
        show(index + 1, &report);
        reports.push(report);
    }
    if let Some(file) = json {
        let text = serde_json::to_vec_pretty(&json!({ "attacks": reports }))?;
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let (tried, passed) = (reports.len(), reports.iter().filter(|report| report.control_passed).count());
    let succeeded = reports.iter().filter(|report| !report.attack_refused).count();
    println!("attacks: {tried} tried, {succeeded} succeeded, {passed} controls passed");
    Ok(tried > 0 && succeeded == 0 && passed == tried)
}

fn show(number: usize, report: &Report) {
    let Report { name, attack_refused, control_passed, detail, seconds, .. } = report;
    let refused = if *attack_refused { format!("{GOOD}refused{GOOD:#}") } else { format!("{BAD}SUCCEEDED{BAD:#}") };
    let control = if *control_passed { format!("{GOOD}passed{GOOD:#}") } else { format!("{BAD}FAILED{BAD:#}") };
    anstream::println!("{number:>3}. {NAME}{name}{NAME:#}: {refused}, control {control} {DIM}· {seconds:.2} s{DIM:#}");
    anstream::println!("     {DIM}{detail}{DIM:#}");
}
