//! The room: an echo, and a reverb of parallel combs and serial all-passes after Schroeder and Moorer, with the lengths
//! of the public-domain "Freeverb" of 2000.

use crate::RATE;
use crate::mix::{Mix, Stereo};

const COMBS: [usize; 8] = [1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617];
const ALL_PASSES: [usize; 4] = [556, 441, 341, 225];
/// The right side's lines are longer, so that the room is wide.
const SPREAD: usize = 23;

/// How much of a comb comes round again: about two seconds until it is gone.
const SIZE: f64 = 0.84;
/// How much of the treble the walls take each time.
const DAMPING: f64 = 0.35;

/// Three quarters of a beat, and one side after the other.
const ECHO_SECONDS: f64 = 0.5625;
const ECHO_AGAIN: f64 = 0.42;

/// What is heard of all three busses.
pub(crate) fn mix_down(mix: Mix) -> Vec<Stereo> {
    let Mix { mut dry, mut reverb, echo } = mix;
    let delay = (ECHO_SECONDS * f64::from(RATE)) as usize;
    let mut line: Vec<Stereo> = echo;
    for at in delay..line.len() {
        let [left, right] = line[at - delay];
        // Crossed: what was left comes back right.
        line[at][0] += ECHO_AGAIN * right;
        line[at][1] += ECHO_AGAIN * left;
    }
    for at in delay..line.len() {
        for side in 0..2 {
            let heard = line[at - delay][1 - side];
            dry[at][side] += heard;
            reverb[at][side] += 0.3 * heard;
        }
    }
    for (side, extra) in [(0, 0), (1, SPREAD)] {
        let mut combs: Vec<Comb> = COMBS.iter().map(|length| Comb::new(length + extra)).collect();
        let mut all_passes: Vec<AllPass> = ALL_PASSES.iter().map(|length| AllPass::new(length + extra)).collect();
        for (heard, sent) in dry.iter_mut().zip(&reverb) {
            let input = 0.85 * sent[side] + 0.15 * sent[1 - side];
            let mut wet = 0.0;
            for comb in &mut combs {
                wet += comb.pass(input);
            }
            for all_pass in &mut all_passes {
                wet = all_pass.pass(wet);
            }
            heard[side] += 0.075 * wet;
        }
    }
    dry
}

struct Comb {
    line: Vec<f64>,
    at: usize,
    low: f64,
}

impl Comb {
    fn new(length: usize) -> Self {
        Self { line: vec![0.0; length], at: 0, low: 0.0 }
    }

    fn pass(&mut self, input: f64) -> f64 {
        let out = self.line[self.at];
        self.low = out * (1.0 - DAMPING) + self.low * DAMPING;
        self.line[self.at] = input + self.low * SIZE;
        self.at = (self.at + 1) % self.line.len();
        out
    }
}

struct AllPass {
    line: Vec<f64>,
    at: usize,
}

impl AllPass {
    fn new(length: usize) -> Self {
        Self { line: vec![0.0; length], at: 0 }
    }

    fn pass(&mut self, input: f64) -> f64 {
        let held = self.line[self.at];
        self.line[self.at] = input + held * 0.5;
        self.at = (self.at + 1) % self.line.len();
        held - input
    }
}
