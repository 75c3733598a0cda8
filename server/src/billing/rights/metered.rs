//! `metered`: by the unit, from the prepaid balance. Money moves only under the offer that the user accepted; each
//! authorisation holds quantity times its price, each verification draws what was held.

use super::{Ask, Basis, Bounds, Decision, Draw};
use crate::store::{OfferRevision, Prepaid};
use portcullis_protocol::{GrantLimits, Reason};

/// Seconds in which the units of a grant may begin: they are paid for, so a slow terminal is given time.
const LIFE: u64 = 300;

/// Whether the accepted offer is a metered one in force, and what is left of the balance in its currency covers it.
/// `None` where the user accepted no such offer.
pub(super) fn decide(offers: &[OfferRevision], prepaid: &[Prepaid], ask: Ask) -> Option<Decision> {
    let accepted = ask.accepted?;
    let revision = offers.iter().find(|revision| revision.digest == accepted)?;
    let (rights, price) = (revision.offer.rights, revision.offer.price);
    if !rights.is_metered() {
        return None;
    }
    let left = prepaid.iter().find(|balance| balance.currency == price.currency()).map_or(0, Prepaid::left);
    // A sum beyond what money can be is beyond every balance.
    let cost = price.checked_mul(ask.quantity).ok().filter(|cost| !cost.is_zero() && cost.minor_units() <= left);
    Some(cost.map_or(Decision::Refuse(Reason::BalanceTooLow), |cost| {
        Decision::Carry(Basis { rights, draw: Draw::Money { offer: accepted, cost } })
    }))
}

/// As many units as were paid for.
pub(super) fn bounds(quantity: u32) -> Bounds {
    let limits = GrantLimits { uses: None, units: Some(u64::from(quantity)) };
    Bounds { life: LIFE, limits, renewable: false }
}
