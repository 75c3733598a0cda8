//! Whose database it is.

use super::Database;
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::store::database::row::time;
use crate::store::{Identities, IdentityRecord, StoreError};
use async_trait::async_trait;

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
