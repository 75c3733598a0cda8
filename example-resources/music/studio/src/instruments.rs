//! The instruments: each plays one note onto the desk.

use crate::mix::{Mix, Strip};
use crate::sine::sine;

/// A note: when it begins and how long it is held, in seconds, its pitch as a MIDI number, and how hard it is struck.
#[derive(Clone, Copy)]
pub(crate) struct Note {
    pub(crate) start: f64,
    pub(crate) length: f64,
    pub(crate) pitch: u8,
    pub(crate) force: f64,
}

/// A player of notes.
pub(crate) trait Instrument {
    fn play(&self, note: Note, mix: &mut Mix);
}

/// Two tuned bars, one of them a bright tine: frequency modulation, as electric pianos were once imitated.
pub(crate) struct ElectricPiano;

/// Slow, wide, with a few harmonics: strings far away.
pub(crate) struct Pad;

/// Round, with a soft pluck.
pub(crate) struct Bass;

/// Few harmonics, some breath, and a vibrato that comes late.
pub(crate) struct Flute;

/// A drum that falls in pitch.
pub(crate) struct Kick;

/// A brush on a snare.
pub(crate) struct Brush;

/// A closed cymbal.
pub(crate) struct Hat;

/// Hertz, equal temperament, A at 440.
fn frequency(pitch: u8) -> f64 {
    440.0 * libm::exp2((f64::from(pitch) - 69.0) / 12.0)
}

/// Rises from 0 to 1 within `attack`, holds, and from `length` on falls to 0 within `release`, on smooth curves.
fn envelope(at: f64, attack: f64, length: f64, release: f64) -> f64 {
    let smooth = |x: f64| x * x * (3.0 - 2.0 * x);
    let up = smooth((at / attack).clamp(0.0, 1.0));
    let down = smooth((1.0 - (at - length) / release).clamp(0.0, 1.0));
    up * down
}

impl Instrument for ElectricPiano {
    fn play(&self, note: Note, mix: &mut Mix) {
        const RELEASE: f64 = 0.35;
        let hertz = frequency(note.pitch);
        // Low notes left, high notes right, as they lie before the player.
        let pan = ((f64::from(note.pitch) - 62.0) / 24.0).clamp(-0.6, 0.6);
        let strip = Strip { gain: 0.16 * note.force, pan, reverb: 0.35, echo: 0.08 };
        mix.add(note.start, note.length + RELEASE, strip, |at| {
            let body = libm::exp(-1.3 * at);
            let bright = note.force * 1.4 * libm::exp(-4.0 * at);
            let tine = 0.10 * note.force * libm::exp(-14.0 * at) * sine(hertz * 7.0 * at);
            let tone = sine(2.0 + hertz * at + bright * sine(hertz * at) / std::f64::consts::TAU);
            let tremolo = 1.0 + 0.07 * sine(4.6 * at);
            envelope(at, 0.004, note.length, RELEASE) * (body * tone * tremolo + tine)
        });
    }
}

impl Instrument for Pad {
    fn play(&self, note: Note, mix: &mut Mix) {
        const RELEASE: f64 = 1.4;
        let hertz = frequency(note.pitch);
        for (pan, detune) in [(-0.8, 0.9985), (0.8, 1.0015)] {
            let strip = Strip { gain: 0.028 * note.force, pan, reverb: 0.6, echo: 0.0 };
            let hertz = hertz * detune;
            mix.add(note.start, note.length + RELEASE, strip, |at| {
                let turns = hertz * at;
                // The harmonics open and close slowly.
                let open = 0.55 + 0.25 * sine(0.11 * (at + note.start));
                let mut level = 1.0;
                let mut sum = 0.0;
                for harmonic in 1..=5 {
                    sum += level * sine(turns * f64::from(harmonic));
                    level *= open * 0.8;
                }
                sum * envelope(at, 0.9, note.length, RELEASE)
            });
        }
    }
}

