//! From the mix to samples of 16 bits.

use crate::mix::Stereo;
use crate::{Pcm, RATE};

/// The loudest sample: -1 dB.
const PEAK: f64 = 0.891;

/// Rounds loud peaks off, brings the rest up, fades the end out.
pub(crate) fn finish(mut heard: Vec<Stereo>) -> Pcm {
    let frames = heard.len();
    let last = 2 * RATE as usize;
    for (at, frame) in heard.iter_mut().enumerate() {
        let end = ((frames - at) as f64 / last as f64).min(1.0);
        for sample in frame.iter_mut() {
            *sample = libm::tanh(0.8 * *sample) * end;
        }
    }
    let loudest = heard.iter().flatten().fold(0.0_f64, |most, sample| most.max(sample.abs()));
    let gain = PEAK * f64::from(i16::MAX) / loudest;
    heard.iter().flatten().map(|sample| libm::round(sample * gain) as i16).collect()
}

/// Fades a piece in over a quarter of a second and out over one second.
pub(crate) fn fade(mut piece: Pcm) -> Pcm {
    let frames = piece.len() / 2;
    let rate = f64::from(RATE);
    for (at, frame) in piece.chunks_exact_mut(2).enumerate() {
        let since = at as f64 / (0.25 * rate);
        let until = (frames - 1 - at) as f64 / rate;
        let level = since.min(until).clamp(0.0, 1.0);
        for sample in frame {
            *sample = libm::round(f64::from(*sample) * level) as i16;
        }
    }
    piece
}
