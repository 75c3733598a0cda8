//! Everything of a kind, page by page.

use super::Database;
use crate::store::database::row::{bytes, text};
use crate::store::{Overview, StoreError};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, Digest, OrderId, PublisherName};

#[async_trait]
impl<D: Database> Overview for D {
    async fn account_ids(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<AccountId>, StoreError> {
        let after = after.map_or([0; 16], |id| *id.as_bytes());
        self.read_many("accounts", move |tx| {
            let sql = "SELECT id FROM accounts WHERE id > ?1 ORDER BY id LIMIT ?2";
            tx.all(sql, (after, limit), |row| bytes(row, 0, AccountId::from_bytes))
        })
        .await
    }

    async fn publisher_names(
        &self,
        after: Option<PublisherName>,
        limit: u32,
    ) -> Result<Vec<PublisherName>, StoreError> {
        self.read_many("publishers", move |tx| {
            let sql = "SELECT name FROM publishers WHERE name > ?1 ORDER BY name LIMIT ?2";
            tx.all(sql, (after.as_ref().map_or("", PublisherName::as_str), limit), |row| text(row, 0))
        })
        .await
    }

    async fn resource_digests(&self, after: Option<Digest>, limit: u32) -> Result<Vec<Digest>, StoreError> {
        let after = after.map_or([0; 32], |digest| *digest.as_bytes());
        self.read_many("resources", move |tx| {
            let sql = "SELECT digest FROM resources WHERE digest > ?1 ORDER BY digest LIMIT ?2";
            tx.all(sql, (after, limit), |row| bytes(row, 0, Digest::from_bytes))
        })
        .await
    }

    async fn order_ids(&self, before: Option<OrderId>, limit: u32) -> Result<Vec<OrderId>, StoreError> {
        let before = before.map_or([u8::MAX; 16], |id| *id.as_bytes());
        self.read_many("orders", move |tx| {
            let sql = "SELECT id FROM orders WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
            tx.all(sql, (before, limit), |row| bytes(row, 0, OrderId::from_bytes))
        })
        .await
    }
}
