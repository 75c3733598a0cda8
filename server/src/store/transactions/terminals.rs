//! Terminals.

use super::accounts::signed_in;
use super::sessions::{end_key, may_enrol};
use super::{Database, Lock, Tx, TxResult};
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::store::database::Row;
use crate::store::database::row::{bytes, checked, maybe_time, time};
use crate::store::{EnrolOutcome, Holder, NewTerminal, PresetOutcome, StoreError, Terminal, Terminals};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, GrantId, ReleasePublicKey, TerminalId, Thumbprint};

const DAY: u64 = 24 * 3600;
/// No grant lives longer, in seconds: grants that can still be open have identifiers younger than this.
const LONGEST_GRANT: u64 = 3600;

const TERMINAL: &str = "SELECT id, key, release, label, enrolled_at, revoked_at FROM terminals";

/// The terminal whose columns begin at `first`.
pub(super) fn terminal_at(row: &Row<'_>, first: usize) -> TxResult<Terminal> {
    Ok(Terminal {
        id: bytes(row, first, TerminalId::from_bytes)?,
        key: bytes(row, first + 1, Thumbprint::from_bytes)?,
        release: checked(row, first + 2, ReleasePublicKey::from_bytes)?,
        label: row.get(first + 3)?,
        enrolled: time(row, first + 4)?,
        revoked: maybe_time(row, first + 5)?,
    })
}

fn enrol(tx: &Tx<'_>, terminal: &NewTerminal) -> TxResult<EnrolOutcome> {
    tx.lock(Lock::Account(&terminal.account))?;
    let key = terminal.key.thumbprint();
    let known = tx.one(
        "SELECT id, revoked_at FROM terminals WHERE account = ?1 AND key = ?2",
        (terminal.account.as_bytes(), key.as_bytes()),
        |row| Ok((bytes(row, 0, TerminalId::from_bytes)?, maybe_time(row, 1)?)),
    )?;
    if let Some((id, revoked)) = known {
        if revoked.is_some() {
            return Ok(EnrolOutcome::Revoked);
        }
        if !may_enrol(tx, terminal.session, &terminal.account, &key)? {
            return Ok(EnrolOutcome::SignedOut);
        }
        tx.change(
            "UPDATE terminals SET release = ?2, label = ?3, statement = ?4 WHERE id = ?1",
            (id.as_bytes(), terminal.release.as_bytes(), &terminal.label, &terminal.statement),
        )?;
        return Ok(EnrolOutcome::Enrolled(id));
    }
    if !may_enrol(tx, terminal.session, &terminal.account, &key)? {
        return Ok(EnrolOutcome::SignedOut);
    }
    let (recent, oldest) = tx
        .one(
            // An identifier begins with the time at which it was drawn, a moment before it is enrolled.
            "SELECT count(*), min(enrolled_at) FROM terminals WHERE account = ?1 AND id > ?3 AND enrolled_at > ?2",
            (
                terminal.account.as_bytes(),
                tx.now().minus(DAY).millis(),
                id_at(tx.now().minus(DAY + LONGEST_GRANT)).as_bytes(),
            ),
            |row| Ok((row.get::<i64>(0)?, maybe_time(row, 1)?)),
        )?
        .unwrap_or((0, None));
    if recent >= i64::from(terminal.most_per_day) {
        let until = oldest.unwrap_or(tx.now()).plus(DAY);
        let seconds = until.seconds().saturating_sub(tx.now().seconds()).max(1);
        return Ok(EnrolOutcome::TooMany { retry_after: u32::try_from(seconds).unwrap_or(u32::MAX) });
    }
    tx.change(
        "INSERT INTO terminals (id, account, key, release, label, statement, enrolled_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            terminal.id.as_bytes(),
            terminal.account.as_bytes(),
            key.as_bytes(),
            terminal.release.as_bytes(),
            &terminal.label,
            &terminal.statement,
            tx.now().millis(),
        ),
    )?;
    tx.log("terminal enrolled", Some(&terminal.account), Some(&terminal.id), &[])?;
    Ok(EnrolOutcome::Enrolled(terminal.id))
}

fn revoke(tx: &Tx<'_>, account: &AccountId, terminal: &TerminalId) -> TxResult<bool> {
    tx.lock(Lock::Account(account))?;
    let revoked = tx.one(
        "UPDATE terminals SET revoked_at = coalesce(revoked_at, ?3) WHERE id = ?1 AND account = ?2 RETURNING key",
        (terminal.as_bytes(), account.as_bytes(), tx.now().millis()),
        |row| bytes(row, 0, Thumbprint::from_bytes),
    )?;
    let Some(key) = revoked else { return Ok(false) };
    end_key(tx, account, &key)?;
    tx.change(
        "UPDATE grants SET state = 3 WHERE id > ?2 AND terminal = ?1 AND state IN (0, 1)",
        (terminal.as_bytes(), id_at(tx.now().minus(LONGEST_GRANT)).as_bytes()),
    )?;
    tx.change(
        "UPDATE authorisations SET expires_at = ?2 WHERE terminal = ?1 AND state = 0 AND expires_at > ?2",
        (terminal.as_bytes(), tx.now().millis()),
    )?;
    tx.log("terminal revoked", Some(account), Some(terminal), &[])?;
    Ok(true)
}

