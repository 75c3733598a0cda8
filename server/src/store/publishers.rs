//! Publishers: a name, its key, and the account that owns it.

use super::StoreError;
use crate::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, PublicKey, PublisherName};

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
}

/// Publishers.
#[async_trait]
pub trait Publishers {
    /// Claims a name for a key.
    async fn claim_publisher(&self, publisher: Publisher) -> Result<ClaimOutcome, StoreError>;

    /// The publisher of a name.
    async fn publisher(&self, name: &PublisherName) -> Result<Option<Publisher>, StoreError>;

    /// The vouches of a publisher, compact, oldest first.
    async fn vouches(&self, name: &PublisherName) -> Result<Vec<String>, StoreError>;
}
