//! SQLite: WAL, `synchronous=FULL`, one group-committing writer, a few readers. Several processes may share the file.

mod news;
mod readers;
mod replies;
mod snapshot;
mod statements;
mod transaction;
#[cfg(any(test, feature = "test-seams"))]
mod watch;
mod writer;

use super::database::{Database, Jobs, Tx, WeakJobs, Work};
use super::transactions::identity::OpenedWith;
use super::transactions::leases::ProcessLease;
use super::transactions::search;
use super::wakes::Wakes;
use super::{Commits, StoreError, StoreWork};
use crate::ops::clock::Clock;
use crate::ops::faults::{FaultPoints, Write};
use news::News;
use portcullis_folders::private_file;
use readers::Readers;
use replies::Replies;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
pub(crate) use snapshot::snapshot;
use statements::Prepared;
use std::path::PathBuf;
use writer::Writer;

#[cfg(any(test, feature = "test-seams"))]
pub use watch::{Work as StatementWork, work};

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
    include_str!("devices.sql"),
    include_str!("audit.sql"),
    include_str!("figures.sql"),
    include_str!("effects.sql"),
    include_str!("codes.sql"),
    include_str!("lanes.sql"),
    include_str!("step_up.sql"),
    include_str!("bounds.sql"),
    include_str!("catching_up.sql"),
    include_str!("adoptions.sql"),
    include_str!("open_orders.sql"),
    include_str!("backlogs.sql"),
    include_str!("payment_events.sql"),
    include_str!("published_bytes.sql"),
];
/// The version of the schema that this program makes.
pub(crate) const SCHEMA: usize = MIGRATIONS.len();
/// The schema of the catalogue, which is filled afterwards.
const CATALOGUE: &str = include_str!("catalogue.sql");
/// Prepared statements kept per connection: more than there are.
const STATEMENTS: usize = 512;
/// Connections for reads of many rows. Each has a thread while it reads, so that these leave a processor to the others.
const LISTS: usize = 2;
/// How often a connection asks again for a lock that another process holds, and how long it waits in between: 20 s in
/// all. A commit takes about a millisecond.
const LOCK_TRIES: i32 = 20_000;
const LOCK_WAIT: std::time::Duration = std::time::Duration::from_millis(1);
/// What every connection is told, and why it is not what SQLite does by itself. The journal is copied into the database
/// every 16 MB instead of every 4: pages that all commits write (the ends of the tables) are copied a quarter as often,
/// and one block of the journal's index still covers it. A connection may keep 8 MB of pages instead of 2.
const SESSION: &str = "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=4000;
                       PRAGMA cache_size=-8000;";

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
    writer: Jobs<Write>,
    readers: Readers,
    lease: ProcessLease,
    opened_with: OpenedWith,
    commits: Commits,
    wakes: Wakes,
    news: News,
}

impl Sqlite {
    /// Opens a database and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be used, or was made by a newer version.
    pub fn open(options: SqliteOptions) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if options.create {
            make_private(&options.path)
                .map_err(|error| StoreError::Backend { what: "open", cause: error.to_string() })?;
        } else if !options.path.is_file() {
            return Err(StoreError::Missing(options.path.display().to_string()));
        }
        let mut db = connect(&options.path, flags)?;
        if db.is_readonly(rusqlite::MAIN_DB).map_err(|error| backend("open", error))? {
            return Err(StoreError::ReadOnly(options.path));
        }
        // A file without a schema is no server's, and is left as it is.
        if !options.create && version(&db)? == 0 {
            return Err(StoreError::Missing(options.path.display().to_string()));
        }
        db.execute_batch("PRAGMA journal_mode=WAL;").map_err(|error| backend("open", error))?;
        // A migration takes as long as it needs, and whoever comes meanwhile waits as long.
        if version(&db)? < known() {
            wait(&mut db, None)?;
        }
        migrate(&mut db, &options.clock)?;
        wait(&mut db, Some(LOCK_TRIES))?;
        let reader = |_| {
            let reader = connect(&options.path, flags)?;
            reader.execute_batch("PRAGMA query_only=ON;").map_err(|error| backend("open", error))?;
            Ok(reader)
        };
        let points = (0..options.readers.max(1)).map(reader).collect::<Result<_, StoreError>>()?;
        let lists = (0..LISTS).map(reader).collect::<Result<_, StoreError>>()?;
        let readers = Readers::new(points, lists, options.clock.clone());
        let (writer, queue) = Jobs::new();
        let (commits, wakes, replies) = (Commits::default(), Wakes::default(), Replies::new());
        let (clock, faults) = (options.clock, options.faults);
        let thread = Writer { db, clock, faults, replies, commits: commits.clone(), wakes: wakes.clone() };
        writer.start("store-writer", move || thread.serve(queue))?;
        let news = News::new(options.path);
        Ok(Self {
            writer,
            readers,
            lease: ProcessLease::default(),
            opened_with: OpenedWith::default(),
            commits,
            wakes,
            news,
        })
    }
}

