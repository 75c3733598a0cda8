//! The benchmarks run, and every result that they check is right. What they measure here says nothing.

use anyhow::{Result, ensure};
use portcullis_tests::checkout;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// What is measured, however fast.
const ROWS: [&str; 13] = [
    "P1",
    "P2",
    "P4 small",
    "P5 1 KiB",
    "P5 streamed",
    "P9",
    "P10",
    "P12",
    "P6",
    "P7 start",
    "P8",
    "P11 unpaid",
    "P13",
];

#[test]
fn every_row_of_the_benchmarks_gives_what_it_should() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let figures = folder.path().join("figures");
    measured(folder.path(), &["--quick".as_ref(), "--figures".as_ref(), figures.as_os_str()])?;
    for figure in ["size.svg", "installed.svg"] {
        assert!(std::fs::read_to_string(figures.join(figure))?.starts_with("<svg "), "{figure}");
    }
    Ok(())
}

/// What a quick run is too short for: more uses than one grant has, more orders than a merchant takes at once.
#[test]
#[ignore = "slow: cargo xtask test --all"]
fn every_row_goes_at_full_pace() -> Result<()> {
    let folder = tempfile::tempdir()?;
    measured(folder.path(), &[])
}

/// Runs the benchmarks: each row is there, with its figures.
fn measured(folder: &Path, arguments: &[&OsStr]) -> Result<()> {
    let file = folder.join("rows.json");
    let mut bench = Command::new(checkout::program("portcullis-bench")?);
    let output = bench.args(arguments).arg("--json").arg(&file).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{out}{err}");
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(file)?)?;
    let ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    for id in ROWS {
        assert!(ids.contains(&id), "no row {id} in {ids:?}");
    }
    for row in &rows {
        for member in ["ours", "bare", "ratio_bare"] {
            assert!(row[member].as_f64().is_some_and(|value| value > 0.0), "{member} in {row}");
        }
    }
    Ok(())
}
