//! A file at a store, read by range as if it lay here. Whoever reads it waits for the network, so it is read on threads
//! that may wait; the fetching itself runs on the async runtime.
//!
//! Nothing is believed of what arrives but its length: the reader above checks every block against the signed digests,
//! and says where one is wrong, so that it is fetched once more.

use crate::ports::transport::{BillingServer, Download, Downloaded, TransportError};
use crate::store::range_cache::{GRANULE, Kept};
use futures::StreamExt as _;
use portcullis_protocol::sealed::ReadAt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
/// How often a broken connection is taken up again without a single byte of progress.
const FRUITLESS: u32 = 4;
/// The pause before the first of them; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a granule may take. A line of 5 KB a second is fast enough; a server that sends a byte now and then is not.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long nothing may arrive before another connection is tried. A person watches a stream.
const SILENCE: Duration = Duration::from_secs(8);

/// Is told how many bytes are here, and of how many.
type Arrived = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// The file. Dropping it ends what is being fetched.
pub(crate) struct Remote {
    shared: Arc<Shared>,
    runtime: Handle,
    writer: Option<Writer>,
}

/// A granule on its way to the disk, and who waits for it.
type Arriving = (u64, Vec<u8>, oneshot::Sender<()>);
/// Writes what arrives, on a thread of its own: on the runtime it would hold up others, and the threads that may wait
/// may all be waiting for what it writes. `None` where no thread could be had: then it holds up others.
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
    /// Taken after the state is given back: who is told may take his time.
    told: Mutex<Told>,
}

/// Who is told what arrives, and what he was told last: granules that arrive together may be counted in any order, and
/// he sees it grow.
#[derive(Default)]
struct Told {
    to: Option<Arrived>,
    have: u64,
}

