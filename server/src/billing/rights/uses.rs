//! `uses`: N of them; each authorisation holds its whole quantity, each verification draws it.

use super::{Ask, Basis, Bounds, Decision, Granting, Model};
use crate::billing::entitlement::{Draw, Entitlement, Holding};
use crate::billing::offer_revision::OfferRevision;
use crate::billing::prepaid::Prepaid;
use crate::ops::clock::Timestamp;
use portcullis_protocol::{GrantLimits, Money, Reason, Rights};

/// Seconds in which the uses of a grant may begin: they are paid for, so a slow terminal is given time.
const LIFE: u64 = 300;

pub(super) struct Uses;

impl Model for Uses {
    fn name(&self) -> &'static str {
        "uses"
    }

    fn check_offer(&self, rights: &Rights, _: Money) -> Result<(), &'static str> {
        match rights.quantity() {
            None | Some(0) => Err("an offer of uses must include at least one"),
            Some(_) => Ok(()),
        }
    }

    fn bought(&self, rights: &Rights, _: Timestamp) -> Option<Holding> {
        Some(Holding { total: Some(rights.quantity()?), ..Holding::default() })
    }

    fn by_offer(&self, _: &OfferRevision, _: &[Prepaid], _: Ask) -> Option<Decision> {
        None
    }

    /// It carries what is neither drawn nor held. One authorisation draws from one entitlement.
    fn by_entitlement(&self, entitlement: &Entitlement, ask: Ask) -> Decision {
        let left = entitlement.remaining().unwrap_or(0);
        if ask.quantity == 0 || u64::from(ask.quantity) > left {
            return Decision::Refuse(Reason::EntitlementExhausted);
        }
        let draw = Draw::Units { entitlement: entitlement.id, units: ask.quantity };
        Decision::Carry(Basis { rights: entitlement.rights, draw, begins: false })
    }

    /// As many calls as were drawn.
    fn bounds(&self, grant: Granting<'_>) -> Result<Bounds, Reason> {
        let limits = GrantLimits { uses: Some(grant.quantity), units: None };
        Ok(Bounds { life: LIFE, limits, renewable: false, begins: None })
    }
}
