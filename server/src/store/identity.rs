//! Whose database it is: the origin and the master key that it was made for.

use super::StoreError;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;

/// What a database says about the server that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRecord {
    /// How terminals call the server.
    pub origin: String,
    /// What the master key computes, [`Secrets::key_check`](crate::crypto::secrets::Secrets::key_check): tells whether
    /// a key is the one, and nothing about it.
    pub key_check: [u8; 32],
}

/// Whose database it is.
#[async_trait]
pub trait Identities {
    /// Whose it is; `None` in a database that was not bound yet.
    async fn identity(&self) -> Result<Option<IdentityRecord>, StoreError>;

    /// Says which master key this process opened it with. From then on nothing is written once the database is sealed
    /// by another one: [`StoreError::KeyChanged`].
    fn open_with(&self, key_check: [u8; 32]);

    /// Binds a database that belongs to nobody. One that is bound stays as it is.
    async fn bind_identity(&self, identity: IdentityRecord) -> Result<(), StoreError>;

    /// The latest moment at which a server is known to have worked on this database.
    async fn last_seen(&self) -> Result<Timestamp, StoreError>;

    /// From now on the database's present time counts as the latest, though later ones are on record.
    async fn accept_clock(&self) -> Result<(), StoreError>;
}
