//! Everything that a master key seals, sealed by another one, in one transaction.

use super::{Database, Tx, TxError, TxResult};
use crate::billing::charges::MEANS;
use crate::crypto::keys::{SERVER_KEY, SIGNING_KEY};
use crate::crypto::secrets::{CodeMaker, SecretError, Secrets};
use crate::notices::webhooks::keys::{SECRET, SEED, row as key_row};
use crate::ops::faults::Write;
use crate::store::database::Row;
use crate::store::database::row::{bytes, checked, octets, sealed, text};
use crate::store::{EndpointId, KeyRole, Rewrap, RewrapOutcome, StoreError};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, BatchId, CodeSerial, Digest, PartName, PublicKey};
use zeroize::Zeroizing;

/// What makers of redemption codes are kept as, among the server's keys: those of master keys of before, the newest
/// first, as long as there are codes that they made.
const MAKERS: &str = "redemption";
/// Rows that are held in memory at a time.
const PAGE: usize = 500;

impl From<SecretError> for TxError {
    fn from(error: SecretError) -> Self {
        Self::Database(error.to_string())
    }
}

/// From one key to the other.
struct Change<'a> {
    from: &'a Secrets,
    to: &'a Secrets,
}

/// Every row that a question finds, which takes the key of the row before it, in pages.
fn pages<T, K: Clone>(
    first: K,
    mut page: impl FnMut(&K) -> TxResult<Vec<T>>,
    key: impl Fn(&T) -> K,
    mut each: impl FnMut(&T) -> TxResult<()>,
) -> TxResult<u64> {
    let (mut after, mut count) = (first, 0);
    loop {
        let rows = page(&after)?;
        for row in &rows {
            each(row)?;
            count += 1;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = key(last),
            _ => return Ok(count),
        }
    }
}

fn limit() -> i64 {
    i64::try_from(PAGE).unwrap_or(i64::MAX)
}

