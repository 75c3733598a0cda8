//! Transactions and savepoints whose statements are prepared once per connection.

use super::backend;
use crate::store::StoreError;
use rusqlite::Connection;

/// How a transaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// A snapshot to read.
    Read,
    /// With the lock of the writer.
    Write,
}

/// Runs a statement that neither takes nor returns anything, prepared once.
fn run(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// An open transaction. Dropped, it is rolled back.
pub(super) struct Transaction<'a>(&'a Connection);

impl<'a> Transaction<'a> {
    /// Begins one. The connection has no other.
    pub(super) fn begin(db: &'a Connection, how: Begin) -> rusqlite::Result<Self> {
        run(db, if how == Begin::Read { "BEGIN DEFERRED" } else { "BEGIN IMMEDIATE" })?;
        Ok(Self(db))
    }

    /// Runs `work` in a savepoint, which stays if `work` says so and is taken back otherwise.
    pub(super) fn nested(&self, work: impl FnOnce(&Connection) -> Result<bool, StoreError>) -> Result<(), StoreError> {
        let failed = |error| backend("savepoint", error);
        run(self.0, "SAVEPOINT job").map_err(failed)?;
        if !work(self.0)? {
            run(self.0, "ROLLBACK TO job").map_err(failed)?;
        }
        run(self.0, "RELEASE job").map_err(failed)
    }

    /// Commits.
    pub(super) fn commit(self) -> rusqlite::Result<()> {
        run(self.0, "COMMIT")
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // After a commit, and after an error that SQLite answers by rolling back itself, none is open.
        if !self.0.is_autocommit() {
            let _ = run(self.0, "ROLLBACK");
        }
    }
}
