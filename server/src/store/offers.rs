//! Offers: revisions of prices. A revision never changes; another price is another revision.

use super::StoreError;
use crate::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::{
    AccountId, Digest, Money, Offer, OfferId, OperationName, Origin, PublisherName, ResourceName, Rights,
};

/// One line of a new price list.
#[derive(Debug, Clone)]
pub struct NewOffer {
    /// The offer: of the list before, where it is revised.
    pub id: OfferId,
    /// Whether [`NewOffer::id`] is of the list before.
    pub revises: bool,
    /// The operation.
    pub operation: OperationName,
    /// What a person reads.
    pub title: String,
    /// What it gives.
    pub rights: Rights,
    /// What it costs.
    pub price: Money,
}

impl NewOffer {
    /// The offer that a server signs for a resource, from `now` on.
    #[must_use]
    pub fn offer(&self, iss: &Origin, publisher: &PublisherName, name: &ResourceName, now: Timestamp) -> Offer {
        Offer {
            iss: iss.clone(),
            id: self.id,
            publisher: publisher.clone(),
            name: name.clone(),
            operation: self.operation.clone(),
            title: self.title.clone(),
            rights: self.rights,
            price: self.price,
            iat: now.seconds(),
        }
    }
}

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

/// What became of a new price list.
#[derive(Debug, Clone)]
pub enum OffersOutcome {
    /// The list now in force. Lines that did not change kept their revision and digest.
    Replaced(Vec<OfferRevision>),
    /// There is no such resource of a publisher that the account owns.
    NotFound,
    /// The newest version of the resource has no such operation.
    NoSuchOperation(OperationName),
    /// A line revises an offer that is not in force.
    NoSuchOffer(OfferId),
}

/// Offers.
#[async_trait]
pub trait Offers {
    /// Replaces the price list of a resource, as the server `iss`. Offers that are not listed end.
    async fn replace_offers(
        &self,
        iss: &Origin,
        account: &AccountId,
        publisher: &PublisherName,
        name: &ResourceName,
        offers: Vec<NewOffer>,
    ) -> Result<OffersOutcome, StoreError>;

    /// The offers of a resource in force.
    async fn offers(&self, publisher: &PublisherName, name: &ResourceName) -> Result<Vec<OfferRevision>, StoreError>;
}
