//! `free`: everyone may, without an order.

use super::{Basis, Bounds, Decision, Draw};
use portcullis_protocol::{GrantLimits, Rights};

/// Seconds that a grant bounded by time alone lives: what a revocation online has to wait for.
pub(super) const LIFE: u64 = 30;

/// Whether an offer makes an operation free.
pub(super) fn decide(rights: &Rights) -> Option<Decision> {
    rights.is_free().then_some(Decision::Carry(Basis { rights: *rights, draw: Draw::Nothing }))
}

/// Time alone.
pub(super) fn bounds() -> Bounds {
    Bounds { life: LIFE, limits: GrantLimits::default(), renewable: true }
}
