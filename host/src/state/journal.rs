//! What was sent and not yet answered, so that neither a crash nor a lost answer costs money.
//!
//! One file per request, sealed, and written to the disk before the request goes out:
//!
//! ```text
//! <id>.verification ──answered──▶ <id>.<grant>.delivered ──acknowledged──▶ gone
//! <id>.order        ──answered──▶ gone
//! <id>.top-up       ──answered──▶ gone
//! <id>.codes        ──answered──▶ gone
//! ```
//!
//! Whoever works on a request holds a lock on its file, which ends with the process.

use crate::random;
use crate::state::folder::{StateDir, StateError, off_thread};
use crate::state::sealing_key::StateKey;
use portcullis_protocol::labels::TERMINAL_JOURNAL;
use portcullis_protocol::wire::{CodeOrderRequest, Goods, OrderRequest, Purchase, TopUpRequest, VerificationRequest};
use portcullis_protocol::{GrantId, IdempotencyKey, Origin, PartName};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

const FOLDER: &str = "journal";
/// A verification with 64 parts takes 6 KiB.
const MAX_ENTRY: u64 = 32 * 1024;
/// Requests that are taken at once, of those that are wanted. There is one per request under way; the oldest are seen
/// to first.
const MAX_ENTRIES: usize = 256;

/// What was sent.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "StoredRequest", into = "StoredRequest")]
pub(crate) enum PendingRequest {
    /// Step 3, with the parts that its grant has to release, and until when its code can be verified.
    Verification { body: VerificationRequest, parts: Vec<PartName>, expires: u64 },
    /// A purchase.
    Purchase(Purchase),
}

/// A request as it is written: a purchase as the request for its kind of goods.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum StoredRequest {
    Verification { body: VerificationRequest, parts: Vec<PartName>, expires: u64 },
    Order { body: OrderRequest },
    TopUp { body: TopUpRequest },
    Codes { body: CodeOrderRequest },
}

impl From<StoredRequest> for PendingRequest {
    fn from(written: StoredRequest) -> Self {
        match written {
            StoredRequest::Verification { body, parts, expires } => Self::Verification { body, parts, expires },
            StoredRequest::Order { body } => Self::Purchase(body.into()),
            StoredRequest::TopUp { body } => Self::Purchase(body.into()),
            StoredRequest::Codes { body } => Self::Purchase(body.into()),
        }
    }
}

impl From<PendingRequest> for StoredRequest {
    fn from(request: PendingRequest) -> Self {
        match request {
            PendingRequest::Verification { body, parts, expires } => Self::Verification { body, parts, expires },
            PendingRequest::Purchase(Purchase { goods, payment, again }) => match goods {
                Goods::Rights { offer } => Self::Order { body: OrderRequest { offer, payment, again } },
                Goods::TopUp { amount } => Self::TopUp { body: TopUpRequest { amount, payment, again } },
                Goods::Codes { product, quantity, recipient, request } => {
                    Self::Codes { body: CodeOrderRequest { product, quantity, recipient, request, payment, again } }
                }
            },
        }
    }
}

/// What is written down of a request.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) origin: Origin,
    pub(crate) key: IdempotencyKey,
    /// When, Unix seconds.
    pub(crate) at: u64,
    #[serde(rename = "matter")]
    pub(crate) request: PendingRequest,
}

/// Something that was sent and is not yet done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PendingRequestKind {
    /// A purchase without an answer.
    Purchase,
    /// A top-up of the prepaid balance without an answer.
    TopUp,
    /// A billing status code on its way to be verified, without an answer.
    Verification,
    /// A grant that came, of which its server has not been told so.
    Acknowledgement,
}

/// A request as it is told to people.
pub(crate) struct PendingEntry {
    pub(crate) kind: PendingRequestKind,
    pub(crate) origin: Origin,
    pub(crate) at: u64,
}

/// The journal of a terminal.
#[derive(Clone)]
pub(crate) struct Journal {
    state: Arc<StateDir>,
    key: StateKey,
}

/// A request, locked. Dropping it leaves it to whoever looks next.
pub(crate) struct JournalEntry {
    state: Arc<StateDir>,
    id: String,
    record: Record,
    /// The grant that was delivered, if one was.
    delivered: Option<GrantId>,
    file: File,
}

impl Journal {
    pub(crate) const fn new(state: Arc<StateDir>, key: StateKey) -> Self {
        Self { state, key }
    }

    /// The folder that it is part of, and the key that seals what is in it.
    pub(crate) fn parts(&self) -> (Arc<StateDir>, StateKey) {
        (Arc::clone(&self.state), self.key.clone())
    }

    /// Whether a request can be written down. Asked before a server is asked to hold what it costs: on a disk that is
    /// full or cannot be written, the hold would last until its code has ended, and nothing would come of it.
    pub(crate) async fn has_room(&self) -> Result<(), StateError> {
        let state = Arc::clone(&self.state);
        off_thread(move || state.make(&[0; MAX_ENTRY as usize], false).map(drop)).await?
    }

    /// Makes a request durable. When this returns, it outlives a crash.
    pub(crate) async fn write(
        &self,
        origin: &Origin,
        key: &IdempotencyKey,
        at: u64,
        request: PendingRequest,
    ) -> Result<JournalEntry, StateError> {
        let record = Record { origin: origin.clone(), key: key.clone(), at, request };
        let journal = self.clone();
        off_thread(move || journal.write_now(record)).await?
    }

