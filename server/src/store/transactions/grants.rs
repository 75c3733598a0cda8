//! Grants: step 3 writes them, and they are delivered again from here.

use super::answers::{self, Kept, Stored};
use super::cycle::{IN_STANDING, reason_to_shut_out};
use super::{Lock, Tx, TxError, TxResult, ledger, prepaid};
use crate::billing::entitlement::{Draw, EntitlementId};
use crate::billing::ledger::{Commodity, LedgerAccount, NewTransfer};
use crate::ops::clock::Timestamp;
use crate::store::database::Row;
use crate::store::database::row::{bytes, maybe_bytes, octets, one_of, text, time};
use crate::store::{Acknowledged, AnswerScope, Begun, GrantRecord, GrantState, NewGrant, VerifyOutcome};
use portcullis_protocol::{GrantId, PairwiseId, TerminalId};

/// In the order of the column's numbers.
const GRANT_STATES: [GrantState; 4] =
    [GrantState::Issued, GrantState::Acknowledged, GrantState::Superseded, GrantState::Revoked];

/// Step 3 in one transaction: consumes the code, debits, writes down, and issues the grant.
pub(super) fn issue(tx: &Tx<'_>, new: &NewGrant) -> TxResult<VerifyOutcome> {
    tx.lock(Lock::Account(&new.account))?;
    let scope = AnswerScope::Terminal(new.terminal);
    let begun = answers::find(tx, &scope, &new.request)?;
    if !matches!(begun, Begun::New) {
        return Ok(VerifyOutcome::Begun(begun));
    }
    // Everything that can be refused comes before the first write: an outcome is not a rollback.
    let found = Found::of(tx, new)?;
    if let Some(refused) = found.refused(new) {
        return Ok(refused);
    }

    // held → consumed.
    let consumed = tx.change(
        "UPDATE authorisations SET state = 1
         WHERE code = ?1 AND terminal = ?2 AND account = ?3 AND units = ?4 AND entitlement IS NOT DISTINCT FROM ?5
           AND cost = ?7 AND offer IS NOT DISTINCT FROM ?8 AND state = 0 AND expires_at > ?6",
        (
            new.code.as_bytes(),
            new.terminal.as_bytes(),
            new.account.as_bytes(),
            new.draw.units(),
            new.draw.entitlement().map(|id| id.0.0),
            tx.now().millis(),
            new.draw.money().map_or(0, |(_, cost)| cost.minor_units()),
            new.draw.money().map(|(offer, _)| *offer.as_bytes()),
        ),
    )?;
    if consumed != 1 {
        return Ok(VerifyOutcome::Changed);
    }
    debit(tx, new)?;
    if new.supersedes {
        tx.change(
            "UPDATE grants SET state = 2 WHERE terminal = ?1 AND resource = ?2 AND operation = ?3 AND state = 0",
            (new.terminal.as_bytes(), new.resource.as_bytes(), new.operation.as_str()),
        )?;
    }
    insert(tx, new, &found)?;
    answers::store(tx, &scope, &new.request, &Stored::Grant(&new.id, Kept::from(&new.draw)))?;
    tx.log("granted", Some(&new.account), Some(&new.terminal), new.id.as_bytes())?;
    Ok(VerifyOutcome::Granted)
}

/// Issues a grant once more: the one that it replaces was paid for and never acknowledged, and is no replacement
/// itself.
pub(super) fn reissue(tx: &Tx<'_>, new: &NewGrant) -> TxResult<VerifyOutcome> {
    tx.lock(Lock::Account(&new.account))?;
    let Some(old) = &new.replaces else { return Ok(VerifyOutcome::Changed) };
    let found = Found::of(tx, new)?;
    if let Some(refused) = found.refused(new) {
        return Ok(refused);
    }
    // issued → superseded.
    let superseded = tx.change(
        "UPDATE grants SET state = 2 WHERE id = ?1 AND code = ?2 AND terminal = ?3 AND state = 0 AND replaces IS NULL",
        (old.as_bytes(), new.code.as_bytes(), new.terminal.as_bytes()),
    )?;
    if superseded != 1 {
        return Ok(VerifyOutcome::Changed);
    }
    insert(tx, new, &found)?;
    answers::replace_grant(tx, &AnswerScope::Terminal(new.terminal), &new.request, &new.id)?;
    tx.log("granted once more", Some(&new.account), Some(&new.terminal), new.id.as_bytes())?;
    Ok(VerifyOutcome::Granted)
}

