//! Connections for reading. In WAL mode they neither wait for the writer nor hold it up.

use super::backend;
use super::statements::Prepared;
use super::transaction::{Begin, Transaction};
use crate::ops::clock::Clock;
use crate::store::StoreError;
use crate::store::database::{Tx, TxResult};
use rusqlite::Connection;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use tokio::sync::Semaphore;

/// Connections of which any free one will do.
#[derive(Debug)]
struct Pool {
    connections: Vec<Mutex<Connection>>,
    next: AtomicUsize,
}

impl Pool {
    fn new(connections: Vec<Connection>) -> Self {
        Self { connections: connections.into_iter().map(Mutex::new).collect(), next: AtomicUsize::new(0) }
    }

    fn take(&self) -> MutexGuard<'_, Connection> {
        let (first, all) = (self.next.fetch_add(1, Ordering::Relaxed), &self.connections);
        let free = (0..all.len()).find_map(|step| match all[(first + step) % all.len()].try_lock() {
            Ok(connection) => Some(connection),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        free.unwrap_or_else(|| all[first % all.len()].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The readers. A point read takes some microseconds, less than handing it to another thread, so point reads run where
/// they are asked for. Whatever reads more than a few rows has connections and threads of its own: neither the threads
/// that answer requests nor point reads wait for it.
#[derive(Debug)]
pub(super) struct Readers {
    points: Pool,
    lists: Arc<Pool>,
    /// As many as there are connections for lists: who waits for one waits without a thread.
    turns: Arc<Semaphore>,
    /// Lists that wait for their turn.
    waiting: AtomicUsize,
    clock: Clock,
}

impl Readers {
    pub(super) fn new(points: Vec<Connection>, lists: Vec<Connection>, clock: Clock) -> Self {
        let turns = Arc::new(Semaphore::new(lists.len()));
        Self {
            points: Pool::new(points),
            lists: Arc::new(Pool::new(lists)),
            turns,
            waiting: AtomicUsize::default(),
            clock,
        }
    }

    /// Reads a few rows of one snapshot, on this thread.
    pub(super) fn point<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Tx<'_>) -> TxResult<T>,
    ) -> Result<T, StoreError> {
        snapshot(&self.points.take(), what, work, &self.clock)
    }

    /// Lists that wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Reads one snapshot on a thread for such work.
    pub(super) async fn list<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Tx<'_>) -> TxResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let waits = Waits::begin(&self.waiting);
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        drop(waits);
        let (lists, clock) = (Arc::clone(&self.lists), self.clock.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            snapshot(&lists.take(), what, work, &clock)
        });
        reading.await.unwrap_or_else(|_| Err(StoreError::Backend { what, cause: "a panic".into() }))
    }
}

/// A list that waits, until this is dropped: its caller may go away meanwhile.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs `work` on one snapshot of the database.
fn snapshot<T>(
    db: &Connection,
    what: &'static str,
    work: impl FnOnce(&Tx<'_>) -> TxResult<T>,
    clock: &Clock,
) -> Result<T, StoreError> {
    let tx = Transaction::begin(db, Begin::Read).map_err(|error| backend(what, error))?;
    let result = work(&Tx::new(&Prepared(db), clock.now())).map_err(|error| error.into_store_error(what));
    tx.commit().map_err(|error| backend(what, error))?;
    result
}
