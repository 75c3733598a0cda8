//! PostgreSQL: a few connections that write, a few that read, each with a thread. Several processes share a database.
//!
//! A write is one READ COMMITTED transaction that takes its locks first ([`Lock`](super::database::Lock)); a read is
//! one REPEATABLE READ transaction. There is no group commit here: the database flushes the commits of its connections
//! together by itself.

mod address;
mod connection;
mod dialect;
mod migration;
mod news;
mod queue;
mod tls;
mod workers;

pub use address::{AddressError, DatabaseAddress};

use super::database::{Database, Jobs, WeakJobs, Work};
use super::transactions::identity::OpenedWith;
use super::transactions::leases::ProcessLease;
use super::wakes::Wakes;
use super::{Commits, StoreError, StoreWork};
use crate::ops::clock::Clock;
use crate::ops::faults::{FaultPoints, Write};
use connection::Connection;
use news::News;
use queue::Queue;
use std::sync::Arc;
use workers::{Kind, Read, Worker};

/// Connections of a process that write: enough that the database has commits to gather while one is flushed, and few
/// enough that four processes stay below the hundred connections that a PostgreSQL allows by default.
const WRITERS: usize = 8;
/// Connections for point reads.
const READERS: usize = 6;
/// Connections for reads of many rows, for which point reads do not wait.
const LISTS: usize = 2;

/// How to open a database.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Where it is.
    pub address: DatabaseAddress,
    /// Whether the schema is made if there is none. Only a new server has a new database.
    pub create: bool,
    /// The process's clock, whose shift in tests is added to the database's time.
    pub clock: Clock,
    /// FaultPoints, for tests.
    pub faults: FaultPoints,
}

impl PostgresOptions {
    /// A database.
    #[must_use]
    pub fn new(address: DatabaseAddress) -> Self {
        Self { address, create: true, clock: Clock::system(), faults: FaultPoints::none() }
    }
}

/// A store in a PostgreSQL database.
#[derive(Debug)]
pub struct Postgres {
    writers: Jobs<Write>,
    /// A connection of its own for the lease: eight writers that wait for one lock would let it end.
    renewer: Jobs<Write>,
    points: Jobs<Read>,
    lists: Jobs<Read>,
    lease: ProcessLease,
    opened_with: OpenedWith,
    commits: Commits,
    wakes: Wakes,
    news: Box<News>,
}

impl Postgres {
    /// Opens a database and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be reached or used, or was made by a newer version.
    pub fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        // The driver waits on a runtime of its own, which a thread of another runtime cannot.
        let opened = std::thread::Builder::new().name("store-open".into()).spawn(move || Self::open_here(&options));
        let failed = |cause: String| StoreError::Backend { what: "open", cause };
        let opened = opened.map_err(|error| failed(error.to_string()))?;
        opened.join().unwrap_or_else(|_| Err(failed("a panic".into())))
    }

    fn open_here(options: &PostgresOptions) -> Result<Self, StoreError> {
        let connection = Connection::open(&options.address, &options.clock)?;
        migration::migrate(&connection, options.create, &options.address.to_string())?;
        let (commits, wakes) = (Commits::default(), Wakes::default());
        let telling = (&commits, &wakes);
        let writers = pool("store-writer", WRITERS, Some(connection), options, telling)?;
        let renewer = pool("store-renewer", 1, None, options, telling)?;
        let points = pool("store-reader", READERS, None, options, telling)?;
        let lists = pool("store-list", LISTS, None, options, telling)?;
        let news = Box::new(News::new(options.address.clone()));
        news.tell_others(&wakes);
        Ok(Self {
            writers,
            renewer,
            points,
            lists,
            lease: ProcessLease::default(),
            opened_with: OpenedWith::default(),
            commits,
            wakes,
            news,
        })
    }
}

/// Threads that take their jobs from one queue. Each connects when it has its first job.
fn pool<W: Kind>(
    name: &str,
    size: usize,
    mut first: Option<Connection>,
    options: &PostgresOptions,
    (commits, wakes): (&Commits, &Wakes),
) -> Result<Jobs<W>, StoreError> {
    let (jobs, queue) = Jobs::new();
    let queue = Arc::new(Queue::new(queue));
    for _ in 0..size {
        let PostgresOptions { address, clock, faults, .. } = options.clone();
        let (commits, wakes) = (commits.clone(), wakes.clone());
        let worker = Worker { address, clock, faults, connection: first.take(), commits, wakes };
        let queue = Arc::clone(&queue);
        jobs.start(name, move || worker.serve(&queue))?;
    }
    Ok(jobs)
}

impl Database for Postgres {
    async fn read<T: Send + 'static>(&self, what: &'static str, work: impl Work<T>) -> Result<T, StoreError> {
        self.points.run(Read(what), what, work).await
    }

    async fn read_many<T: Send + 'static>(&self, what: &'static str, work: impl Work<T>) -> Result<T, StoreError> {
        self.lists.run(Read(what), what, work).await
    }

    async fn commit<T: Send + 'static>(&self, write: Write, work: impl Work<T>) -> Result<T, StoreError> {
        self.writers.run(write, write.name(), work).await
    }

    fn renewer(&self) -> WeakJobs<Write> {
        self.renewer.downgrade()
    }

    async fn close(&self) {
        self.news.close();
        self.writers.close().await;
        self.renewer.close().await;
        self.points.close().await;
        self.lists.close().await;
    }

    fn lease(&self) -> &ProcessLease {
        &self.lease
    }

    fn opened_with(&self) -> &OpenedWith {
        &self.opened_with
    }

    fn work(&self) -> StoreWork {
        let waiting =
            vec![("write", self.writers.waiting()), ("read", self.points.waiting()), ("list", self.lists.waiting())];
        StoreWork { waiting, commits: self.commits.clone() }
    }

    fn wakes(&self) -> &Wakes {
        &self.wakes
    }

    fn follow(&self) {
        self.news.follow(&self.wakes);
    }
}