/// What a grant rests on, as its transaction finds it.
struct Found {
    /// Whether the terminal was not revoked, and its account not suspended; `None` if there is no such terminal.
    in_standing: Option<(bool, bool)>,
    /// Whether the resource is on sale, and the entitlement is as it was when the grant was made.
    stands: bool,
    /// How the publisher knows the user.
    pairwise: Option<PairwiseId>,
}

impl Found {
    /// All of it in one statement.
    fn of(tx: &Tx<'_>, new: &NewGrant) -> TxResult<Self> {
        // As the grant was made for it, and not ended: its time is the transaction's.
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM resources r WHERE r.digest = ?3 AND r.withdrawn_at IS NULL),
                    EXISTS (SELECT 1 FROM entitlements e WHERE e.id = ?4 AND e.revoked_at IS NULL
                        AND coalesce(e.starts_at, 0) = ?5 AND coalesce(e.ends_at, 0) = ?6
                        AND (e.ends_at IS NULL OR e.ends_at > ?7)) OR ?4 IS NULL,
                    (SELECT w.id FROM pairwise w WHERE w.account = ?2 AND w.publisher = ?8),
                    {IN_STANDING} WHERE t.id = ?1 AND t.account = ?2"
        );
        let [starts, ends] = [new.rests_on.starts, new.rests_on.ends].map(|at| at.map_or(0, Timestamp::millis));
        let found = tx.one(
            &sql,
            (
                new.terminal.as_bytes(),
                new.account.as_bytes(),
                new.resource.as_bytes(),
                new.draw.entitlement().map(|id| id.0.0),
                starts,
                ends,
                tx.now().millis(),
                new.publisher.0.0,
            ),
            |row| {
                let (sold, entitled): (bool, bool) = (row.get(0)?, row.get(1)?);
                Ok(Self {
                    in_standing: Some((row.get(3)?, row.get(4)?)),
                    stands: sold && entitled,
                    pairwise: maybe_bytes(row, 2, PairwiseId::from_bytes)?,
                })
            },
        )?;
        Ok(found.unwrap_or(Self { in_standing: None, stands: false, pairwise: None }))
    }

    /// Why nothing is granted, if nothing is. Another identifier of the user than the grant says is a change, too.
    fn refused(&self, new: &NewGrant) -> Option<VerifyOutcome> {
        if let Some(reason) = reason_to_shut_out(self.in_standing) {
            return Some(VerifyOutcome::ShutOut(reason));
        }
        let same = self.pairwise.is_none_or(|known| known == new.pairwise);
        if self.stands && same { None } else { Some(VerifyOutcome::Changed) }
    }
}

/// Writes a grant down.
fn insert(tx: &Tx<'_>, new: &NewGrant, found: &Found) -> TxResult<()> {
    if found.pairwise.is_none() {
        tx.change(
            "INSERT INTO pairwise (account, publisher, id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            (new.account.as_bytes(), new.publisher.0.0, new.pairwise.as_bytes()),
        )?;
    }
    tx.change(
        "INSERT INTO grants
             (id, code, terminal, resource, operation, entitlement, compact, nonce, keys, expires_at, replaces)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        (
            new.id.as_bytes(),
            new.code.as_bytes(),
            new.terminal.as_bytes(),
            new.resource.as_bytes(),
            new.operation.as_str(),
            new.draw.entitlement().map(|id| id.0.0),
            &new.compact,
            new.nonce.0,
            &new.keys,
            new.expires.millis(),
            new.replaces.map(|id| *id.as_bytes()),
        ),
    )?;
    Ok(())
}

