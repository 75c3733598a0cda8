//! The offer: how an operation can be paid for.

use crate::ids::{OfferId, OperationName, Origin, PublisherName, ResourceName};
use crate::jws::Document;
use crate::labels::TYP_OFFER;
use crate::money::Money;
use crate::rights::Rights;
use serde::{Deserialize, Serialize};

/// A price and what it buys, from the server's catalogue. Its digest (SHA-256 of the payload) is what a user accepts:
/// another price is another digest. It holds for every version of the resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The billing server.
    pub iss: Origin,
    /// Names the offer; stays when its price changes.
    pub id: OfferId,
    /// The publisher.
    pub publisher: PublisherName,
    /// The resource.
    pub name: ResourceName,
    /// The operation that it pays for.
    pub operation: OperationName,
    /// What a person reads, at most 120 bytes.
    pub title: String,
    /// What it gives.
    pub rights: Rights,
    /// What it costs: once, and where it is metered, for each unit.
    pub price: Money,
    /// Since when, Unix seconds.
    pub iat: u64,
}

impl Document for Offer {
    const TYP: &'static str = TYP_OFFER;
    const CHECKS_TEXTS: bool = true;
}
