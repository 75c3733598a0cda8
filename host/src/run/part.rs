//! An open asset part: read by range, and ahead of a resource that reads on and on.
//!
//! Files and the network are waited for, and chunks are opened, on threads that may wait; a read that lies in what was
//! opened before only copies it.

use crate::run::source::File;
use parking_lot::Mutex;
use portcullis_protocol::Plaintext;
use portcullis_protocol::age::CHUNK_LEN;
use portcullis_protocol::sealed::{PartReader, SealedError};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// Parts of one store that hold memory between reads. Each takes up to 11 MiB in its reader and 4 MiB of plaintext.
/// Further ones are read as well, but begin anew with every read.
const READERS: usize = 4;
/// The most that is opened at once for a resource that reads on and on.
const MOST: u64 = 2 * 1024 * 1024;
const CHUNK: u64 = CHUNK_LEN as u64;

/// What the parts of a store share.
pub(crate) fn readers() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(READERS))
}

/// An open asset part.
pub(crate) struct Part {
    size: u64,
    reader: Arc<Mutex<PartReader<File>>>,
    /// Held while there is room for this part to keep anything between reads: by the part, and by what reads ahead of
    /// it and may outlive it.
    permit: Option<Arc<OwnedSemaphorePermit>>,
    /// What was opened last.
    ready: PlainRange,
    /// What is being opened: what follows it, as a rule.
    read_ahead: Option<ReadAhead>,
    /// Where a read in sequence would go on.
    next: u64,
    /// Bytes to open at once; doubles as long as reads are in sequence.
    window: u64,
}

/// Some plaintext, wiped when it is dropped.
#[derive(Default)]
struct PlainRange {
    from: u64,
    bytes: Plaintext,
}

struct ReadAhead {
    range: Range<u64>,
    task: JoinHandle<Result<PlainRange, SealedError>>,
}

impl Part {
    pub(crate) fn new(mut reader: PartReader<File>, readers: Arc<Semaphore>) -> Self {
        let size = reader.size();
        let permit = readers.try_acquire_owned().ok().map(Arc::new);
        if permit.is_none() {
            reader.release();
        }
        let reader = Arc::new(Mutex::new(reader));
        Self { size, reader, permit, ready: PlainRange::default(), read_ahead: None, next: 0, window: CHUNK }
    }

    /// Bytes in the clear.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// At most `length` bytes from `offset` on; none past the end. The future can be dropped at any time.
    pub(crate) async fn read_at(&mut self, offset: u64, length: u32) -> Result<Vec<u8>, SealedError> {
        let length = self.size.saturating_sub(offset).min(u64::from(length));
        let end = offset.saturating_add(length);
        let mut bytes = Vec::with_capacity(length as usize);
        let in_sequence = offset == self.next;
        loop {
            let at = offset + bytes.len() as u64;
            if at >= end {
                break;
            }
            match self.ready.from(at) {
                [] => self.turn(at, end, in_sequence).await?,
                there => bytes.extend_from_slice(&there[..there.len().min((end - at) as usize)]),
            }
        }
        self.next = end;
        if self.permit.is_none() {
            self.ready = PlainRange::default();
        }
        Ok(bytes)
    }

    /// Makes ready what begins at or before `at`.
    async fn turn(&mut self, at: u64, end: u64, in_sequence: bool) -> Result<(), SealedError> {
        if !self.read_ahead.as_ref().is_some_and(|read_ahead| read_ahead.range.contains(&at)) {
            // What is on its way is not wanted any more: it ends by itself and is wiped.
            self.window = if in_sequence { self.window } else { CHUNK };
            let wanted = (end - at).max(if self.permit.is_some() { self.window } else { 0 });
            self.read_ahead = Some(self.open(at, wanted));
        }
        let Some(read_ahead) = &mut self.read_ahead else { return Ok(()) };
        let opened = (&mut read_ahead.task).await;
        self.read_ahead = None;
        // Wiped before the next is opened: no more than two are ever held.
        self.ready = PlainRange::default();
        self.ready = opened.map_err(io::Error::other)??;
        if self.ready.from(at).is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let after = self.ready.from + self.ready.bytes.len() as u64;
        if in_sequence && self.permit.is_some() && after < self.size {
            self.window = (self.window * 2).min(MOST);
            self.read_ahead = Some(self.open(after, self.window));
        }
        Ok(())
    }

    /// Opens the chunks that hold `wanted` bytes from `at` on.
    fn open(&self, at: u64, wanted: u64) -> ReadAhead {
        let from = at / CHUNK * CHUNK;
        let end = at.saturating_add(wanted).div_ceil(CHUNK).saturating_mul(CHUNK).min(self.size);
        let (reader, permit) = (Arc::clone(&self.reader), self.permit.clone());
        let task = tokio::task::spawn_blocking(move || {
            // A reader that panicked half-way has dropped what it held.
            let mut reader = reader.lock();
            let mut bytes = Plaintext::zeroed((end - from) as usize);
            let read = reader.read_at(from, &mut bytes);
            if permit.is_none() {
                reader.release();
            }
            bytes.truncate(read?);
            Ok(PlainRange { from, bytes })
        });
        ReadAhead { range: from..end, task }
    }
}

impl PlainRange {
    /// What it holds from `at` on.
    fn from(&self, at: u64) -> &[u8] {
        let from = at.checked_sub(self.from).and_then(|start| usize::try_from(start).ok());
        from.and_then(|start| self.bytes.get(start..)).unwrap_or_default()
    }
}
