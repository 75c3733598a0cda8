//! What other products take. `compare/` has an engine and cryptography of its own; `cargo xtask bench --compare` builds
//! it, and puts wasmtime's own command and a JavaScript component beside it.

use anyhow::{Context as _, Result, ensure};
use portcullis_tests::checkout;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Extism runs; a plug-in is a core module.
const PLUGIN: &str = include_str!("../../../../compare/src/echo.wat");

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
    /// None of them.
    pub(crate) const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Runs the programs of `compare/`, where they were built.
    pub(crate) fn measure() -> Result<Self> {
        let mut rows = BTreeMap::new();
        for program in ["release/portcullis-compare", "release/portcullis-compare-age"] {
            let Some(program) = built(program) else { return Ok(Self::none()) };
            let output = Command::new(&program).output().context("cannot start what is compared")?;
            ensure!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
            for line in String::from_utf8(output.stdout)?.lines() {
                let Line { id, other } = serde_json::from_str(line).context("what is compared wrote no row")?;
                rows.insert(id, other);
            }
        }
        Ok(Self(rows))
    }

    /// Nanoseconds that the other product took in this run.
    pub(crate) fn get(&self, id: &str) -> Option<f64> {
        self.0.get(id).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// wasmtime's own command.
    pub(crate) fn wasmtime(&self) -> Option<PathBuf> {
        built("wasmtime").filter(|_| !self.is_empty())
    }

    /// A component that `componentize-js` made of a script.
    pub(crate) fn script(&self) -> Option<PathBuf> {
        built("script.wasm").filter(|_| !self.is_empty())
    }

    /// The process that starts an Extism plug-in with its cache, which lies in `folder`, and echoes 5.
    pub(crate) fn extism(&self, folder: &Path) -> Result<Option<Command>> {
        let Some(program) = built("release/extism-start").filter(|_| !self.is_empty()) else { return Ok(None) };
        let (plugin, cache) = (folder.join("extism.wasm"), folder.join("extism.toml"));
        fs::write(&plugin, wat::parse_str(PLUGIN)?)?;
        fs::write(&cache, format!("[cache]\ndirectory = {:?}\n", folder.join("extism-cache")))?;
        let mut command = Command::new(program);
        command.arg(plugin).arg(cache).arg("5");
        Ok(Some(command))
    }
}

/// Something in the folder of what is compared.
fn built(name: &str) -> Option<PathBuf> {
    let path = checkout::root().join("target/compare").join(name);
    [path.with_extension(std::env::consts::EXE_EXTENSION), path].into_iter().find(|path| path.is_file())
}
