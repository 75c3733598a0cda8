//! Publishers: a name, its key, and the account that owns it.

use super::StoreError;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, Adoption, Digest, PublicKey, PublisherName, ResourceName};

/// A publisher at this server. Never leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublisherId(pub Octets<16>);

/// A publisher.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// Its identifier.
    pub id: PublisherId,
    /// Its name.
    pub name: PublisherName,
    /// The key that signs its resources.
    pub key: PublicKey,
    /// The account that owns it.
    pub owner: AccountId,
    /// When it was claimed.
    pub created: Timestamp,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The name is the account's, with this key. It may have been before.
    Claimed,
    /// The name belongs to another account or another key.
    Taken,
    /// The account has [`MAX_PUBLISHERS`](portcullis_protocol::limits::MAX_PUBLISHERS) names.
    TooMany,
}

/// A verified vouch, to be stored.
#[derive(Debug, Clone)]
pub struct NewVouch {
    /// The account that asks: it has to own the publisher.
    pub account: AccountId,
    /// The publisher.
    pub name: PublisherName,
    /// The key that signed it, which has to be the one in use.
    pub by: PublicKey,
    /// The successor.
    pub key: PublicKey,
    /// Its number, which has to be the next one.
    pub seq: u64,
    /// The vouch itself.
    pub compact: String,
}

/// What became of a vouch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VouchOutcome {
    /// The publisher's key is the successor. It may have been before.
    Vouched,
    /// There is no such publisher, or it belongs to another account.
    NotOwner,
    /// Another key is in use, or another number is next: somebody else was faster.
    Stale,
    /// There are [`MAX_VOUCHES`](portcullis_protocol::limits::MAX_VOUCHES).
    TooMany,
}

/// A verified adoption, to be stored.
#[derive(Debug, Clone)]
pub struct NewAdoption {
    /// The account that asks: it has to own the publisher.
    pub account: AccountId,
    /// What is adopted, by which key: the one in use, or one that may come next.
    pub adoption: Adoption,
    /// The adoption itself.
    pub compact: String,
}

/// What became of an adoption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdoptOutcome {
    /// It is stored. It holds as soon as its key is in use.
    Adopted,
    /// There is no such resource of a publisher that the account owns.
    NotFound,
    /// This is no version of the resource.
    NoSuchVersion(Digest),
    /// The key in use has adopted this version before, and terminals may know that: it is withdrawn, not left out.
    LeavesOut(Digest),
}

/// Publishers.
#[async_trait]
pub trait Publishers {
    /// Claims a name for a key.
    async fn claim_publisher(&self, publisher: Publisher) -> Result<ClaimOutcome, StoreError>;

    /// The publisher of a name.
    async fn publisher(&self, name: &PublisherName) -> Result<Option<Publisher>, StoreError>;

    /// Remembers what a key stands for of what earlier ones signed: of the key in use, and of one that may come next.
    /// It takes the place of what the same key, and what any third one, said of this resource.
    async fn adopt(&self, adoption: NewAdoption) -> Result<AdoptOutcome, StoreError>;

    /// Changes a publisher's key to the one that the key in use vouches for. What the new one has not adopted is sold
    /// no more; who has rights in it keeps them.
    async fn vouch(&self, vouch: NewVouch) -> Result<VouchOutcome, StoreError>;

    /// Takes some of what a publisher's key stands for no version of out of the index that is searched. It is off sale
    /// since that key came into use. Returns whether there is more.
    async fn unlist(&self, name: &PublisherName) -> Result<bool, StoreError>;

    /// What a publisher of this account has published, by name, on sale or not: `limit` names behind the first `skip`.
    /// `None` if it is another account's, or there is none.
    async fn resource_names(
        &self,
        account: &AccountId,
        name: &PublisherName,
        skip: u32,
        limit: u32,
    ) -> Result<Option<Vec<ResourceName>>, StoreError>;

    /// The vouches of a publisher, compact, oldest first.
    async fn vouches(&self, name: &PublisherName) -> Result<Vec<String>, StoreError>;
}
