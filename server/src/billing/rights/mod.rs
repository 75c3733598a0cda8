//! Rights: whether what an account holds carries what it asks for. Pure: no SQL, no HTTP, no clock.
//!
//! Each model is one file. It says whether an entitlement, or a prepaid balance, carries a quantity, and what bounds the
//! grant. A new model is one more file, its wire form in `portcullis-protocol`, and a line in each `match` here.

mod free;
mod metered;
mod perpetual;
mod uses;

use crate::ops::clock::Timestamp;
use crate::store::{Draw, Entitlement, OfferRevision, Prepaid};
use portcullis_protocol::{Digest, GrantLimits, Reason, Rights};

/// What an account asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// How much.
    pub quantity: u32,
    /// The offer that the user accepted, where he accepted one. Without it no money moves.
    pub accepted: Option<Digest>,
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
}

/// What bounds a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Seconds until which new calls may begin.
    pub life: u64,
    /// The grant's own limits.
    pub limits: GrantLimits,
    /// Whether a newer grant makes an older one needless: it does where only time bounds them.
    pub renewable: bool,
}

/// Decides on the offers for one operation, and the entitlements and prepaid balances of one account. A free offer comes
/// first, then rights that do not run out, then those that do, oldest first, and money last: nobody pays for what he has.
#[must_use]
pub fn decide(offers: &[OfferRevision], entitlements: &[Entitlement], prepaid: &[Prepaid], ask: Ask) -> Decision {
    if let Some(decision) = offers.iter().find_map(|revision| free::decide(&revision.offer.rights)) {
        return decision;
    }
    let mut refusal = Reason::PaymentRequired;
    let mut counted = None;
    for entitlement in entitlements {
        match of(entitlement, ask) {
            Decision::Carry(basis) if !basis.draw.runs_out() => return Decision::Carry(basis),
            Decision::Carry(basis) => {
                counted.get_or_insert(basis);
            }
            Decision::Refuse(reason) => refusal = weightier(refusal, reason),
        }
    }
    match counted {
        Some(basis) => Decision::Carry(basis),
        None => metered::decide(offers, prepaid, ask).unwrap_or(Decision::Refuse(refusal)),
    }
}

/// Decides on one entitlement: also whether a hold that was made may still be debited.
#[must_use]
pub fn of(entitlement: &Entitlement, ask: Ask) -> Decision {
    if entitlement.revoked.is_some() {
        return Decision::Refuse(Reason::EntitlementRevoked);
    }
    match entitlement.rights {
        Rights::Perpetual {} => perpetual::decide(entitlement),
        Rights::Uses { count } => uses::decide(entitlement, count, ask),
        // Nobody is given an entitlement to what is free or paid for by the unit; and a model that this server does not know opens nothing.
        _ => Decision::Refuse(Reason::PaymentRequired),
    }
}

/// What bounds a grant of `quantity` under these rights.
#[must_use]
pub fn bounds(rights: &Rights, quantity: u32) -> Bounds {
    match rights {
        Rights::Uses { .. } => uses::bounds(quantity),
        Rights::Perpetual {} => perpetual::bounds(),
        Rights::Metered {} => metered::bounds(quantity),
        _ => free::bounds(),
    }
}

/// Of two reasons the one that says more: that rights are used up says more than that they were taken back, and both say
/// more than that there are none.
fn weightier(one: Reason, other: Reason) -> Reason {
    let weight = |reason| match reason {
        Reason::EntitlementExhausted => 2,
        Reason::EntitlementRevoked => 1,
        _ => 0,
    };
    if weight(other) > weight(one) { other } else { one }
}
