//! A scene: some frames of a film, as a film of its own.

use std::io::{Read, Seek, Write};
use std::ops::Range;

use avi::{Broken, Film, Writer};

use crate::bindings::exports::ridgeline::first_light::film::Error;

/// What a file has beside its frames, at most, and a frame beside its pixels.
const HEAD: usize = 1024;
const PER_FRAME: usize = 24;

/// Frames of an open film.
pub(crate) struct Scene<R> {
    film: Film<R>,
    frames: Range<u32>,
}

impl<R: Read + Seek> Scene<R> {
    /// The frames that begin within `seconds` from `start` on, or until the end of the film.
    pub(crate) fn find(part: R, start: f64, seconds: Option<f64>) -> Result<Self, Error> {
        let film = Film::open(part)?;
        let rate = f64::from(film.format().rate);
        let length = f64::from(film.frames()) / rate;
        let seconds = seconds.unwrap_or(length - start);
        // NaN lies in no range.
        if !(0.0..length).contains(&start) || !(0.0..=length - start + 1e-6).contains(&seconds) {
            return Err(Error::OutOfRange(format!("the film has {length} seconds, counted from 0")));
        }
        // The first frame at or after a moment; a hair before it, since 0.1 has no exact value.
        let frame = |moment: f64| ((moment * rate - 1e-6).ceil().max(0.0) as u32).min(film.frames());
        let frames = frame(start)..frame(start + seconds);
        if frames.is_empty() {
            return Err(Error::OutOfRange(format!("no frame begins there: they follow each other by 1/{rate} s")));
        }
        Ok(Self { film, frames })
    }

    /// Bytes that [`Scene::write`] writes, or a few more.
    pub(crate) fn size(&self) -> usize {
        HEAD + self.frames.len() * (self.film.format().frame() + PER_FRAME)
    }

    /// Writes the scene as a file, one frame in memory at a time.
    pub(crate) fn write(mut self, to: impl Write) -> Result<(), Error> {
        let mut writer = Writer::new(to, self.film.format(), self.frames.len() as u32).map_err(Broken::from)?;
        let mut frame = Vec::new();
        for number in self.frames.clone() {
            self.film.read(number, &mut frame)?;
            writer.frame(&frame).map_err(Broken::from)?;
        }
        writer.finish().map_err(Broken::from)?;
        Ok(())
    }
}
