//! Withdrawing a version, and restoring it.

use super::{Lock, Tx, TxResult, resources, search};
use crate::store::{RestoreOutcome, WithdrawOutcome};
use portcullis_protocol::{AccountId, Digest};

/// The publisher withdraws. What was withdrawn before keeps its time, and stays taken down where it was.
pub(super) fn withdraw(tx: &Tx<'_>, account: &AccountId, digest: &Digest, reason: &str) -> TxResult<WithdrawOutcome> {
    lock(tx, digest)?;
    let found = tx.change(
        "UPDATE resources SET withdrawn_at = coalesce(withdrawn_at, ?3), withdrawn_reason = ?4
         WHERE digest = ?1 AND publisher IN (SELECT id FROM publishers WHERE owner = ?2)",
        (digest.as_bytes(), account.as_bytes(), tx.now().millis(), reason),
    )?;
    if found == 0 {
        return Ok(WithdrawOutcome::NotFound);
    }
    list(tx, digest)?;
    tx.log("resource withdrawn", Some(account), None, digest.as_bytes())?;
    Ok(WithdrawOutcome::Withdrawn)
}

/// The operator withdraws: the publisher cannot take it back.
pub(super) fn take_down(tx: &Tx<'_>, digest: &Digest, reason: &str) -> TxResult<WithdrawOutcome> {
    lock(tx, digest)?;
    let found = tx.change(
        "UPDATE resources SET withdrawn_at = coalesce(withdrawn_at, ?2), withdrawn_reason = ?3, taken_down = 1
         WHERE digest = ?1",
        (digest.as_bytes(), tx.now().millis(), reason),
    )?;
    if found == 0 {
        return Ok(WithdrawOutcome::NotFound);
    }
    list(tx, digest)?;
    tx.log("resource taken down", None, None, digest.as_bytes())?;
    Ok(WithdrawOutcome::Withdrawn)
}

/// Restores a version: its publisher what it withdrew itself, the operator (no account) everything.
pub(super) fn restore(tx: &Tx<'_>, by: Option<&AccountId>, digest: &Digest) -> TxResult<RestoreOutcome> {
    lock(tx, digest)?;
    let found = tx.one(
        "SELECT r.withdrawn_at IS NOT NULL, r.taken_down, p.owner = ?2
         FROM resources r JOIN publishers p ON p.id = r.publisher WHERE r.digest = ?1",
        (digest.as_bytes(), by.map(AccountId::as_bytes)),
        |row| Ok((row.get::<bool>(0)?, row.get::<bool>(1)?, row.get::<Option<bool>>(2)?)),
    )?;
    let Some((withdrawn, taken_down, owned)) = found else { return Ok(RestoreOutcome::NotFound) };
    if by.is_some() && owned != Some(true) {
        return Ok(RestoreOutcome::NotFound);
    }
    if !withdrawn {
        return Ok(RestoreOutcome::Restored);
    }
    if by.is_some() && taken_down {
        return Ok(RestoreOutcome::TakenDown);
    }
    if let Some(opened) = resources::would_open_restored(tx, digest)? {
        return Ok(RestoreOutcome::OpensPart(opened));
    }
    tx.change(
        "UPDATE resources SET withdrawn_at = NULL, withdrawn_reason = NULL, taken_down = 0 WHERE digest = ?1",
        [digest.as_bytes()],
    )?;
    list(tx, digest)?;
    tx.log("resource restored", by, None, digest.as_bytes())?;
    Ok(RestoreOutcome::Restored)
}

/// Takes the locks of a version's publisher and of the catalogue.
fn lock(tx: &Tx<'_>, digest: &Digest) -> TxResult<()> {
    tx.lock_publisher_of(|tx| Ok(resources::facts(tx, digest)?.map(|facts| facts.publisher_name)))?;
    tx.lock(Lock::Catalogue)
}

/// Brings the catalogue up to date with what is left on sale.
fn list(tx: &Tx<'_>, digest: &Digest) -> TxResult<()> {
    match resources::facts(tx, digest)? {
        Some(facts) => search::refresh(tx, &facts.publisher_name, &facts.name),
        None => Ok(()),
    }
}
