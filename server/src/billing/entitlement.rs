//! What an account holds, and what an authorisation draws from it.

use crate::ops::clock::Timestamp;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{Digest, Money, OperationName, PublisherName, ResourceName, Rights};

/// An entitlement. Never leaves the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntitlementId(pub Octets<16>);

/// What is recorded of rights that an account holds, whatever their model: the columns that every store has. What they
/// mean together is the model's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// How many units there are; `None` if they are not counted.
    pub total: Option<u64>,
    /// When their time began; `None` if they have none, or it has not begun.
    pub starts: Option<Timestamp>,
    /// From when on nothing may begin under them; `None` if they do not end by themselves.
    pub ends: Option<Timestamp>,
    /// On how many terminals at once; `None` if that does not matter.
    pub seats: Option<u32>,
}

impl Holding {
    /// For good: neither counted nor ending.
    #[must_use]
    pub const fn is_for_good(&self) -> bool {
        self.total.is_none() && self.ends.is_none()
    }

    /// Whether nothing may begin under them any more.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }
}

/// What an account holds for an operation. One per paid order; what is for good an account holds once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entitlement {
    /// Its identifier.
    pub id: EntitlementId,
    /// The publisher.
    pub publisher: PublisherName,
    /// The resource, in all its versions.
    pub name: ResourceName,
    /// The operation.
    pub operation: OperationName,
    /// What was bought.
    pub rights: Rights,
    /// What of it is counted, and when it may be used.
    pub holding: Holding,
    /// Units drawn.
    pub used: u64,
    /// Units held by codes that can still be verified.
    pub held: u64,
    /// Since when it is taken back, if it is.
    pub revoked: Option<Timestamp>,
    /// Since when it is held.
    pub since: Timestamp,
}

impl Entitlement {
    /// Units that are neither drawn nor held, if they are counted.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.holding.total.map(|total| total.saturating_sub(self.used).saturating_sub(self.held))
    }
}

/// What an authorisation holds and its verification debits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Nothing: the operation is free.
    Nothing,
    /// Units of an entitlement.
    Units {
        /// The entitlement.
        entitlement: EntitlementId,
        /// How many; zero where its model does not count.
        units: u32,
    },
    /// Money of the account's prepaid balance.
    Money {
        /// The digest of the metered offer that the user accepted.
        offer: Digest,
        /// Quantity times its price: held, and later debited, whatever becomes of the offer in between.
        cost: Money,
    },
}

impl Draw {
    /// Whether less is left afterwards.
    #[must_use]
    pub const fn runs_out(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Units { units, .. } => *units > 0,
            Self::Money { .. } => true,
        }
    }

    /// The entitlement that pays, if one does.
    #[must_use]
    pub const fn entitlement(&self) -> Option<EntitlementId> {
        match self {
            Self::Units { entitlement, .. } => Some(*entitlement),
            Self::Nothing | Self::Money { .. } => None,
        }
    }

    /// Units of an entitlement.
    #[must_use]
    pub const fn units(&self) -> u32 {
        match self {
            Self::Units { units, .. } => *units,
            Self::Nothing | Self::Money { .. } => 0,
        }
    }

    /// The accepted offer and its cost, where money pays.
    #[must_use]
    pub const fn money(&self) -> Option<(Digest, Money)> {
        match self {
            Self::Money { offer, cost } => Some((*offer, *cost)),
            Self::Nothing | Self::Units { .. } => None,
        }
    }
}