impl Change<'_> {
    fn server_keys(&self, tx: &Tx<'_>) -> TxResult<u64> {
        let mut count = 0;
        for role in KeyRole::ALL {
            let sql = "SELECT key FROM server_keys WHERE role = ?1";
            let Some(old) = tx.one(sql, [role.name()], |row| sealed(row, 0))? else { continue };
            let plain = self.from.unseal(SERVER_KEY, role.name().as_bytes(), &old)?;
            let new = self.to.seal(SERVER_KEY, role.name().as_bytes(), &plain);
            tx.change("UPDATE server_keys SET key = ?2 WHERE role = ?1", (role.name(), new.as_bytes()))?;
            count += 1;
        }
        Ok(count)
    }

    fn signing_keys(&self, tx: &Tx<'_>) -> TxResult<u64> {
        let found = tx.all("SELECT number, public, seed FROM signing_keys ORDER BY number", (), |row| {
            let public = checked(row, 1, |key: [u8; 32]| PublicKey::from_bytes(&key))?;
            Ok((row.get::<i64>(0)?, public.thumbprint(), sealed(row, 2)?))
        })?;
        for (number, thumbprint, old) in &found {
            let plain = self.from.unseal(SIGNING_KEY, thumbprint.as_bytes(), old)?;
            let new = self.to.seal(SIGNING_KEY, thumbprint.as_bytes(), &plain);
            tx.change("UPDATE signing_keys SET seed = ?2 WHERE number = ?1", (*number, new.as_bytes()))?;
        }
        Ok(found.len() as u64)
    }

    /// Names are sealed, and found by a keyed hash.
    fn accounts(&self, tx: &Tx<'_>) -> TxResult<u64> {
        let id = |row: &Row<'_>| bytes(row, 0, AccountId::from_bytes);
        let sql = "SELECT id, name FROM accounts WHERE id > ?1 ORDER BY id LIMIT ?2";
        pages(
            Vec::new(),
            |after: &Vec<u8>| tx.all(sql, (after, limit()), |row| Ok((id(row)?, sealed(row, 1)?))),
            |(id, _)| id.as_bytes().to_vec(),
            |(id, old)| {
                let name = self.from.open_name(id, old)?;
                let (lookup, new) = (self.to.lookup_name(&name), self.to.seal_name(id, &name));
                let sql = "UPDATE accounts SET lookup = ?2, name = ?3 WHERE id = ?1";
                tx.change(sql, (id.as_bytes(), lookup.as_bytes(), new.as_bytes()))?;
                Ok(())
            },
        )
    }

    /// What made the redemption codes that there are: the old key, and those before it.
    fn makers(&self, tx: &Tx<'_>) -> TxResult<Vec<CodeMaker>> {
        let mut makers = vec![self.from.code_maker()];
        let sql = "SELECT key FROM server_keys WHERE role = ?1";
        if let Some(kept) = tx.one(sql, [MAKERS], |row| sealed(row, 0))? {
            let kept = self.from.unseal(SERVER_KEY, MAKERS.as_bytes(), &kept)?;
            let (keys, rest) = kept.as_chunks::<32>();
            if !rest.is_empty() {
                return Err(TxError::Damaged);
            }
            makers.extend(keys.iter().map(|key| CodeMaker::from_bytes(Zeroizing::new(*key))));
        }
        Ok(makers)
    }

    /// Redemption codes are found by a keyed hash, and can be made again of their batches and numbers: whoever has one
    /// has it still. One that cannot is void.
    fn redemption_codes(&self, tx: &Tx<'_>) -> TxResult<u64> {
        let makers = self.makers(tx)?;
        let mut is_used = vec![false; makers.len()];
        let sql = "SELECT batch, number, serial FROM redemption_codes WHERE (batch, number) > (?1, ?2)
                   ORDER BY batch, number LIMIT ?3";
        let read = |row: &Row<'_>| {
            let (batch, serial) = (bytes(row, 0, BatchId::from_bytes)?, bytes(row, 2, CodeSerial::from_bytes)?);
            Ok((batch, row.get::<i64>(1)?, serial))
        };
        let count = pages(
            (Vec::new(), 0),
            |(batch, number): &(Vec<u8>, i64)| tx.all(sql, (batch, *number, limit()), read),
            |(batch, number, _)| (batch.as_bytes().to_vec(), *number),
            |(batch, number, serial)| {
                let nth = u32::try_from(*number).map_err(|_| TxError::Damaged)?;
                let made = makers.iter().map(|maker| maker.code(batch, nth));
                let found = made.enumerate().find(|(_, (_, made))| made == serial);
                let Some((maker, (code, _))) = found else {
                    let sql = "UPDATE redemption_codes SET state = 2 WHERE batch = ?1 AND number = ?2 AND state = 0";
                    tx.change(sql, (batch.as_bytes(), *number))?;
                    return Ok(());
                };
                is_used[maker] = true;
                let sql = "UPDATE redemption_codes SET lookup = ?3 WHERE batch = ?1 AND number = ?2";
                tx.change(sql, (batch.as_bytes(), *number, self.to.redemption_lookup(&code).0))?;
                Ok(())
            },
        )?;
        tx.change("DELETE FROM server_keys WHERE role = ?1", [MAKERS])?;
        let used = makers.iter().zip(&is_used).filter(|(_, is_used)| **is_used);
        let kept = Zeroizing::new(used.flat_map(|(maker, _)| *maker.expose()).collect::<Vec<u8>>());
        if !kept.is_empty() {
            let new = self.to.seal(SERVER_KEY, MAKERS.as_bytes(), &kept);
            tx.change("INSERT INTO server_keys (role, key) VALUES (?1, ?2)", (MAKERS, new.as_bytes()))?;
        }
        Ok(count)
    }

    fn parts(&self, tx: &Tx<'_>) -> TxResult<u64> {
        let sql = "SELECT resource, name, key FROM parts WHERE (resource, name) > (?1, ?2)
                   ORDER BY resource, name LIMIT ?3";
        let read = |row: &Row<'_>| Ok((bytes(row, 0, Digest::from_bytes)?, text::<PartName>(row, 1)?, sealed(row, 2)?));
        pages(
            (Vec::new(), String::new()),
            |(resource, name): &(Vec<u8>, String)| tx.all(sql, (resource, name, limit()), read),
            |(resource, name, _)| (resource.as_bytes().to_vec(), name.to_string()),
            |(resource, name, old)| {
                let key = self.from.unwrap_file_key(resource, name, old)?;
                let new = self.to.wrap_file_key(resource, name, &key);
                let sql = "UPDATE parts SET key = ?3 WHERE resource = ?1 AND name = ?2";
                tx.change(sql, (resource.as_bytes(), name.as_str(), new.as_bytes()))?;
                Ok(())
            },
        )
    }

    /// Answers that are kept for a repetition. One that does not open is of no use to anybody.
    fn answers(&self, tx: &Tx<'_>) -> TxResult<u64> {
        type Answer = (Vec<u8>, String, Digest, Option<String>);
        let sql = "SELECT scope, key, request, body FROM answers WHERE (scope, key) > (?1, ?2)
                   ORDER BY scope, key LIMIT ?3";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, bytes(row, 2, Digest::from_bytes)?, row.get(3)?));
        pages(
            (Vec::new(), String::new()),
            |(scope, key): &(Vec<u8>, String)| tx.all(sql, (scope, key, limit()), read),
            |(scope, key, ..): &Answer| (scope.clone(), key.clone()),
            |(scope, key, request, body)| {
                let Some(body) = body else { return Ok(()) };
                let opened = self.from.open_answer(request, body).ok();
                match opened.as_deref().and_then(|plain| std::str::from_utf8(plain).ok()) {
                    Some(plain) => {
                        let new = self.to.seal_answer(request, plain);
                        tx.change("UPDATE answers SET body = ?3 WHERE scope = ?1 AND key = ?2", (scope, key, &new))?
                    }
                    None => tx.change("DELETE FROM answers WHERE scope = ?1 AND key = ?2", (scope, key))?,
                };
                Ok(())
            },
        )
    }

    fn saved_means(&self, tx: &Tx<'_>) -> TxResult<u64> {
        let sql = "SELECT account, provider, reference FROM saved_means WHERE (account, provider) > (?1, ?2)
                   ORDER BY account, provider LIMIT ?3";
        let read = |row: &Row<'_>| Ok((bytes(row, 0, AccountId::from_bytes)?, row.get::<String>(1)?, sealed(row, 2)?));
        pages(
            (Vec::new(), String::new()),
            |(account, provider): &(Vec<u8>, String)| tx.all(sql, (account, provider, limit()), read),
            |(account, provider, _)| (account.as_bytes().to_vec(), provider.clone()),
            |(account, provider, old)| {
                let plain = self.from.unseal(MEANS, account.as_bytes(), old)?;
                let new = self.to.seal(MEANS, account.as_bytes(), &plain);
                let sql = "UPDATE saved_means SET reference = ?3 WHERE account = ?1 AND provider = ?2";
                tx.change(sql, (account.as_bytes(), provider, new.as_bytes()))?;
                Ok(())
            },
        )
    }

    /// Keys that sign webhooks.
    fn webhook_keys(&self, tx: &Tx<'_>) -> TxResult<u64> {
        let sql = "SELECT endpoint, number, secret, seed, public FROM webhook_keys WHERE (endpoint, number) > (?1, ?2)
                   ORDER BY endpoint, number LIMIT ?3";
        let read = |row: &Row<'_>| {
            let (id, public): (_, [u8; 32]) = (EndpointId(octets(row, 0)?), row.get(4)?);
            Ok((id, row.get::<i64>(1)?, sealed(row, 2)?, sealed(row, 3)?, public))
        };
        pages(
            (Vec::new(), 0),
            |(endpoint, number): &(Vec<u8>, i64)| tx.all(sql, (endpoint, *number, limit()), read),
            |(endpoint, number, ..)| (endpoint.0.0.to_vec(), *number),
            |(endpoint, number, secret, seed, public)| {
                let row = key_row(endpoint, public);
                let secret = self.to.seal(SECRET, &row, &self.from.unseal(SECRET, &row, secret)?);
                let seed = self.to.seal(SEED, &row, &self.from.unseal(SEED, &row, seed)?);
                let sql = "UPDATE webhook_keys SET secret = ?3, seed = ?4 WHERE endpoint = ?1 AND number = ?2";
                tx.change(sql, (endpoint.0.0, *number, secret.as_bytes(), seed.as_bytes()))?;
                Ok(())
            },
        )
    }

    /// Seals of the audit log. A row that this server did not write gets none.
    fn audit(&self, tx: &Tx<'_>) -> TxResult<u64> {
        let sql = "SELECT number, digest, seal FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2";
        let read = |row: &Row<'_>| Ok((row.get::<i64>(0)?, bytes(row, 1, Digest::from_bytes)?, row.get(2)?));
        pages(
            0,
            |after: &i64| tx.all(sql, (*after, limit()), read),
            |(number, ..)| *number,
            |(number, digest, seal): &(i64, Digest, [u8; 32])| {
                if self.from.has_sealed_audit(digest, seal) {
                    let new = self.to.seal_audit(digest);
                    tx.change("UPDATE audit SET seal = ?2 WHERE number = ?1", (*number, new))?;
                }
                Ok(())
            },
        )
    }
}

