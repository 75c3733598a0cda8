//! What a publisher says about a resource, beside its parts.

use crate::documents::{Capabilities, OperationEntry, PublisherEntry, ResourceLimits, ServerEntry};
use crate::ids::{OperationName, ResourceName};
use crate::money::Money;
use crate::rights::Rights;
use crate::version::Version;

/// The manifest's fields that no tool can find out by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Who signs.
    pub publisher: PublisherEntry,
    /// The resource's name within its publisher.
    pub name: ResourceName,
    /// Its version.
    pub version: Version,
    /// `software`, `picture`, `music`, `theme`, `video`, or a kind of the publisher's own.
    pub kind: String,
    /// What a person reads.
    pub title: String,
    /// What a person reads about it; may be empty.
    pub description: String,
    /// The priced things a user does with it.
    pub operations: Vec<OperationEntry>,
    /// Bounds asked for.
    pub limits: ResourceLimits,
    /// What it needs beyond the inert tier of WASI.
    pub capabilities: Capabilities,
    /// Whether the publisher knows that its metering rests on the host's honesty.
    pub advisory_metering: bool,
    /// The billing servers it may be sold by, in any order.
    pub servers: Vec<ServerEntry>,
}

/// How the publisher would sell an operation. Only the billing server's catalogue sets an offer; this is what the
/// checks of sealing go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuggestedOffer {
    /// The operation.
    pub operation: OperationName,
    /// What is sold.
    pub rights: Rights,
    /// For how much.
    pub price: Money,
}

impl SuggestedOffer {
    /// Whether nobody has to pay.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.rights.cost_nothing_at(self.price)
    }
}
