//! The one writer: a thread that commits many writes at once.
//!
//! Writes arrive in a channel. The thread takes what is there, up to [`MOST`], runs it all in one transaction, commits
//! (with `synchronous=FULL`: one fsync for all of them), and only then answers. While an fsync runs the next group
//! gathers, so the slower the disk, the larger the groups.
//!
//! A write that fails takes only itself back. That is rare, and a savepoint for each would copy every page that it
//! changes: so the group is run without, and once more with savepoints if one of it failed.
//!
//! The time of a transaction is this machine's: everybody who works on the file is on it.

use super::backend;
use super::replies::Replies;
use super::statements::Prepared;
use super::transaction::{Begin, Transaction};
use crate::ops::clock::Clock;
use crate::ops::faults::{FaultPoints, Phase, Write};
use crate::store::database::{Job, Tx};
use crate::store::wakes::{Wake, Wakes};
use crate::store::{Commits, StoreError};
use rusqlite::Connection;
use tokio::sync::mpsc;

/// Writes of one transaction, at most: beyond this a commit costs more than its fsync.
const MOST: usize = 64;

/// What the thread has.
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) clock: Clock,
    pub(super) faults: FaultPoints,
    pub(super) commits: Commits,
    pub(super) replies: Replies,
    pub(super) wakes: Wakes,
}

impl Writer {
    /// Commits what arrives, until there is nothing to arrive any more.
    pub(super) fn serve(self, mut queue: mpsc::Receiver<Box<dyn Job<Write>>>) {
        let mut group = Vec::with_capacity(MOST);
        while queue.blocking_recv_many(&mut group, MOST) != 0 {
            if let Err(error) = self.commit(&mut group) {
                for job in &mut group {
                    job.fail(error.clone());
                }
            }
            self.replies.send(std::mem::replace(&mut group, Vec::with_capacity(MOST)));
        }
    }

    /// Runs a group in one transaction. An error holds for every write of the group.
    fn commit(&self, group: &mut [Box<dyn Job<Write>>]) -> Result<(), StoreError> {
        let mut jobs: Vec<&mut Box<dyn Job<Write>>> = Vec::with_capacity(group.len());
        for job in &mut *group {
            match self.faults.write(job.what(), Phase::BeforeWrite) {
                Ok(()) => jobs.push(job),
                Err(_) => job.fail(StoreError::Faulted(job.what().name())),
            }
        }
        let (tx, wakes) = match self.run(&mut jobs)? {
            Some(ran) => ran,
            // By itself it would only fail again, and say less of why.
            None if jobs.len() == 1 => return Ok(()),
            None => self.run_apart(&mut jobs)?,
        };
        for job in &*group {
            if self.faults.write(job.what(), Phase::BeforeCommit).is_err() {
                return Err(StoreError::Faulted(job.what().name()));
            }
        }
        tx.commit().map_err(|error| backend("commit", error))?;
        self.commits.sizes.observe(f64::from(u16::try_from(group.len()).unwrap_or(u16::MAX)));
        self.wakes.committed(&wakes);
        for job in &mut *group {
            if self.faults.write(job.what(), Phase::AfterCommit).is_err() {
                job.fail(StoreError::Faulted(job.what().name()));
            }
        }
        Ok(())
    }

    fn begin(&self) -> Result<Transaction<'_>, StoreError> {
        Transaction::begin(&self.db, Begin::Write).map_err(|error| backend("begin", error))
    }

    /// Runs a job, and keeps whom it wakes. No if it failed.
    fn run_job(&self, job: &mut Box<dyn Job<Write>>, wakes: &mut Vec<Wake>) -> bool {
        let prepared = Prepared(&self.db);
        let tx = Tx::new(&prepared, self.clock.now());
        let ran = job.run(&tx).is_ok();
        if ran {
            wakes.extend(tx.into_wakes());
        }
        ran
    }

    /// Runs jobs one after the other. `None`, and nothing is done, if one failed.
    fn run(&self, jobs: &mut [&mut Box<dyn Job<Write>>]) -> Result<Option<(Transaction<'_>, Vec<Wake>)>, StoreError> {
        let (tx, mut wakes) = (self.begin()?, Vec::new());
        Ok(jobs.iter_mut().all(|job| self.run_job(job, &mut wakes)).then_some((tx, wakes)))
    }

    /// Runs jobs so that each that fails is taken back by itself.
    fn run_apart(&self, jobs: &mut [&mut Box<dyn Job<Write>>]) -> Result<(Transaction<'_>, Vec<Wake>), StoreError> {
        let (tx, mut wakes) = (self.begin()?, Vec::new());
        for job in jobs {
            tx.nested(|_| Ok(self.run_job(job, &mut wakes)))?;
        }
        Ok((tx, wakes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::database::{Failure, TxResult};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Inserts a number, and fails afterwards if it is told to.
    struct Insert {
        number: i64,
        fails: bool,
        runs: Arc<AtomicU32>,
    }

    impl Job<Write> for Insert {
        fn what(&self) -> Write {
            Write::Sweep
        }

        fn run(&mut self, tx: &Tx<'_>) -> Result<(), Failure> {
            self.runs.fetch_add(1, Ordering::Relaxed);
            let inserted: TxResult<usize> = tx.change("INSERT INTO t (a) VALUES (?1)", [self.number]);
            if inserted.is_ok() && !self.fails { Ok(()) } else { Err(Failure::Final) }
        }

        fn fail(&mut self, error: StoreError) {
            panic!("{error}");
        }

        fn reply(self: Box<Self>) {}
    }

    #[test]
    fn a_write_that_fails_takes_only_itself_back() {
        let db = Connection::open_in_memory().expect("a database");
        db.execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY)").expect("a table");
        let (clock, faults) = (Clock::default(), FaultPoints::none());
        let (replies, wakes, commits) = (Replies::new(), Wakes::default(), Commits::default());
        let writer = Writer { db, clock, faults, replies, wakes, commits };
        let runs = Arc::new(AtomicU32::new(0));
        let job = |number, fails| Box::new(Insert { number, fails, runs: Arc::clone(&runs) }) as Box<dyn Job<Write>>;
        let numbers = || -> Vec<i64> {
            let mut rows = writer.db.prepare("SELECT a FROM t ORDER BY a").expect("a statement");
            rows.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a row")).collect()
        };
        writer.commit(&mut [job(1, false), job(2, false)]).expect("committed");
        assert_eq!((numbers(), runs.swap(0, Ordering::Relaxed)), (vec![1, 2], 2), "each ran once");
        // One fails by itself, one because its row is there.
        writer.commit(&mut [job(3, false), job(4, true), job(1, false), job(5, false)]).expect("committed");
        assert_eq!((numbers(), runs.swap(0, Ordering::Relaxed)), (vec![1, 2, 3, 5], 6), "two ran before it was known");
        writer.commit(&mut [job(6, true)]).expect("nothing to commit");
        assert_eq!((numbers(), runs.load(Ordering::Relaxed)), (vec![1, 2, 3, 5], 1), "alone it is not run again");
    }
}
