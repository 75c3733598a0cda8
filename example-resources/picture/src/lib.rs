//! A photograph as a sealed resource.
//!
//! The code is free, the picture is not: the operation `preview` releases this code and a small JPEG, `view` the
//! photograph itself. `upgrade` shows the cycle from inside: it runs under `preview`'s grant and gets `view`'s.

mod scale;
#[cfg(test)]
mod tests;

mod bindings {
    portcullis_guest::generate!("lumen:picos-de-europa/photo");
}

use bindings::exports::lumen::picos_de_europa::picture::{About, Error, Guest};
use portcullis_guest::{Grant, Refusal, VaultError, billing, paid};

/// The parts hold at most this much: the publisher made them. It bounds the memory of a guest whose part is not the
/// one that it expects.
const LARGEST_PART: usize = 16 << 20;

struct Picture;

impl Guest for Picture {
    fn info() -> About {
        About {
            title: "Picos de Europa".into(),
            author: "Aitzol Berasategi".into(),
            licence: "CC-BY-4.0".into(),
            width: 3264,
            height: 2448,
        }
    }

    fn preview() -> Result<Vec<u8>, Error> {
        read(&billing::entry(), "preview")
    }

    fn upgrade() -> Result<Vec<u8>, Error> {
        let code = billing::request("view")?;
        let grant = code.verify()?;
        read(&grant, "full")
    }

    #[paid(operation = "view")]
    fn view(grant: &Grant) -> Result<Vec<u8>, Error> {
        read(grant, "full")
    }

    #[paid(operation = "view")]
    fn view_scaled(grant: &Grant, width: u32) -> Result<Vec<u8>, Error> {
        scale::to_width(&read(grant, "full")?, width)
    }
}

bindings::export!(Picture with_types_in bindings);

fn read(grant: &Grant, part: &str) -> Result<Vec<u8>, Error> {
    Ok(grant.open(part)?.read_all(LARGEST_PART)?)
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

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}
