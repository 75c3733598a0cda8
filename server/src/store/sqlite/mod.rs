//! SQLite: WAL, `synchronous=FULL`, one group-committing writer, a few readers. Several processes may share the file.

// One file per noun, as in the traits.
mod accounts;
mod answers;
mod approvals;
mod cycle;
mod devices;
mod grants;
mod identity;
mod keys;
mod leases;
mod ledger;
mod offers;
mod orders;
mod overview;
mod prepaid;
mod publishers;
mod readers;
mod resources;
mod row;
mod sessions;
mod sweep;
mod terminals;
mod time;
mod withdrawal;
mod writer;

use super::{Fence, Store, StoreError};
use crate::clock::{Clock, Timestamp};
use crate::faults::{Faults, Write};
use async_trait::async_trait;
use leases::ProcessLease;
use readers::Readers;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::PathBuf;
use writer::{Tx, Writer};

/// What each version of the schema adds to the one before.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("metered.sql"),
    include_str!("withdrawal.sql"),
    include_str!("leases.sql"),
    include_str!("approvals.sql"),
];
/// Prepared statements kept per connection: more than there are.
const STATEMENTS: usize = 256;
/// How often a connection asks again for a lock that another process holds, and how long it waits in between: 20 s in
/// all. A commit takes about a millisecond.
const LOCK_TRIES: i32 = 20_000;
const LOCK_WAIT: std::time::Duration = std::time::Duration::from_millis(1);

/// How to open a database.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The file, in a folder that must exist.
    pub path: PathBuf,
    /// Whether it is made when there is none. Only a new server has a new database.
    pub create: bool,
    /// Connections for reading, at least 1.
    pub readers: usize,
    /// The process's clock, whose shift in tests is added to the database's time.
    pub clock: Clock,
    /// Faults, for tests.
    pub faults: Faults,
}

impl SqliteOptions {
    /// A file, with four readers.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), create: true, readers: 4, clock: Clock::system(), faults: Faults::from_env() }
    }
}

/// A store in an SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    writer: Writer,
    readers: Readers,
    clock: Clock,
    lease: ProcessLease,
}

impl Sqlite {
    /// Opens a database and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be used, or was made by a newer version.
    pub fn open(options: SqliteOptions) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if options.create {
            make_private(&options.path)
                .map_err(|error| StoreError::Backend { what: "open", cause: error.to_string() })?;
        } else if !options.path.is_file() {
            return Err(StoreError::Missing(options.path));
        }
        let mut db = connect(&options.path, flags)?;
        if db.is_readonly(rusqlite::MAIN_DB).map_err(|error| backend("open", error))? {
            return Err(StoreError::ReadOnly(options.path));
        }
        // A file without a schema is no server's, and is left as it is.
        if !options.create && version(&db)? == 0 {
            return Err(StoreError::Missing(options.path));
        }
        db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
            .map_err(|error| backend("open", error))?;
        migrate(&mut db)?;
        let readers = (0..options.readers.max(1))
            .map(|_| {
                let reader = connect(&options.path, flags)?;
                reader.execute_batch("PRAGMA query_only=ON;").map_err(|error| backend("open", error))?;
                Ok(reader)
            })
            .collect::<Result<_, StoreError>>()?;
        let writer = Writer::start(db, options.clock.clone(), options.faults)
            .map_err(|error| StoreError::Backend { what: "writer thread", cause: error.to_string() })?;
        Ok(Self { writer, readers: Readers::new(readers), clock: options.clock, lease: ProcessLease::default() })
    }

    /// Reads one snapshot.
    fn read<T>(&self, what: &'static str, work: impl FnOnce(&Tx<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.readers.read(what, work, &self.clock)
    }

    /// Writes in one transaction, and answers after its fsync. What is written for a repeatable request is written only
    /// while that request is this process's: see [`Fence`].
    async fn write<T: Send + 'static>(
        &self,
        write: Write,
        work: impl FnOnce(&Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(claim) = Fence::current() else { return self.writer.run(write, work).await };
        let held = move |tx: &Tx<'_>| match leases::holds(tx, &claim)? {
            true => work(tx).map(Some),
            false => Ok(None),
        };
        self.writer.run(write, held).await?.ok_or(StoreError::TakenOver(write.name()))
    }
}

fn connect(path: &std::path::Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let mut db = Connection::open_with_flags(path, flags).map_err(|error| backend("open", error))?;
    db.busy_handler(Some(|tries| {
        std::thread::sleep(LOCK_WAIT);
        tries < LOCK_TRIES
    }))
    .map_err(|error| backend("open", error))?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}

/// The file, if there is none, readable by its owner alone; the database's other files take its mode over.
fn make_private(path: &std::path::Path) -> std::io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create(true).truncate(false).open(path).map(drop)
}

fn version(db: &Connection) -> Result<i64, StoreError> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| backend("open", error))
}

fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let failed = |error| backend("migration", error);
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let found = version(&tx)?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        tx.execute_batch(migration).map_err(failed)?;
    }
    tx.pragma_update(None, "user_version", known).map_err(failed)?;
    tx.commit().map_err(failed)
}

/// An error of the database, without the values of rows.
fn backend(what: &'static str, error: rusqlite::Error) -> StoreError {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
            StoreError::Unreadable(what)
        }
        error => StoreError::Backend { what, cause: error.to_string() },
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.read("time", |tx| Ok(tx.now))
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.write(Write::Sweep, sweep::sweep).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.lease.is_held() {
            let lease = self.lease.clone();
            match self.writer.run(Write::LeaseEnd, move |tx| lease.end(tx)).await {
                Ok(()) | Err(StoreError::Closed) => {}
                // It ends by itself.
                Err(error) => tracing::warn!(%error, "the lease of this process was not given back"),
            }
        }
        self.writer.close().await;
        Ok(())
    }
}
