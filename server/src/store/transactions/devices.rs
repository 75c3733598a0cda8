//! Device codes.

use super::accounts::signed_in;
use super::{Database, Lock, Tx, TxResult};
use crate::crypto::secrets::TokenHash;
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::store::database::row::{bytes, maybe_bytes, maybe_time, one_of, time};
use crate::store::{
    DecideOutcome, Decision, Device, DeviceState, Devices, Holder, NewDevice, NewTokens, PollOutcome, SessionId,
    StoreError,
};
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, Thumbprint};

/// Seconds in which a used device code gives the same session again, to the key that it is bound to, because the answer
/// got lost: twice as long as a terminal goes on asking.
const USED_GRACE: u64 = 120;

/// In the order of the column's numbers.
const STATES: [DeviceState; 4] = [DeviceState::Pending, DeviceState::Approved, DeviceState::Denied, DeviceState::Used];

struct Poll {
    key: Thumbprint,
    state: DeviceState,
    account: Option<AccountId>,
    suspended: bool,
    label: String,
    pause: i64,
    polled: Option<Timestamp>,
    expires: Timestamp,
    session: Option<SessionId>,
}

fn poll(
    tx: &Tx<'_>,
    device: &TokenHash,
    key: &Thumbprint,
    session: SessionId,
    tokens: &NewTokens,
) -> TxResult<PollOutcome> {
    tx.lock_account_of(|tx| approved_by(tx, device))?;
    let found = tx.one(
        "SELECT d.key, d.state, d.account, d.pause, d.polled_at, d.expires_at, d.label, a.suspended_at, d.session
          FROM devices d LEFT JOIN accounts a ON a.id = d.account WHERE d.device = ?1",
        [device.as_bytes()],
        |row| {
            Ok(Poll {
                key: bytes(row, 0, Thumbprint::from_bytes)?,
                state: one_of(row, 1, &STATES)?,
                account: maybe_bytes(row, 2, AccountId::from_bytes)?,
                pause: row.get(3)?,
                polled: maybe_time(row, 4)?,
                expires: time(row, 5)?,
                label: row.get(6)?,
                suspended: maybe_time(row, 7)?.is_some(),
                session: maybe_bytes(row, 8, |id| SessionId(Octets(id)))?,
            })
        },
    )?;
    let Some(found) = found.filter(|found| found.key == *key) else { return Ok(PollOutcome::Unknown) };
    if found.state == DeviceState::Used {
        return Ok(again(tx, &found)?.unwrap_or(PollOutcome::Unknown));
    }
    if found.expires <= tx.now() {
        return Ok(PollOutcome::Expired);
    }
    let Some(account) = found.account.filter(|_| found.state == DeviceState::Approved) else {
        if found.state == DeviceState::Denied {
            return Ok(PollOutcome::Denied);
        }
        tx.change("UPDATE devices SET polled_at = ?2 WHERE device = ?1", (device.as_bytes(), tx.now().millis()))?;
        let soon = found.polled.is_some_and(|polled| tx.now().millis() < polled.millis().saturating_add(found.pause));
        return Ok(if soon { PollOutcome::SlowDown } else { PollOutcome::Pending });
    };
    if found.suspended {
        return Ok(PollOutcome::Denied);
    }
    // Who approved it may have done so since the lock was chosen.
    tx.lock(Lock::Account(&account))?;
    let used = tx.change(
        "UPDATE devices SET state = 3, session = ?2, polled_at = ?3 WHERE device = ?1 AND state = 1",
        (device.as_bytes(), session.0.0, tx.now().millis()),
    )?;
    if used != 1 {
        return Ok(PollOutcome::Unknown);
    }
    tx.change(
        "INSERT INTO sessions (id, account, key, label, created_at, used_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
        (
            session.0.0,
            account.as_bytes(),
            key.as_bytes(),
            &found.label,
            tx.now().millis(),
            tx.now().plus(tokens.refresh_life).millis(),
        ),
    )?;
    super::sessions::insert_tokens(tx, session, tokens)?;
    tx.log("signed in", Some(&account), None, &[])?;
    Ok(PollOutcome::Session { account, session })
}