/// The version of the schema in a file, 0 if there is none, beside the one that this program makes. Changes nothing.
pub(crate) fn schema(path: &std::path::Path) -> Result<(i64, i64), StoreError> {
    if !path.is_file() {
        return Ok((0, known()));
    }
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    Ok((version(&db)?, known()))
}

impl Database for Sqlite {
    async fn read<T: Send + 'static>(&self, what: &'static str, work: impl Work<T>) -> Result<T, StoreError> {
        self.readers.point(what, work)
    }

    async fn read_many<T: Send + 'static>(&self, what: &'static str, work: impl Work<T>) -> Result<T, StoreError> {
        self.readers.list(what, work).await
    }

    async fn commit<T: Send + 'static>(&self, write: Write, work: impl Work<T>) -> Result<T, StoreError> {
        self.writer.run(write, write.name(), work).await
    }

    fn renewer(&self) -> WeakJobs<Write> {
        // There is one writer, and it waits for nobody.
        self.writer.downgrade()
    }

    async fn close(&self) {
        self.writer.close().await;
    }

    fn lease(&self) -> &ProcessLease {
        &self.lease
    }

    fn opened_with(&self) -> &OpenedWith {
        &self.opened_with
    }

    fn work(&self) -> StoreWork {
        let waiting = vec![("write", self.writer.waiting()), ("list", self.readers.waiting())];
        StoreWork { waiting, commits: self.commits.clone() }
    }

    fn wakes(&self) -> &Wakes {
        &self.wakes
    }

    fn follow(&self) {
        self.news.follow(&self.writer, &self.wakes);
    }
}

fn connect(path: &std::path::Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let mut db = Connection::open_with_flags(path, flags).map_err(|error| backend("open", error))?;
    wait(&mut db, Some(LOCK_TRIES))?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.execute_batch(SESSION).map_err(|error| backend("open", error))?;
    // SQLite is built with STAT4: without this guarantee it plans a statement anew for every value that is bound to it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(|error| backend("open", error))?;
    Ok(db)
}

/// Has a connection ask at most so often for a lock that another process holds; as often as it takes if `most` is none.
fn wait(db: &mut Connection, most: Option<i32>) -> Result<(), StoreError> {
    db.busy_handler(Some(move |tries| {
        std::thread::sleep(LOCK_WAIT);
        most.is_none_or(|most| tries < most)
    }))
    .map_err(|error| backend("open", error))
}

/// The file, if there is none, readable by its owner alone; the database's other files take its mode over.
fn make_private(path: &std::path::Path) -> std::io::Result<()> {
    private_file().write(true).create(true).truncate(false).open(path).map(drop)
}

fn version(db: &Connection) -> Result<i64, StoreError> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| backend("open", error))
}

/// The version of the schema that this program makes, as the file says it.
fn known() -> i64 {
    i64::try_from(SCHEMA).unwrap_or(i64::MAX)
}

fn migrate(db: &mut Connection, clock: &Clock) -> Result<(), StoreError> {
    let failed = |error| backend("migration", error);
    let known = known();
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
        search::fill(&Tx::new(&Prepared(&tx), clock.now())).map_err(|error| error.into_store_error("migration"))?;
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
        error if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => StoreError::Full(what),
        error => StoreError::Backend { what, cause: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::{LOCK_TRIES, LOCK_WAIT, Sqlite, SqliteOptions, connect};
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

    /// A large database takes longer to bring up to date than any other transaction may.
    #[test]
    #[ignore = "slow: holds a database for half a minute"]
    fn who_comes_while_a_database_is_brought_up_to_date_waits_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server.db");
        let at_work = Connection::open(&path).expect("a file");
        at_work.execute_batch("PRAGMA journal_mode=WAL; BEGIN IMMEDIATE; CREATE TABLE t (a INTEGER)").expect("begun");
        let waiting = std::thread::spawn(move || Sqlite::open(SqliteOptions::new(path)).map(drop));
        std::thread::sleep(LOCK_WAIT * LOCK_TRIES.unsigned_abs() * 2);
        at_work.execute_batch("ROLLBACK").expect("let go of");
        waiting.join().expect("ended").expect("it waited, and went on");
    }
}