/// What is kept as a keyed hash cannot be computed anew: it ends.
fn end_sign_ins(tx: &Tx<'_>) -> TxResult<()> {
    for sql in [
        "DELETE FROM tokens /* all of it */",
        "DELETE FROM web_sessions /* all of it */",
        "DELETE FROM devices /* all of it */",
        "DELETE FROM invitations /* all of it */",
    ] {
        tx.change(sql, ())?;
    }
    let sql = "UPDATE sessions SET ended_at = ?1 WHERE ended_at IS NULL /* all of it */";
    tx.change(sql, [tx.now().millis()])?;
    Ok(())
}

fn is_running(tx: &Tx<'_>) -> TxResult<bool> {
    let sql = "SELECT 1 FROM leases WHERE ends_at > ?1 LIMIT 1";
    Ok(tx.one(sql, [tx.now().millis()], |_| Ok(()))?.is_some())
}

fn rewrap(tx: &Tx<'_>, from: &Secrets, to: &Secrets) -> TxResult<RewrapOutcome> {
    tx.unhurried()?;
    // Looked at before as well, so that a server that runs is not made to wait.
    if is_running(tx)? {
        return Ok(RewrapOutcome::Running);
    }
    // Every write of a process begins with a look at the row: those that did are over, and the others find the new key.
    tx.hold_identity()?;
    if is_running(tx)? {
        return Ok(RewrapOutcome::Running);
    }
    let sql = "UPDATE server SET key_check = ?2 WHERE key_check = ?1";
    if tx.change(sql, (from.key_check(), to.key_check()))? == 0 {
        return Ok(RewrapOutcome::OtherKey);
    }
    let change = Change { from, to };
    let done = [
        change.server_keys(tx)?,
        change.signing_keys(tx)?,
        change.accounts(tx)?,
        change.redemption_codes(tx)?,
        change.parts(tx)?,
        change.answers(tx)?,
        change.saved_means(tx)?,
        change.webhook_keys(tx)?,
        change.audit(tx)?,
    ];
    end_sign_ins(tx)?;
    tx.log("master key changed", None, None, &[])?;
    Ok(RewrapOutcome::Done(done.iter().sum()))
}

#[async_trait]
impl<D: Database> Rewrap for D {
    async fn rewrap(&self, from: Secrets, to: Secrets) -> Result<RewrapOutcome, StoreError> {
        self.write(Write::KeysRewrap, move |tx| rewrap(tx, &from, &to)).await
    }

    async fn is_sealed_by(&self, key_check: [u8; 32]) -> Result<bool, StoreError> {
        // Not a read: what it sees may be older than the change that it waited for.
        self.commit(Write::KeysRewrap, move |tx| {
            let found = tx.one("SELECT 1 FROM server WHERE key_check = ?1", [key_check], |_| Ok(()))?;
            Ok(found.is_some())
        })
        .await
    }
}