    fn write_now(&self, record: Record) -> Result<JournalEntry, StateError> {
        // Begins with the time, so that the oldest come first.
        let id = format!("{:011x}{}", record.at, random::octets::<12>());
        let name = format!("{FOLDER}/{id}.{}", record.request.kind());
        let path = self.state.path(&name);
        let plain = serde_json::to_vec(&record).map_err(|_| StateError::damaged(&path))?;
        let sealed = self.key.seal(TERMINAL_JOURNAL, &id, &Zeroizing::new(plain));
        let file = self.state.put(&name, &sealed, true)?;
        file.lock().map_err(|error| StateError::io("lock", &path, &error))?;
        Ok(JournalEntry { state: Arc::clone(&self.state), id, record, delivered: None, file })
    }

    /// The requests that `wanted` takes and nobody is working on, oldest first, now locked. `wanted` is told of the
    /// grant that was delivered, if one was. What it does not take is not touched: others may be about to want it. Nor
    /// does it count: however much one store leaves open, it hides nothing of another's.
    pub(crate) async fn take(
        &self,
        wanted: impl Fn(&Record, Option<GrantId>) -> bool + Send + 'static,
    ) -> Result<Vec<JournalEntry>, StateError> {
        let journal = self.clone();
        off_thread(move || {
            let names = journal.state.list(FOLDER)?;
            Ok(names.iter().filter_map(|name| journal.open(name, &wanted)).take(MAX_ENTRIES).collect())
        })
        .await?
    }

    /// What is written down, oldest first, whoever works on it; `None` for a record that does not open.
    pub(crate) fn survey(&self) -> Result<Vec<(PathBuf, Option<PendingEntry>)>, StateError> {
        let names = self.state.list(FOLDER)?;
        let read = |name: &String| {
            let (id, ending) = name.split_once('.')?;
            let sealed = self.state.read(&format!("{FOLDER}/{name}"), MAX_ENTRY).ok()??;
            let record: Record = serde_json::from_slice(&self.key.open(TERMINAL_JOURNAL, id, &sealed)?).ok()?;
            let kind = match record.request {
                _ if ending.ends_with(".delivered") => PendingRequestKind::Acknowledgement,
                PendingRequest::Verification { .. } => PendingRequestKind::Verification,
                PendingRequest::Purchase(Purchase { goods: Goods::Rights { .. } | Goods::Codes { .. }, .. }) => {
                    PendingRequestKind::Purchase
                }
                PendingRequest::Purchase(Purchase { goods: Goods::TopUp { .. }, .. }) => PendingRequestKind::TopUp,
            };
            Some(PendingEntry { kind, origin: record.origin, at: record.at })
        };
        Ok(names.iter().map(|name| (self.state.path(&format!("{FOLDER}/{name}")), read(name))).collect())
    }

    /// `None` for what is not wanted, in other hands, gone, or not this terminal's.
    fn open(&self, name: &str, wanted: &impl Fn(&Record, Option<GrantId>) -> bool) -> Option<JournalEntry> {
        let path = self.state.path(&format!("{FOLDER}/{name}"));
        let file = File::open(&path).ok()?;
        let (id, kind) = name.split_once('.')?;
        let delivered = match kind.strip_suffix(".delivered") {
            Some(grant) => Some(grant.parse().ok()?),
            None => None,
        };
        let mut sealed = Vec::new();
        (&file).take(MAX_ENTRY).read_to_end(&mut sealed).ok()?;
        let plain = self.key.open(TERMINAL_JOURNAL, id, &sealed)?;
        let record = serde_json::from_slice(&plain).ok()?;
        if !wanted(&record, delivered) {
            return None;
        }
        file.try_lock().ok()?;
        let entry = JournalEntry { state: Arc::clone(&self.state), id: id.to_owned(), record, delivered, file };
        // It may have been answered between reading and locking; and a name that is not the request's own is nobody's.
        (path == entry.path() && path.exists()).then_some(entry)
    }
}

impl PendingRequest {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Verification { .. } => "verification",
            Self::Purchase(Purchase { goods: Goods::Rights { .. }, .. }) => "order",
            Self::Purchase(Purchase { goods: Goods::TopUp { .. }, .. }) => "top-up",
            Self::Purchase(Purchase { goods: Goods::Codes { .. }, .. }) => "codes",
        }
    }
}

impl JournalEntry {
    /// What was written down.
    pub(crate) const fn record(&self) -> &Record {
        &self.record
    }

    /// The grant that was delivered and not yet acknowledged.
    pub(crate) const fn delivered(&self) -> Option<GrantId> {
        self.delivered
    }

    /// The keys are about to be handed over: from now on this request never yields them again.
    pub(crate) fn deliver(&mut self, grant: GrantId) -> Result<(), StateError> {
        let (from, to) = (self.path(), self.state.path(&format!("{FOLDER}/{}.{grant}.delivered", self.id)));
        fs::rename(&from, &to).map_err(|error| StateError::io("rename", &from, &error))?;
        self.delivered = Some(grant);
        Ok(())
    }

    /// Answered: nothing is left to do.
    pub(crate) fn finish(self) -> Result<(), StateError> {
        let path = self.path();
        let removed = fs::remove_file(&path);
        drop(self.file);
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::io("remove", &path, &error)),
            _ => Ok(()),
        }
    }

    fn path(&self) -> PathBuf {
        let kind =
            self.delivered.map_or_else(|| self.record.request.kind().to_owned(), |grant| format!("{grant}.delivered"));
        self.state.path(&format!("{FOLDER}/{}.{kind}", self.id))
    }
}

impl std::fmt::Debug for JournalEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JournalEntry({} {} at {})", self.record.request.kind(), self.id, self.record.origin)
    }
}
