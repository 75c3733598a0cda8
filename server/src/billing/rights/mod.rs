//! Rights: whether what an account holds carries what it asks for. Pure: no SQL, no HTTP, no clock.
//!
//! Each model is one file and one line of the table below. Nothing else on this server knows a model: whoever has a
//! question asks it here, or asks [`Rights`] what every model answers. A model that is not in the table is refused.

mod free;
mod metered;
mod perpetual;
mod rental;
mod uses;

use crate::billing::entitlement::{Draw, Entitlement, Holding};
use crate::billing::offer_revision::OfferRevision;
use crate::billing::prepaid::Prepaid;
use crate::ops::clock::Timestamp;
use portcullis_protocol::{Digest, GrantLimits, Money, Reason, Rights, Sale};

/// The table of models.
static MODELS: [&dyn Model; 5] = [&free::Free, &perpetual::Perpetual, &uses::Uses, &metered::Metered, &rental::Rental];

/// What every model says. No method has a default: a model that does not answer a question does not compile.
trait Model: Sync {
    /// The name in [`Rights::MODELS`].
    fn name(&self) -> &'static str;

    /// Whether they may be offered at a price: `Err` says what to change.
    fn check_offer(&self, rights: &Rights, price: Money) -> Result<(), &'static str>;

    /// What an account holds that has ordered them, from `now` on; `None` if they are not ordered.
    fn bought(&self, rights: &Rights, now: Timestamp) -> Option<Holding>;

    /// Whether an offer carries what is asked for by itself; `None` if it has to be ordered, or accepted, first.
    fn by_offer(&self, revision: &OfferRevision, prepaid: &[Prepaid], ask: Ask) -> Option<Decision>;

    /// Whether an entitlement carries what is asked for. It was not taken back.
    fn by_entitlement(&self, entitlement: &Entitlement, ask: Ask) -> Decision;

    /// What bounds a grant, or why there is none after all: the rights may have ended since the authorisation.
    fn bounds(&self, grant: Granting<'_>) -> Result<Bounds, Reason>;
}

/// What an account asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// How much.
    pub quantity: u32,
    /// The offer that the user accepted, if he accepted one. Without it no money moves.
    pub accepted: Option<Digest>,
    /// When.
    pub now: Timestamp,
}

/// A grant that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granting<'a> {
    /// The rights under which it is paid for.
    pub rights: &'a Rights,
    /// The entitlement that pays, if one does.
    pub entitlement: Option<&'a Entitlement>,
    /// How much.
    pub quantity: u32,
    /// When.
    pub now: Timestamp,
}

/// Whether it may. There is no third thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may, and this pays for it.
    Carry(Basis),
    /// It may not.
    Refuse(Reason),
}

/// What pays for an authorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    /// The rights.
    pub rights: Rights,
    /// What is held, and then debited.
    pub draw: Draw,
    /// Whether the time of the rights begins with it.
    pub begins: bool,
}

impl Basis {
    /// Whether less is left afterwards: of what is counted, of the balance, or of the time.
    #[must_use]
    const fn takes_away(&self) -> bool {
        self.begins || self.draw.runs_out()
    }
}

/// What bounds a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Seconds until which new calls may begin.
    pub life: u64,
    /// The grant's own limits.
    pub limits: GrantLimits,
    /// Whether a newer grant makes an older one needless: it does if only time bounds them.
    pub renewable: bool,
    /// How many seconds the rights last from now on, if their time begins with this grant.
    pub begins: Option<u64>,
}

/// Decides on the offers for one operation, and the entitlements and prepaid balances of one account. A free offer
/// comes first, then rights of which nothing is taken away, then the others, in their order, and money last: nobody
/// pays for what he has.
#[must_use]
pub fn decide(offers: &[OfferRevision], entitlements: &[Entitlement], prepaid: &[Prepaid], ask: Ask) -> Decision {
    let by_offer = |sale: Sale| {
        let mut sold = offers.iter().filter(|revision| revision.offer.rights.sale() == sale);
        sold.find_map(|revision| model(&revision.offer.rights)?.by_offer(revision, prepaid, ask))
    };
    if let Some(decision) = by_offer(Sale::None) {
        return decision;
    }
    let mut refusal = Reason::PaymentRequired;
    let mut counted = None;
    for entitlement in entitlements {
        match of(entitlement, ask) {
            Decision::Carry(basis) if !basis.takes_away() => return Decision::Carry(basis),
            Decision::Carry(basis) => {
                counted.get_or_insert(basis);
            }
            Decision::Refuse(reason) => refusal = weightier(refusal, reason),
        }
    }
    match counted {
        Some(basis) => Decision::Carry(basis),
        None => by_offer(Sale::PerUnit).unwrap_or(Decision::Refuse(refusal)),
    }
}

/// Decides on one entitlement.
#[must_use]
pub fn of(entitlement: &Entitlement, ask: Ask) -> Decision {
    if entitlement.revoked.is_some() {
        return Decision::Refuse(Reason::EntitlementRevoked);
    }
    match model(&entitlement.rights) {
        Some(model) => model.by_entitlement(entitlement, ask),
        None => Decision::Refuse(Reason::PaymentRequired),
    }
}

/// What bounds a grant.
///
/// # Errors
/// Why there is none: the rights have ended, or this server does not know them.
pub fn bounds(grant: Granting<'_>) -> Result<Bounds, Reason> {
    model(grant.rights).ok_or(Reason::PaymentRequired)?.bounds(grant)
}

/// What an account holds that orders these rights now; `None` if they are not ordered.
#[must_use]
pub fn bought(rights: &Rights, now: Timestamp) -> Option<Holding> {
    model(rights)?.bought(rights, now)
}

/// Whether an order of them gives rights for good.
#[must_use]
pub fn are_for_good(rights: &Rights) -> bool {
    bought(rights, Timestamp::from_millis(0)).is_some_and(|holding| holding.is_for_good())
}

/// Whether rights may be offered at a price.
///
/// # Errors
/// What to change.
pub fn check_offer(rights: &Rights, price: Money) -> Result<(), &'static str> {
    model(rights).ok_or("this server does not know the rights model")?.check_offer(rights, price)
}

fn model(rights: &Rights) -> Option<&'static dyn Model> {
    MODELS.into_iter().find(|model| model.name() == rights.model())
}

/// Of two reasons the one that says more: that rights are used up or have ended says more than that they were taken
/// back, and all say more than that there are none.
fn weightier(one: Reason, other: Reason) -> Reason {
    let weight = |reason| match reason {
        Reason::EntitlementExhausted | Reason::EntitlementExpired => 2,
        Reason::EntitlementRevoked => 1,
        _ => 0,
    };
    if weight(other) > weight(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::MODELS;
    use portcullis_protocol::Rights;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_has_every_model_that_can_be_written_once() {
        let rules: BTreeSet<&str> = MODELS.iter().map(|model| model.name()).collect();
        let forms: BTreeSet<&str> = Rights::MODELS.iter().map(|(name, _)| *name).collect();
        assert_eq!((rules.len(), &rules), (MODELS.len(), &forms));
    }
}
