//! Everything of a kind, page by page: for the operator's listings, and for nothing that serves a request.

use super::StoreError;
use async_trait::async_trait;
use portcullis_protocol::{AccountId, Digest, OrderId, PublisherName};

/// Lists of names, to be looked up one by one.
#[async_trait]
pub trait Overview {
    /// Accounts, oldest first: at most `limit` after the one given.
    async fn account_ids(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<AccountId>, StoreError>;

    /// Publishers, by name: at most `limit` after the one given.
    async fn publisher_names(&self, after: Option<PublisherName>, limit: u32)
    -> Result<Vec<PublisherName>, StoreError>;

    /// Published resources, by digest, withdrawn ones too: at most `limit` after the one given.
    async fn resource_digests(&self, after: Option<Digest>, limit: u32) -> Result<Vec<Digest>, StoreError>;

    /// Orders, newest first: at most `limit` before the one given.
    async fn order_ids(&self, before: Option<OrderId>, limit: u32) -> Result<Vec<OrderId>, StoreError>;
}
