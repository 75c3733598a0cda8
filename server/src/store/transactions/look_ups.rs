//! Which orders are looked up at their providers, when, and by which process.

use super::leases::ProcessLease;
use super::{Lock, Tx, TxResult, orders};
use crate::ops::clock::Timestamp;
use crate::store::LookUps;
use crate::store::database::row::bytes;
use portcullis_protocol::OrderId;
use std::collections::BTreeSet;

/// How long an order that was taken is this process's, in seconds: longer than its provider is waited for.
const TAKEN: u64 = 60;

/// Whether there is anything to take.
pub(super) fn are_due(tx: &Tx<'_>) -> TxResult<bool> {
    Ok(!due(tx, 1)?.is_empty())
}

/// Those whose time has come, and those of processes whose leases are over.
fn due(tx: &Tx<'_>, limit: u32) -> TxResult<BTreeSet<OrderId>> {
    let now = tx.now().millis();
    let by_time = "SELECT id FROM orders WHERE look_at <= ?1 ORDER BY look_at LIMIT ?2";
    // Every lease has a number above zero.
    let left = "SELECT id FROM orders WHERE lease > 0
                    AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.number = orders.lease AND l.ends_at > ?1) LIMIT ?2";
    let mut due = BTreeSet::new();
    for sql in [by_time, left] {
        due.extend(tx.all(sql, (now, limit), |row| bytes(row, 0, OrderId::from_bytes))?);
    }
    Ok(due)
}

/// Takes what is due.
pub(super) fn take(tx: &Tx<'_>, lease: &ProcessLease, limit: u32) -> TxResult<LookUps> {
    let number = lease.current(tx)?;
    tx.lock(Lock::LookUps)?;
    let mut taken = Vec::new();
    for id in due(tx, limit)? {
        // It may have come to another state meanwhile, and be due later.
        let sql = "UPDATE orders SET lease = ?2, look_at = ?3 WHERE id = ?1 AND (look_at <= ?4 OR (lease IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.number = orders.lease AND l.ends_at > ?4)))";
        if tx.change(sql, (id.as_bytes(), number, tx.now().plus(TAKEN).millis(), tx.now().millis()))? == 1 {
            taken.extend(orders::find(tx, &id)?);
        }
    }
    Ok(LookUps { now: tx.now(), lease: number, orders: taken })
}

/// Gives one back. Nothing happens when it changed its state meanwhile, or is another process's.
pub(super) fn finish(tx: &Tx<'_>, id: &OrderId, lease: i64, next: Option<Timestamp>) -> TxResult<()> {
    let sql = "UPDATE orders SET lease = NULL, looks = looks + 1, look_at = ?3 WHERE id = ?1 AND lease = ?2";
    tx.change(sql, (id.as_bytes(), lease, next.map(Timestamp::millis)))?;
    Ok(())
}
