//! Sessions of terminals and their tokens.

use super::terminals::terminal_at;
use super::{Database, Lock, Tx, TxResult};
use crate::crypto::secrets::TokenHash;
use crate::ops::faults::Write;
use crate::store::database::row::{bytes, count, maybe_bytes, maybe_time, octets, time};
use crate::store::{
    Authenticated, ENROL_WITHIN, NewTokens, RefreshOutcome, SESSIONS_LISTED, Session, SessionId, Sessions, SignedOut,
    StoreError,
};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, TerminalId, Thumbprint};

/// Seconds in which a refresh token may be used again, by the key that it is bound to, because the answer got lost. A
/// thief of the token alone has no use of it (RFC 9449 section 5), so this is as long as an access token lives: later
/// than that, an honest terminal has been answered.
const REFRESH_GRACE: u64 = 3600;

/// Refresh tokens that a session has had at most, within the life of one: hourly renewals of 90 days, and nearly as
/// many whose answers got lost. Used ones are kept, since whoever uses one again is found by it.
const RENEWALS: u64 = 4096;

/// Stores a pair of tokens of a session.
pub(super) fn insert_tokens(tx: &Tx<'_>, session: SessionId, tokens: &NewTokens) -> TxResult<()> {
    for (hash, kind, life) in [(&tokens.access, 0, tokens.access_life), (&tokens.refresh, 1, tokens.refresh_life)] {
        tx.change(
            "INSERT INTO tokens (hash, session, kind, expires_at) VALUES (?1, ?2, ?3, ?4)",
            (hash.as_bytes(), session.0.0, kind, tx.now().plus(life).millis()),
        )?;
    }
    Ok(())
}

fn end(tx: &Tx<'_>, session: SessionId) -> TxResult<()> {
    let sql = "UPDATE sessions SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL";
    tx.change(sql, (session.0.0, tx.now().millis()))?;
    Ok(())
}

/// Ends every session of an account. Codes that were approved and not yet used would become sessions, so they end too.
pub(super) fn end_all(tx: &Tx<'_>, account: &AccountId) -> TxResult<SignedOut> {
    let sessions = tx.change(
        "UPDATE sessions SET ended_at = ?2 WHERE account = ?1 AND ended_at IS NULL",
        (account.as_bytes(), tx.now().millis()),
    )?;
    let browsers = tx.change("DELETE FROM web_sessions WHERE account = ?1", [account.as_bytes()])?;
    let codes = tx.change("UPDATE devices SET state = 2 WHERE account = ?1 AND state = 1", [account.as_bytes()])?;
    Ok(SignedOut { sessions, browsers, codes })
}

/// Ends the sessions of one key of an account, with the code that it has not used yet.
pub(super) fn end_key(tx: &Tx<'_>, account: &AccountId, key: &Thumbprint) -> TxResult<()> {
    tx.change(
        "UPDATE sessions SET ended_at = ?3 WHERE account = ?1 AND key = ?2 AND ended_at IS NULL",
        (account.as_bytes(), key.as_bytes(), tx.now().millis()),
    )?;
    tx.change(
        "UPDATE devices SET state = 2 WHERE account = ?1 AND key = ?2 AND state = 1",
        (account.as_bytes(), key.as_bytes()),
    )?;
    Ok(())
}

