//! What was found in a mailbox so far, and where reading it stands: one sealed file, replaced whole, so that a bill is
//! neither lost nor found twice whenever the program ends.

use crate::account::AccountName;
use crate::iban::Iban;
use crate::limits::{BATCH_BYTES, BATCH_MAILS, MAX_PAGE, MAX_TRIES};
use crate::record::{BillRecord, Level};
use crate::sealed_folder::{FolderError, SealedFolder};
use crate::source::{Changes, Cursor, MailId};
use portcullis_protocol::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::str::FromStr;

/// The kind of sealed file that ledgers are.
const KIND: &str = "ledgers";

/// How many changes somebody has seen. A ledger that was made anew has another epoch, and is then read from its
/// beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChangeCursor {
    epoch: u64,
    seq: u64,
}

/// Not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a change cursor; leave it out to read from the beginning")]
pub struct BadCursor;

impl FromStr for ChangeCursor {
    type Err = BadCursor;
    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (epoch, seq) = text.split_once('.').ok_or(BadCursor)?;
        let digits = |text: &str| !text.starts_with('+');
        if !digits(epoch) || !digits(seq) {
            return Err(BadCursor);
        }
        Ok(Self { epoch: epoch.parse().map_err(|_| BadCursor)?, seq: seq.parse().map_err(|_| BadCursor)? })
    }
}

impl TryFrom<String> for ChangeCursor {
    type Error = BadCursor;
    fn try_from(text: String) -> Result<Self, BadCursor> {
        text.parse()
    }
}

impl From<ChangeCursor> for String {
    fn from(cursor: ChangeCursor) -> Self {
        cursor.to_string()
    }
}

impl fmt::Display for ChangeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

/// A record that is new or has changed. Records are told apart by their evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The number of this change.
    pub seq: u64,
    /// The record as it is now.
    pub record: BillRecord,
}

/// Some changes, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// At most [`MAX_PAGE`].
    pub changes: Vec<Change>,
    /// What to ask with for the next page.
    pub next: ChangeCursor,
    /// Whether there are more.
    pub more: bool,
    /// The cursor was of another ledger: forget what was read under it.
    pub reset: bool,
}

/// The ledger of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    epoch: u64,
    seq: u64,
    /// Which mailbox the cursor and what is to be read are of.
    #[serde(default)]
    mailbox: Option<Digest>,
    cursor: Option<Cursor>,
    pending: VecDeque<MailId>,
    /// What the next run is to look at once more.
    #[serde(default)]
    postponed: Vec<MailId>,
    /// How many runs could not get a mail, or not judge it, by its id.
    #[serde(default)]
    tries: BTreeMap<String, u8>,
    changes: Vec<Change>,
    /// Digests of what was signed of verified and vouched bills, so that none counts twice.
    signatures: HashSet<Digest>,
    /// Where billers wanted their money when a verified bill of theirs first said so.
    ibans: BTreeMap<String, Vec<Iban>>,
}

impl Ledger {
    /// An empty ledger.
    ///
    /// # Panics
    /// If the operating system has no random bytes.
    #[must_use]
    pub fn new() -> Self {
        let mut epoch = [0; 8];
        getrandom::fill(&mut epoch).expect("the operating system gives random bytes");
        Self {
            epoch: u64::from_be_bytes(epoch) >> 16,
            seq: 0,
            mailbox: None,
            cursor: None,
            pending: VecDeque::new(),
            postponed: Vec::new(),
            tries: BTreeMap::new(),
            changes: Vec::new(),
            signatures: HashSet::new(),
            ibans: BTreeMap::new(),
        }
    }

