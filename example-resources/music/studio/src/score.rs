//! "Harbour at Dusk": 22 bars at 80 beats a minute, in F.

use crate::RATE;
use crate::instruments::{Bass, Brush, ElectricPiano, Flute, Hat, Instrument, Kick, Note, Pad};
use crate::mix::{Mix, Stereo};
use crate::room;

const BEAT: f64 = 0.75;
const BAR: f64 = 4.0 * BEAT;
const BARS: usize = 22;
/// After the last bar: the room dies away.
const TAIL: f64 = 4.0;

/// Swing: the second of two eighths comes this much of a beat late.
const SWING: f64 = 0.05;

/// Bass, then four notes of the right hand.
type Chord = (u8, [u8; 4]);

const F_MAJ9: Chord = (41, [57, 60, 64, 67]);
const A_MIN7: Chord = (45, [55, 60, 64, 67]);
const B_FLAT_MAJ9: Chord = (46, [57, 60, 62, 65]);
const C_SUS: Chord = (36, [58, 62, 65, 67]);
const D_MIN9: Chord = (38, [53, 57, 60, 64]);
const G_MIN9: Chord = (43, [53, 57, 58, 62]);
const C_7: Chord = (36, [58, 62, 64, 67]);

/// One chord a bar.
const HARMONY: [Chord; BARS] = [
    // Two bars before the tune, twice eight with it, four to the end.
    F_MAJ9,
    B_FLAT_MAJ9, //
    F_MAJ9,
    A_MIN7,
    B_FLAT_MAJ9,
    C_SUS,
    F_MAJ9,
    D_MIN9,
    G_MIN9,
    C_7, //
    F_MAJ9,
    A_MIN7,
    B_FLAT_MAJ9,
    C_SUS,
    D_MIN9,
    A_MIN7,
    G_MIN9,
    C_7, //
    F_MAJ9,
    B_FLAT_MAJ9,
    C_SUS,
    F_MAJ9,
];

/// The bar in which the tune begins.
const TUNE_FROM: usize = 2;

/// Beats and pitches of the tune, a bar a line; 0 is silence.
const TUNE: &[&[(f64, u8)]] = &[
    &[(0.5, 0), (0.5, 69), (1.0, 72), (2.0, 76)],
    &[(0.5, 74), (0.5, 72), (1.0, 67), (2.0, 72)],
    &[(0.5, 0), (0.5, 70), (1.0, 74), (1.5, 77), (0.5, 76)],
    &[(3.0, 74), (1.0, 0)],
    &[(0.5, 0), (0.5, 69), (1.0, 72), (1.5, 76), (0.5, 79)],
    &[(1.5, 77), (0.5, 76), (1.0, 72), (1.0, 69)],
    &[(0.5, 0), (0.5, 70), (0.5, 72), (0.5, 74), (1.0, 77), (1.0, 74)],
    &[(1.0, 76), (0.5, 74), (0.5, 72), (2.0, 70)],
    &[(1.5, 81), (0.5, 79), (1.0, 76), (1.0, 72)],
    &[(0.5, 74), (0.5, 76), (1.0, 79), (2.0, 76)],
    &[(1.5, 77), (0.5, 76), (1.0, 74), (1.0, 70)],
    &[(0.5, 72), (0.5, 74), (2.5, 79), (0.5, 0)],
    &[(1.5, 81), (0.5, 84), (1.0, 81), (1.0, 77)],
    &[(0.5, 79), (0.5, 76), (1.0, 72), (2.0, 67)],
    &[(1.0, 70), (1.0, 74), (1.0, 77), (1.0, 74)],
    &[(1.0, 76), (1.0, 74), (2.0, 72)],
    &[(3.0, 69), (1.0, 0)],
    &[(2.0, 74), (2.0, 77)],
    &[(2.0, 79), (2.0, 74)],
    &[(4.0, 72)],
];

/// Plays the score: what is heard, room and all.
pub(crate) fn play() -> Vec<Stereo> {
    let seconds = BARS as f64 * BAR + TAIL;
    let mut mix = Mix::new((seconds * f64::from(RATE)) as usize);
    for (bar, (bass, hand)) in HARMONY.iter().enumerate() {
        pad(&mut mix, bar, hand);
        piano(&mut mix, bar, hand);
        if bar >= 1 {
            bass_line(&mut mix, bar, *bass);
        }
        drums(&mut mix, bar);
    }
    tune(&mut mix);
    room::mix_down(mix)
}

