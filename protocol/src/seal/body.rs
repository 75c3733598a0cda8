//! From what a compiler gives to the component that is sealed.

use super::strip::strip;
use super::uses::SECTION_USES;
use crate::census::{self, CensusError};
use crate::limits::MAX_EXPORTS;
use wasmparser::{Encoding, Parser, Payload};
use wit_component::ComponentEncoder;
use wit_parser::WorldItem;

/// What every WebAssembly binary begins with (core specification, 5.5.16).
const MAGIC: &[u8] = b"\0asm";

/// Why bytes are no body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Neither a component nor a core module.
    #[error("{0}")]
    Unreadable(String),
    /// A core module for WASI preview 1.
    #[error("it is a core module for WASI preview 1: build for `wasm32-wasip2`, or for `wasm32-unknown-unknown`")]
    Preview1,
    /// A core module that cannot become a component.
    #[error(
        "it is a core module that cannot become a component: {0}; is its WIT inside (`wit-bindgen`, or `wasm-tools component embed`)?"
    )]
    Componentize(String),
    /// A sealed resource.
    #[error("it is a sealed resource already")]
    Sealed,
    /// A component that the engine would refuse.
    #[error("{0}")]
    Invalid(String),
    /// It consists of more than any host compiles.
    #[error(transparent)]
    TooMany(CensusError),
    /// Its world has more functions than a manifest names.
    #[error("its world {verb} {count} functions")]
    World {
        /// `imports` or `exports`.
        verb: &'static str,
        /// How many.
        count: usize,
    },
}

/// The component that is sealed: a component, or a core module with its WIT inside made one; validated by the features
/// that the runtime enables; without names, debug information and any other custom section.
///
/// # Errors
/// [`BodyError`].
pub fn body(bytes: &[u8]) -> Result<Vec<u8>, BodyError> {
    if !bytes.starts_with(MAGIC) {
        return Err(BodyError::Unreadable("it does not begin as WebAssembly does, so it is another file".into()));
    }
    let encoding = encoding(bytes)?;
    // Before anything is built from it. What else is wrong with it is said better below.
    if let Err(refused @ CensusError::TooMany { .. }) = census::scan(bytes) {
        return Err(BodyError::TooMany(refused));
    }
    let component = match encoding {
        Encoding::Module => {
            check_world(bytes)?;
            componentize(bytes)?
        }
        Encoding::Component => bytes.to_vec(),
    };
    let stripped = strip(&component)?;
    census::validate(&stripped).map_err(|error| BodyError::Invalid(error.to_string()))?;
    Ok(stripped)
}

/// Counts what the world of a core module imports and exports: making a component of thousands takes seconds.
fn check_world(module: &[u8]) -> Result<(), BodyError> {
    let Ok((_, bindings)) = wit_component::metadata::decode(module) else { return Ok(()) };
    let world = &bindings.resolve.worlds[bindings.world];
    for (verb, items) in [("imports", &world.imports), ("exports", &world.exports)] {
        let functions = items.values().map(|item| match item {
            WorldItem::Function(_) => 1,
            WorldItem::Interface { id, .. } => bindings.resolve.interfaces[*id].functions.len(),
            WorldItem::Type { .. } => 0,
        });
        // Of imports, those that are not called fall away.
        let (count, most) = (functions.sum::<usize>(), if verb == "exports" { MAX_EXPORTS } else { 40 * MAX_EXPORTS });
        if count > most {
            return Err(BodyError::World { verb, count });
        }
    }
    Ok(())
}

/// Makes a component of a core module that carries its WIT, as `wit-bindgen` builds for `wasm32-unknown-unknown`.
///
/// # Errors
/// [`BodyError::Preview1`], [`BodyError::Componentize`].
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, BodyError> {
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(|error| BodyError::Unreadable(error.to_string()))? {
            Payload::ImportSection(imports) => {
                let mut imports = imports.into_imports();
                if imports.any(|import| import.is_ok_and(|import| import.module.starts_with("wasi_"))) {
                    return Err(BodyError::Preview1);
                }
            }
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    let encode = || ComponentEncoder::default().module(module)?.validate(true).encode();
    encode().map_err(|error| BodyError::Componentize(format!("{error:#}")))
}

/// Module or component. Refuses what is sealed.
fn encoding(bytes: &[u8]) -> Result<Encoding, BodyError> {
    let mut found = None;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| BodyError::Unreadable(error.to_string()))? {
            Payload::Version { encoding, .. } if found.is_none() => found = Some(encoding),
            Payload::CustomSection(section)
                if section.name().starts_with("portcullis:") && section.name() != SECTION_USES =>
            {
                return Err(BodyError::Sealed);
            }
            _ => {}
        }
    }
    found.ok_or_else(|| BodyError::Unreadable("it is empty".into()))
}
