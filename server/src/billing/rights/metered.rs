//! `metered`: by the unit, from the prepaid balance. Money moves only under the offer that the user accepted; each
//! authorisation holds quantity times its price, each verification draws what was held.

use super::{Ask, Basis, Bounds, Decision, Granting, Model};
use crate::billing::entitlement::{Draw, Entitlement, Holding};
use crate::billing::offer_revision::OfferRevision;
use crate::billing::prepaid::Prepaid;
use crate::ops::clock::Timestamp;
use portcullis_protocol::{GrantLimits, Money, Reason, Rights};

/// Seconds in which the units of a grant may begin: they are paid for, so a slow terminal is given time.
const LIFE: u64 = 300;

pub(super) struct Metered;

impl Model for Metered {
    fn name(&self) -> &'static str {
        "metered"
    }

    fn check_offer(&self, _: &Rights, price: Money) -> Result<(), &'static str> {
        if price.is_zero() {
            Err("a unit of a metered offer costs something: set a price, or offer it as `free`")
        } else {
            Ok(())
        }
    }

    fn bought(&self, _: &Rights, _: Timestamp) -> Option<Holding> {
        None
    }

    /// If the user accepted it, and what is left of the balance in its currency covers it.
    fn by_offer(&self, revision: &OfferRevision, prepaid: &[Prepaid], ask: Ask) -> Option<Decision> {
        let accepted = ask.accepted.filter(|accepted| *accepted == revision.digest)?;
        let (rights, price) = (revision.offer.rights, revision.offer.price);
        let left = prepaid.iter().find(|balance| balance.currency == price.currency()).map_or(0, Prepaid::left);
        // A sum beyond what money can be is beyond every balance.
        let cost = price.checked_mul(ask.quantity).ok().filter(|cost| !cost.is_zero() && cost.minor_units() <= left);
        Some(cost.map_or(Decision::Refuse(Reason::BalanceTooLow), |cost| {
            Decision::Carry(Basis { rights, draw: Draw::Money { offer: accepted, cost }, begins: false })
        }))
    }

    fn by_entitlement(&self, _: &Entitlement, _: Ask) -> Decision {
        Decision::Refuse(Reason::PaymentRequired)
    }

    /// As many units as were paid for.
    fn bounds(&self, grant: Granting<'_>) -> Result<Bounds, Reason> {
        let limits = GrantLimits { uses: None, units: Some(u64::from(grant.quantity)) };
        Ok(Bounds { life: LIFE, limits, renewable: false, begins: None })
    }
}