/// A note of a bar: beats from its beginning, and how many.
fn note(bar: usize, beat: f64, beats: f64, pitch: u8, force: f64) -> Note {
    let off_beat = libm::fmod(beat, 1.0) == 0.5;
    let late = if off_beat { SWING } else { 0.0 };
    Note { start: bar as f64 * BAR + (beat + late) * BEAT, length: beats * BEAT, pitch, force }
}

fn pad(mix: &mut Mix, bar: usize, hand: &[u8; 4]) {
    for pitch in hand {
        Pad.play(note(bar, 0.0, 3.6, *pitch, if bar < 2 { 1.2 } else { 1.0 }), mix);
    }
}

/// The chord, rolled a little, then its notes one by one; every second bar has another figure.
fn piano(mix: &mut Mix, bar: usize, hand: &[u8; 4]) {
    let last = bar + 1 == BARS;
    for (finger, pitch) in hand.iter().enumerate() {
        let held = if last { 4.0 } else { 1.9 };
        let mut struck = note(bar, 0.0, held, *pitch, 0.8);
        struck.start += 0.018 * finger as f64;
        ElectricPiano.play(struck, mix);
    }
    if last {
        return;
    }
    let figure: &[(f64, usize, u8)] = if bar.is_multiple_of(2) {
        &[(2.0, 0, 0), (2.5, 1, 0), (3.0, 2, 0), (3.5, 3, 0)]
    } else {
        &[(1.5, 3, 0), (2.5, 2, 0), (3.0, 0, 12), (3.5, 1, 12)]
    };
    for (beat, finger, up) in figure {
        ElectricPiano.play(note(bar, *beat, 0.9, hand[*finger] + up, 0.55), mix);
    }
}

fn bass_line(mix: &mut Mix, bar: usize, root: u8) {
    if bar + 1 == BARS {
        Bass.play(note(bar, 0.0, 4.0, root, 0.9), mix);
        return;
    }
    Bass.play(note(bar, 0.0, 1.4, root, 1.0), mix);
    Bass.play(note(bar, 1.5, 0.45, root, 0.6), mix);
    Bass.play(note(bar, 2.0, 0.9, root + 7, 0.8), mix);
    // On the way to the next root.
    let next = HARMONY[(bar + 1).min(BARS - 1)].0;
    let step = if next > root { next - 2 } else { next + 2 };
    Bass.play(note(bar, 3.0, 0.9, step, 0.75), mix);
}

fn drums(mix: &mut Mix, bar: usize) {
    let (from, until) = (TUNE_FROM, BARS - 2);
    if bar < from || bar >= until {
        return;
    }
    for eighth in 0..8 {
        let force = if eighth % 2 == 0 { 1.0 } else { 0.6 };
        Hat.play(note(bar, f64::from(eighth) * 0.5, 0.1, 0, force), mix);
    }
    Kick.play(note(bar, 0.0, 0.1, 0, 1.0), mix);
    Kick.play(note(bar, 2.5, 0.1, 0, 0.75), mix);
    if bar >= from + 2 {
        for beat in [1.0, 3.0] {
            Brush.play(note(bar, beat, 0.1, 0, 1.0), mix);
        }
    }
    if bar >= from + 8 && bar % 4 == 1 {
        for (beat, force) in [(3.5, 0.6), (3.75, 0.8)] {
            Brush.play(note(bar, beat, 0.1, 0, force), mix);
        }
    }
}

fn tune(mix: &mut Mix) {
    for (line, bar) in TUNE.iter().zip(TUNE_FROM..) {
        let mut beat = 0.0;
        for (beats, pitch) in *line {
            if *pitch != 0 {
                Flute.play(note(bar, beat, beats - 0.06, *pitch, 0.9), mix);
            }
            beat += beats;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_has_four_beats() {
        assert_eq!(TUNE.len(), BARS - TUNE_FROM);
        for (bar, line) in TUNE.iter().enumerate() {
            assert_eq!(line.iter().map(|(beats, _)| beats).sum::<f64>(), 4.0, "bar {bar} of the tune");
        }
    }
}
