//! A file at a store, read by range as if it lay here. Whoever reads it waits for the network, so it is read on threads
//! that may wait; the fetching itself runs on the async runtime.
//!
//! Nothing is believed of what arrives but its length: the reader above checks every block against the signed digests,
//! and says where one is wrong, so that it is fetched once more.

use crate::ports::transport::{BillingServer, TransportError};
use crate::run::source::{Arrivals, Arrived};
use crate::store::range_cache::{GRANULE, StreamCache};
use crate::store::resumable_fetch::{Head, PATIENCE, ResumableFetch, Stopped, Target, unexpected_status};
use async_trait::async_trait;
use parking_lot::{Condvar, Mutex, MutexGuard};
use portcullis_protocol::sealed::ReadAt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Granules of the first request after a jump; doubles as long as reads go on in sequence.
const FEWEST: u64 = 1;
/// Granules of one request at most: 4 MiB.
const MOST: u64 = 16;
/// Granules that are fetched before they are asked for: 2 MiB.
const AHEAD: u64 = 8;
/// The pause before a broken connection is taken up again; it doubles while nothing arrives.
const PAUSE: Duration = Duration::from_millis(100);
/// How long nothing may arrive before another connection is tried. A person watches a stream.
const SILENCE: Duration = Duration::from_secs(8);

/// The file. Dropping it ends what is being fetched.
pub(crate) struct RangeReader {
    shared: Arc<Shared>,
    runtime: Handle,
    writer: Option<Writer>,
}

/// A granule on its way to the disk, and who waits for it.
type Arriving = (u64, Vec<u8>, oneshot::Sender<()>);
/// Writes what arrives, on a thread of its own: on the runtime it would hold up others, and the threads that may wait
/// may all be waiting for what it writes. `None` if no thread could be had: then it holds up others.
type Writer = mpsc::Sender<Arriving>;

/// What the file and the task that fetches share.
pub(crate) struct Shared {
    server: Arc<dyn BillingServer>,
    url: String,
    etag: String,
    size: u64,
    /// How long a granule may take, over however many connections.
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
    /// Locked after the state is unlocked: the sink may take its time.
    progress: Mutex<ProgressSink>,
}

/// Where progress is reported, and what was reported last: granules that arrive together may be counted in any order,
/// and the reported number only grows.
#[derive(Default)]
struct ProgressSink {
    sink: Option<Arrived>,
    /// Bytes.
    reported: u64,
}

struct State {
    kept: StreamCache,
    job: Option<Job>,
    /// Numbers the jobs.
    jobs: u64,
    /// Why a job ended before its time.
    failed: Option<(u64, TransportError)>,
    /// The granule that a read in sequence needs next.
    next: u64,
    /// Granules that were fetched at once last.
    run: u64,
}

struct Job {
    number: u64,
    granules: Range<u64>,
    /// How many wait for it. Nobody else ends it meanwhile.
    waiting: u32,
    task: Option<AbortHandle>,
}

impl RangeReader {
    /// The file of this size at `url`, of which some may have been kept. Has to be called on the async runtime.
    pub(crate) fn new(server: Arc<dyn BillingServer>, url: String, etag: String, kept: StreamCache, size: u64) -> Self {
        let shared = Arc::new(Shared::new(server, url, etag, kept, size, PATIENCE));
        let writer = shared.writer().inspect_err(|error| tracing::warn!(%error, "no thread for a stream")).ok();
        Self { shared, runtime: Handle::current(), writer }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Begins to fetch what is missing from `granule` on, in one request. Returns the number of the job, which may have
    /// ended already.
    fn fetch<'a>(&'a self, mut state: MutexGuard<'a, State>, granule: u64) -> (MutexGuard<'a, State>, u64) {
        let last = (granule + state.run).min(state.kept.count());
        let end = (granule + 1..last).find(|granule| state.kept.has(*granule)).unwrap_or(last);
        state.jobs += 1;
        let number = state.jobs;
        let before = state.job.replace(Job { number, granules: granule..end, waiting: 0, task: None });
        if let Some(task) = before.and_then(|job| job.task) {
            task.abort();
        }
        // On a runtime that is shutting down the task ends at once, and says so: that takes the lock.
        drop(state);
        let job = JobGuard { shared: Arc::clone(&self.shared), number, outcome: Err(cut_off()) };
        let task = self.runtime.spawn(job.run(granule..end, self.writer.clone())).abort_handle();
        let mut state = self.shared.state();
        match &mut state.job {
            Some(job) if job.number == number => job.task = Some(task),
            Some(_) => task.abort(),
            None => {}
        }
        (state, number)
    }
}

impl Arrivals for Shared {
    fn report_to(&self, sink: Arrived) {
        *self.progress() = ProgressSink { sink: Some(sink), reported: 0 };
    }
}

