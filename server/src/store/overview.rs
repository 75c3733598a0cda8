//! Everything of a kind, page by page: for the operator's listings, checks and backups, and for nothing that
//! serves a request.

use super::StoreError;
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use portcullis_protocol::{AccountId, Digest, OrderId, PublisherName};

/// Rows that are looked at at a time.
pub(crate) const PAGE: u32 = 500;

/// Every row of a list, which `list` reads a page at a time: the page after a row, or the first.
pub(crate) fn every<'a, T, F>(list: impl Fn(Option<T>) -> F + Send + 'a) -> BoxStream<'a, Result<T, StoreError>>
where
    T: Clone + Send + 'a,
    F: Future<Output = Result<Vec<T>, StoreError>> + Send + 'a,
{
    let pages = stream::try_unfold((list, None), |(list, after)| async move {
        let page = list(after).await?;
        let last = page.last().cloned();
        Ok::<_, StoreError>(last.map(|last| (stream::iter(page.into_iter().map(Ok)), (list, Some(last)))))
    });
    pages.try_flatten().boxed()
}

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
