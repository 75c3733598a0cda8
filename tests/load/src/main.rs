//! `portcullis-load drive …`: puts load on a billing server and prints what came of it as JSON.
//! `portcullis-load rows`: measures the rows of `docs/performance.md` that need it, without what the others link.

#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, bail};
use portcullis_fixtures::checkout;
use portcullis_load::drive::{Load, drive};
use portcullis_load::report::Report;
use portcullis_load::rows::{STEPS, Setting};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

const USAGE: &str = "usage: portcullis-load drive --plan FILE --address ADDRESS --process PID --kind KIND --terminals N \
                     --warm MS --counted MS\n       portcullis-load rows [--only ROW] [--quick] [--check] [--json FILE]";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = match arguments.next().as_deref() {
        Some("drive") => driven(arguments).map(|()| true),
        Some("rows") => rows(arguments),
        _ => Err(anyhow::anyhow!(USAGE)),
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

fn driven(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut given = Vec::new();
    while let Some(name) = arguments.next() {
        given.push((name, arguments.next().context(USAGE)?));
    }
    let value = |name: &str| {
        let found = given.iter().find(|(given, _)| given.strip_prefix("--") == Some(name));
        found.map(|(_, value)| value.as_str()).with_context(|| format!("--{name} is missing\n{USAGE}"))
    };
    fn parsed<T: FromStr>(name: &str, value: Result<&str>) -> Result<T> {
        value?.parse().ok().with_context(|| format!("--{name} is not valid"))
    }
    let kind = serde_json::from_value(value("kind")?.into()).context("--kind is not one of those there are")?;
    let millis = |name| parsed(name, value(name)).map(Duration::from_millis);
    let load = Load {
        plan: value("plan")?.into(),
        address: parsed("address", value("address"))?,
        process: parsed("process", value("process"))?,
        kind,
        terminals: parsed("terminals", value("terminals"))?,
        warm: millis("warm")?,
        counted: millis("counted")?,
    };
    println!("{}", serde_json::to_string(&drive(&load)?)?);
    Ok(())
}

/// Whether everything was measured and, if that was asked, every target was met.
fn rows(mut arguments: impl Iterator<Item = String>) -> Result<bool> {
    let (mut only, mut json, mut check, mut quick) = (None, None, false, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only = Some(arguments.next().context("--only needs a row, for example P6")?),
            "--json" => json = Some(arguments.next().context("--json needs a file")?.into()),
            "--check" => check = true,
            "--quick" => quick = true,
            _ => bail!(USAGE),
        }
    }
    let is_wanted = |id: &str| only.as_deref().is_none_or(|only| only == id);
    if !STEPS.iter().any(|step| is_wanted(step.id)) {
        let known: Vec<&str> = STEPS.iter().map(|step| step.id).collect();
        bail!("there is no row {}; there are {}", only.unwrap_or_default(), known.join(", "));
    }
    let mut report = Report::new(json);
    let setting = Setting { folder: checkout::root().join("target/bench"), quick };
    std::fs::create_dir_all(&setting.folder)?;
    for step in STEPS.iter().filter(|step| is_wanted(step.id)) {
        if let Err(error) = (step.measure)(&setting, &mut |rows| report.add(rows)) {
            report.fail(step.id, &error);
        }
    }
    Ok(report.end() && (report.all_met() || !check))
}