impl Instrument for Bass {
    fn play(&self, note: Note, mix: &mut Mix) {
        const RELEASE: f64 = 0.09;
        let hertz = frequency(note.pitch);
        let strip = Strip { gain: 0.30 * note.force, pan: 0.0, reverb: 0.04, echo: 0.0 };
        mix.add(note.start, note.length + RELEASE, strip, |at| {
            let turns = hertz * at;
            let pluck = libm::exp(-7.0 * at);
            let tone = sine(turns) + (0.15 + 0.35 * pluck) * sine(2.0 * turns) + 0.2 * pluck * sine(3.0 * turns);
            envelope(at, 0.008, note.length, RELEASE) * libm::exp(-0.9 * at) * tone
        });
    }
}

impl Instrument for Flute {
    fn play(&self, note: Note, mix: &mut Mix) {
        const RELEASE: f64 = 0.22;
        let hertz = frequency(note.pitch);
        let strip = Strip { gain: 0.15 * note.force, pan: 0.12, reverb: 0.40, echo: 0.24 };
        let mut breath = Noise::new(u64::from(note.pitch) ^ note.start.to_bits());
        mix.add(note.start, note.length + RELEASE, strip, |at| {
            let depth = 0.0045 * ((at - 0.25) / 0.5).clamp(0.0, 1.0);
            let wobble = depth * hertz / (std::f64::consts::TAU * 5.1) * sine(5.1 * at);
            let turns = 2.0 + hertz * at + wobble;
            let tone = sine(turns) + 0.22 * sine(2.0 * turns) + 0.09 * sine(3.0 * turns) + 0.02 * sine(4.0 * turns);
            let air = breath.high(0.4) * (0.014 + 0.10 * libm::exp(-22.0 * at));
            (tone + air) * envelope(at, 0.055, note.length, RELEASE)
        });
    }
}

impl Instrument for Kick {
    fn play(&self, note: Note, mix: &mut Mix) {
        let strip = Strip { gain: 0.42 * note.force, pan: 0.0, reverb: 0.03, echo: 0.0 };
        mix.add(note.start, 0.4, strip, |at| {
            // The integral of 48 + 90·e^(-28 t).
            let turns = 48.0 * at + 90.0 / 28.0 * (1.0 - libm::exp(-28.0 * at));
            envelope(at, 0.002, 0.06, 0.34) * libm::exp(-5.0 * at) * sine(turns)
        });
    }
}

impl Instrument for Brush {
    fn play(&self, note: Note, mix: &mut Mix) {
        let strip = Strip { gain: 0.10 * note.force, pan: -0.15, reverb: 0.3, echo: 0.0 };
        let mut noise = Noise::new(note.start.to_bits());
        mix.add(note.start, 0.28, strip, |at| {
            let body = 0.35 * libm::exp(-26.0 * at) * sine(185.0 * at);
            let sweep = noise.high(0.25) * libm::exp(-15.0 * at);
            envelope(at, 0.012, 0.1, 0.18) * (body + sweep)
        });
    }
}

impl Instrument for Hat {
    fn play(&self, note: Note, mix: &mut Mix) {
        let strip = Strip { gain: 0.035 * note.force, pan: 0.35, reverb: 0.12, echo: 0.0 };
        let mut noise = Noise::new(note.start.to_bits() ^ 1);
        mix.add(note.start, 0.09, strip, |at| {
            noise.high(0.75) * libm::exp(-55.0 * at) * envelope(at, 0.001, 0.05, 0.04)
        });
    }
}

/// White noise from a generator of our own (xorshift64*), through a filter.
struct Noise {
    state: u64,
    low: f64,
}

impl Noise {
    fn new(seed: u64) -> Self {
        let mut noise = Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, low: 0.0 };
        // The first values of a small seed are alike.
        for _ in 0..8 {
            noise.white();
        }
        noise
    }

    fn white(&mut self) -> f64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        bits as f64 / f64::from(1_u32 << 31) - 1.0
    }

    /// What a filter of the first order takes away below: the larger `share`, the brighter.
    fn high(&mut self, share: f64) -> f64 {
        let white = self.white();
        self.low += share * (white - self.low);
        white - self.low
    }
}
