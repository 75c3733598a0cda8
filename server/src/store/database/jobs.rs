//! Work that waits for a thread with a connection.

use super::{Tx, TxError, TxResult};
use crate::store::StoreError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Work that waits, at most: beyond this callers wait themselves.
const QUEUE: usize = 1024;

/// What a transaction is to do. It may be run more than once, if the database refuses to commit what it did before.
pub(crate) trait Work<T>: Fn(&Tx<'_>) -> TxResult<T> + Send + 'static {}

impl<T, F: Fn(&Tx<'_>) -> TxResult<T> + Send + 'static> Work<T> for F {}

/// Why work did not succeed, for whoever may run it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Another transaction was in the way.
    Conflict,
    /// There is no connection any more.
    Lost,
    /// Anything else.
    Final,
}

/// Work that waits, without its type. `W` says what it is.
pub(crate) trait Job<W>: Send {
    /// What it is.
    fn what(&self) -> W;
    /// Runs in a transaction. On an error, that is to be rolled back.
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), Failure>;
    /// Replaces the result: it did not happen, or nobody knows.
    fn fail(&mut self, error: StoreError);
    /// Answers whoever waits for it.
    fn reply(self: Box<Self>);
}

struct Typed<W, F, T> {
    what: W,
    name: &'static str,
    work: F,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<W: Copy + Send, F: Work<T>, T: Send> Job<W> for Typed<W, F, T> {
    fn what(&self) -> W {
        self.what
    }

    fn run(&mut self, tx: &Tx<'_>) -> Result<(), Failure> {
        // What an earlier run returned never happened.
        self.result = None;
        // Work that panics must not take the thread with it. Its transaction is rolled back.
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)))
            .unwrap_or_else(|_| Err(TxError::Database("a panic".into())));
        let failure = match &result {
            Ok(_) => Ok(()),
            Err(TxError::Conflict(_)) => Err(Failure::Conflict),
            Err(TxError::Lost(_)) => Err(Failure::Lost),
            Err(_) => Err(Failure::Final),
        };
        self.result = Some(result.map_err(|error| error.into_store_error(self.name)));
        failure
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(error));
    }

    fn reply(self: Box<Self>) {
        let Self { work, result, reply, .. } = *self;
        // What the work holds is let go of before anybody knows that it is done.
        drop(work);
        // A caller that was dropped does not want to know.
        let _ = reply.send(result.unwrap_or(Err(StoreError::Closed)));
    }
}

/// The way to threads that run jobs.
#[derive(Debug)]
pub(crate) struct Jobs<W> {
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job<W>>>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<W: Copy + Send + 'static> Jobs<W> {
    /// A way, and the end of it that a thread takes jobs from.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Box<dyn Job<W>>>) {
        let (jobs, queue) = mpsc::channel(QUEUE);
        (Self { jobs: Some(jobs).into(), threads: Mutex::default() }, queue)
    }

    /// Starts a thread that runs until the way is closed.
    pub(crate) fn start(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let started = std::thread::Builder::new().name(name.into()).spawn(work);
        let thread = started.map_err(|error| StoreError::Backend { what: "thread", cause: error.to_string() })?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// Has a thread run `work` in a transaction. The answer comes after the commit.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        what: W,
        name: &'static str,
        work: impl Work<T>,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = lock(&self.jobs).clone().ok_or(StoreError::Closed)?;
        let job = Box::new(Typed { what, name, work, result: None, reply });
        jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Unknown(name)))
    }

    /// Jobs that wait for a thread.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.jobs).as_ref().map_or(0, |jobs| jobs.max_capacity().saturating_sub(jobs.capacity()))
    }

    /// A way that does not keep the threads alive.
    pub(crate) fn downgrade(&self) -> WeakJobs<W> {
        WeakJobs(lock(&self.jobs).as_ref().map(mpsc::Sender::downgrade))
    }

    /// Takes no more jobs and waits for those under way.
    pub(crate) async fn close(&self) {
        drop(lock(&self.jobs).take());
        let threads = std::mem::take(&mut *lock(&self.threads));
        let _ = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        })
        .await;
    }
}

/// The way for a thread that must not hold the others up.
#[derive(Debug)]
pub(crate) struct WeakJobs<W>(Option<mpsc::WeakSender<Box<dyn Job<W>>>>);

impl<W: Copy + Send + 'static> WeakJobs<W> {
    /// Whether the way is not closed yet.
    pub(crate) fn is_open(&self) -> bool {
        self.0.as_ref().is_some_and(|jobs| jobs.strong_count() > 0)
    }

    /// As [`Jobs::run`], for a thread outside the async runtime. [`StoreError::Closed`] once the way is closed.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        what: W,
        name: &'static str,
        work: impl Work<T>,
    ) -> Result<T, StoreError> {
        let jobs = self.0.as_ref().and_then(mpsc::WeakSender::upgrade).ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Typed { what, name, work, result: None, reply });
        jobs.blocking_send(job).map_err(|_| StoreError::Closed)?;
        drop(jobs);
        answer.blocking_recv().unwrap_or(Err(StoreError::Unknown(name)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
