//! Entitlements as they are read: the few that an authorisation rests on, and pages of all that an account holds.

use super::{Tx, TxResult};
use crate::billing::entitlement::{Entitlement, EntitlementId, Holding};
use crate::store::database::Row;
use crate::store::database::row::{count, json, maybe_count, maybe_time, octets, text, time};
use crate::store::{AccountPage, AuthorisationQuery, Page, ResourceFacts};
use portcullis_protocol::AccountId;

/// Entitlements of uses that are looked at in turn, oldest first, until one carries what is asked for. Somebody who has
/// more packs of one operation that are not used up draws from any that carries it.
const IN_TURN: i64 = 64;

/// An entitlement, with the holds that are still good at `?1` instead of those not yet released.
const ENTITLEMENT: &str = "
    SELECT e.id, p.name, e.name, e.operation, e.rights, e.used,
           CASE WHEN e.held = 0 THEN 0
                ELSE (SELECT CAST(coalesce(sum(h.units), 0) AS BIGINT) FROM authorisations h
                      WHERE h.entitlement = e.id AND h.state = 0 AND h.units > 0 AND h.expires_at > ?1) END,
           e.revoked_at, e.since, e.place, e.total, e.starts_at, e.ends_at, e.seats
    FROM entitlements e JOIN publishers p ON p.id = e.publisher";
/// Of one account, for one operation.
const OF_SUBJECT: &str = "e.account = ?2 AND e.publisher = ?3 AND e.name = ?4 AND e.operation = ?5";

fn entitlement(row: &Row<'_>) -> TxResult<Entitlement> {
    Ok(Entitlement {
        id: octets(row, 0).map(EntitlementId)?,
        publisher: text(row, 1)?,
        name: text(row, 2)?,
        operation: text(row, 3)?,
        rights: json(row, 4)?,
        holding: Holding {
            total: maybe_count(row, 10)?,
            starts: maybe_time(row, 11)?,
            ends: maybe_time(row, 12)?,
            seats: row.get(13)?,
        },
        used: count(row, 5)?,
        held: count(row, 6)?,
        revoked: maybe_time(row, 7)?,
        since: time(row, 8)?,
    })
}

/// An entitlement.
pub(super) fn find(tx: &Tx<'_>, id: &EntitlementId) -> TxResult<Option<Entitlement>> {
    tx.one(&format!("{ENTITLEMENT} WHERE e.id = ?2"), (tx.now().millis(), id.0.0), entitlement)
}

/// What a decision needs of what the account holds for the operation, and no more, however much that is: one that is
/// for good; else those that are not counted and have not ended, and those that are not used up, oldest first, as far
/// as one carries the quantity; else one that says why there is nothing.
pub(super) fn that_count(tx: &Tx<'_>, query: &AuthorisationQuery, facts: &ResourceFacts) -> TxResult<Vec<Entitlement>> {
    let subject = (
        tx.now().millis(),
        query.account.as_bytes(),
        facts.publisher.0.0,
        facts.name.as_str(),
        query.operation.as_str(),
    );
    let one =
        |which: &str| tx.one(&format!("{ENTITLEMENT} WHERE {OF_SUBJECT} AND {which} LIMIT 1"), subject, entitlement);
    if let Some(for_good) = one("e.total IS NULL AND e.ends_at IS NULL AND e.revoked_at IS NULL")? {
        return Ok(vec![for_good]);
    }
    let (now, account, publisher, name, operation) = subject;
    // What ends first is used first.
    let mut timed = tx.all(
        &format!(
            "{ENTITLEMENT} WHERE {OF_SUBJECT} AND e.ends_at > ?1 AND e.total IS NULL AND e.revoked_at IS NULL
             ORDER BY e.ends_at LIMIT ?6"
        ),
        (now, account, publisher, name, operation, IN_TURN),
        entitlement,
    )?;
    let left = counted(tx, query, facts)?;
    timed.extend(left);
    if !timed.is_empty() {
        return Ok(timed);
    }
    let why = match one("e.total IS NOT NULL AND e.revoked_at IS NULL AND e.used = e.total")? {
        Some(used_up) => Some(used_up),
        None => match one("e.ends_at <= ?1 AND e.revoked_at IS NULL")? {
            Some(ended) => Some(ended),
            None => one("e.revoked_at IS NOT NULL")?,
        },
    };
    Ok(why.into_iter().collect())
}

/// What is counted and not used up, oldest first, as far as one carries the quantity.
fn counted(tx: &Tx<'_>, query: &AuthorisationQuery, facts: &ResourceFacts) -> TxResult<Vec<Entitlement>> {
    let (now, account, publisher) = (tx.now().millis(), query.account.as_bytes(), facts.publisher.0.0);
    let (name, operation) = (facts.name.as_str(), query.operation.as_str());
    let left = tx.all(
        &format!(
            "{ENTITLEMENT} WHERE {OF_SUBJECT} AND e.total IS NOT NULL AND e.revoked_at IS NULL AND e.used < e.total
             AND (e.ends_at IS NULL OR e.ends_at > ?1) ORDER BY e.id LIMIT ?6"
        ),
        (now, account, publisher, name, operation, IN_TURN),
        entitlement,
    )?;
    let carries = |entitlement: &Entitlement| entitlement.remaining() >= Some(u64::from(query.quantity));
    if left.iter().any(carries) {
        return Ok(left);
    }
    if i64::try_from(left.len()) == Ok(IN_TURN) {
        let with_room = tx.one(
            &format!(
                "{ENTITLEMENT} WHERE {OF_SUBJECT} AND e.total IS NOT NULL AND e.revoked_at IS NULL
                 AND e.used < e.total AND e.total - e.used - e.held >= ?6
                 AND (e.ends_at IS NULL OR e.ends_at > ?1) LIMIT 1"
            ),
            (now, account, publisher, name, operation, query.quantity),
            entitlement,
        )?;
        return Ok(with_room.map_or(left, |one| vec![one]));
    }
    Ok(left)
}

/// A page of what an account holds and held, newest first.
pub(super) fn page(tx: &Tx<'_>, account: &AccountId, page: AccountPage) -> TxResult<Page<Entitlement>> {
    let rows = tx.all(
        &format!("{ENTITLEMENT} WHERE e.account = ?2 AND e.place < ?3 ORDER BY e.place DESC LIMIT ?4"),
        (tx.now().millis(), account.as_bytes(), page.before(), page.limit()),
        |row| Ok((row.get(9)?, entitlement(row)?)),
    )?;
    Ok(page.of(rows))
}
