//! `perpetual`: for good, as often as wanted.

use super::{Ask, Basis, Bounds, Decision, Granting, Model, free};
use crate::billing::entitlement::{Draw, Entitlement, Holding};
use crate::billing::offer_revision::OfferRevision;
use crate::billing::prepaid::Prepaid;
use crate::ops::clock::Timestamp;
use portcullis_protocol::{Money, Reason, Rights};

pub(super) struct Perpetual;

impl Model for Perpetual {
    fn name(&self) -> &'static str {
        "perpetual"
    }

    fn check_offer(&self, _: &Rights, _: Money) -> Result<(), &'static str> {
        Ok(())
    }

    fn bought(&self, _: &Rights, _: Timestamp) -> Option<Holding> {
        Some(Holding::default())
    }

    fn by_offer(&self, _: &OfferRevision, _: &[Prepaid], _: Ask) -> Option<Decision> {
        None
    }

    /// It carries any quantity, and nothing is drawn.
    fn by_entitlement(&self, entitlement: &Entitlement, _: Ask) -> Decision {
        let draw = Draw::Units { entitlement: entitlement.id, units: 0 };
        Decision::Carry(Basis { rights: entitlement.rights, draw, begins: false })
    }

    fn bounds(&self, _: Granting<'_>) -> Result<Bounds, Reason> {
        Ok(free::time_alone(free::LIFE))
    }
}