    /// The ledger of an account; an empty one if nothing was read yet.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn load(folder: &SealedFolder, account: &AccountName) -> Result<Self, FolderError> {
        let Some(plain) = folder.read(KIND, account.as_str())? else { return Ok(Self::new()) };
        // Sealed here, and yet not to be read: an older version wrote it. Mail is read anew then.
        Ok(serde_json::from_slice(&plain).unwrap_or_else(|_| Self::new()))
    }

    /// What tells this version of a stored ledger from every other; `None` if there is none.
    pub(crate) fn stamp(folder: &SealedFolder, account: &AccountName) -> Result<Option<[u8; 16]>, FolderError> {
        folder.stamp(KIND, account.as_str())
    }

    /// Stores the ledger, sealed.
    ///
    /// # Errors
    /// [`FolderError`].
    ///
    /// # Panics
    /// Never: a ledger is serialisable.
    pub fn store(&self, folder: &SealedFolder, account: &AccountName) -> Result<(), FolderError> {
        folder.write(KIND, account.as_str(), &serde_json::to_vec(self).expect("a ledger serialises"))
    }

    /// The changes after a cursor, at most `limit` and at most [`MAX_PAGE`].
    #[must_use]
    pub fn page(&self, after: Option<ChangeCursor>, limit: usize) -> Page {
        let known = after.filter(|cursor| cursor.epoch == self.epoch && cursor.seq <= self.seq);
        let seq = known.map_or(0, |cursor| cursor.seq);
        // In order of their numbers.
        let start = self.changes.partition_point(|change| change.seq <= seq);
        let rest = self.changes.get(start..).unwrap_or_default();
        let changes: Vec<Change> = rest.iter().take(limit.clamp(1, MAX_PAGE)).cloned().collect();
        let next = ChangeCursor { epoch: self.epoch, seq: changes.last().map_or(seq, |change| change.seq) };
        Page { more: changes.len() < rest.len(), next, reset: after.is_some() && known.is_none(), changes }
    }

    pub(crate) const fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Begins anew if the account is that of another mailbox: its mails may have the numbers of these. What was found
    /// stays.
    pub(crate) fn open_mailbox(&mut self, mailbox: Digest) {
        if self.mailbox.replace(mailbox).is_some_and(|before| before != mailbox) {
            self.cursor = None;
            self.forget_listed();
        }
    }

    fn forget_listed(&mut self) {
        self.pending.clear();
        self.postponed.clear();
        self.tries.clear();
    }

    /// Takes over what is new in the mailbox. Mails that were listed before and not read yet are read first, those that
    /// could not be judged last.
    pub(crate) fn listed(&mut self, changes: Changes) {
        if changes.fresh {
            self.forget_listed();
        }
        self.pending.extend(changes.new);
        self.pending.extend(self.postponed.drain(..));
        self.cursor = Some(changes.cursor);
    }

    /// The mails to ask for at once, after `skipped` that were asked for already. A mail whose size is not known, or
    /// that is larger than all others together may be, comes alone.
    pub(crate) fn next_mails(&self, skipped: usize) -> Vec<MailId> {
        let (mut batch, mut bytes) = (Vec::new(), 0_u64);
        for mail in self.pending.iter().skip(skipped).take(BATCH_MAILS) {
            // One that failed before does not take others with it.
            let is_alone = mail.size == 0 || self.tries.contains_key(&mail.id);
            let size = if is_alone { mail.size.max(BATCH_BYTES) } else { mail.size };
            bytes = bytes.saturating_add(size);
            if bytes > BATCH_BYTES && !batch.is_empty() {
                break;
            }
            batch.push(mail.clone());
        }
        batch
    }

    /// The first mail was read.
    pub(crate) fn mail_read(&mut self) {
        if let Some(mail) = self.pending.pop_front() {
            self.tries.remove(&mail.id);
        }
    }

    /// Leaves the first mail, which arrived and cannot be judged now, to the next run. Returns whether it did: after
    /// some runs no more.
    pub(crate) fn postpone(&mut self) -> bool {
        let Some(mail) = self.pending.front() else { return false };
        if count_try(&mut self.tries, &mail.id) >= MAX_TRIES {
            return false;
        }
        self.postponed.extend(self.pending.pop_front());
        true
    }

    /// The server could not hand out the first mail. Returns whether it is to be asked for once more.
    pub(crate) fn mail_failed(&mut self) -> bool {
        let Some(mail) = self.pending.front() else { return true };
        if count_try(&mut self.tries, &mail.id) < MAX_TRIES {
            return true;
        }
        self.mail_read();
        false
    }

    /// Whether a signed mail was seen before.
    pub(crate) fn has_signature(&self, signature: &Digest) -> bool {
        self.signatures.contains(signature)
    }

    pub(crate) fn ibans(&self, biller: &str) -> &[Iban] {
        self.ibans.get(biller).map_or(&[], Vec::as_slice)
    }

    /// Adds a record; a mail that is known adds nothing. Returns whether it was added.
    pub(crate) fn add(&mut self, record: BillRecord, signature: Option<Digest>, payees: &[Iban]) -> bool {
        if self.changes.iter().any(|change| change.record.evidence == record.evidence) {
            return false;
        }
        if record.level > Level::Unverified {
            self.signatures.extend(signature);
        }
        if let (Level::Verified, Some(biller), false) = (record.level, &record.biller, payees.is_empty()) {
            let known = self.ibans.entry(biller.clone()).or_default();
            if known.is_empty() {
                known.extend_from_slice(payees);
            }
        }
        self.seq += 1;
        self.changes.push(Change { seq: self.seq, record });
        true
    }
}

