//! The stub: a component with the body's surface and nothing behind it.

use super::body::BodyError;
use super::strip::strip;
use crate::surface::{Surface, SurfaceError};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{LiftLowerAbi, ManglingAndAbi};

/// Why no stub can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StubError {
    /// The body cannot be read.
    #[error(transparent)]
    Surface(#[from] SurfaceError),
    /// The stub cannot be encoded.
    #[error("its world cannot be encoded: {0}")]
    Encode(String),
    /// What came out has another surface than the body.
    #[error("the stub came out with another surface than the body: {0}")]
    Differs(SurfaceError),
}

impl From<BodyError> for StubError {
    fn from(error: BodyError) -> Self {
        Self::Encode(error.to_string())
    }
}

/// Makes the stub of a body: the same imports and exports, each export a trap. Made from the built body, never from its
/// source world, because building drops imports that are never called.
///
/// # Errors
/// [`StubError`].
pub fn stub_of(body: &[u8]) -> Result<Vec<u8>, StubError> {
    let surface = Surface::of(body)?;
    let stub = strip(&encode(body).map_err(StubError::Encode)?)?;
    let made = Surface::of(&stub)?;
    // Both ways: the stub has neither less nor more.
    surface.check_within(&made).and_then(|()| made.check_within(&surface)).map_err(StubError::Differs)?;
    Ok(stub)
}

fn encode(body: &[u8]) -> Result<Vec<u8>, String> {
    let text = |error| format!("{error:#}");
    let DecodedWasm::Component(resolve, world) = decode(body).map_err(text)? else {
        return Err("it is a WIT package".into());
    };
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).map_err(text)?;
    let encode = || ComponentEncoder::default().module(&module)?.validate(true).encode();
    encode().map_err(text)
}
