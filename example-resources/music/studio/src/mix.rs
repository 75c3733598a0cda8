//! The mixing desk: what is heard at once, and what goes to the room.

use crate::RATE;

/// A stereo sample.
pub(crate) type Stereo = [f64; 2];

/// Three busses of the same length.
pub(crate) struct Mix {
    pub(crate) dry: Vec<Stereo>,
    pub(crate) reverb: Vec<Stereo>,
    pub(crate) echo: Vec<Stereo>,
}

/// How a channel of the desk is set.
#[derive(Clone, Copy)]
pub(crate) struct Strip {
    pub(crate) gain: f64,
    /// From -1, left, to 1, right.
    pub(crate) pan: f64,
    /// How much of it goes to the reverb.
    pub(crate) reverb: f64,
    /// How much of it goes to the echo.
    pub(crate) echo: f64,
}

impl Mix {
    pub(crate) fn new(frames: usize) -> Self {
        Self { dry: vec![[0.0; 2]; frames], reverb: vec![[0.0; 2]; frames], echo: vec![[0.0; 2]; frames] }
    }

    /// Adds a sound that begins at `start`, in seconds, and lasts for `seconds`; `sound` gives its sample at each
    /// moment since its own beginning. What is beyond the end is not heard.
    pub(crate) fn add(&mut self, start: f64, seconds: f64, strip: Strip, mut sound: impl FnMut(f64) -> f64) {
        let first = (start * f64::from(RATE)) as usize;
        let count = (seconds * f64::from(RATE)) as usize;
        // Equal power: as loud in the middle as at a side.
        let angle = (strip.pan + 1.0) / 8.0;
        let sides = [strip.gain * crate::sine::sine(angle + 0.25), strip.gain * crate::sine::sine(angle)];
        for (since, frame) in (first..self.dry.len().min(first + count)).enumerate() {
            let sample = sound(since as f64 / f64::from(RATE));
            for side in 0..2 {
                let heard = sample * sides[side];
                self.dry[frame][side] += heard;
                self.reverb[frame][side] += heard * strip.reverb;
                self.echo[frame][side] += heard * strip.echo;
            }
        }
    }
}
