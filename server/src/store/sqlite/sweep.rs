//! What time does: holds expire, and what nobody can ask for any more is deleted. Authorisations, grants, orders, ledger
//! and log are kept: they are the record.

use super::Tx;

/// How long a stored answer outlives its request, in seconds: a terminal that was off for a week still learns what became
/// of its request.
const KEEP: u64 = 7 * 24 * 3600;
/// Rows that one sweep takes of a table, so that no sweep holds the writer up for long.
const AT_ONCE: u32 = 2_000;

/// Releases expired holds and deletes old records. Returns how many holds were released.
pub(super) fn sweep(tx: &Tx<'_>) -> rusqlite::Result<u64> {
    let now = tx.now.millis();
    // Units and money go back first, summed per entitlement and balance, while the rows still say so.
    tx.change(
        "UPDATE entitlements SET held = held - due.units
         FROM (SELECT entitlement AS id, sum(units) AS units
               FROM (SELECT entitlement, units FROM authorisations WHERE state = 0 AND expires_at <= ?1
                     ORDER BY expires_at, code LIMIT ?2)
               WHERE units > 0 GROUP BY entitlement) AS due
         WHERE entitlements.id = due.id",
        (now, AT_ONCE),
    )?;
    tx.change(
        "UPDATE prepaid SET held = held - due.cost
         FROM (SELECT account, currency, sum(cost) AS cost
               FROM (SELECT account, currency, cost FROM authorisations WHERE state = 0 AND expires_at <= ?1
                     ORDER BY expires_at, code LIMIT ?2)
               WHERE cost > 0 GROUP BY account, currency) AS due
         WHERE prepaid.account = due.account AND prepaid.currency = due.currency",
        (now, AT_ONCE),
    )?;
    let released = tx.change(
        "UPDATE authorisations SET state = 2 WHERE code IN (
             SELECT code FROM authorisations WHERE state = 0 AND expires_at <= ?1
             ORDER BY expires_at, code LIMIT ?2)",
        (now, AT_ONCE),
    )?;
    let old = tx.now.minus(KEEP).millis();
    // An order is kept, and so is the answer that leads to it.
    for sql in [
        "DELETE FROM answers WHERE (scope, key) IN (SELECT scope, key FROM answers WHERE at < ?1 AND kind <> 3 LIMIT ?2)",
        "DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at < ?1 LIMIT ?2)",
        "DELETE FROM devices WHERE device IN (SELECT device FROM devices WHERE expires_at < ?1 LIMIT ?2)",
        "DELETE FROM web_sessions WHERE token IN (SELECT token FROM web_sessions WHERE expires_at < ?1 LIMIT ?2)",
    ] {
        tx.change(sql, (old, AT_ONCE))?;
    }
    super::leases::sweep(tx)?;
    Ok(u64::try_from(released).unwrap_or(0))
}
