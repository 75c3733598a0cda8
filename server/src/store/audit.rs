//! The audit log: what operators did.

use super::StoreError;
use crate::audit::{Act, AuditRow};
use async_trait::async_trait;
use portcullis_protocol::Thumbprint;

/// A row with its seal: a keyed hash of its digest, which only the master key makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// The row.
    pub row: AuditRow,
    /// The seal.
    pub seal: [u8; 32],
}

/// Where the log ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEnd {
    /// The number of the last row; 0 if there is none.
    pub number: u64,
    /// The newest head that is kept, compact, with the number of rows that it covers.
    pub head: Option<(u64, String)>,
}

/// The audit log. What changes something writes its row itself: see [`Act::scope`].
#[async_trait]
pub trait AuditLog {
    /// Writes the row of an act that changes nothing in the store.
    async fn record_act(&self, act: Act) -> Result<(), StoreError>;

    /// The rows after this number, oldest first.
    async fn audit_rows(&self, after: u64, limit: u32) -> Result<Vec<SealedRow>, StoreError>;

    /// Where the log ends.
    async fn audit_end(&self) -> Result<AuditEnd, StoreError>;

    /// The heads that cover more rows than this, with the number of rows, those that cover fewer first.
    async fn audit_heads(&self, after: u64, limit: u32) -> Result<Vec<(u64, String)>, StoreError>;

    /// Keeps a head over so many rows, unless one is kept. False, and nothing is kept, if the key that signed it has
    /// ended by the database's time.
    async fn keep_audit_head(&self, number: u64, compact: String, signer: Thumbprint) -> Result<bool, StoreError>;
}
