//! The keys that the store signs its webhooks with, as it told them to the merchant, and the newest key document that
//! was seen.

use super::number;
use anyhow::Result;
use portcullis_protocol::wire::WebhookKeys;
use rusqlite::params;

impl super::Database {
    /// Replaces what is known.
    pub(crate) async fn learn_keys(&self, keys: Vec<WebhookKeys>) -> Result<()> {
        self.run(move |tx| {
            tx.execute("DELETE FROM webhook_keys", [])?;
            for key in &keys {
                let sql = "INSERT INTO webhook_keys (v1, v1a, starts, ends) VALUES (?1, ?2, ?3, ?4)";
                tx.execute(sql, params![key.v1, key.v1a, number(key.from), key.until.map(number)])?;
            }
            Ok(())
        })
        .await
    }

    /// What is known.
    pub(crate) async fn webhook_keys(&self) -> Result<Vec<WebhookKeys>> {
        self.run(|tx| {
            let mut statement = tx.prepare("SELECT v1, v1a, starts, ends FROM webhook_keys")?;
            let rows = statement.query_map([], |row| {
                let (starts, ends): (i64, Option<i64>) = (row.get(2)?, row.get(3)?);
                let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
                Ok(WebhookKeys { v1: row.get(0)?, v1a: row.get(1)?, from: seconds(starts), until: ends.map(seconds) })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The version of the newest key document that was seen.
    pub(crate) async fn key_version(&self) -> Result<u64> {
        let seen: i64 =
            self.run(|tx| Ok(tx.query_row("SELECT version FROM store_keys", [], |row| row.get(0))?)).await?;
        Ok(u64::try_from(seen)?)
    }

    /// Remembers it.
    pub(crate) async fn saw_key_version(&self, version: u64) -> Result<()> {
        self.run(move |tx| {
            tx.execute("UPDATE store_keys SET version = max(version, ?1)", [number(version)])?;
            Ok(())
        })
        .await
    }
}
