//! The server's own keys.

use super::{Database, Lock, Tx, TxResult};
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::store::database::row::{checked, count, sealed, time};
use crate::store::{KeyRecord, KeyRole, Keyring, SigningRecord, StoreError};
use async_trait::async_trait;
use portcullis_protocol::{PublicKey, Thumbprint};

/// Adds a key, under the next number or this one if it is higher.
fn insert(tx: &Tx<'_>, key: &SigningRecord, at_least: u64) -> TxResult<()> {
    let next = newest(tx)?.saturating_add(1).max(at_least);
    tx.change(
        "INSERT INTO signing_keys (number, public, seed, not_before, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            i64::try_from(next).unwrap_or(i64::MAX),
            key.public.to_bytes(),
            key.seed.as_bytes(),
            key.not_before.millis(),
            key.expires.millis(),
        ),
    )?;
    Ok(())
}

/// The highest number. Every change of the set adds a key, and none is deleted: it is the set's version.
fn newest(tx: &Tx<'_>) -> TxResult<u64> {
    let found = tx.one("SELECT coalesce(max(number), 0) FROM signing_keys", (), |row| count(row, 0))?;
    Ok(found.unwrap_or(0))
}

/// Whether a signing key signs at this moment.
pub(super) fn is_in_force(tx: &Tx<'_>, key: &Thumbprint) -> TxResult<bool> {
    let sql = "SELECT public, not_before, expires_at FROM signing_keys ORDER BY number";
    let keys = tx.all(sql, (), |row| {
        Ok((checked(row, 0, |key: [u8; 32]| PublicKey::from_bytes(&key))?, time(row, 1)?, time(row, 2)?))
    })?;
    let now = tx.now();
    let fits = |(public, from, end): &(PublicKey, Timestamp, Timestamp)| {
        public.thumbprint() == *key && *from <= now && now < *end
    };
    Ok(keys.iter().any(fits))
}

#[async_trait]
impl<D: Database> Keyring for D {
    async fn create_keys(&self, keys: Vec<KeyRecord>, signing: SigningRecord) -> Result<bool, StoreError> {
        self.write(Write::KeysInit, move |tx| {
            tx.lock(Lock::Keys)?;
            if tx.one("SELECT 1 FROM server_keys LIMIT 1", (), |_| Ok(()))?.is_some() {
                return Ok(false);
            }
            for record in &keys {
                let sql = "INSERT INTO server_keys (role, key) VALUES (?1, ?2)";
                tx.change(sql, (record.role.name(), record.key.as_bytes()))?;
            }
            insert(tx, &signing, 0)?;
            Ok(true)
        })
        .await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.read("server keys", |tx| {
            let mut found = Vec::new();
            for role in KeyRole::ALL {
                let sql = "SELECT key FROM server_keys WHERE role = ?1";
                found.extend(tx.one(sql, [role.name()], |row| Ok(KeyRecord { role, key: sealed(row, 0)? }))?);
            }
            Ok(found)
        })
        .await
    }

    async fn signing_keys(&self) -> Result<(u64, Vec<SigningRecord>), StoreError> {
        self.read("signing keys", |tx| {
            let version = newest(tx)?;
            let keys =
                tx.all("SELECT public, seed, not_before, expires_at FROM signing_keys ORDER BY number", (), |row| {
                    Ok(SigningRecord {
                        public: checked(row, 0, |key: [u8; 32]| PublicKey::from_bytes(&key))?,
                        seed: sealed(row, 1)?,
                        not_before: time(row, 2)?,
                        expires: time(row, 3)?,
                    })
                })?;
            Ok((version, keys))
        })
        .await
    }

    async fn add_signing_key(
        &self,
        key: SigningRecord,
        overlap_ends: Timestamp,
        at_least: u64,
    ) -> Result<(), StoreError> {
        self.write(Write::KeysRotate, move |tx| {
            tx.lock(Lock::Keys)?;
            // Not before this moment: until then they signed.
            let ends = overlap_ends.max(tx.now());
            let sql = "UPDATE signing_keys SET expires_at = ?1 WHERE expires_at > ?1";
            tx.change(sql, [ends.millis()])?;
            insert(tx, &key, at_least)?;
            tx.log("signing key added", None, None, key.public.thumbprint().as_bytes())
        })
        .await
    }
}
