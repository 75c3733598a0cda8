//! What was learned of each feature.

/// Weights in a unit, a byte each.
pub(super) struct Weights(Vec<f32>);

impl Weights {
    /// As a file has them: the unit in little-endian single precision, then each weight in that unit.
    pub(super) fn read(file: &[u8]) -> Self {
        let (unit, weights) = file.split_at_checked(4).unwrap_or_default();
        let unit = unit.try_into().map_or(0.0, f32::from_le_bytes);
        Self(weights.iter().map(|weight| f32::from(weight.cast_signed()) * unit).collect())
    }

    /// How much these features speak for what was learned.
    pub(super) fn sum(&self, features: &[(usize, f32)]) -> f32 {
        let weight = |at: &usize| self.0.get(*at).copied().unwrap_or_default();
        features.iter().map(|(at, share)| weight(at) * share).sum()
    }
}
