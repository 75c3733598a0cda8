//! `perpetual`: for good, as often as wanted.

use super::{Basis, Bounds, Decision, free};
use crate::store::Entitlement;

/// It carries any quantity, and nothing is drawn.
pub(super) fn decide(entitlement: &Entitlement) -> Decision {
    Decision::Carry(Basis { entitlement: Some(entitlement.id), rights: entitlement.rights, units: 0 })
}

/// Time alone, renewed without debit.
pub(super) fn bounds() -> Bounds {
    free::bounds()
}
