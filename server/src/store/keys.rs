//! The server's own keys, wrapped.

use super::StoreError;
use crate::crypto::secrets::Sealed;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::PublicKey;

/// What a wrapped key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyRole {
    /// Signs key documents.
    Root,
    /// The age identity, which opens parts at publish.
    Age,
    /// Authenticates status codes.
    Code,
    /// Authenticates nonces of proofs.
    Nonce,
}

impl KeyRole {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Root, Self::Age, Self::Code, Self::Nonce];

    /// Its name in the store and in the associated data of its wrapping.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Age => "age",
            Self::Code => "code",
            Self::Nonce => "nonce",
        }
    }
}

/// A wrapped key.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// What it is for.
    pub role: KeyRole,
    /// The key, wrapped under its role.
    pub key: Sealed,
}

/// A signing key, public and wrapped.
#[derive(Debug, Clone)]
pub struct SigningRecord {
    /// The public half.
    pub public: PublicKey,
    /// The seed, wrapped under its thumbprint.
    pub seed: Sealed,
    /// From when it signs.
    pub not_before: Timestamp,
    /// Until when it signs.
    pub expires: Timestamp,
}

impl SigningRecord {
    /// From when it signs, and until when.
    #[must_use]
    pub const fn span(&self) -> (Timestamp, Timestamp) {
        (self.not_before, self.expires)
    }
}

/// The server's own keys.
#[async_trait]
pub trait Keyring {
    /// Writes the first keys. False, and nothing is written, where there are keys already.
    async fn create_keys(&self, keys: Vec<KeyRecord>, signing: SigningRecord) -> Result<bool, StoreError>;

    /// The keys that are no signing keys.
    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;

    /// The version of the set of signing keys, which grows with every change, and the keys, oldest first.
    async fn signing_keys(&self) -> Result<(u64, Vec<SigningRecord>), StoreError>;

    /// Adds a signing key. Those before it stop signing at `overlap_ends`, where that is sooner than they would have.
    /// The version of the set grows, to `at_least` this number.
    async fn add_signing_key(
        &self,
        key: SigningRecord,
        overlap_ends: Timestamp,
        at_least: u64,
    ) -> Result<(), StoreError>;
}
