//! Offers: revisions of prices. A revision never changes; another price is another revision.

use super::StoreError;
use crate::billing::offer_revision::OfferRevision;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::{
    AccountId, Money, Offer, OfferId, OperationName, Origin, PartName, PublisherName, ResourceName, Rights, Version,
};

/// One line of a new price list.
#[derive(Debug, Clone)]
pub struct NewOffer {
    /// The offer: of the list before, if it is revised.
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

/// What became of a new price list.
#[derive(Debug, Clone)]
pub enum OffersOutcome {
    /// The list now in force. Lines that did not change kept their revision and digest.
    Replaced(Vec<OfferRevision>),
    /// There is no such resource of a publisher that the account owns.
    NotFound,
    /// Neither the newest version of the resource nor any that is sold has such an operation.
    NoSuchOperation(OperationName),
    /// A free operation would open a part that is not public.
    OpensPart(OpenedPart),
    /// A line revises an offer that is not in force.
    NoSuchOffer(OfferId),
}

/// A part that is not declared public and that a free operation opens, or would open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedPart {
    /// The operation.
    pub operation: OperationName,
    /// The part.
    pub part: PartName,
    /// The version whose part it is.
    pub version: Version,
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

    /// The offers of a resource on sale.
    async fn offers(&self, publisher: &PublisherName, name: &ResourceName) -> Result<Vec<OfferRevision>, StoreError>;
}
