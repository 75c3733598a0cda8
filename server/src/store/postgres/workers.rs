//! Threads with a connection each. A thread takes a job, runs it in one transaction, commits, and answers.
//!
//! The database gathers the commits of all connections into one flush by itself. A job that another transaction was in
//! the way of runs again, and so does one whose connection broke before it was asked to commit. A connection that
//! breaks while it commits leaves the outcome unknown: whoever asked asks again, under the same idempotency key.

use super::address::DatabaseAddress;
use super::connection::{Begin, Connection};
use super::queue::Queue;
use crate::crypto::secrets::random;
use crate::ops::clock::Clock;
use crate::ops::faults::{FaultPoints, Phase, Write};
use crate::store::database::{Failure, Job, Tx, TxError};
use crate::store::wakes::{Wake, Wakes};
use crate::store::{Commits, StoreError};
use std::time::Duration;

/// How often a job is run, at most.
const TRIES: u32 = 5;
/// The pause before the second run, in milliseconds; each further one is twice as long.
const PAUSE: u64 = 4;
/// The pause before the second attempt to connect, in milliseconds; each further one is twice as long. In all three
/// seconds: as long as a database takes to restart.
const CONNECT_PAUSE: u64 = 200;

/// What a job is.
pub(super) trait Kind: Copy + Send + 'static {
    /// How its transaction begins.
    const BEGIN: Begin;

    /// What it is called in messages.
    fn name(self) -> &'static str;

    /// The write, if it is one.
    fn write(self) -> Option<Write>;
}

/// A read, by its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read(pub(super) &'static str);

impl Kind for Read {
    const BEGIN: Begin = Begin::Read;

    fn name(self) -> &'static str {
        self.0
    }

    fn write(self) -> Option<Write> {
        None
    }
}

impl Kind for Write {
    const BEGIN: Begin = Begin::Write;

    fn name(self) -> &'static str {
        self.name()
    }

    fn write(self) -> Option<Write> {
        Some(self)
    }
}

/// What a thread has.
pub(super) struct Worker {
    pub(super) address: DatabaseAddress,
    pub(super) clock: Clock,
    pub(super) faults: FaultPoints,
    pub(super) connection: Option<Connection>,
    pub(super) commits: Commits,
    pub(super) wakes: Wakes,
}

impl Worker {
    /// Runs what arrives, until there is nothing to arrive any more.
    pub(super) fn serve<W: Kind>(mut self, queue: &Queue<W>) {
        while let Some(mut job) = queue.next() {
            if let Err(error) = self.finish(&mut *job) {
                job.fail(error);
            }
            job.reply();
        }
    }

    /// Runs a job until it is committed, or will not be. An error replaces its result.
    fn finish<W: Kind>(&mut self, job: &mut dyn Job<W>) -> Result<(), StoreError> {
        self.pass(job, Phase::BeforeWrite)?;
        let what = job.what().name();
        for run in 1.. {
            self.connect()?;
            let Some(connection) = &self.connection else { return Err(StoreError::Closed) };
            match attempt(connection, job, &self.faults) {
                Outcome::Done(wakes) => {
                    if W::BEGIN == Begin::Write {
                        self.commits.sizes.observe(1.0);
                    }
                    self.wakes.committed(&wakes);
                    return self.pass(job, Phase::AfterCommit);
                }
                // The job's own error stands.
                Outcome::Refused => return Ok(()),
                Outcome::Faulted(error) => return Err(error),
                Outcome::Unknown => {
                    self.connection = None;
                    return Err(StoreError::Unknown(what));
                }
                Outcome::Again(error) if run == TRIES => return Err(error.into_store_error(what)),
                Outcome::Again(error) => {
                    if matches!(error, TxError::Lost(_)) {
                        self.connection = None;
                    }
                    self.commits.repeated.inc();
                    pause(PAUSE << run);
                }
            }
        }
        Ok(())
    }

    fn pass<W: Kind>(&self, job: &dyn Job<W>, phase: Phase) -> Result<(), StoreError> {
        pass(&self.faults, job, phase)
    }

    /// Makes a connection, if the last broke.
    fn connect(&mut self) -> Result<(), StoreError> {
        let mut tried = 0;
        while self.connection.is_none() {
            match Connection::open(&self.address, &self.clock) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) if tried == TRIES - 1 => return Err(error),
                Err(_) => {
                    pause(CONNECT_PAUSE << tried);
                    tried += 1;
                }
            }
        }
        Ok(())
    }
}

/// What became of one run of a job.
enum Outcome {
    /// It is committed, and these are to be told.
    Done(Vec<Wake>),
    /// It is rolled back: its own error says why.
    Refused,
    /// A test made it fail.
    Faulted(StoreError),
    /// It is rolled back, and may be run again.
    Again(TxError),
    /// It may have been committed.
    Unknown,
}

fn pass<W: Kind>(faults: &FaultPoints, job: &dyn Job<W>, phase: Phase) -> Result<(), StoreError> {
    match job.what().write() {
        Some(write) => faults.write(write, phase).map_err(|_| StoreError::Faulted(write.name())),
        None => Ok(()),
    }
}

fn attempt<W: Kind>(connection: &Connection, job: &mut dyn Job<W>, faults: &FaultPoints) -> Outcome {
    let now = match connection.begin(W::BEGIN) {
        Ok(now) => now,
        Err(error) => return rolled_back(connection, error),
    };
    let tx = Tx::new(connection, now);
    match job.run(&tx) {
        Ok(()) => {}
        Err(Failure::Conflict) => {
            return rolled_back(connection, TxError::Conflict("other writes were in the way".into()));
        }
        Err(Failure::Lost) => return Outcome::Again(TxError::Lost("the connection broke".into())),
        Err(Failure::Final) => {
            // If that fails too, the next job finds out.
            let _ = connection.roll_back();
            return Outcome::Refused;
        }
    }
    if let Err(error) = pass(faults, job, Phase::BeforeCommit) {
        let _ = connection.roll_back();
        return Outcome::Faulted(error);
    }
    match connection.commit() {
        Ok(()) => Outcome::Done(tx.into_wakes()),
        Err(error @ TxError::Conflict(_)) => rolled_back(connection, error),
        // What was only read is as it was read.
        Err(_) if W::BEGIN == Begin::Read => Outcome::Done(Vec::new()),
        Err(_) => Outcome::Unknown,
    }
}

/// Takes a run back, to be run again. A connection on which that fails is not used any more.
fn rolled_back(connection: &Connection, error: TxError) -> Outcome {
    match connection.roll_back() {
        Ok(()) => Outcome::Again(error),
        Err(_) => Outcome::Again(TxError::Lost("the connection broke".into())),
    }
}

/// Waits between half and all of a time, so that those who were in each other's way are not again.
fn pause(most: u64) {
    let [chance] = random();
    std::thread::sleep(Duration::from_millis(most / 2 + most * u64::from(chance) / 512));
}
