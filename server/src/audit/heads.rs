//! Heads: the server signs how long its log is and what its last row covers, after it has looked that the log is still
//! the one that it signed before.

use super::fault::AuditFault;
use super::row::Chain;
use crate::crypto::keys::KeysError;
use crate::ops::clock::Timestamp;
use crate::services::Core;
use crate::store::{PAGE, SealedRow, StoreError};
use portcullis_protocol::{AuditHead, PublicKey, Unverified, Verified};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How old the newest head may be before a log that has grown gets another one, in seconds.
const HEAD_AGE: u64 = 3600;
/// Keys that a head is signed with, one after the other, while each ends before the head is kept.
const KEYS_TRIED: usize = 5;
/// How often a process looks whether that is so.
const LOOK: Duration = Duration::from_secs(60);

/// Why a head was not signed, or the log not exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The log is not as it was written.
    #[error(
        "the audit log is not as it was written: {0}. No head is signed over it. Keep the database as it is, and compare \
         with the last export and the heads that were kept elsewhere"
    )]
    Broken(AuditFault),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// What was exported could not be written.
    #[error("the export cannot be written: {0}")]
    Io(#[from] std::io::Error),
}

impl From<AuditFault> for AuditError {
    fn from(fault: AuditFault) -> Self {
        Self::Broken(fault)
    }
}

/// A head with all that it takes to verify it without a server: the line that ends an export, and what is kept
/// elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadRecord {
    /// The head, compact.
    pub head: String,
    /// The key document, compact, which names the key that signed the head.
    pub keys: String,
    /// The root key, which signed the key document. Whoever verifies knows its fingerprint.
    pub root: PublicKey,
}

impl HeadRecord {
    fn of(core: &Core, head: &Verified<AuditHead>) -> Self {
        let (keys, root) = (core.keys.document(core.clock.now()), core.keys.root().clone());
        Self { head: head.compact().to_owned(), keys, root }
    }
}

/// Heads in the database, which rows are compared with as they come.
pub(super) struct KeptHeads {
    waiting: Vec<(u64, String)>,
    after: u64,
    is_end: bool,
}

impl KeptHeads {
    pub(super) const fn new() -> Self {
        Self { waiting: Vec::new(), after: 0, is_end: false }
    }

    /// The next head, unless it covers more rows than `number`.
    async fn next(&mut self, core: &Core, number: u64) -> Result<Option<(u64, String)>, StoreError> {
        if self.waiting.is_empty() && !self.is_end {
            self.waiting = core.store.audit_heads(self.after, PAGE).await?;
            self.waiting.reverse();
            self.is_end = self.waiting.is_empty();
        }
        if self.waiting.last().is_none_or(|(covered, _)| *covered > number) {
            return Ok(None);
        }
        let head = self.waiting.pop();
        self.after = head.as_ref().map_or(self.after, |(covered, _)| *covered);
        Ok(head)
    }

    /// Compares with the row that was reached.
    pub(super) async fn compare(&mut self, core: &Core, reached: &Chain) -> Result<(), AuditError> {
        while let Some((covered, compact)) = self.next(core, reached.number).await? {
            let head = own(core, covered, &compact)?;
            if covered != reached.number || head.document().digest != reached.digest {
                return Err(other(covered, &head).into());
            }
        }
        Ok(())
    }

    /// There are no more rows: nor may there be a head that covers more.
    pub(super) async fn end(&mut self, core: &Core, reached: &Chain) -> Result<(), AuditError> {
        match self.next(core, u64::MAX).await? {
            None => Ok(()),
            Some((number, compact)) => {
                let signed = signed_at(&own(core, number, &compact)?);
                Err(AuditFault::CutOff { last: reached.number, number, signed }.into())
            }
        }
    }
}

fn signed_at(head: &Verified<AuditHead>) -> Timestamp {
    Timestamp::from_millis(0).plus(head.document().iat)
}

fn other(number: u64, head: &Verified<AuditHead>) -> AuditFault {
    AuditFault::OtherThanHead { number, signed: signed_at(head) }
}

/// A head in the database, which this server has signed.
fn own(core: &Core, number: u64, compact: &str) -> Result<Verified<AuditHead>, AuditFault> {
    let foreign = AuditFault::ForeignHead { number };
    let kid = Unverified::<AuditHead>::parse(compact).map_err(|_| foreign.clone())?.kid();
    let head = core.keys.own_document::<AuditHead>(compact).ok_or_else(|| foreign.clone())?;
    let AuditHead { iss, number: covered, .. } = head.document();
    // A head over no row is not kept.
    let is_own = *iss == core.origin && *covered == number && number > 0;
    // Nor is one that a key signed after its end, which was stolen then.
    if is_own && core.keys.was_in_force(&kid, signed_at(&head)) { Ok(head) } else { Err(foreign) }
}

