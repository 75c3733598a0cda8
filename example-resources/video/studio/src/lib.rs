//! The studio: "First Light", sixteen seconds of a morning in the mountains, the same frames on every machine.
//!
//! Four ranges slide past at different speeds in front of a sky that the rising sun colours; mist lies between them,
//! and a timecode stands in the corner. Only integers and `+ - × ÷ √` of IEEE 754 touch a pixel.

mod colour;
mod frame;
mod land;
mod text;

pub use frame::draw;

use avi::{Format, Writer};
use std::io;

/// The film: 384 frames of 194,400 bytes are 71 MiB.
pub const FILM: Format = Format { width: 480, height: 270, rate: 24 };

/// Frames of the film: sixteen seconds.
pub const FRAMES: u32 = 384;

/// The trailer: a sixth of the area.
pub const TRAILER: Format = Format { width: 192, height: 108, rate: 24 };

/// Which frames of the film the trailer shows: two seconds.
pub const TRAILER_FRAMES: std::ops::Range<u32> = 168..216;

/// Writes the whole film.
///
/// # Errors
/// As writing.
pub fn film(to: impl io::Write) -> io::Result<()> {
    write(to, FILM, 0..FRAMES)
}

/// Writes the trailer: drawn small, not shrunk, so none of its pixels is one of the film's.
///
/// # Errors
/// As writing.
pub fn trailer(to: impl io::Write) -> io::Result<()> {
    write(to, TRAILER, TRAILER_FRAMES)
}

fn write(to: impl io::Write, format: Format, frames: std::ops::Range<u32>) -> io::Result<()> {
    let mut writer = Writer::new(to, format, frames.len() as u32)?;
    for number in frames {
        writer.frame(&draw(format, number))?;
    }
    writer.finish().map(drop)
}
