//! SQLite: WAL, `synchronous=FULL`, one group-committing writer, a few readers. Several processes may share the file.

// One file per noun, as in the traits.
mod accounts;
mod answers;
mod approvals;
mod cycle;
mod devices;
mod disputes;
mod entitlements;
mod grants;
mod identity;
mod keys;
mod leases;
mod ledger;
mod look_ups;
mod offers;
mod orders;
mod overview;
mod prepaid;
mod publishers;
mod readers;
mod resources;
mod row;
mod saved_means;
mod search;
mod sessions;
mod shelves;
mod sweep;
mod terminals;
mod time;
mod transaction;
#[cfg(any(test, feature = "test-seams"))]
mod watch;
mod withdrawal;
mod writer;

use super::{Fence, Store, StoreError};
use crate::ops::clock::{Clock, Timestamp};
use crate::ops::faults::{FaultPoints, Write};
use async_trait::async_trait;
use leases::ProcessLease;
use readers::Readers;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::PathBuf;
use writer::{Tx, Writer};

#[cfg(any(test, feature = "test-seams"))]
pub use watch::{Work, work};

/// What each version of the schema adds to the one before.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("metered.sql"),
    include_str!("withdrawal.sql"),
    include_str!("money.sql"),
    CATALOGUE,
    include_str!("lists.sql"),
    include_str!("people.sql"),
    include_str!("leases.sql"),
    include_str!("approvals.sql"),
    include_str!("payments.sql"),
    include_str!("rights.sql"),
    include_str!("shelves.sql"),
];
/// The schema of the catalogue, which is filled afterwards.
const CATALOGUE: &str = include_str!("catalogue.sql");
/// Prepared statements kept per connection: more than there are.
const STATEMENTS: usize = 512;
/// Batches of one sweep, each in a transaction of its own. What is left then is left to the next sweep.
const SWEEPS: usize = 50;
/// Connections for reads of many rows. Each has a thread while it reads, so that these leave a processor to the others.
const LISTS: usize = 2;
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
    /// Connections for point reads, at least 1.
    pub readers: usize,
    /// The process's clock, whose shift in tests is added to the database's time.
    pub clock: Clock,
    /// FaultPoints, for tests.
    pub faults: FaultPoints,
}

impl SqliteOptions {
    /// A file, with four readers.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), create: true, readers: 4, clock: Clock::system(), faults: FaultPoints::none() }
    }
}

/// A store in an SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    writer: Writer,
    readers: Readers,
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
        migrate(&mut db, &options.clock)?;
        let reader = |_| {
            let reader = connect(&options.path, flags)?;
            reader.execute_batch("PRAGMA query_only=ON;").map_err(|error| backend("open", error))?;
            Ok(reader)
        };
        let points = (0..options.readers.max(1)).map(reader).collect::<Result<_, StoreError>>()?;
        let lists = (0..LISTS).map(reader).collect::<Result<_, StoreError>>()?;
        let readers = Readers::new(points, lists, options.clock.clone());
        let writer = Writer::start(db, options.clock, options.faults)
            .map_err(|error| StoreError::Backend { what: "writer thread", cause: error.to_string() })?;
        Ok(Self { writer, readers, lease: ProcessLease::default() })
    }

    /// Reads a few rows of one snapshot.
    fn read<T>(&self, what: &'static str, work: impl FnOnce(&Tx<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.readers.point(what, work)
    }

    /// Reads one snapshot, on a thread for what takes longer.
    async fn read_many<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.list(what, work).await
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
    // SQLite is built with STAT4: without this guarantee it plans a statement anew for every value that is bound to it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(|error| backend("open", error))?;
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

fn migrate(db: &mut Connection, clock: &Clock) -> Result<(), StoreError> {
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
    // Last, when every column is there.
    let catalogue = MIGRATIONS.iter().position(|migration| *migration == CATALOGUE).unwrap_or_default();
    if usize::try_from(found).is_ok_and(|found| found <= catalogue) {
        let now = time::now(&tx, clock)?;
        search::fill(&Tx { db: &tx, now }).map_err(failed)?;
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
        let mut released = 0;
        for _ in 0..SWEEPS {
            let swept = self.write(Write::Sweep, sweep::sweep).await?;
            released += swept.released;
            if !swept.more {
                break;
            }
        }
        Ok(released)
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

#[cfg(test)]
mod tests {
    use super::connect;
    use rusqlite::{Connection, OpenFlags, StatementStatus};
    use std::path::Path;

    /// How often a statement was planned again while it ran with five different values.
    fn planned_again(db: &Connection) -> i32 {
        let schema = "CREATE TABLE t (a INTEGER, b INTEGER); CREATE INDEX t_of_none ON t (a) WHERE b = 0;";
        db.execute_batch(schema).expect("a schema");
        let mut statement = db.prepare("SELECT a FROM t WHERE a > ?1 AND b = ?2").expect("a statement");
        for value in 0..5 {
            assert!(!statement.exists((value, value)).expect("runs"));
        }
        statement.get_status(StatementStatus::RePrepare)
    }

    #[test]
    fn a_connection_plans_a_statement_once_whatever_is_bound_to_it() {
        let ours = connect(Path::new(":memory:"), OpenFlags::default()).expect("a connection");
        assert_eq!(planned_again(&ours), 0);
        let plain = Connection::open_in_memory().expect("a connection");
        assert!(planned_again(&plain) > 0, "the control: without the guarantee it is planned for each value");
    }
}
