//! What time does: holds expire, and what nothing needs any more leaves, as `retention.rs` says. In batches, so that no
//! sweep holds the writer up for long.

use super::{Tx, answers};
use crate::ops::retention;

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
pub(super) fn sweep(tx: &Tx<'_>) -> rusqlite::Result<Swept> {
    let released = release(tx)?;
    let mut most = answers::sweep(tx, ROWS)?;
    let (ended, old) = (tx.now.minus(retention::SIGN_IN).millis(), tx.now.minus(retention::LOG).millis());
    for (sql, before) in [
        ("DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at < ?1 LIMIT ?2)", ended),
        ("DELETE FROM devices WHERE device IN (SELECT device FROM devices WHERE expires_at < ?1 LIMIT ?2)", ended),
        (
            "DELETE FROM sessions WHERE id IN (SELECT s.id FROM sessions s WHERE s.expires_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.session = s.id) LIMIT ?2)",
            ended,
        ),
        (
            "DELETE FROM invitations WHERE token IN (SELECT token FROM invitations WHERE expires_at < ?1 LIMIT ?2)",
            ended,
        ),
        (
            "DELETE FROM web_sessions WHERE token IN (SELECT token FROM web_sessions WHERE expires_at < ?1 LIMIT ?2)",
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
    let more = released >= u64::from(HOLDS) || most >= usize::try_from(ROWS).unwrap_or(usize::MAX);
    Ok(Swept { released, more })
}

/// Releases holds whose codes have expired. Returns how many.
fn release(tx: &Tx<'_>) -> rusqlite::Result<u64> {
    let now = tx.now.millis();
    // Units and money go back first, summed per entitlement and balance, while the rows still say so.
    tx.change(
        "UPDATE entitlements SET held = held - due.units
         FROM (SELECT entitlement AS id, sum(units) AS units
               FROM (SELECT entitlement, units FROM authorisations WHERE state = 0 AND expires_at <= ?1
                     ORDER BY expires_at, code LIMIT ?2)
               WHERE units > 0 GROUP BY entitlement) AS due
         WHERE entitlements.id = due.id",
        (now, HOLDS),
    )?;
    tx.change(
        "UPDATE prepaid SET held = held - due.cost
         FROM (SELECT account, currency, sum(cost) AS cost
               FROM (SELECT account, currency, cost FROM authorisations WHERE state = 0 AND expires_at <= ?1
                     ORDER BY expires_at, code LIMIT ?2)
               WHERE cost > 0 GROUP BY account, currency) AS due
         WHERE prepaid.account = due.account AND prepaid.currency = due.currency",
        (now, HOLDS),
    )?;
    let released = tx.change(
        "UPDATE authorisations SET state = 2 WHERE code IN (
             SELECT code FROM authorisations WHERE state = 0 AND expires_at <= ?1
             ORDER BY expires_at, code LIMIT ?2)",
        (now, HOLDS),
    )?;
    super::leases::sweep(tx)?;
    Ok(u64::try_from(released).unwrap_or(0))
}