fn count_try(tries: &mut BTreeMap<String, u8>, mail: &str) -> u8 {
    let count = tries.entry(mail.to_owned()).or_default();
    *count += 1;
    *count
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> BillRecord {
        BillRecord {
            biller: Some("power".into()),
            biller_name: name.into(),
            account: None,
            amount: None,
            due: None,
            period: None,
            level: Level::Verified,
            doubts: Vec::new(),
            rules: Vec::new(),
            refusal: None,
            evidence: Digest::of(name.as_bytes()),
        }
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let mut ledger = Ledger::new();
        for at in 0..250 {
            assert!(ledger.add(record(&at.to_string()), None, &[]));
        }
        assert!(!ledger.add(record("7"), None, &[]), "the same mail once");
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = ledger.page(cursor, 1_000);
            assert!(page.changes.len() <= MAX_PAGE && !page.reset);
            seen.extend(page.changes.into_iter().map(|change| change.record.biller_name));
            cursor = Some(page.next.to_string().parse().expect("a cursor reads back"));
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, (0..250).map(|at| at.to_string()).collect::<Vec<_>>());
        assert_eq!(ledger.page(cursor, 10).changes, []);
        ledger.add(record("late"), None, &[]);
        assert_eq!(ledger.page(cursor, 10).changes.len(), 1);

        let other = Ledger::new();
        assert!(other.page(cursor, 10).reset, "a cursor of another ledger");
        for bad in ["", "1", "1.", ".1", "a.b", "+1.1", "1.1.1", "-1.1"] {
            assert!(bad.parse::<ChangeCursor>().is_err(), "{bad}");
        }
    }

    #[test]
    fn few_mails_are_asked_for_at_once_and_large_ones_alone() {
        let sizes =
            |ledger: &Ledger, skipped| ledger.next_mails(skipped).iter().map(|mail| mail.size).collect::<Vec<_>>();
        let mut ledger = Ledger::new();
        let listed = [10, 20, BATCH_BYTES, 30, 0, 0, 40].map(|size| MailId { id: size.to_string(), size });
        ledger.pending.extend(listed);
        assert_eq!(sizes(&ledger, 0), [10, 20]);
        assert_eq!(sizes(&ledger, 2), [BATCH_BYTES]);
        assert_eq!((sizes(&ledger, 3), sizes(&ledger, 4), sizes(&ledger, 5)), (vec![30], vec![0], vec![0]));
        assert_eq!((sizes(&ledger, 6), sizes(&ledger, 7)), (vec![40], vec![]));
        ledger.pending.extend((0..1_000).map(|id| MailId { id: id.to_string(), size: 1 }));
        assert_eq!(sizes(&ledger, 7).len(), BATCH_MAILS);
    }

    #[test]
    fn a_mail_that_fails_comes_alone_and_is_passed_over_at_last() {
        let mail = |id: u32| MailId { id: id.to_string(), size: 1 };
        let cursor = || Cursor::Imap { uid_validity: 1, next_uid: 4, highest_modseq: None };
        let mut ledger = Ledger::new();
        ledger.open_mailbox(Digest::of(b"a"));
        ledger.listed(Changes { fresh: true, new: vec![mail(1), mail(2), mail(3)], cursor: cursor() });
        for _ in 1..MAX_TRIES {
            assert!(ledger.mail_failed());
            assert_eq!(ledger.next_mails(0), [mail(1)]);
        }
        assert!(!ledger.mail_failed());
        assert_eq!(ledger.next_mails(0), [mail(2), mail(3)]);
        // One that waits for a key comes after the others, in the next run.
        assert!(ledger.postpone());
        assert_eq!(ledger.next_mails(0), [mail(3)]);
        ledger.listed(Changes { fresh: false, new: vec![mail(4)], cursor: cursor() });
        assert_eq!((ledger.next_mails(0), ledger.next_mails(2)), (vec![mail(3), mail(4)], vec![mail(2)]));
        // The same numbers in another mailbox are other mails.
        ledger.open_mailbox(Digest::of(b"a"));
        assert!(ledger.cursor().is_some());
        ledger.open_mailbox(Digest::of(b"b"));
        assert_eq!((ledger.cursor(), ledger.next_mails(0)), (None, vec![]));
    }

    #[test]
    fn the_first_verified_payee_is_remembered_and_no_later_one() {
        let mut ledger = Ledger::new();
        let first: Iban = "DE89370400440532013000".parse().expect("iban");
        let other: Iban = "GB82WEST12345698765432".parse().expect("iban");
        let mut unverified = record("u");
        unverified.level = Level::Unverified;
        ledger.add(unverified, Some(Digest::of(b"s0")), std::slice::from_ref(&other));
        assert!(ledger.ibans("power").is_empty() && !ledger.has_signature(&Digest::of(b"s0")));
        ledger.add(record("a"), Some(Digest::of(b"s1")), std::slice::from_ref(&first));
        ledger.add(record("b"), None, &[other]);
        assert_eq!(ledger.ibans("power"), [first]);
        assert!(ledger.has_signature(&Digest::of(b"s1")));
    }
}
