//! Stored answers.

use super::leases::ProcessLease;
use super::{Database, Lock, Tx, TxError, TxResult};
use crate::billing::entitlement::Draw;
use crate::ops::faults::Write;
use crate::ops::retention;
use crate::store::database::row::{bytes, maybe_bytes, time};
use crate::store::{AnswerScope, Answers, BeginOutcome, Begun, Claim, Fence, Idempotency, StoreError, StoredAnswer};
use async_trait::async_trait;
use portcullis_protocol::{CodeId, Digest, GrantId, OrderId};

const UNDER_WAY: i64 = 0;
const CODE: i64 = 1;
const GRANT: i64 = 2;
const ORDER: i64 = 3;
const BODY: i64 = 4;
const JOINED: i64 = 5;

/// What is stored beside a key.
pub(super) enum Stored<'a> {
    Code(&'a CodeId, Kept),
    Grant(&'a GrantId, Kept),
    Order(&'a OrderId),
    Joined(&'a OrderId),
}

/// For how long the authorisation and the grant of a cycle are kept, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Kept(u64);

impl From<&Draw> for Kept {
    fn from(draw: &Draw) -> Self {
        Self(if draw.runs_out() { retention::PAID_CYCLE } else { retention::FREE_CYCLE })
    }
}

struct Found {
    request: Digest,
    kind: i64,
    subject: Option<[u8; 16]>,
    body: Option<String>,
    lease: Option<i64>,
}

pub(super) const fn scope_bytes(scope: &AnswerScope) -> &[u8; 16] {
    match scope {
        AnswerScope::Terminal(terminal) => terminal.as_bytes(),
        AnswerScope::Session(session) => &session.0.0,
        AnswerScope::Account(account) => account.as_bytes(),
        AnswerScope::Merchant(merchant) => &merchant.0.0,
    }
}

/// What this very request found before. One that is in progress may be so in a process that is gone.
pub(super) fn find(tx: &Tx<'_>, scope: &AnswerScope, request: &Idempotency) -> TxResult<Begun> {
    find_claimed(tx, scope, request).map(|(begun, _)| begun)
}

/// The same, and the claim of one that is in progress.
fn find_claimed(tx: &Tx<'_>, scope: &AnswerScope, request: &Idempotency) -> TxResult<(Begun, Option<Claim>)> {
    let found = tx.one(
        "SELECT request, kind, subject, body, lease FROM answers WHERE scope = ?1 AND key = ?2",
        (scope_bytes(scope), request.key.as_str()),
        |row| {
            Ok(Found {
                request: bytes(row, 0, Digest::from_bytes)?,
                kind: row.get(1)?,
                subject: maybe_bytes(row, 2, |subject| subject)?,
                body: row.get(3)?,
                lease: row.get(4)?,
            })
        },
    )?;
    let Some(found) = found else { return Ok((Begun::New, None)) };
    if found.request != request.request {
        return Ok((Begun::OtherRequest, None));
    }
    let subject = found.subject.unwrap_or_default();
    let answer = match found.kind {
        CODE => {
            let code = CodeId::from_bytes(subject);
            let sql = "SELECT expires_at FROM authorisations WHERE code = ?1";
            let expires = tx.one(sql, [code.as_bytes()], |row| time(row, 0))?;
            expires.map(|expires| StoredAnswer::Authorised { code, expires })
        }
        GRANT => super::grants::find(tx, &GrantId::from_bytes(subject))?.map(Box::new).map(StoredAnswer::Granted),
        ORDER => super::orders::find(tx, &OrderId::from_bytes(subject))?.map(Box::new).map(StoredAnswer::Ordered),
        JOINED => super::orders::find(tx, &OrderId::from_bytes(subject))?.map(Box::new).map(StoredAnswer::Joined),
        BODY => found.body.map(StoredAnswer::Body),
        _ => {
            let claim = found.lease.map(|lease| Claim { scope: *scope, key: request.key.clone(), lease });
            return Ok((Begun::InProgress, claim));
        }
    };
    // What an answer names is deleted with it, so one that is gone means a damaged database.
    answer.map(|answer| (Begun::Answered(answer), None)).ok_or(TxError::Damaged)
}

/// Stores the answer of a request, in the transaction that does what was asked.
pub(super) fn store(tx: &Tx<'_>, scope: &AnswerScope, request: &Idempotency, stored: &Stored<'_>) -> TxResult<()> {
    let (kind, subject, kept) = match stored {
        Stored::Code(id, kept) => (CODE, id.as_bytes(), Some(kept.0)),
        Stored::Grant(id, kept) => (GRANT, id.as_bytes(), Some(kept.0)),
        Stored::Order(id) => (ORDER, id.as_bytes(), None),
        Stored::Joined(id) => (JOINED, id.as_bytes(), Some(retention::ANSWER)),
    };
    let ends = kept.map(|kept| tx.now().plus(kept).millis());
    tx.change(
        "INSERT INTO answers (scope, key, request, kind, subject, at, ends_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (scope_bytes(scope), request.key.as_str(), request.request.as_bytes(), kind, subject, tx.now().millis(), ends),
    )?;
    Ok(())
}

/// Answers a repeated verification with the grant that replaces the one it was answered with.
pub(super) fn replace_grant(tx: &Tx<'_>, scope: &AnswerScope, request: &Idempotency, grant: &GrantId) -> TxResult<()> {
    tx.change(
        "UPDATE answers SET subject = ?3 WHERE scope = ?1 AND key = ?2 AND kind = ?4",
        (scope_bytes(scope), request.key.as_str(), grant.as_bytes(), GRANT),
    )?;
    Ok(())
}

/// Deletes answers that have ended, at most `limit`, and the authorisations and grants that they lead to. Returns how
/// many.
pub(super) fn sweep(tx: &Tx<'_>, limit: u32) -> TxResult<usize> {
    type Ended = ([u8; 16], String, i64, Option<[u8; 16]>);
    let ended: Vec<Ended> = tx.all(
        "SELECT scope, key, kind, subject FROM answers WHERE ends_at < ?1 ORDER BY ends_at LIMIT ?2",
        (tx.now().millis(), limit),
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    for (scope, key, kind, subject) in &ended {
        // One that was begun again meanwhile has another end, and stays.
        let sql = "DELETE FROM answers WHERE scope = ?1 AND key = ?2 AND kind = ?3 AND ends_at < ?4";
        if tx.change(sql, (scope, key, kind, tx.now().millis()))? == 0 {
            continue;
        }
        match *kind {
            // A hold goes back first.
            CODE => tx.change("DELETE FROM authorisations WHERE code = ?1 AND state <> 0", [subject])?,
            GRANT => {
                tx.change(
                    "DELETE FROM grants WHERE id = (SELECT g.replaces FROM grants g WHERE g.id = ?1)",
                    [subject],
                )?;
                tx.change("DELETE FROM grants WHERE id = ?1", [subject])?
            }
            _ => 0,
        };
    }
    Ok(ended.len())
}

/// What a request that begins finds, if it is not to be done: then that needs no transaction that writes.
fn found(
    tx: &Tx<'_>,
    lease: &ProcessLease,
    scope: &AnswerScope,
    request: &Idempotency,
) -> TxResult<Option<BeginOutcome>> {
    let (begun, claim) = find_claimed(tx, scope, request)?;
    Ok(match begun {
        Begun::New => None,
        Begun::Answered(answer) => Some(BeginOutcome::Answered(answer)),
        Begun::OtherRequest => Some(BeginOutcome::OtherRequest),
        Begun::InProgress => match claim {
            Some(claim) if lease.works_on(tx, &claim)? => Some(BeginOutcome::InProgress),
            _ => None,
        },
    })
}

/// Begins a request, or takes one over from a process that is gone.
fn begin(tx: &Tx<'_>, lease: &ProcessLease, scope: AnswerScope, request: &Idempotency) -> TxResult<BeginOutcome> {
    tx.lock(Lock::Request(scope_bytes(&scope), request.key.as_str()))?;
    if let Some(outcome) = found(tx, lease, &scope, request)? {
        return Ok(outcome);
    }
    let claim = Claim { scope, key: request.key.clone(), lease: lease.current(tx)? };
    // Before the row: whoever asks next finds both or neither.
    let Some(fence) = lease.running.begin(&claim) else { return Ok(BeginOutcome::InProgress) };
    let begun = tx.change(
        "INSERT INTO answers (scope, key, request, kind, at, ends_at, lease) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (scope, key)
         DO UPDATE SET at = excluded.at, ends_at = excluded.ends_at, lease = excluded.lease WHERE answers.kind = 0",
        (
            scope_bytes(&scope),
            request.key.as_str(),
            request.request.as_bytes(),
            UNDER_WAY,
            tx.now().millis(),
            tx.now().plus(retention::ANSWER).millis(),
            claim.lease,
        ),
    )?;
    Ok(if begun == 1 { BeginOutcome::Begun(fence) } else { BeginOutcome::InProgress })
}

#[async_trait]
impl<D: Database> Answers for D {
    async fn begin_answer(&self, scope: AnswerScope, request: &Idempotency) -> Result<BeginOutcome, StoreError> {
        let (asked, lease) = (request.clone(), self.lease().clone());
        let outcome = self.read("stored answer", move |tx| found(tx, &lease, &scope, &asked)).await?;
        if let Some(outcome) = outcome {
            return Ok(outcome);
        }
        let (request, lease) = (request.clone(), self.lease().clone());
        let begun = self.write(Write::AnswerBegin, move |tx| begin(tx, &lease, scope, &request)).await?;
        self.lease().keep(self.renewer(), self.opened_with());
        Ok(begun)
    }

    async fn finish_answer(&self, fence: Fence, body: Option<String>) -> Result<(), StoreError> {
        let finished = self.write(Write::AnswerFinish, move |tx| {
            let Claim { scope, key, lease } = &fence.claim;
            let (scope, key) = (scope_bytes(scope), key.as_str());
            let changed = match &body {
                Some(body) => tx.change(
                    "UPDATE answers SET kind = ?4, body = ?5, lease = NULL
                     WHERE scope = ?1 AND key = ?2 AND kind = 0 AND lease = ?3",
                    (scope, key, lease, BODY, body),
                )?,
                None => tx.change(
                    "DELETE FROM answers WHERE scope = ?1 AND key = ?2 AND kind = 0 AND lease = ?3",
                    (scope, key, lease),
                )?,
            };
            Ok(changed == 1)
        });
        if finished.await? { Ok(()) } else { Err(StoreError::TakenOver(Write::AnswerFinish.name())) }
    }
}
