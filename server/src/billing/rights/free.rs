//! `free`: everyone may, without an order.

use super::{Ask, Basis, Bounds, Decision, Granting, Model};
use crate::billing::entitlement::{Draw, Entitlement, Holding};
use crate::billing::offer_revision::OfferRevision;
use crate::billing::prepaid::Prepaid;
use crate::ops::clock::Timestamp;
use portcullis_protocol::{GrantLimits, Money, Reason, Rights};

/// Seconds that a grant bounded by time alone lives: what a revocation online has to wait for.
pub(super) const LIFE: u64 = 30;

pub(super) struct Free;

impl Model for Free {
    fn name(&self) -> &'static str {
        "free"
    }

    fn check_offer(&self, _: &Rights, price: Money) -> Result<(), &'static str> {
        if price.is_zero() {
            Ok(())
        } else {
            Err("what is free costs nothing: set the price to zero, or sell `perpetual`")
        }
    }

    fn bought(&self, _: &Rights, _: Timestamp) -> Option<Holding> {
        None
    }

    fn by_offer(&self, revision: &OfferRevision, _: &[Prepaid], _: Ask) -> Option<Decision> {
        Some(Decision::Carry(Basis { rights: revision.offer.rights, draw: Draw::Nothing, begins: false }))
    }

    fn by_entitlement(&self, _: &Entitlement, _: Ask) -> Decision {
        Decision::Refuse(Reason::PaymentRequired)
    }

    fn bounds(&self, _: Granting<'_>) -> Result<Bounds, Reason> {
        Ok(time_alone(LIFE))
    }
}

/// So many seconds, renewed without debit.
pub(super) fn time_alone(life: u64) -> Bounds {
    Bounds { life, limits: GrantLimits::default(), renewable: true, begins: None }
}
