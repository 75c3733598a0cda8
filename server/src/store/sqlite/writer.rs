//! The one writer: a thread that commits many writes at once.
//!
//! Writes arrive in a channel. The thread takes what is there, up to [`MOST`], runs each in a savepoint of one
//! transaction, commits (with `synchronous=FULL`: one fsync for all of them), and only then answers. While an fsync
//! runs the next group gathers, so the slower the disk, the larger the groups.

use super::statements::Prepared;
use super::transaction::{Begin, Transaction};
use super::{backend, time};
use crate::ops::clock::Clock;
use crate::ops::faults::{FaultPoints, Phase, Write};
use crate::store::database::{Job, Tx};
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
            group.drain(..).for_each(Job::reply);
        }
    }

    /// Runs a group in one transaction. An error holds for every write of the group.
    fn commit(&self, group: &mut [Box<dyn Job<Write>>]) -> Result<(), StoreError> {
        let tx = Transaction::begin(&self.db, Begin::Write).map_err(|error| backend("begin", error))?;
        for job in &mut *group {
            if self.faults.write(job.what(), Phase::BeforeWrite).is_err() {
                job.fail(StoreError::Faulted(job.what().name()));
                continue;
            }
            tx.nested(|db| {
                let now = time::now(db, &self.clock)?;
                Ok(job.run(&Tx::new(&Prepared(db), now)).is_ok())
            })?;
        }
        for job in &*group {
            if self.faults.write(job.what(), Phase::BeforeCommit).is_err() {
                return Err(StoreError::Faulted(job.what().name()));
            }
        }
        tx.commit().map_err(|error| backend("commit", error))?;
        self.commits.sizes.observe(f64::from(u16::try_from(group.len()).unwrap_or(u16::MAX)));
        for job in &mut *group {
            if self.faults.write(job.what(), Phase::AfterCommit).is_err() {
                job.fail(StoreError::Faulted(job.what().name()));
            }
        }
        Ok(())
    }
}
