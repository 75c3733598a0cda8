//! Where things are: the checkout, the built programs, the built guests.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};

/// The checkout.
///
/// # Panics
/// Never: this crate lies in it.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the checkout")
}

/// A program of the workspace, built with the same profile as whoever asks.
///
/// # Errors
/// If it was not built: says how to.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let folder = own
        .ancestors()
        .skip(1)
        .find(|folder| folder.file_name().is_some_and(|name| name != "deps" && name != "examples"))
        .context("this program is in no folder")?;
    let file = folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    ensure!(file.is_file(), "{} is missing; build it with `cargo build --workspace --bins`", file.display());
    Ok(file)
}

/// A guest that `cargo xtask guests` built.
///
/// # Errors
/// If it was not built: says how to.
pub fn guest(name: &str) -> Result<PathBuf> {
    let file = root().join("target/guests").join(name).with_extension("wasm");
    ensure!(file.is_file(), "{} is missing; build it with `cargo xtask guests`", file.display());
    Ok(file)
}
