//! The audit log. Rows are appended one after the other, in the transaction of what they tell.

use super::{Database, Lock, Tx, TxError, TxResult, keys};
use crate::audit::{Act, AuditRow};
use crate::ops::faults::Write;
use crate::store::database::row::{bytes, count, json, time, to_json};
use crate::store::{AuditEnd, AuditLog, SealedRow, StoreError};
use async_trait::async_trait;
use portcullis_protocol::{Digest, Thumbprint};

/// Appends the row of an act. The lock is the last that a transaction takes: whoever appends next finds this row.
pub(crate) fn append(tx: &Tx<'_>, act: &Act) -> TxResult<()> {
    tx.lock(Lock::Audit)?;
    let last = last(tx)?;
    let number = last.map_or(0, |(number, _)| number).checked_add(1).ok_or(TxError::Damaged)?;
    let (row, seal) = act.row(number, tx.now(), last.map(|(_, digest)| digest));
    tx.change(
        "INSERT INTO audit (number, at, who, action, subject, detail, digest, seal)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            i64::try_from(row.number).map_err(|_| TxError::Damaged)?,
            row.at.millis(),
            &row.who,
            &row.action,
            &row.subject,
            to_json(&row.detail)?,
            row.digest.as_bytes(),
            seal,
        ),
    )?;
    Ok(())
}

fn last(tx: &Tx<'_>) -> TxResult<Option<(u64, Digest)>> {
    let sql = "SELECT number, digest FROM audit WHERE number = (SELECT max(number) FROM audit)";
    tx.one(sql, (), |row| Ok((count(row, 0)?, bytes(row, 1, Digest::from_bytes)?)))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[async_trait]
impl<D: Database> AuditLog for D {
    async fn record_act(&self, act: Act) -> Result<(), StoreError> {
        self.commit_with_key(Write::AuditRecord, move |tx| append(tx, &act)).await
    }

    async fn audit_rows(&self, after: u64, limit: u32) -> Result<Vec<SealedRow>, StoreError> {
        self.read_many("audit log", move |tx| {
            tx.all(
                "SELECT number, at, who, action, subject, detail, digest, seal FROM audit
                 WHERE number > ?1 ORDER BY number LIMIT ?2",
                (signed(after), limit),
                |row| {
                    let (who, action, subject, detail) = (row.get(2)?, row.get(3)?, row.get(4)?, json(row, 5)?);
                    let digest = bytes(row, 6, Digest::from_bytes)?;
                    let row_of =
                        AuditRow { number: count(row, 0)?, at: time(row, 1)?, who, action, subject, detail, digest };
                    Ok(SealedRow { row: row_of, seal: row.get(7)? })
                },
            )
        })
        .await
    }

    async fn audit_end(&self) -> Result<AuditEnd, StoreError> {
        self.read("audit log", |tx| {
            let number = last(tx)?.map_or(0, |(number, _)| number);
            let sql = "SELECT number, compact FROM audit_heads WHERE number = (SELECT max(number) FROM audit_heads)";
            let head = tx.one(sql, (), |row| Ok((count(row, 0)?, row.get(1)?)))?;
            Ok(AuditEnd { number, head })
        })
        .await
    }

    async fn audit_heads(&self, after: u64, limit: u32) -> Result<Vec<(u64, String)>, StoreError> {
        self.read_many("audit heads", move |tx| {
            let sql = "SELECT number, compact FROM audit_heads WHERE number > ?1 ORDER BY number LIMIT ?2";
            tx.all(sql, (signed(after), limit), |row| Ok((count(row, 0)?, row.get(1)?)))
        })
        .await
    }

    async fn keep_audit_head(&self, number: u64, compact: String, signer: Thumbprint) -> Result<bool, StoreError> {
        self.commit_with_key(Write::AuditHead, move |tx| {
            // Whoever ends the key waits until the head is kept.
            tx.lock(Lock::Keys)?;
            tx.lock(Lock::Audit)?;
            if !keys::is_in_force(tx, &signer)? {
                return Ok(false);
            }
            let sql = "INSERT INTO audit_heads (number, compact) VALUES (?1, ?2) ON CONFLICT (number) DO NOTHING";
            tx.change(sql, (signed(number), &compact))?;
            Ok(true)
        })
        .await
    }
}
