//! The shop's database: SQLite in one file. Each job is one transaction, and what a job returned is on the disk.

mod keys;
mod ledger;
mod orders;
mod products;

pub(crate) use ledger::{shown, totals};
pub(crate) use orders::{Notice, OrderRow, OrderState, Seal, Sealed};

use crate::steps::{Step, Watch};
use anyhow::{Context as _, Result};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a command waits for the transaction of another process.
const BUSY: Duration = Duration::from_secs(10);
/// The version of the schema, in `user_version`.
const SCHEMA: i64 = 1;

/// The database.
#[derive(Clone)]
pub(crate) struct Database(Arc<Mutex<Connection>>);

/// The steps before and after a commit.
pub(crate) type Around = (Step, Step);

impl Database {
    /// Opens the file, and makes it if there is none: readable by its owner alone.
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(file).with_context(|| format!("cannot open {}", file.display()))?;
        let connection = Connection::open(file).with_context(|| format!("cannot open {}", file.display()))?;
        connection.busy_timeout(BUSY)?;
        // A commit is on the disk before anybody hears of it: `FULL` syncs the log with each.
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
        let database = Self(Arc::new(Mutex::new(connection)));
        database.now(|tx| {
            let version: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            match version {
                0 => {
                    Ok(tx
                        .execute_batch(&format!("{} PRAGMA user_version = {SCHEMA};", include_str!("../schema.sql")))?)
                }
                SCHEMA => Ok(()),
                other => anyhow::bail!("{} is of version {other}, made by a newer program", file.display()),
            }
        })?;
        Ok(database)
    }

    /// Runs a job in a thread that may wait.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = self.clone();
        tokio::task::spawn_blocking(move || database.now(job)).await?
    }

    /// The same, and somebody is told just before and just after the commit.
    pub(crate) async fn watched<T: Send + 'static>(
        &self,
        watch: &Watch,
        (before, after): Around,
        job: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inside = watch.clone();
        let done = self
            .run(move |tx| {
                let done = job(tx)?;
                inside.pass(before);
                Ok(done)
            })
            .await?;
        watch.pass(after);
        Ok(done)
    }

    /// Runs a job in this thread.
    pub(crate) fn now<T>(&self, job: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It takes the lock for writing first: what it reads stays so until it has written.
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = job(&tx)?;
        tx.commit()?;
        Ok(done)
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
