//! The program itself, its engine, and whether it can build guests here.

use portcullis_host::{ENGINE, Runtime};

use super::Finding;
use crate::failure::Failure;
use crate::guest::cargo::Cargo;

/// Version and engine.
pub(super) fn examine() -> Vec<Finding> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let version =
        Finding::ok("program", "version", format_args!("portcullis {} on {os}, {arch}", env!("CARGO_PKG_VERSION")));
    let engine = match Runtime::builder().build() {
        Ok(_) => Finding::ok("program", "engine", format_args!("{ENGINE} starts")),
        Err(error) => Finding::failed("program", "engine", &Failure::from(error)),
    };
    vec![version, engine]
}

/// Only publishers need it, so its absence is nothing wrong; nobody else has to look at it.
pub(super) fn guests(publishes: bool) -> Finding {
    match Cargo::find().and_then(|found| found.check().map(|()| found)) {
        Ok(found) => Finding::ok("guest", "target", format_args!("guests can be built, with {}", found.describe())),
        Err(_) if !publishes => Finding::ok("guest", "target", "not set up to build guests, which only publishers do"),
        Err(failure) => {
            let what = format!("guests in Rust cannot be built here: {failure}");
            Finding::warning("guest", "target", what, failure.fix())
        }
    }
}