impl Shared {
    fn new(
        server: Arc<dyn BillingServer>,
        url: String,
        etag: String,
        kept: StreamCache,
        size: u64,
        patience: Duration,
    ) -> Self {
        let state = State { kept, job: None, jobs: 0, failed: None, next: u64::MAX, run: FEWEST };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Self { server, url, etag, size, patience, state, changed, progress: Mutex::default() }
    }

    /// Begins the thread that writes. It ends with the last who sends to it.
    fn writer(self: &Arc<Self>) -> io::Result<Writer> {
        let (writer, mut arriving) = mpsc::channel::<Arriving>(1);
        let shared = Arc::clone(self);
        std::thread::Builder::new().name("portcullis-stream".into()).spawn(move || {
            while let Some((granule, bytes, written)) = arriving.blocking_recv() {
                shared.keep(granule, &bytes);
                // Who waited may have been cut off.
                let _ = written.send(());
            }
        })?;
        Ok(writer)
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        self.state().kept.forget_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before the lock is given back.
        self.state.lock()
    }

    fn progress(&self) -> MutexGuard<'_, ProgressSink> {
        self.progress.lock()
    }

    /// Fetches a run of granules, taking up a broken connection where it broke.
    async fn fetch(&self, granules: Range<u64>, writer: Option<&Writer>) -> Result<(), TransportError> {
        let (server, etag) = (&*self.server, Some(self.etag.as_str()));
        let resumable = ResumableFetch { server, url: &self.url, etag, pause: PAUSE, stall: Some(SILENCE) };
        let mut target = GranuleTarget {
            shared: self,
            writer,
            at: granules.start * GRANULE,
            end: (granules.end * GRANULE).min(self.size),
            granule: Vec::with_capacity(GRANULE as usize),
            until: Instant::now() + self.patience,
        };
        resumable.run(&mut target).await
    }

    /// Keeps a granule, where writing to the disk holds up nobody.
    async fn put(&self, granule: u64, bytes: Vec<u8>, writer: Option<&Writer>) {
        let Some(writer) = writer else { return self.keep(granule, &bytes) };
        let (written, done) = oneshot::channel();
        // The thread lives as long as anybody can send to it.
        if writer.send((granule, bytes, written)).await.is_ok() {
            let _ = done.await;
        }
    }

    fn keep(&self, granule: u64, bytes: &[u8]) {
        let mut state = self.state();
        state.kept.put(granule, bytes);
        let have = state.kept.have();
        drop(state);
        self.changed.notify_all();
        let mut progress = self.progress();
        if have > progress.reported {
            progress.reported = have;
            if let Some(sink) = &progress.sink {
                sink(have, self.size);
            }
        }
    }
}

impl ReadAt for RangeReader {
    /// Waits until the bytes are here. Returns those of one granule at most.
    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        if offset >= self.shared.size || to.is_empty() {
            return Ok(0);
        }
        let granule = offset / GRANULE;
        let mut state = self.shared.state();
        let mut waited_for = None;
        loop {
            if let Some(read) = state.kept.read(offset, to) {
                self.go_on(state, granule);
                return Ok(read);
            }
            if let Some((_, error)) = state.failed.take_if(|(number, _)| Some(*number) == waited_for) {
                return Err(io::Error::other(error));
            }
            let brings_it = |job: &&mut Job| job.granules.contains(&granule);
            if let Some(job) = state.job.as_mut().filter(brings_it) {
                job.waiting += 1;
                let number = job.number;
                waited_for = Some(number);
                self.shared.changed.wait(&mut state);
                if let Some(job) = state.job.as_mut().filter(|job| job.number == number) {
                    job.waiting -= 1;
                }
            } else if state.job.as_ref().is_some_and(|job| job.waiting > 0) {
                self.shared.changed.wait(&mut state);
            } else {
                state.run = if granule == state.next { (state.run * 2).min(MOST) } else { FEWEST };
                let (begun, number) = self.fetch(state, granule);
                (state, waited_for) = (begun, Some(number));
            }
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.shared.size)
    }

    fn forget(&self, offset: u64, len: u64) -> bool {
        let mut state = self.shared.state();
        let last = offset.saturating_add(len.saturating_sub(1)) / GRANULE;
        (offset / GRANULE..=last).for_each(|granule| state.kept.forget(granule));
        true
    }
}

impl RangeReader {
    /// A granule was read: who reads in sequence finds the next ones on their way.
    fn go_on<'a>(&'a self, mut state: MutexGuard<'a, State>, granule: u64) {
        if granule + 1 == state.next {
            return;
        }
        let in_sequence = granule == state.next;
        state.next = granule + 1;
        if !in_sequence || state.job.is_some() {
            return;
        }
        let ahead = (state.next..(state.next + AHEAD).min(state.kept.count())).find(|ahead| !state.kept.has(*ahead));
        if let Some(ahead) = ahead {
            state.run = (state.run * 2).min(AHEAD);
            drop(self.fetch(state, ahead));
        }
    }
}

