//! Codes that redeem to rights, each once.

use super::{Buyer, StoreError};
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::{
    AccountId, BatchId, CodeSerial, Digest, Offer, OperationName, PublisherName, Reason, ResourceName, Rights,
};

/// The keyed hash under which a redemption code is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RedemptionLookup(pub [u8; 32]);

impl std::fmt::Debug for RedemptionLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedemptionLookup")
    }
}

/// A batch of codes to be made, unless it was.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Its identifier, which the same request makes again.
    pub id: BatchId,
    /// Who makes it: has to own the publisher.
    pub account: AccountId,
    /// The publisher.
    pub publisher: PublisherName,
    /// The resource.
    pub name: ResourceName,
    /// The offer whose rights each code gives: has to be one of the resource.
    pub offer: Digest,
    /// What they are for.
    pub note: String,
    /// Until when they can be redeemed.
    pub expires: Option<Timestamp>,
    /// Each code, in order.
    pub codes: Vec<(RedemptionLookup, CodeSerial)>,
    /// How many codes the account may have that nobody has redeemed, with these.
    pub most: u64,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchOutcome {
    /// It is made, now or before.
    Made,
    /// The publisher is another account's, or there is none.
    NotOwner,
    /// The offer is not one of the resource, or gives nothing that can be given away.
    NoSuchOffer,
    /// The account has so many codes that nobody has redeemed that there is no room for these.
    TooMany(u64),
}

/// A batch, and what became of its codes.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its identifier.
    pub id: BatchId,
    /// The digest of the offer.
    pub offer: Digest,
    /// The operation that each code gives.
    pub operation: OperationName,
    /// The rights in it.
    pub rights: Rights,
    /// How many codes.
    pub count: u32,
    /// How many of them were redeemed.
    pub redeemed: u32,
    /// How many are void, those among them that expired and were deleted.
    pub void: u32,
    /// What they are for.
    pub note: String,
    /// When it was made.
    pub made: Timestamp,
    /// Until when they can be redeemed.
    pub expires: Option<Timestamp>,
}

/// What became of redeeming a code.
#[derive(Debug, Clone)]
pub enum RedeemOutcome {
    /// The account holds these rights by it, now or since before.
    Redeemed {
        /// The offer whose rights the code gave.
        offer: Box<Offer>,
        /// When it did.
        at: Timestamp,
    },
    /// The terminal was revoked or the account suspended meanwhile.
    ShutOut(Reason),
    /// There is no such code.
    Unknown,
    /// Another account has redeemed it.
    Spent,
    /// It was taken back, or has expired.
    Void,
    /// The account tried too many codes that there are not. Seconds until it may try again.
    TooMany(u64),
    /// The account holds the same for good, so that the code would be lost.
    Held,
    /// Nothing can be granted under its offer at present.
    OffSale,
}

/// Redemption codes.
#[async_trait]
pub trait Redemptions {
    /// Makes a batch of codes.
    async fn make_batch(&self, batch: NewBatch) -> Result<BatchOutcome, StoreError>;

    /// The batches of a resource, newest first: at most `limit` after the first `skip`. `None` if the account does not
    /// own its publisher.
    async fn batches(
        &self,
        account: &AccountId,
        publisher: &PublisherName,
        name: &ResourceName,
        skip: u32,
        limit: u32,
    ) -> Result<Option<Vec<Batch>>, StoreError>;

    /// Voids the codes of a batch that nobody has redeemed. Returns how many; `None` if there is no such batch of the
    /// account's publisher.
    async fn void_batch(
        &self,
        account: &AccountId,
        publisher: &PublisherName,
        batch: &BatchId,
    ) -> Result<Option<u32>, StoreError>;

    /// Redeems a code for an account, at a terminal or in a browser, once, by one conditional write.
    async fn redeem(&self, buyer: &Buyer, code: RedemptionLookup) -> Result<RedeemOutcome, StoreError>;
}
