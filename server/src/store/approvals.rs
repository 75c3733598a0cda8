//! Approvals: which accounts may claim publishers' names where not everybody may.

use super::StoreError;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::{AccountId, PublisherName};

/// Somebody waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRequest {
    /// Who.
    pub account: AccountId,
    /// The name that was asked for last.
    pub name: PublisherName,
    /// When.
    pub asked: Timestamp,
}

/// Approvals.
#[async_trait]
pub trait Approvals {
    /// Whether the account may claim names. When not, the name is noted as what it asks for.
    async fn ask_approval(&self, account: &AccountId, name: &PublisherName) -> Result<bool, StoreError>;

    /// Lets an account claim names.
    async fn approve(&self, account: &AccountId) -> Result<(), StoreError>;

    /// Who waits, at most `limit`, those who asked last first; of one name when it is given.
    async fn approval_requests(
        &self,
        name: Option<&PublisherName>,
        limit: u32,
    ) -> Result<Vec<ApprovalRequest>, StoreError>;
}
