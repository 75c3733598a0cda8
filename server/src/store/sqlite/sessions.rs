//! Sessions of terminals and their tokens.

use super::row::{bytes, maybe_time, octets};
use super::terminals::terminal_at;
use super::{Sqlite, Tx};
use crate::faults::Write;
use crate::secrets::TokenHash;
use crate::store::{Authenticated, NewTokens, RefreshOutcome, SessionId, Sessions, StoreError};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, Thumbprint};

/// Seconds in which a refresh token may be used again, by the key that it is bound to, because the answer got lost. A
/// thief of the token alone has no use of it (RFC 9449 section 5), so this is as long as an access token lives: later
/// than that, an honest terminal has been answered.
const REFRESH_GRACE: u64 = 3600;

/// Stores a pair of tokens of a session.
pub(super) fn insert_tokens(tx: &Tx<'_>, session: SessionId, tokens: &NewTokens) -> rusqlite::Result<()> {
    for (hash, kind, life) in [(&tokens.access, 0, tokens.access_life), (&tokens.refresh, 1, tokens.refresh_life)] {
        tx.change(
            "INSERT INTO tokens (hash, session, kind, expires_at) VALUES (?1, ?2, ?3, ?4)",
            (hash.as_bytes(), session.0.0, kind, tx.now.plus(life).millis()),
        )?;
    }
    Ok(())
}

fn end(tx: &Tx<'_>, session: SessionId) -> rusqlite::Result<()> {
    let sql = "UPDATE sessions SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL";
    tx.change(sql, (session.0.0, tx.now.millis()))?;
    Ok(())
}

fn refresh(tx: &Tx<'_>, token: &TokenHash, key: &Thumbprint, tokens: &NewTokens) -> rusqlite::Result<RefreshOutcome> {
    // The session of a good token of this key, whose terminal was not revoked.
    let found = tx.one(
        "SELECT s.id, t.used_at FROM tokens t JOIN sessions s ON s.id = t.session
         WHERE t.hash = ?1 AND t.kind = 1 AND t.expires_at > ?3 AND s.key = ?2 AND s.ended_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM terminals x
                           WHERE x.account = s.account AND x.key = s.key AND x.revoked_at IS NOT NULL)",
        (token.as_bytes(), key.as_bytes(), tx.now.millis()),
        |row| Ok((octets(row, 0).map(SessionId)?, maybe_time(row, 1)?)),
    )?;
    let Some((session, used)) = found else { return Ok(RefreshOutcome::Unknown) };
    match used {
        None => {
            let sql = "UPDATE tokens SET used_at = ?2 WHERE hash = ?1";
            tx.change(sql, (token.as_bytes(), tx.now.millis()))?;
        }
        // The answer may have got lost: whoever asks again proved the same key.
        Some(used) if tx.now < used.plus(REFRESH_GRACE) => {}
        Some(_) => {
            // Two hold the same token and key: whoever is the copy, both sign in again.
            end(tx, session)?;
            return Ok(RefreshOutcome::Reused);
        }
    }
    insert_tokens(tx, session, tokens)?;
    Ok(RefreshOutcome::Refreshed)
}

#[async_trait]
impl Sessions for Sqlite {
    async fn authenticate(&self, access: &TokenHash) -> Result<Option<Authenticated>, StoreError> {
        self.read("token", |tx| {
            tx.one(
                "SELECT s.id, s.account, a.suspended_at, a.operator, s.key,
                        x.id, x.key, x.release, x.label, x.enrolled_at, x.revoked_at
                 FROM tokens t
                 JOIN sessions s ON s.id = t.session
                 JOIN accounts a ON a.id = s.account
                 LEFT JOIN terminals x ON x.account = s.account AND x.key = s.key
                 WHERE t.hash = ?1 AND t.kind = 0 AND t.expires_at > ?2 AND s.ended_at IS NULL",
                (access.as_bytes(), tx.now.millis()),
                |row| {
                    let enrolled = row.get::<_, Option<[u8; 16]>>(5)?.is_some();
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
}
