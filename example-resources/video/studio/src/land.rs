//! The ranges: where each has its ridge.

/// A range: how far away, how high, how rough.
pub(crate) struct Range {
    /// Of the frame's height, from the top: the mean of its ridge.
    pub(crate) ridge: f32,
    /// Of the frame's height: how far the ridge goes up and down.
    pub(crate) relief: f32,
    /// Hills on one width of the frame.
    pub(crate) hills: f32,
    /// Widths of the frame that it slides past in a second.
    pub(crate) speed: f32,
    /// Small teeth on top: trees.
    pub(crate) trees: f32,
    pub(crate) seed: u32,
}

/// Far to near.
pub(crate) const RANGES: [Range; 4] = [
    Range { ridge: 0.52, relief: 0.20, hills: 2.4, speed: 0.008, trees: 0.0, seed: 11 },
    Range { ridge: 0.62, relief: 0.17, hills: 3.1, speed: 0.018, trees: 0.0, seed: 23 },
    Range { ridge: 0.73, relief: 0.14, hills: 2.6, speed: 0.036, trees: 0.006, seed: 37 },
    Range { ridge: 0.88, relief: 0.13, hills: 2.0, speed: 0.075, trees: 0.030, seed: 59 },
];

impl Range {
    /// The ridge above `x` (in widths of the frame) after `seconds`, as a share of the frame's height.
    pub(crate) fn at(&self, x: f32, seconds: f32) -> f32 {
        let place = (x + seconds * self.speed) * self.hills + 100.0;
        let mut height = 0.0;
        let (mut scale, mut level) = (1.0, 0.5);
        for octave in 0..5 {
            // Folded, so that crests are sharp and valleys are round.
            let value = noise(place * scale, self.seed + octave);
            height += level * (1.0 - (2.0 * value - 1.0).abs());
            scale *= 2.1;
            level *= 0.48;
        }
        let mut ridge = self.ridge - self.relief * (height - 0.5);
        if self.trees > 0.0 {
            let tree = place * 34.0 / self.hills * 2.0;
            let crown = 1.0 - (2.0 * (tree - tree.floor()) - 1.0).abs();
            ridge -= self.trees * crown * noise(tree.floor(), self.seed + 97);
        }
        ridge
    }
}

/// Smooth noise of one dimension, from 0 to 1.
fn noise(x: f32, seed: u32) -> f32 {
    let cell = x.floor();
    let part = x - cell;
    let ease = part * part * (3.0 - 2.0 * part);
    let (left, right) = (hash(cell as i32, seed), hash(cell as i32 + 1, seed));
    left + (right - left) * ease
}

/// A number from 0 to 1 that looks like chance.
fn hash(cell: i32, seed: u32) -> f32 {
    let mut bits = (cell as u32).wrapping_mul(0x9e37_79b1) ^ seed.wrapping_mul(0x85eb_ca6b);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x2c1b_3c6d);
    bits = (bits ^ (bits >> 12)).wrapping_mul(0x297a_2d39);
    bits ^= bits >> 15;
    // 24 bits fit.
    (bits >> 8) as f32 / (1 << 24) as f32
}