fn decide(tx: &Tx<'_>, user: &TokenHash, decision: Decision) -> TxResult<DecideOutcome> {
    if let Decision::Approve(Holder { account, .. }) = &decision {
        tx.lock(Lock::Account(account))?;
    }
    let account = match decision {
        Decision::Deny => None,
        // A browser that was signed out everywhere a moment ago approves nothing any more.
        Decision::Approve(holder) if signed_in(tx, &holder)? => Some(holder.account),
        Decision::Approve(_) => return Ok(DecideOutcome::SignedOut),
    };
    let state = if account.is_some() { 1 } else { 2 };
    let decided = tx.change(
        "UPDATE devices SET state = ?2, account = ?3 WHERE user_code = ?1 AND state = 0 AND expires_at > ?4",
        (user.as_bytes(), state, account.as_ref().map(AccountId::as_bytes), tx.now().millis()),
    )?;
    Ok(if decided == 1 { DecideOutcome::Decided } else { DecideOutcome::Gone })
}

/// The account that approved a code, and may end everything that comes of it.
fn approved_by(tx: &Tx<'_>, device: &TokenHash) -> TxResult<Option<AccountId>> {
    let sql = "SELECT account FROM devices WHERE device = ?1";
    Ok(tx.one(sql, [device.as_bytes()], |row| maybe_bytes(row, 0, AccountId::from_bytes))?.flatten())
}

/// The session that a used code became, while its answer may have got lost. Its tokens are made from the code, so they
/// are the same.
fn again(tx: &Tx<'_>, found: &Poll) -> TxResult<Option<PollOutcome>> {
    let (Some(session), Some(account), Some(used)) = (found.session, found.account, found.polled) else {
        return Ok(None);
    };
    if tx.now() >= used.plus(USED_GRACE) {
        return Ok(None);
    }
    let sql = "SELECT 1 FROM sessions WHERE id = ?1 AND ended_at IS NULL";
    let lives = tx.one(sql, [session.0.0], |_| Ok(()))?;
    Ok(lives.map(|()| PollOutcome::Session { account, session }))
}

#[async_trait]
impl<D: Database> Devices for D {
    async fn create_device(&self, device: NewDevice) -> Result<bool, StoreError> {
        self.write(Write::DeviceCreate, move |tx| {
            // A user code that nobody can use any more is free again.
            tx.change(
                "DELETE FROM devices WHERE user_code = ?1 AND expires_at <= ?2",
                (device.user.as_bytes(), tx.now().millis()),
            )?;
            let made = tx.change(
                "INSERT INTO devices (device, user_code, key, label, pause, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (user_code) DO NOTHING",
                (
                    device.device.as_bytes(),
                    device.user.as_bytes(),
                    device.key.as_bytes(),
                    &device.label,
                    i64::from(device.interval).saturating_mul(1000),
                    tx.now().millis(),
                    tx.now().plus(device.life).millis(),
                ),
            )?;
            Ok(made == 1)
        })
        .await
    }

    async fn device(&self, user: &TokenHash) -> Result<Option<Device>, StoreError> {
        let user = *user;
        self.read("device code", move |tx| {
            tx.one(
                "SELECT key, label, state, created_at, expires_at FROM devices WHERE user_code = ?1",
                [user.as_bytes()],
                |row| {
                    Ok(Device {
                        key: bytes(row, 0, Thumbprint::from_bytes)?,
                        label: row.get(1)?,
                        state: one_of(row, 2, &STATES)?,
                        created: time(row, 3)?,
                        expires: time(row, 4)?,
                    })
                },
            )
        })
        .await
    }

    async fn decide_device(&self, user: &TokenHash, decision: Decision) -> Result<DecideOutcome, StoreError> {
        let user = *user;
        self.write(Write::DeviceDecide, move |tx| decide(tx, &user, decision)).await
    }

    async fn poll_device(
        &self,
        device: &TokenHash,
        key: &Thumbprint,
        session: SessionId,
        tokens: NewTokens,
    ) -> Result<PollOutcome, StoreError> {
        let (device, key) = (*device, *key);
        self.write(Write::DevicePoll, move |tx| poll(tx, &device, &key, session, &tokens)).await
    }
}
