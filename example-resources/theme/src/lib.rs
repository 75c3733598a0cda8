//! A colour theme as a sealed resource.
//!
//! The code is free, the colours are not: the operation `preview` releases this code and five of them, `apply` all. One
//! palette becomes a theme for bat and Sublime Text, for Vim and Neovim, and for Alacritty.

mod alacritty;
mod palette;
mod swatch;
#[cfg(test)]
mod tests;
mod text_mate;
mod vim;

mod bindings {
    portcullis_guest::generate!("hearth:pine-and-ember/colours");
}

use bindings::exports::hearth::pine_and_ember::theme::{About, Error, Guest};
use bindings::exports::wasi::cli::run;
use bindings::wasi::cli::stdout;
use portcullis_guest::{Grant, Refusal, VaultError, billing, paid};

use palette::Palette;

/// As people read it.
const TITLE: &str = "Pine and Ember";

/// The parts hold at most this much: the publisher made them.
const LARGEST_PART: usize = 64 << 10;

struct Theme;

impl Guest for Theme {
    fn info() -> About {
        About { title: TITLE.into(), author: "Hearth".into(), licence: "Apache-2.0".into(), colours: 26 }
    }

    fn preview() -> Result<Vec<u8>, Error> {
        Ok(swatch::svg(&palette(&billing::entry(), "swatch")?).into_bytes())
    }

    #[paid(operation = "apply")]
    fn text_mate(grant: &Grant) -> Result<Vec<u8>, Error> {
        Ok(text_mate::theme(&palette(grant, "theme")?)?.into_bytes())
    }

    #[paid(operation = "apply")]
    fn vim(grant: &Grant) -> Result<Vec<u8>, Error> {
        Ok(vim::scheme(&palette(grant, "theme")?)?.into_bytes())
    }

    #[paid(operation = "apply")]
    fn alacritty(grant: &Grant) -> Result<Vec<u8>, Error> {
        Ok(alacritty::colours(&palette(grant, "theme")?)?.into_bytes())
    }
}

impl run::Guest for Theme {
    fn run() -> Result<(), ()> {
        let shown = shown().map_err(drop)?;
        let out = stdout::get_stdout();
        // At most 4096 bytes at once.
        for piece in shown.as_bytes().chunks(4096) {
            out.blocking_write_and_flush(piece).map_err(drop)?;
        }
        Ok(())
    }
}

bindings::export!(Theme with_types_in bindings);

/// What the command prints.
fn shown() -> Result<String, Error> {
    Ok(swatch::ansi(&palette(&billing::entry(), "swatch")?))
}

fn palette(grant: &Grant, part: &str) -> Result<Palette, Error> {
    let bytes = grant.open(part)?.read_all(LARGEST_PART).map_err(|error| Error::Unreadable(error.to_string()))?;
    Palette::parse(&bytes)
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
