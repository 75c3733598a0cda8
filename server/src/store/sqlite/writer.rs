//! The one writer: a thread that commits many writes at once.
//!
//! Writes arrive in a channel. The thread takes what is there, up to [`MOST`], runs each in a savepoint of one
//! transaction, commits (with `synchronous=FULL`: one fsync for all of them), and only then answers. While an fsync
//! runs the next group gathers, so the slower the disk, the larger the groups.

use super::transaction::{Begin, Transaction};
use super::{backend, time};
use crate::ops::clock::{Clock, Timestamp};
use crate::ops::faults::{FaultPoints, Phase, Write};
use crate::store::StoreError;
use portcullis_protocol::{AccountId, TerminalId};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, Row};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Writes of one transaction, at most: beyond this a commit costs more than its fsync.
const MOST: usize = 64;
/// Writes that wait, at most: beyond this callers wait themselves.
const QUEUE: usize = 1024;

/// What a write sees: the transaction, and the moment at which it runs.
pub(super) struct Tx<'a> {
    pub(super) db: &'a Connection,
    pub(super) now: Timestamp,
}

impl Tx<'_> {
    /// Changes rows, and says how many.
    pub(super) fn change(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.run(sql, |statement| statement.execute(params))
    }

    /// The row there is, if there is one.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.run(sql, |statement| statement.query_row(params, map).optional())
    }

    /// Every row.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.run(sql, |statement| statement.query_map(params, map)?.collect())
    }

    /// Runs a statement that the connection keeps ready.
    fn run<T>(
        &self,
        sql: &str,
        run: impl FnOnce(&mut CachedStatement<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let mut statement = self.db.prepare_cached(sql)?;
        #[cfg(any(test, feature = "test-seams"))]
        super::watch::before(self.db, sql, &statement);
        let result = run(&mut statement);
        #[cfg(any(test, feature = "test-seams"))]
        super::watch::after(&statement);
        result
    }

    /// Writes to the log.
    pub(super) fn log(
        &self,
        kind: &str,
        account: Option<&AccountId>,
        terminal: Option<&TerminalId>,
        subject: &[u8],
    ) -> rusqlite::Result<()> {
        let account = account.map(AccountId::as_bytes);
        let terminal = terminal.map(TerminalId::as_bytes);
        self.change(
            "INSERT INTO log (at, kind, account, terminal, subject) VALUES (?1, ?2, ?3, ?4, ?5)",
            (self.now.millis(), kind, account, terminal, subject),
        )?;
        Ok(())
    }
}

/// A write that waits, without its type.
trait Job: Send {
    fn write(&self) -> Write;
    /// Runs in a savepoint. False: roll it back.
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    /// Replaces the result: it did not happen, or nobody knows.
    fn fail(&mut self, error: StoreError);
    fn reply(self: Box<Self>);
}

struct Typed<F, T> {
    write: Write,
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Typed<F, T>
where
    F: FnOnce(&Tx<'_>) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn write(&self) -> Write {
        self.write
    }

    fn run(&mut self, tx: &Tx<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        // A write that panics must not take the others with it. Its savepoint is rolled back.
        let result = catch_unwind(AssertUnwindSafe(|| work(tx)))
            .map(|result| result.map_err(|error| backend(self.write.name(), error)))
            .unwrap_or(Err(StoreError::Backend { what: self.write.name(), cause: "a panic".into() }));
        let happened = result.is_ok();
        self.result = Some(result);
        happened
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(error));
    }

    fn reply(self: Box<Self>) {
        // A caller that was dropped does not want to know.
        let _ = self.reply.send(self.result.unwrap_or(Err(StoreError::Closed)));
    }
}

/// The way to the writer's thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: std::sync::Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(db: Connection, clock: Clock, faults: FaultPoints) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || Groups { db, clock, faults }.serve(queue))?;
        Ok(Self { jobs: Some(jobs).into(), thread: Some(thread).into() })
    }

    /// Runs `work` in a transaction. The answer comes after the commit's fsync.
    pub(super) async fn run<T, F>(&self, write: Write, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let jobs = lock(&self.jobs).clone().ok_or(StoreError::Closed)?;
        let job = Box::new(Typed { write, work: Some(work), result: None, reply });
        jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Unknown(write.name())))
    }

    /// A way to the thread that does not keep it alive.
    pub(super) fn downgrade(&self) -> WeakWriter {
        WeakWriter(lock(&self.jobs).as_ref().map(mpsc::Sender::downgrade))
    }

    /// Takes no more writes and waits for those under way.
    pub(super) async fn close(&self) {
        drop(lock(&self.jobs).take());
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// The way to the writer's thread for a thread that must not hold it up.
#[derive(Debug)]
pub(super) struct WeakWriter(Option<mpsc::WeakSender<Box<dyn Job>>>);

impl WeakWriter {
    /// As [`Writer::run`], for a thread outside the async runtime. [`StoreError::Closed`] once the writer is closed.
    pub(super) fn run<T, F>(&self, write: Write, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let jobs = self.0.as_ref().and_then(mpsc::WeakSender::upgrade).ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Typed { write, work: Some(work), result: None, reply });
        jobs.blocking_send(job).map_err(|_| StoreError::Closed)?;
        drop(jobs);
        answer.blocking_recv().unwrap_or(Err(StoreError::Unknown(write.name())))
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The thread's own state.
struct Groups {
    db: Connection,
    clock: Clock,
    faults: FaultPoints,
}

impl Groups {
    fn serve(self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        let mut group = Vec::with_capacity(MOST);
        while queue.blocking_recv_many(&mut group, MOST) != 0 {
            if let Err(error) = self.commit(&mut group) {
                for job in &mut group {
                    job.fail(error.clone());
                }
            }
            group.drain(..).for_each(Job::reply);
        }
    }

    /// Runs a group in one transaction. An error holds for every write of the group.
    fn commit(&self, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let tx = Transaction::begin(&self.db, Begin::Write).map_err(|error| backend("begin", error))?;
        for job in &mut *group {
            if self.faults.write(job.write(), Phase::BeforeWrite).is_err() {
                job.fail(StoreError::Faulted(job.write().name()));
                continue;
            }
            tx.nested(|db| {
                let now = time::now(db, &self.clock)?;
                Ok(job.run(&Tx { db, now }))
            })?;
        }
        for job in &*group {
            if self.faults.write(job.write(), Phase::BeforeCommit).is_err() {
                return Err(StoreError::Faulted(job.write().name()));
            }
        }
        tx.commit().map_err(|error| backend("commit", error))?;
        for job in &mut *group {
            if self.faults.write(job.write(), Phase::AfterCommit).is_err() {
                job.fail(StoreError::Faulted(job.write().name()));
            }
        }
        Ok(())
    }
}