/// The terminal that an account has preset, unless it was revoked since.
pub(super) fn preset(tx: &Tx<'_>, account: &AccountId) -> TxResult<Option<Terminal>> {
    let sql = "SELECT t.id, t.key, t.release, t.label, t.enrolled_at, t.revoked_at
               FROM accounts a JOIN terminals t ON t.id = a.preset
               WHERE a.id = ?1 AND t.account = a.id AND t.revoked_at IS NULL";
    tx.one(sql, [account.as_bytes()], |row| terminal_at(row, 0))
}

fn set_preset(tx: &Tx<'_>, holder: &Holder, terminal: Option<&TerminalId>) -> TxResult<PresetOutcome> {
    let account = &holder.account;
    tx.lock(Lock::Account(account))?;
    if !signed_in(tx, holder)? {
        return Ok(PresetOutcome::SignedOut);
    }
    if let Some(terminal) = terminal {
        let sql = "SELECT 1 FROM terminals WHERE id = ?1 AND account = ?2 AND revoked_at IS NULL";
        if tx.one(sql, (terminal.as_bytes(), account.as_bytes()), |_| Ok(()))?.is_none() {
            return Ok(PresetOutcome::Unknown);
        }
    }
    let sql = "UPDATE accounts SET preset = ?2 WHERE id = ?1 AND preset IS DISTINCT FROM ?2";
    if tx.change(sql, (account.as_bytes(), terminal.map(TerminalId::as_bytes)))? == 0 {
        return Ok(PresetOutcome::Same);
    }
    tx.log("terminal preset", Some(account), terminal, &[])?;
    Ok(PresetOutcome::Changed)
}

/// The smallest identifier that can have been drawn at a moment.
fn id_at(moment: Timestamp) -> GrantId {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&moment.id_millis().to_be_bytes()[2..]);
    GrantId::from_bytes(id)
}

#[async_trait]
impl<D: Database> Terminals for D {
    async fn enrol(&self, terminal: NewTerminal) -> Result<EnrolOutcome, StoreError> {
        self.write(Write::TerminalEnrol, move |tx| enrol(tx, &terminal)).await
    }

    async fn terminals(
        &self,
        account: &AccountId,
        revoked: bool,
        before: Option<TerminalId>,
        limit: u32,
    ) -> Result<Vec<Terminal>, StoreError> {
        let (account, before) = (*account, before.map_or([u8::MAX; 16], |id| *id.as_bytes()));
        let which = if revoked { "revoked_at IS NOT NULL" } else { "revoked_at IS NULL" };
        self.read_many("terminals", move |tx| {
            let sql = format!("{TERMINAL} WHERE account = ?1 AND {which} AND id < ?2 ORDER BY id DESC LIMIT ?3");
            tx.all(&sql, (account.as_bytes(), before, limit), |row| terminal_at(row, 0))
        })
        .await
    }

    async fn terminal(&self, account: &AccountId, terminal: &TerminalId) -> Result<Option<Terminal>, StoreError> {
        let (account, terminal) = (*account, *terminal);
        self.read("terminal", move |tx| {
            let sql = format!("{TERMINAL} WHERE id = ?2 AND account = ?1");
            tx.one(&sql, (account.as_bytes(), terminal.as_bytes()), |row| terminal_at(row, 0))
        })
        .await
    }

    async fn preset_terminal(&self, account: &AccountId) -> Result<Option<Terminal>, StoreError> {
        let account = *account;
        self.read("preset terminal", move |tx| preset(tx, &account)).await
    }

    async fn set_preset(&self, holder: &Holder, terminal: Option<&TerminalId>) -> Result<PresetOutcome, StoreError> {
        let (holder, terminal) = (*holder, terminal.copied());
        self.write(Write::TerminalPreset, move |tx| set_preset(tx, &holder, terminal.as_ref())).await
    }

    async fn revoke_terminal(&self, account: &AccountId, terminal: &TerminalId) -> Result<bool, StoreError> {
        let (account, terminal) = (*account, *terminal);
        self.write(Write::TerminalRevoke, move |tx| revoke(tx, &account, &terminal)).await
    }
}