struct State {
    kept: Kept,
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

impl Remote {
    /// The file of this size at `url`, of which some may have been kept. Has to be called on the async runtime.
    pub(crate) fn new(server: Arc<dyn BillingServer>, url: String, etag: String, kept: Kept, size: u64) -> Self {
        let shared = Arc::new(Shared::new(server, url, etag, kept, size, PATIENCE));
        let writer = shared.writer().inspect_err(|error| tracing::warn!(%error, "no thread for a stream")).ok();
        Self { shared, runtime: Handle::current(), writer }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Begins to fetch what is missing from `granule` on, in one request. Gives the number of the job, which may have
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
        let ends = Ends { shared: Arc::clone(&self.shared), number, outcome: Err(cut_off()) };
        let task = self.runtime.spawn(ends.run(granule..end, self.writer.clone())).abort_handle();
        let mut state = self.shared.state();
        match &mut state.job {
            Some(job) if job.number == number => job.task = Some(task),
            Some(_) => task.abort(),
            None => {}
        }
        (state, number)
    }
}

impl Shared {
    fn new(
        server: Arc<dyn BillingServer>,
        url: String,
        etag: String,
        kept: Kept,
        size: u64,
        patience: Duration,
    ) -> Self {
        let state = State { kept, job: None, jobs: 0, failed: None, next: u64::MAX, run: FEWEST };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Self { server, url, etag, size, patience, state, changed, told: Mutex::default() }
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

    /// Who is told what arrives from now on.
    pub(crate) fn tell(&self, arrived: Arrived) {
        *self.told() = Told { to: Some(arrived), have: 0 };
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        self.state().kept.forget_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before the lock is given back.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches a run of granules, taking up a broken connection where it broke.
    async fn fetch(&self, granules: Range<u64>, writer: Option<&Writer>) -> Result<(), TransportError> {
        let end = (granules.end * GRANULE).min(self.size);
        let mut at = granules.start * GRANULE;
        let mut begun = Begun { granule: Vec::with_capacity(GRANULE as usize), until: Instant::now() + self.patience };
        let mut fruitless = 0;
        while at < end {
            let before = at;
            match self.piece(&mut at, end, &mut begun, writer).await {
                Ok(()) => {}
                Err(Stopped::Failed(error)) => return Err(error),
                Err(Stopped::Lost(error)) if at == before && fruitless == FRUITLESS => return Err(error),
                Err(Stopped::Lost(_)) => {}
            }
            fruitless = if at > before { 0 } else { fruitless + 1 };
            if at < end && Instant::now() >= begun.until {
                return Err(TransportError::Timeout);
            }
            if at < end {
                tokio::time::sleep(PAUSE.saturating_mul(1 << fruitless)).await;
            }
        }
        Ok(())
    }

    /// One request, from `at` on.
    async fn piece(&self, at: &mut u64, end: u64, begun: &mut Begun, writer: Option<&Writer>) -> Result<(), Stopped> {
        let (from, wanted) = (*at, end - *at);
        let download = Download { url: self.url.clone(), from, length: Some(wanted), etag: Some(self.etag.clone()) };
        let answer = patiently(begun.until, self.server.download(download)).await?;
        let Downloaded { status, from: begins, total, mut body } = answer.map_err(Stopped::of)?;
        match status {
            206 if begins == from && total == Some(self.size) => {}
            // Also where the entity tag is another one now, or the store knows no ranges.
            200 | 206 | 416 => return Err(Stopped::Failed(other_file())),
            400..500 => return Err(Stopped::Failed(status_of(status))),
            _ => return Err(Stopped::Lost(status_of(status))),
        }
        while *at < end {
            let Some(chunk) = patiently(begun.until, body.next()).await? else {
                return Err(Stopped::Lost(TransportError::Interrupted("it ended early".into())));
            };
            let chunk = chunk.map_err(Stopped::of)?;
            let mut chunk = &chunk[..];
            if chunk.len() as u64 > end - *at {
                return Err(Stopped::Failed(TransportError::TooLong));
            }
            while !chunk.is_empty() {
                let room = ((*at / GRANULE + 1) * GRANULE).min(self.size) - *at;
                let (some, rest) = chunk.split_at(chunk.len().min(room as usize));
                begun.granule.extend_from_slice(some);
                *at += some.len() as u64;
                chunk = rest;
                if some.len() as u64 == room {
                    self.put((*at - 1) / GRANULE, std::mem::take(&mut begun.granule), writer).await;
                    begun.until = Instant::now() + self.patience;
                }
            }
        }
        match patiently(begun.until, body.next()).await? {
            Some(Ok(more)) if !more.is_empty() => Err(Stopped::Failed(TransportError::TooLong)),
            _ => Ok(()),
        }
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
        let mut told = self.told();
        if have > told.have {
            told.have = have;
            if let Some(to) = &told.to {
                to(have, self.size);
            }
        }
    }
}

impl ReadAt for Remote {
    /// Waits until the bytes are here. Gives those of one granule at most.
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
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                if let Some(job) = state.job.as_mut().filter(|job| job.number == number) {
                    job.waiting -= 1;
                }
            } else if state.job.as_ref().is_some_and(|job| job.waiting > 0) {
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
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

impl Remote {
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

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(task) = self.shared.state().job.take().and_then(|job| job.task) {
            task.abort();
        }
    }
}

/// Says that a job has ended, however it ends.
struct Ends {
    shared: Arc<Shared>,
    number: u64,
    outcome: Result<(), TransportError>,
}

impl Ends {
    async fn run(mut self, granules: Range<u64>, writer: Option<Writer>) {
        self.outcome = self.shared.fetch(granules, writer.as_ref()).await;
    }
}

/// A granule that is arriving.
struct Begun {
    granule: Vec<u8>,
    /// When patience with it ends, whatever is tried meanwhile.
    until: Instant,
}

impl Drop for Ends {
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

enum Stopped {
    /// Worth another try.
    Lost(TransportError),
    /// Not worth one.
    Failed(TransportError),
}

impl Stopped {
    fn of(error: TransportError) -> Self {
        match error {
            TransportError::Address | TransportError::Redirect => Self::Failed(error),
            error => Self::Lost(error),
        }
    }
}

/// Waits for a connection on which something arrives, and for a granule that gets on.
async fn patiently<T>(until: Instant, work: impl Future<Output = T>) -> Result<T, Stopped> {
    let silence = Instant::now() + SILENCE;
    tokio::time::timeout_at(until.min(silence), work).await.map_err(|_| match until <= silence {
        true => Stopped::Failed(TransportError::Timeout),
        false => Stopped::Lost(TransportError::Timeout),
    })
}

fn other_file() -> TransportError {
    TransportError::Interrupted("the store sends another piece or another file than was asked for: install it".into())
}

fn status_of(status: u16) -> TransportError {
    TransportError::Unreachable(format!("it answers with status {status}"))
}

fn cut_off() -> TransportError {
    TransportError::Interrupted("the program is ending".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::transport::{Exchange, Exchanged};
    use crate::state::folder::StateDir;
    use async_trait::async_trait;
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
            let kept = Kept::open(&state, "one", GRANULE);
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
