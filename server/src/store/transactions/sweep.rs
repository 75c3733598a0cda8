//! What time does: holds expire, and what nothing needs any more leaves, as `retention.rs` says. In batches, so that no
//! sweep holds the writer up for long.

use super::{Tx, TxResult, answers, code_orders, effects, events, merchants, redemptions, webhooks};
use crate::ops::retention;
use std::collections::BTreeMap;

/// Holds that one batch releases.
const HOLDS: u32 = 2_000;
/// Rows that one batch takes of a table.
const ROWS: u32 = 500;

/// What a batch did.
pub(super) struct Swept {
    /// Holds that were released.
    pub(super) released: u64,
    /// Whether there may be more to do.
    pub(super) more: bool,
}

/// Releases expired holds and deletes old records.
pub(super) fn sweep(tx: &Tx<'_>) -> TxResult<Swept> {
    let released = release(tx)?;
    let mut most = answers::sweep(tx, ROWS)?.max(merchants::sweep(tx, ROWS)?).max(code_orders::sweep(tx, ROWS)?);
    most = most.max(redemptions::sweep(tx, ROWS)?);
    let (ended, old) = (tx.now().minus(retention::SIGN_IN).millis(), tx.now().minus(retention::LOG).millis());
    // The condition stands in the write itself, too: what was renewed after it was found stays.
    for (sql, before) in [
        (
            "DELETE FROM tokens WHERE expires_at < ?1
                 AND hash IN (SELECT hash FROM tokens WHERE expires_at < ?1 LIMIT ?2)",
            ended,
        ),
        (
            "DELETE FROM devices WHERE expires_at < ?1
                 AND device IN (SELECT device FROM devices WHERE expires_at < ?1 LIMIT ?2)",
            ended,
        ),
        (
            "DELETE FROM sessions WHERE expires_at < ?1 AND id IN (SELECT s.id FROM sessions s WHERE s.expires_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.session = s.id) LIMIT ?2)",
            ended,
        ),
        (
            "DELETE FROM invitations WHERE expires_at < ?1
                 AND token IN (SELECT token FROM invitations WHERE expires_at < ?1 LIMIT ?2)",
            ended,
        ),
        (
            "DELETE FROM web_sessions WHERE expires_at < ?1
                 AND token IN (SELECT token FROM web_sessions WHERE expires_at < ?1 LIMIT ?2)",
            ended,
        ),
        (
            "DELETE FROM log WHERE number IN (
                 SELECT number FROM (SELECT number, at FROM log ORDER BY number LIMIT ?2) AS few WHERE at < ?1)",
            old,
        ),
    ] {
        most = most.max(tx.change(sql, (before, ROWS))?);
    }
    let more = [webhooks::sweep(tx)?, effects::sweep(tx)?, events::sweep(tx)?].contains(&true)
        || released >= u64::from(HOLDS)
        || most >= usize::try_from(ROWS).unwrap_or(usize::MAX);
    Ok(Swept { released, more })
}

/// Releases holds whose codes have expired. Returns how many.
fn release(tx: &Tx<'_>) -> TxResult<u64> {
    // Each hold is released by whoever changes its row, so that no other transaction gives the same back once more.
    let released = tx.all(
        "UPDATE authorisations SET state = 2 WHERE state = 0 AND code IN (
             SELECT code FROM authorisations WHERE state = 0 AND expires_at <= ?1
             ORDER BY expires_at, code LIMIT ?2)
         RETURNING entitlement, units, account, currency, cost",
        (tx.now().millis(), HOLDS),
        |row| {
            let units: i64 = row.get(1)?;
            let entitlement = row.get::<Option<[u8; 16]>>(0)?.filter(|_| units > 0);
            let balance = row.get::<Option<String>>(3)?.map(|currency| row.get(2).map(|account| (account, currency)));
            Ok((entitlement, units, balance.transpose()?, row.get::<i64>(4)?))
        },
    )?;
    // In one order, so that two sweeps do not wait for each other.
    let mut entitlements: BTreeMap<[u8; 16], i64> = BTreeMap::new();
    let mut balances: BTreeMap<([u8; 16], String), i64> = BTreeMap::new();
    let count = released.len();
    for (entitlement, units, balance, cost) in released {
        if let Some(id) = entitlement {
            *entitlements.entry(id).or_default() += units;
        }
        if let Some(balance) = balance.filter(|_| cost > 0) {
            *balances.entry(balance).or_default() += cost;
        }
    }
    for (id, units) in entitlements {
        tx.change("UPDATE entitlements SET held = held - ?2 WHERE id = ?1", (id, units))?;
    }
    for ((account, currency), cost) in balances {
        let sql = "UPDATE prepaid SET held = held - ?3 WHERE account = ?1 AND currency = ?2";
        tx.change(sql, (account, currency, cost))?;
    }
    super::leases::sweep(tx)?;
    Ok(u64::try_from(count).unwrap_or(0))
}
