//! Colours, and from red, green and blue to luma and chroma.

/// Red, green, blue, from 0 to 1, as they are shown (gamma encoded).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Colour(pub(crate) [f32; 3]);

impl Colour {
    pub(crate) const fn hex(rgb: u32) -> Self {
        Self([(rgb >> 16) as u8 as f32 / 255.0, (rgb >> 8) as u8 as f32 / 255.0, rgb as u8 as f32 / 255.0])
    }

    /// `self` at 0, `other` at 1.
    pub(crate) fn mix(self, other: Self, share: f32) -> Self {
        let share = share.clamp(0.0, 1.0);
        let [a, b] = [self.0, other.0];
        Self([0, 1, 2].map(|channel| a[channel] + (b[channel] - a[channel]) * share))
    }

    /// Light on top.
    pub(crate) fn lit(self, by: Self, level: f32) -> Self {
        Self([0, 1, 2].map(|channel| self.0[channel] + by.0[channel] * level))
    }

    /// Luma and chroma after ITU-R BT.601, 16 to 235 and 16 to 240, not rounded.
    pub(crate) fn video(self) -> [f32; 3] {
        let [r, g, b] = self.0.map(|value| value.clamp(0.0, 1.0));
        [
            16.0 + 65.481 * r + 128.553 * g + 24.966 * b,
            128.0 - 37.797 * r - 74.203 * g + 112.0 * b,
            128.0 + 112.0 * r - 93.786 * g - 18.214 * b,
        ]
    }
}

/// A gradient: colours at places that rise.
pub(crate) fn gradient(stops: &[(f32, Colour)], at: f32) -> Colour {
    let after = stops.iter().position(|(place, _)| *place > at).unwrap_or(stops.len() - 1).max(1);
    let ((from, low), (to, high)) = (stops[after - 1], stops[after]);
    low.mix(high, (at - from) / (to - from))
}
