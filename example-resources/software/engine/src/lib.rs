//! What is sold: PNG images resized and sharpened.
//!
//! The whole part is behind the operation `process`: without a grant none of this code is in the clear, and one call
//! draws one use before it begins. So the functions themselves hold no billing at all.

mod resize;
mod sharpen;
#[cfg(test)]
mod tests;

mod bindings {
    portcullis_guest::generate!("pixelforge:resize/tools" in "../wit");
}

use bindings::exports::pixelforge::resize::images::{Error, Filter, Guest, Properties};
use codec::CodecError;

struct Engine;

impl Guest for Engine {
    fn probe(_png: Vec<u8>) -> Result<Properties, Error> {
        Err(Error::Elsewhere)
    }

    fn thumbnail(_png: Vec<u8>) -> Result<Vec<u8>, Error> {
        Err(Error::Elsewhere)
    }

    fn resize(png: Vec<u8>, width: u32, height: u32, filter: Filter) -> Result<Vec<u8>, Error> {
        let picture = codec::decode(&png)?;
        drop(png);
        Ok(codec::encode(resize::to(picture, width, height, filter)?)?)
    }

    fn sharpen(png: Vec<u8>, amount: f32, radius: f32) -> Result<Vec<u8>, Error> {
        let picture = codec::decode(&png)?;
        drop(png);
        Ok(codec::encode(sharpen::unsharp_mask(picture, amount, radius)?)?)
    }
}

bindings::export!(Engine with_types_in bindings);

impl From<CodecError> for Error {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::NotPng(what) => Self::NotPng(what),
            CodecError::TooLarge(what) => Self::TooLarge(what),
        }
    }
}