/// Follows a log from the database by one row.
pub(super) fn follow(core: &Core, chain: &mut Chain, sealed: &SealedRow) -> Result<(), AuditFault> {
    chain.follow(&sealed.row)?;
    match core.secrets.has_sealed_audit(&sealed.row.digest, &sealed.seal) {
        true => Ok(()),
        false => Err(AuditFault::Forged { number: sealed.row.number }),
    }
}

/// Follows the rows that come after `chain`.
async fn walk(core: &Core, chain: &mut Chain) -> Result<(), AuditError> {
    loop {
        let rows = core.store.audit_rows(chain.number, PAGE).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            follow(core, chain, row)?;
        }
    }
}

/// Looks through the whole log, and compares it with every head in the database. Returns how many rows there are.
///
/// # Errors
/// [`AuditError::Broken`] with the first row that is not right.
pub async fn check(core: &Core) -> Result<u64, AuditError> {
    let mut chain = Chain::beginning(&core.origin, &core.keys.root().thumbprint());
    let mut heads = KeptHeads::new();
    loop {
        let rows = core.store.audit_rows(chain.number, PAGE).await?;
        if rows.is_empty() {
            heads.end(core, &chain).await?;
            return Ok(chain.number);
        }
        for row in &rows {
            follow(core, &mut chain, row)?;
            heads.compare(core, &chain).await?;
        }
    }
}

/// Signs how long the log is now, after it has looked through the last row that a head covers and what came since, and
/// keeps the head. Rows before are not read: what they said is in the digest of that row. [`check`] reads them all.
///
/// # Errors
/// [`AuditError`]; then nothing was signed.
pub async fn sign_head(core: &Core) -> Result<HeadRecord, AuditError> {
    let mut chain = Chain::beginning(&core.origin, &core.keys.root().thumbprint());
    if let Some((number, compact)) = core.store.audit_end().await?.head {
        let head = own(core, number, &compact)?;
        let signed = signed_at(&head);
        let found = core.store.audit_rows(number.saturating_sub(1), 1).await?;
        let Some(last) = found.first().filter(|found| found.row.number == number) else {
            let last = core.store.audit_end().await?.number;
            return Err(AuditFault::CutOff { last, number, signed }.into());
        };
        if last.row.digest != head.document().digest {
            return Err(other(number, &head).into());
        }
        // Whoever has the database may have written both. The row is followed like those after it: its seal, which only
        // the master key makes, is one over all the rows before it.
        if let Some(skipped) = number.checked_sub(2) {
            let before = core.store.audit_rows(skipped, 1).await?;
            let expected = number.saturating_sub(1);
            let before = before.first().filter(|found| found.row.number == expected);
            let before = before.ok_or(AuditFault::NotNext { found: number, expected })?;
            chain = Chain { number: expected, digest: before.row.digest };
        }
        follow(core, &mut chain, last)?;
    }
    walk(core, &mut chain).await?;
    sign(core, &chain).await
}

/// Signs a log that was followed up to here, and keeps the head.
pub(super) async fn sign(core: &Core, reached: &Chain) -> Result<HeadRecord, AuditError> {
    let Chain { number, digest } = *reached;
    for _ in 0..KEYS_TRIED {
        // A command runs for as long as the log is, and another one may end the key meanwhile.
        core.keys.refresh(&*core.store, &core.secrets).await?;
        // By the database's time, which keys end by.
        let now = core.store.now().await?;
        let key = core.keys.signing_key(now)?;
        let head = AuditHead { iss: core.origin.clone(), number, digest, iat: now.seconds() };
        let head = Verified::sign(head, &key);
        let signer = key.public().thumbprint();
        if number == 0 || core.store.keep_audit_head(number, head.compact().to_owned(), signer).await? {
            return Ok(HeadRecord::of(core, &head));
        }
    }
    Err(KeysError::NoSigningKey.into())
}

/// The heads that a running server makes by itself.
#[derive(Debug, Default)]
pub struct Heads {
    looked: Option<Instant>,
}

impl Heads {
    /// Signs a head if the log has grown and the newest head is old. To be called every few seconds.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn renew(&mut self, core: &Core) -> Result<Option<HeadRecord>, AuditError> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(None);
        }
        self.looked = Some(Instant::now());
        renew(core).await
    }
}

async fn renew(core: &Core) -> Result<Option<HeadRecord>, AuditError> {
    let end = core.store.audit_end().await?;
    let due = match &end.head {
        None => end.number > 0,
        Some((number, compact)) => {
            let head = own(core, *number, compact)?;
            end.number != *number && signed_at(&head).plus(HEAD_AGE) <= core.clock.now()
        }
    };
    if due { sign_head(core).await.map(Some) } else { Ok(None) }
}
