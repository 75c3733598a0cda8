//! What was measured so far. A row is printed and written as soon as it is there, so that nothing that follows can
//! lose it.

use crate::row::Row;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::PathBuf;

/// Rows and failures, in the order in which they came.
#[derive(Debug)]
pub struct Report {
    file: Option<PathBuf>,
    rows: Vec<Row>,
    failed: Vec<&'static str>,
}

impl Report {
    /// An empty one, which is also kept in a file if one is given.
    pub const fn new(file: Option<PathBuf>) -> Self {
        Self { file, rows: Vec::new(), failed: Vec::new() }
    }

    /// Prints rows, and writes all so far.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&mut self, rows: Vec<Row>) -> Result<()> {
        rows.iter().for_each(Row::print);
        self.rows.extend(rows);
        let Some(file) = &self.file else { return Ok(()) };
        // Whole or not at all: whoever reads it meanwhile reads JSON.
        let beside = file.with_extension("part");
        let cannot = || format!("cannot write {}", file.display());
        fs::write(&beside, serde_json::to_vec_pretty(&self.rows)?).with_context(cannot)?;
        fs::rename(&beside, file).with_context(cannot)
    }

    /// Says that something could not be measured. What follows is measured all the same.
    pub fn fail(&mut self, id: &'static str, error: &anyhow::Error) {
        println!("{id} could not be measured: {error:#}");
        self.failed.push(id);
    }

    /// Whether every row meets its target.
    pub fn all_met(&self) -> bool {
        self.rows.iter().all(Row::met)
    }

    /// Prints the last line. Returns whether everything was measured.
    pub fn end(&self) -> bool {
        let missed: Vec<&str> = self.rows.iter().filter(|row| !row.met()).map(|row| &*row.id).collect();
        println!("\nbench: {} rows, {} missed a target: {}", self.rows.len(), missed.len(), missed.join("; "));
        if !self.failed.is_empty() {
            println!("bench: {} could not be measured: {}", self.failed.len(), self.failed.join("; "));
        }
        self.failed.is_empty()
    }
}