/// Whether a session of this account and key may still enrol its terminal.
pub(super) fn may_enrol(tx: &Tx<'_>, session: SessionId, account: &AccountId, key: &Thumbprint) -> TxResult<bool> {
    let found = tx.one(
        "SELECT 1 FROM sessions s JOIN accounts a ON a.id = s.account
         WHERE s.id = ?1 AND s.account = ?2 AND s.key = ?4 AND s.ended_at IS NULL AND a.suspended_at IS NULL
           AND (s.created_at > ?3
                OR EXISTS (SELECT 1 FROM terminals x WHERE x.account = s.account AND x.key = s.key))",
        (session.0.0, account.as_bytes(), tx.now().minus(ENROL_WITHIN).millis(), key.as_bytes()),
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

fn refresh(tx: &Tx<'_>, token: &TokenHash, key: &Thumbprint, tokens: &NewTokens) -> TxResult<RefreshOutcome> {
    tx.lock_account_of(|tx| {
        let sql = "SELECT s.account FROM tokens t JOIN sessions s ON s.id = t.session WHERE t.hash = ?1";
        tx.one(sql, [token.as_bytes()], |row| bytes(row, 0, AccountId::from_bytes))
    })?;
    // The session of a good token of this key: its terminal is enrolled and not revoked, or may still be enrolled.
    let found = tx.one(
        "SELECT s.id, t.used_at FROM tokens t
         JOIN sessions s ON s.id = t.session
         JOIN accounts a ON a.id = s.account
         LEFT JOIN terminals x ON x.account = s.account AND x.key = s.key
         WHERE t.hash = ?1 AND t.kind = 1 AND t.expires_at > ?3 AND s.key = ?2 AND s.ended_at IS NULL
           AND a.suspended_at IS NULL AND x.revoked_at IS NULL AND (x.id IS NOT NULL OR s.created_at > ?4)",
        (token.as_bytes(), key.as_bytes(), tx.now().millis(), tx.now().minus(ENROL_WITHIN).millis()),
        |row| Ok((octets(row, 0).map(SessionId)?, maybe_time(row, 1)?)),
    )?;
    let Some((session, used)) = found else { return Ok(RefreshOutcome::Unknown) };
    match used {
        None => {
            let sql = "UPDATE tokens SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL";
            tx.change(sql, (token.as_bytes(), tx.now().millis()))?;
        }
        // The answer may have got lost: whoever asks again proved the same key.
        Some(used) if tx.now() < used.plus(REFRESH_GRACE) => {}
        Some(_) => {
            // Two hold the same token and key: whoever is the copy, both sign in again.
            end(tx, session)?;
            return Ok(RefreshOutcome::Reused);
        }
    }
    // Each is a row. Forgetting the oldest would let a thief hide among his own renewals.
    let had = "SELECT count(*) FROM tokens WHERE session = ?1 AND kind = 1";
    if tx.one(had, [session.0.0], |row| count(row, 0))?.unwrap_or(0) >= RENEWALS {
        end(tx, session)?;
        return Ok(RefreshOutcome::TooOften);
    }
    insert_tokens(tx, session, tokens)?;
    tx.change(
        "UPDATE sessions SET used_at = ?2, expires_at = ?3 WHERE id = ?1",
        (session.0.0, tx.now().millis(), tx.now().plus(tokens.refresh_life).millis()),
    )?;
    Ok(RefreshOutcome::Refreshed)
}

#[async_trait]
impl<D: Database> Sessions for D {
    async fn authenticate(&self, access: &TokenHash) -> Result<Option<Authenticated>, StoreError> {
        let access = *access;
        self.read("token", move |tx| {
            tx.one(
                "SELECT s.id, s.account, a.suspended_at, a.operator, s.key,
                        x.id, x.key, x.release, x.label, x.enrolled_at, x.revoked_at
                 FROM tokens t
                 JOIN sessions s ON s.id = t.session
                 JOIN accounts a ON a.id = s.account
                 LEFT JOIN terminals x ON x.account = s.account AND x.key = s.key
                 WHERE t.hash = ?1 AND t.kind = 0 AND t.expires_at > ?2
                   AND (s.ended_at IS NULL AND (x.id IS NOT NULL OR s.created_at > ?3)
                        OR x.revoked_at IS NOT NULL OR a.suspended_at IS NOT NULL)",
                (access.as_bytes(), tx.now().millis(), tx.now().minus(ENROL_WITHIN).millis()),
                |row| {
                    let enrolled = row.get::<Option<[u8; 16]>>(5)?.is_some();
                    Ok(Authenticated {
                        session: octets(row, 0).map(SessionId)?,
                        account: bytes(row, 1, AccountId::from_bytes)?,
                        suspended: maybe_time(row, 2)?,
                        operator: row.get(3)?,
                        key: bytes(row, 4, Thumbprint::from_bytes)?,
                        terminal: if enrolled { Some(terminal_at(row, 5)?) } else { None },
                    })
                },
            )
        })
        .await
    }

    async fn refresh_session(
        &self,
        refresh_token: &TokenHash,
        key: &Thumbprint,
        tokens: NewTokens,
    ) -> Result<RefreshOutcome, StoreError> {
        let (token, key) = (*refresh_token, *key);
        self.write(Write::SessionRefresh, move |tx| refresh(tx, &token, &key, &tokens)).await
    }

    async fn end_session(&self, token: &TokenHash, key: &Thumbprint) -> Result<(), StoreError> {
        let (token, key) = (*token, *key);
        self.write(Write::SessionEnd, move |tx| {
            let session = tx.one(
                "SELECT s.id FROM tokens t JOIN sessions s ON s.id = t.session WHERE t.hash = ?1 AND s.key = ?2",
                (token.as_bytes(), key.as_bytes()),
                |row| octets(row, 0).map(SessionId),
            )?;
            session.map_or(Ok(()), |session| end(tx, session))
        })
        .await
    }

    async fn sessions(&self, account: &AccountId) -> Result<Vec<Session>, StoreError> {
        let account = *account;
        self.read("sessions", move |tx| {
            tx.all(
                "SELECT s.id, s.label, s.key, s.created_at, s.used_at, s.expires_at, x.id
                 FROM sessions s LEFT JOIN terminals x ON x.account = s.account AND x.key = s.key
                 WHERE s.account = ?1 AND s.ended_at IS NULL AND s.expires_at > ?2 AND x.revoked_at IS NULL
                   AND (x.id IS NOT NULL OR s.created_at > ?3)
                 ORDER BY s.created_at DESC, s.id LIMIT ?4",
                (account.as_bytes(), tx.now().millis(), tx.now().minus(ENROL_WITHIN).millis(), SESSIONS_LISTED),
                |row| {
                    let (created, expires) = (time(row, 3)?, time(row, 5)?);
                    let terminal = maybe_bytes(row, 6, TerminalId::from_bytes)?;
                    // One that never enrols ends sooner than its tokens.
                    let expires = if terminal.is_some() { expires } else { created.plus(ENROL_WITHIN).min(expires) };
                    Ok(Session {
                        id: octets(row, 0).map(SessionId)?,
                        label: row.get(1)?,
                        key: bytes(row, 2, Thumbprint::from_bytes)?,
                        created,
                        used: time(row, 4)?,
                        expires,
                        terminal,
                    })
                },
            )
        })
        .await
    }

    async fn end_session_of(&self, account: &AccountId, session: SessionId) -> Result<bool, StoreError> {
        let account = *account;
        self.write(Write::SessionEnd, move |tx| {
            let ended = tx.change(
                "UPDATE sessions SET ended_at = ?3 WHERE id = ?1 AND account = ?2 AND ended_at IS NULL",
                (session.0.0, account.as_bytes(), tx.now().millis()),
            )?;
            Ok(ended == 1)
        })
        .await
    }

    async fn sign_out_everywhere(&self, account: &AccountId) -> Result<SignedOut, StoreError> {
        let account = *account;
        self.write(Write::SessionEnd, move |tx| {
            tx.lock(Lock::Account(&account))?;
            let ended = end_all(tx, &account)?;
            tx.log("signed out everywhere", Some(&account), None, &[])?;
            Ok(ended)
        })
        .await
    }
}
