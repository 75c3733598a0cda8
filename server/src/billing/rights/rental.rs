//! `rental`: for a time. The first use begins within A seconds of buying, every other within B seconds of the first. By
//! the clock of the store, at the moment at which a code is verified: a code that was only held starts nothing.

use super::{Ask, Basis, Bounds, Decision, Granting, Model, free};
use crate::billing::entitlement::{Draw, Entitlement, Holding};
use crate::billing::offer_revision::OfferRevision;
use crate::billing::prepaid::Prepaid;
use crate::ops::clock::Timestamp;
use portcullis_protocol::limits::LONGEST_TERM;
use portcullis_protocol::{Money, Reason, Rights};

pub(super) struct Rental;

impl Model for Rental {
    fn name(&self) -> &'static str {
        "rental"
    }

    fn check_offer(&self, rights: &Rights, _: Money) -> Result<(), &'static str> {
        match rights {
            Rights::Rental { start_within: 1..=LONGEST_TERM, use_within: 1..=LONGEST_TERM } => Ok(()),
            _ => Err("both times of a rental are between one second and ten years"),
        }
    }

    /// Until it is started, it ends when it can be started no more.
    fn bought(&self, rights: &Rights, now: Timestamp) -> Option<Holding> {
        let Rights::Rental { start_within, .. } = rights else { return None };
        Some(Holding { ends: Some(now.plus(u64::from(*start_within))), ..Holding::default() })
    }

    fn by_offer(&self, _: &OfferRevision, _: &[Prepaid], _: Ask) -> Option<Decision> {
        None
    }

    /// It carries any quantity until it ends. The first grant under it starts it.
    fn by_entitlement(&self, entitlement: &Entitlement, ask: Ask) -> Decision {
        if entitlement.holding.has_ended(ask.now) {
            return Decision::Refuse(Reason::EntitlementExpired);
        }
        let draw = Draw::Units { entitlement: entitlement.id, units: 0 };
        Decision::Carry(Basis { rights: entitlement.rights, draw, begins: entitlement.holding.starts.is_none() })
    }

    /// As long as any time-bounded grant, and no longer than the rental itself.
    fn bounds(&self, grant: Granting<'_>) -> Result<Bounds, Reason> {
        let (Rights::Rental { use_within, .. }, Some(entitlement)) = (grant.rights, grant.entitlement) else {
            return Err(Reason::PaymentRequired);
        };
        let Holding { starts, ends: Some(ends), .. } = entitlement.holding else {
            return Err(Reason::PaymentRequired);
        };
        let left = match starts {
            None if ends > grant.now => u64::from(*use_within),
            None => 0,
            Some(_) => u64::try_from(ends.millis().saturating_sub(grant.now.millis()) / 1000).unwrap_or(0),
        };
        // A grant ends at a whole second, so that of less than one nothing can be given.
        if left == 0 {
            return Err(Reason::EntitlementExpired);
        }
        let begins = starts.is_none().then_some(u64::from(*use_within));
        Ok(Bounds { begins, ..free::time_alone(free::LIFE.min(left)) })
    }
}
