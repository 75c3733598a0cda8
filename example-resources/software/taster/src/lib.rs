//! What is free: what an image is, and a thumbnail of it. None of the code that is sold is in here.

#[cfg(test)]
mod tests;
mod thumbnail;

mod bindings {
    portcullis_guest::generate!("pixelforge:resize/tools" in "../wit");
}

use bindings::exports::pixelforge::resize::images::{Error, Filter, Guest, Properties};
use codec::CodecError;

struct Taster;

impl Guest for Taster {
    fn probe(png: Vec<u8>) -> Result<Properties, Error> {
        let format = codec::probe(&png)?;
        Ok(Properties {
            width: format.width,
            height: format.height,
            channels: format.channels.count() as u8,
            depth: 8 * format.depth.bytes() as u8,
        })
    }

    fn thumbnail(png: Vec<u8>) -> Result<Vec<u8>, Error> {
        let picture = codec::decode(&png)?;
        drop(png);
        Ok(codec::encode(thumbnail::of(picture))?)
    }

    fn resize(_png: Vec<u8>, _width: u32, _height: u32, _filter: Filter) -> Result<Vec<u8>, Error> {
        Err(Error::Elsewhere)
    }

    fn sharpen(_png: Vec<u8>, _amount: f32, _radius: f32) -> Result<Vec<u8>, Error> {
        Err(Error::Elsewhere)
    }
}

bindings::export!(Taster with_types_in bindings);

impl From<CodecError> for Error {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::NotPng(what) => Self::NotPng(what),
            CodecError::TooLarge(what) => Self::TooLarge(what),
        }
    }
}
