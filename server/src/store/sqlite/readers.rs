//! Connections for reading. In WAL mode they neither wait for the writer nor hold it up.

use super::writer::Tx;
use super::{backend, time};
use crate::clock::Clock;
use crate::store::StoreError;
use rusqlite::Connection;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The readers. A point read takes some microseconds, less than handing it to another thread, so reads run where they
/// are asked for.
#[derive(Debug)]
pub(super) struct Readers {
    pool: Vec<Mutex<Connection>>,
    next: AtomicUsize,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        Self { pool: connections.into_iter().map(Mutex::new).collect(), next: AtomicUsize::new(0) }
    }

    /// Runs `work` on one snapshot of the database.
    pub(super) fn read<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Tx<'_>) -> rusqlite::Result<T>,
        clock: &Clock,
    ) -> Result<T, StoreError> {
        let mut db = self.take();
        let tx = db.transaction().map_err(|error| backend(what, error))?;
        let now = time::now(&tx, clock)?;
        let result = work(&Tx { db: &tx, now }).map_err(|error| backend(what, error));
        tx.commit().map_err(|error| backend(what, error))?;
        result
    }

    fn take(&self) -> MutexGuard<'_, Connection> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let pool = &self.pool;
        let free = (0..pool.len()).find_map(|step| pool[(first + step) % pool.len()].try_lock().ok());
        free.unwrap_or_else(|| pool[first % pool.len()].lock().unwrap_or_else(PoisonError::into_inner))
    }
}
