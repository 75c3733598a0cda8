//! The studio: a piece of music made by code, the same samples on every machine.
//!
//! ```text
//!   score ──▶ instruments ──▶ room (echo, reverb) ──▶ master ──▶ FLAC
//! ```
//!
//! Only `+ - × ÷` and `libm` touch a sample, so no processor and no C library changes a bit of them.

mod flac;
mod instruments;
mod master;
mod mix;
mod room;
mod score;
mod sine;

pub use flac::encode;

/// Samples of each channel in one second.
pub const RATE: u32 = 44_100;

/// Where the preview begins in the track, in frames, and how long it is.
pub const PREVIEW: std::ops::Range<usize> = 18 * RATE as usize..28 * RATE as usize;

/// Interleaved samples, left and right.
pub type Pcm = Vec<i16>;

/// The whole track: 70 seconds.
#[must_use]
pub fn track() -> Pcm {
    master::finish(score::play())
}

/// Ten seconds out of the track, faded in and out.
#[must_use]
pub fn preview(track: &[i16]) -> Pcm {
    master::fade(track[PREVIEW.start * 2..PREVIEW.end * 2].to_vec())
}
