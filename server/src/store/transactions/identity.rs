//! Whose database it is.

use super::{Database, Tx, TxError, TxResult};
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::store::database::row::time;
use crate::store::{Identities, IdentityRecord, StoreError};
use async_trait::async_trait;
use std::sync::{Arc, OnceLock};

/// The master key that a process opened the database with, by what it computes. Not known before it was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenedWith(Arc<OnceLock<[u8; 32]>>);

impl OpenedWith {
    /// Whether the database is sealed by it still. In the transaction that writes: a change of the key waits for it.
    pub(crate) fn verify(&self, tx: &Tx<'_>) -> TxResult<()> {
        let Some(key_check) = self.0.get() else { return Ok(()) };
        let sql = "SELECT 1 FROM server WHERE key_check <> ?1";
        match tx.one(sql, [key_check], |_| Ok(()))? {
            None => Ok(()),
            Some(()) => Err(TxError::KeyChanged),
        }
    }
}

#[async_trait]
impl<D: Database> Identities for D {
    async fn identity(&self) -> Result<Option<IdentityRecord>, StoreError> {
        self.read("server", |tx| {
            tx.one("SELECT origin, key_check FROM server WHERE origin IS NOT NULL", (), |row| {
                Ok(IdentityRecord { origin: row.get(0)?, key_check: row.get(1)? })
            })
        })
        .await
    }

    fn open_with(&self, key_check: [u8; 32]) {
        let opened = self.opened_with().0.get_or_init(|| key_check);
        debug_assert!(*opened == key_check, "a process has one master key");
    }

    async fn bind_identity(&self, identity: IdentityRecord) -> Result<(), StoreError> {
        self.write(Write::IdentityBind, move |tx| {
            let sql = "UPDATE server SET origin = ?1, key_check = ?2,
                           seen_at = CASE WHEN seen_at < ?3 THEN ?3 ELSE seen_at END WHERE origin IS NULL";
            tx.change(sql, (&identity.origin, &identity.key_check, tx.now().millis()))?;
            Ok(())
        })
        .await
    }

    async fn last_seen(&self) -> Result<Timestamp, StoreError> {
        let seen = self.read("server", |tx| tx.one("SELECT seen_at FROM server", (), |row| time(row, 0))).await?;
        seen.ok_or(StoreError::Unreadable("server"))
    }

    async fn accept_clock(&self) -> Result<(), StoreError> {
        self.write(Write::ClockAccept, |tx| {
            tx.change("UPDATE server SET seen_at = ?1", [tx.now().millis()])?;
            Ok(())
        })
        .await
    }
}
