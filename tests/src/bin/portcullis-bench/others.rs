//! What other products take, measured by `compare/`, which has an engine and cryptography of its own.

use anyhow::{Context as _, Result, ensure};
use portcullis_tests::checkout;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::Command;

/// A line of `portcullis-compare`.
#[derive(Deserialize)]
struct Line {
    id: String,
    /// Nanoseconds, 10th percentile.
    other: f64,
}

/// Nanoseconds by row; empty where `compare/` was not built.
pub(crate) struct Others(BTreeMap<String, f64>);

impl Others {
    /// Runs `portcullis-compare`, where it was built.
    pub(crate) fn measure() -> Result<Self> {
        let program = checkout::root().join("target/compare/release/portcullis-compare");
        let program = program.with_extension(std::env::consts::EXE_EXTENSION);
        if !program.is_file() {
            return Ok(Self(BTreeMap::new()));
        }
        let output = Command::new(&program).output().context("cannot start portcullis-compare")?;
        ensure!(output.status.success(), "portcullis-compare: {}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout)?;
        let read = |line| serde_json::from_str::<Line>(line).context("portcullis-compare wrote no row");
        let rows = lines.lines().map(|line| read(line).map(|Line { id, other }| (id, other)));
        Ok(Self(rows.collect::<Result<_>>()?))
    }

    /// Nanoseconds that the other product took in this run.
    pub(crate) fn get(&self, id: &str) -> Option<f64> {
        self.0.get(id).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
