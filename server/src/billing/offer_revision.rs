//! An offer as it is in force. A revision never changes; another price is another revision.

use crate::ops::clock::Timestamp;
use portcullis_protocol::{Digest, Offer};

/// A revision in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferRevision {
    /// What is signed.
    pub offer: Offer,
    /// Its digest: SHA-256 of the payload that [`OfferRevision::offer`] serialises to.
    pub digest: Digest,
    /// Since when.
    pub since: Timestamp,
}