impl Drop for RangeReader {
    fn drop(&mut self) {
        if let Some(task) = self.shared.state().job.take().and_then(|job| job.task) {
            task.abort();
        }
    }
}

/// Says that a job has ended, however it ends.
struct JobGuard {
    shared: Arc<Shared>,
    number: u64,
    outcome: Result<(), TransportError>,
}

impl JobGuard {
    async fn run(mut self, granules: Range<u64>, writer: Option<Writer>) {
        self.outcome = self.shared.fetch(granules, writer.as_ref()).await;
    }
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.job.as_ref().is_some_and(|job| job.number == self.number) {
            state.job = None;
            if let Err(error) = std::mem::replace(&mut self.outcome, Ok(())) {
                state.failed = Some((self.number, error));
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

/// The granules of a run, one after the other.
struct GranuleTarget<'a> {
    shared: &'a Shared,
    writer: Option<&'a Writer>,
    at: u64,
    end: u64,
    /// What has arrived of the granule that `at` lies in.
    granule: Vec<u8>,
    /// When patience with this granule ends, whatever is tried meanwhile.
    until: Instant,
}

#[async_trait]
impl Target for GranuleTarget<'_> {
    type Error = TransportError;

    fn position(&self) -> u64 {
        self.at
    }

    fn missing(&self) -> Option<u64> {
        Some(self.end - self.at)
    }

    fn length(&self) -> Option<u64> {
        self.missing()
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.until)
    }

    async fn accept(&mut self, head: Head) -> Result<Option<u64>, Stopped<TransportError>> {
        match head.status {
            206 if head.from == self.at && head.total == Some(self.shared.size) => Ok(Some(self.end)),
            // Also when the entity tag is another one now, or the store knows no ranges.
            200 | 206 | 416 => Err(Stopped::Failed(other_file())),
            400..500 => Err(Stopped::Failed(unexpected_status(head.status))),
            _ => Err(Stopped::Lost(unexpected_status(head.status))),
        }
    }

    async fn take(&mut self, mut bytes: &[u8]) -> Result<(), Stopped<TransportError>> {
        if bytes.len() as u64 > self.end - self.at {
            return Err(Stopped::Failed(TransportError::TooLong));
        }
        while !bytes.is_empty() {
            let room = ((self.at / GRANULE + 1) * GRANULE).min(self.shared.size) - self.at;
            let (some, rest) = bytes.split_at(bytes.len().min(room as usize));
            self.granule.extend_from_slice(some);
            self.at += some.len() as u64;
            bytes = rest;
            if some.len() as u64 == room {
                let granule = std::mem::take(&mut self.granule);
                self.shared.put((self.at - 1) / GRANULE, granule, self.writer).await;
                self.until = Instant::now() + self.shared.patience;
            }
        }
        Ok(())
    }
}

fn other_file() -> TransportError {
    TransportError::Interrupted("the store sends another piece or another file than was asked for: install it".into())
}

fn cut_off() -> TransportError {
    TransportError::Interrupted("the program is ending".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::transport::{Download, Downloaded, Exchange, Exchanged};
    use crate::state::folder::StateDir;
    use futures::StreamExt as _;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Sends so many bytes per connection.
    struct Trickle(u64, AtomicU64);

    #[async_trait]
    impl BillingServer for Trickle {
        async fn exchange(&self, _: Exchange) -> Result<Exchanged, TransportError> {
            Err(TransportError::Timeout)
        }

        async fn download(&self, download: Download) -> Result<Downloaded, TransportError> {
            self.1.fetch_add(1, Ordering::SeqCst);
            let bytes = vec![7; self.0.min(download.length.expect("a length")) as usize];
            let body = futures::stream::iter([Ok(bytes.into())]).boxed();
            Ok(Downloaded { status: 206, from: download.from, total: Some(GRANULE), body })
        }
    }

    #[tokio::test]
    async fn a_mirror_that_breaks_off_after_every_byte_is_given_up_in_time() {
        let home = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(home.path()).expect("a state directory");
        let shared = |bytes| {
            let server = Arc::new(Trickle(bytes, AtomicU64::new(0)));
            let kept = StreamCache::open(&state, "one", GRANULE);
            let patience = Duration::from_millis(500);
            let shared = Shared::new(Arc::clone(&server) as _, "u".into(), "e".into(), kept, GRANULE, patience);
            (shared, server)
        };
        let (slow, server) = shared(1);
        let begun = Instant::now();
        let given_up = slow.fetch(0..1, None).await;
        assert_eq!(given_up, Err(TransportError::Timeout));
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert!(server.1.load(Ordering::SeqCst) > 1);
        drop(slow);
        let (fast, _) = shared(GRANULE / 2);
        fast.fetch(0..1, None).await.expect("the control: a connection that breaks now and then");
        assert!(fast.state().kept.has(0));
    }
}
