//! AVI files (RIFF, "Video for Windows" 1.0) of one stream of uncompressed frames: planar Y′CbCr 4:2:0, 8 bits.
//!
//! ```text
//! RIFF AVI
//! ├── LIST hdrl      size of a frame, frames a second, how many
//! ├── LIST movi      one chunk `00db` a frame
//! └── idx1           offset and length of every frame: 16 bytes each
//! ```
//!
//! A [`Film`] reads the head and the index, and then single frames wherever they lie; [`Writer`] knows its own length
//! beforehand, so that it never has to go back: it writes to a pipe as well as to a file.

#![forbid(unsafe_code)]

mod film;
mod writer;

pub use film::{Broken, Film};
pub use writer::Writer;

/// What all frames of a file have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Pixels of a line: even.
    pub width: u32,
    /// Lines: even.
    pub height: u32,
    /// Frames a second.
    pub rate: u32,
}

impl Format {
    /// Bytes of one frame: a plane of luma, two of chroma at half the width and half the height.
    #[must_use]
    pub const fn frame(self) -> usize {
        self.width as usize * self.height as usize * 3 / 2
    }
}

/// The pixel format, as the header of a bitmap names it.
const I420: &[u8; 4] = b"I420";

/// A frame's chunk: stream 0, uncompressed.
const FRAME: &[u8; 4] = b"00db";

/// Bytes before the first frame's chunk: RIFF head 12, `hdrl` 8 + 4 + 64 + 124, `movi` 12.
const HEAD: u32 = 12 + 8 + 4 + (8 + 56) + (8 + 4 + (8 + 56) + (8 + 40)) + 12;
