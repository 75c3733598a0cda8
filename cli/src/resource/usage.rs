//! How a resource is called, as a command that can be typed.

use portcullis_protocol::Manifest;
use portcullis_protocol::surface::{FunctionType, Surface};
use std::fmt::Display;

use crate::screen::shell::quoted;

/// What a WASI command exports.
const COMMAND: &str = "wasi:cli/run@";

/// Calls a function: `…` stands for its arguments, if it takes any.
pub(crate) fn invoke(function: &str, takes_nothing: bool, gives_bytes: bool, resource: impl Display) -> String {
    let arguments = if takes_nothing { "" } else { "…" };
    let file = if gives_bytes { " -o FILE" } else { "" };
    format!("portcullis run --invoke '{function}({arguments})'{file} {}", quoted(resource))
}

/// Runs a resource: as a command, if it is one, else by its first function. What can only be used from inside, or has
/// no surface that can be read, is looked at.
pub(crate) fn of(manifest: &Manifest, stub: &[u8]) -> String {
    let name = format!("{}/{}", manifest.publisher.name, manifest.name);
    let exports = || manifest.operations.iter().flat_map(|operation| &operation.exports).map(|export| export.as_str());
    if exports().any(|export| export.starts_with(COMMAND)) {
        return format!("portcullis run {name}");
    }
    let surface = Surface::of(stub).ok();
    let called = exports().find_map(|export| {
        let function: FunctionType = surface.as_ref()?.export_type(export)?.parse().ok()?;
        let short = export.rsplit('#').next().unwrap_or(export);
        Some(invoke(short, function.params.is_empty(), function.gives_bytes(), &name))
    });
    called.unwrap_or_else(|| format!("portcullis inspect {name}"))
}

#[test]
fn a_call_can_be_typed() {
    for (takes_nothing, gives_bytes, resource, typed) in [
        (false, false, "acme/greetings", "portcullis run --invoke 'f(…)' acme/greetings"),
        (true, true, "./a b.wasm", "portcullis run --invoke 'f()' -o FILE './a b.wasm'"),
    ] {
        assert_eq!(invoke("f", takes_nothing, gives_bytes, resource), typed);
    }
}
