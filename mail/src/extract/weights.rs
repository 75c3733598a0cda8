//! What was learned of each feature.

/// Weights in a unit, a byte each.
pub(super) struct Weights<'f> {
    unit: f32,
    weights: &'f [u8],
}

impl<'f> Weights<'f> {
    /// As a file has them: the unit in little-endian single precision, then each weight in that unit.
    pub(super) fn read(file: &'f [u8]) -> Self {
        let (unit, weights) = file.split_at_checked(4).unwrap_or_default();
        Self { unit: unit.try_into().map_or(0.0, f32::from_le_bytes), weights }
    }

    /// How much these features speak for what was learned.
    pub(super) fn sum(&self, features: &[(usize, f32)]) -> f32 {
        let weight = |at: &usize| self.weights.get(*at).map_or(0.0, |weight| f32::from(weight.cast_signed()));
        self.unit * features.iter().map(|(at, share)| weight(at) * share).sum::<f32>()
    }
}
