//! Everything that a master key seals, sealed by another one.

use super::StoreError;
use crate::crypto::secrets::Secrets;
use async_trait::async_trait;

/// What became of a change of the master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewrapOutcome {
    /// It is done; so many values were sealed anew.
    Done(u64),
    /// A server runs on the database, or was killed a moment ago.
    Running,
    /// The database is sealed by another key than the one that was given as its own.
    OtherKey,
}

/// The change of the master key.
#[async_trait]
pub trait Rewrap {
    /// Opens everything with one master key and seals it with another, in one transaction. What cannot be sealed anew,
    /// since only a hash of it is kept, ends: every sign-in, and invitations. Redemption codes stay as they are.
    async fn rewrap(&self, from: Secrets, to: Secrets) -> Result<RewrapOutcome, StoreError>;

    /// Whether the database is sealed by the master key that computes this. Waits for the end of a change under way,
    /// even of one whose process is gone.
    async fn is_sealed_by(&self, key_check: [u8; 32]) -> Result<bool, StoreError>;
}