/// Draws what was held, and begins what begins with it.
fn debit(tx: &Tx<'_>, new: &NewGrant) -> TxResult<()> {
    if let (Some(entitlement), Some(seconds)) = (new.draw.entitlement(), new.begins) {
        begin(tx, &entitlement, seconds)?;
    }
    match &new.draw {
        Draw::Nothing | Draw::Units { units: 0, .. } => Ok(()),
        Draw::Units { entitlement, units } => debit_units(tx, new, entitlement, *units),
        Draw::Money { cost, .. } => {
            let sql = "SELECT name FROM publishers WHERE id = ?1";
            let publisher = tx.one(sql, [new.publisher.0.0], |row| text(row, 0))?;
            let publisher = publisher.ok_or(TxError::Damaged)?;
            prepaid::debit(tx, &new.account, &publisher, *cost, *new.id.as_bytes())
        }
    }
}

/// waiting → begun: the time of an entitlement begins, once. That it has not begun was looked at in this transaction:
/// anything else is a damaged database, and rolls everything back.
fn begin(tx: &Tx<'_>, entitlement: &EntitlementId, seconds: u64) -> TxResult<()> {
    let begun = tx.change(
        "UPDATE entitlements SET starts_at = ?2, ends_at = ?3
         WHERE id = ?1 AND revoked_at IS NULL AND starts_at IS NULL AND ends_at > ?2",
        (entitlement.0.0, tx.now().millis(), tx.now().plus(seconds).millis()),
    )?;
    if begun == 1 { Ok(()) } else { Err(TxError::Damaged) }
}

/// Draws the units that were held. A hold that stands is always covered: anything else is a damaged database, and
/// rolls everything back.
fn debit_units(tx: &Tx<'_>, new: &NewGrant, entitlement: &EntitlementId, units: u32) -> TxResult<()> {
    let debited = tx.change(
        "UPDATE entitlements SET held = held - ?2, used = used + ?2
         WHERE id = ?1 AND revoked_at IS NULL AND held >= ?2",
        (entitlement.0.0, units),
    )?;
    if debited != 1 {
        return Err(TxError::Damaged);
    }
    ledger::append(
        tx,
        &NewTransfer {
            from: LedgerAccount::entitlement(entitlement),
            to: LedgerAccount::used(),
            amount: i64::from(units),
            commodity: Commodity::Uses,
            subject: *new.id.as_bytes(),
        },
    )
}

const GRANT: &str = "SELECT id, state, compact, nonce, keys, expires_at, replaces FROM grants WHERE id = ?1";

fn grant_record(row: &Row<'_>) -> TxResult<GrantRecord> {
    Ok(GrantRecord {
        id: bytes(row, 0, GrantId::from_bytes)?,
        state: one_of(row, 1, &GRANT_STATES)?,
        compact: row.get(2)?,
        nonce: octets(row, 3)?,
        keys: row.get(4)?,
        expires: time(row, 5)?,
        replaces: maybe_bytes(row, 6, GrantId::from_bytes)?,
    })
}

/// A grant on record.
pub(super) fn find(tx: &Tx<'_>, id: &GrantId) -> TxResult<Option<GrantRecord>> {
    tx.one(GRANT, [id.as_bytes()], grant_record)
}

/// A grant of a terminal.
pub(super) fn of_terminal(tx: &Tx<'_>, terminal: &TerminalId, id: &GrantId) -> TxResult<Option<GrantRecord>> {
    let sql = format!("{GRANT} AND terminal = ?2");
    tx.one(&sql, (id.as_bytes(), terminal.as_bytes()), grant_record)
}

/// issued → acknowledged.
pub(super) fn acknowledge(tx: &Tx<'_>, terminal: &TerminalId, id: &GrantId) -> TxResult<Acknowledged> {
    tx.change(
        "UPDATE grants SET state = 1 WHERE id = ?1 AND terminal = ?2 AND state = 0",
        (id.as_bytes(), terminal.as_bytes()),
    )?;
    Ok(match of_terminal(tx, terminal, id)?.map(|record| record.state) {
        None => Acknowledged::Unknown,
        Some(GrantState::Revoked) => Acknowledged::Revoked,
        Some(_) => Acknowledged::Yes,
    })
}
