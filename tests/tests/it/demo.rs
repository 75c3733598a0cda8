//! The demo runs, and its report has exactly the steps of the list.

use anyhow::{Context as _, Result, ensure};
use portcullis_tests::{checkout, demo::STEPS};
use std::process::{Command, Stdio};

#[test]
fn the_demo_goes_as_it_should_and_reports_every_step() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report.json");
    let output =
        Command::new(checkout::program("portcullis-demo")?).arg("--json").arg(&report).stdin(Stdio::null()).output()?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "the demo failed:\n{said}");

    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report)?)?;
    let steps = report["steps"].as_array().context("no steps")?;
    ensure!(steps.len() >= 20, "only {} steps", steps.len());
    ensure!(steps.iter().map(|step| &step["name"]).eq(STEPS.iter()), "the steps are not those of the list");
    for step in steps {
        ensure!(step["ok"] == true, "{step}");
        ensure!(step["command"].is_string() && step["exit"].is_i64(), "{step}");
        let name = step["name"].as_str().unwrap_or_default();
        ensure!(!name.contains("refused") || step["refusal"].is_string(), "{step}");
    }
    let artifact =
        |name: &str| steps.iter().find(|step| step["name"] == name).map(|step| step["artifact_sha256"].clone());
    ensure!(artifact("view-picture") == artifact("cycle-inside-the-resource"), "two ways to the picture, two pictures");
    Ok(())
}
