//! `uses`: N of them; each authorisation holds its whole quantity, each verification draws it.

use super::{Ask, Basis, Bounds, Decision, Draw};
use crate::store::Entitlement;
use portcullis_protocol::{GrantLimits, Reason};

/// Seconds in which the uses of a grant may begin: they are paid for, so a slow terminal is given time.
const LIFE: u64 = 300;

/// It carries what is neither drawn nor held. One authorisation draws from one entitlement.
pub(super) fn decide(entitlement: &Entitlement, count: u32, ask: Ask) -> Decision {
    let taken = entitlement.used.saturating_add(entitlement.held);
    let left = u64::from(count).saturating_sub(taken);
    if ask.quantity == 0 || u64::from(ask.quantity) > left {
        return Decision::Refuse(Reason::EntitlementExhausted);
    }
    let draw = Draw::Units { entitlement: entitlement.id, units: ask.quantity };
    Decision::Carry(Basis { rights: entitlement.rights, draw })
}

/// As many calls as were drawn.
pub(super) fn bounds(quantity: u32) -> Bounds {
    Bounds { life: LIFE, limits: GrantLimits { uses: Some(quantity), units: None }, renewable: false }
}
