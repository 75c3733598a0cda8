//! A piece of music as a sealed resource.
//!
//! The code is free, the music is not: the operation `preview` releases this code and ten seconds of FLAC, `play` the
//! whole track. Both come out as WAV.

#[cfg(test)]
mod tests;
mod wav;

mod bindings {
    portcullis_guest::generate!("tidewater:harbour-at-dusk/music" in "../wit");
}

use bindings::exports::tidewater::harbour_at_dusk::track::{About, Error, Guest};
use portcullis_guest::{Grant, Refusal, VaultError, billing, paid};

struct Music;

impl Guest for Music {
    fn info() -> About {
        About {
            title: "Harbour at Dusk".into(),
            artist: "Tidewater".into(),
            licence: "Apache-2.0".into(),
            sample_rate: 44_100,
            channels: 2,
            depth: 16,
            seconds: 70,
        }
    }

    fn preview() -> Result<Vec<u8>, Error> {
        decode(&billing::entry(), "preview")
    }

    #[paid(operation = "play")]
    fn play(grant: &Grant) -> Result<Vec<u8>, Error> {
        decode(grant, "full")
    }
}

bindings::export!(Music with_types_in bindings);

/// A part as WAV. Frames are decoded as they are read: the FLAC file is never in memory as a whole.
fn decode(grant: &Grant, part: &str) -> Result<Vec<u8>, Error> {
    wav::from_flac(grant.open(part)?)
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<VaultError> for Error {
    fn from(error: VaultError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<claxon::Error> for Error {
    fn from(error: claxon::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}
