//! `perpetual`: for good, as often as wanted.

use super::{Basis, Bounds, Decision, Draw, free};
use crate::store::Entitlement;

/// It carries any quantity, and nothing is drawn.
pub(super) fn decide(entitlement: &Entitlement) -> Decision {
    let draw = Draw::Units { entitlement: entitlement.id, units: 0 };
    Decision::Carry(Basis { rights: entitlement.rights, draw })
}

/// Time alone, renewed without debit.
pub(super) fn bounds() -> Bounds {
    free::bounds()
}
