//! Files on their way to the terminal: bounded in length and time, resumed where they broke off, never taken for whole
//! before they are.

use crate::client_error::ClientError;
use crate::ports::transport::{BillingServer, TransportError};
use crate::state::folder::{StateError, off_thread};
use crate::store::resumable_fetch::{Head, ResumableFetch, STRETCH, Stopped, Target, unexpected_status};
use async_trait::async_trait;
use portcullis_folders::private_file;
use same_file::Handle;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

/// Is told how many bytes have arrived, and of how many if that is known. Must return at once.
pub type Moved<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// The pause before a broken connection is taken up again; it doubles while nothing arrives.
const PAUSE: Duration = Duration::from_millis(125);

/// How often a file is begun anew because the server sends another one, or another piece than was asked for.
const MAX_RESTARTS: u32 = 4;

/// How often is looked whether another process is done with a file.
const BUSY: Duration = Duration::from_millis(100);

/// A file to fetch.
pub(crate) struct Fetch<'a> {
    pub(crate) server: &'a dyn BillingServer,
    pub(crate) url: String,
    /// The entity tag that it has to keep while it is fetched in pieces.
    pub(crate) etag: Option<String>,
    /// Its exact length, if it is known beforehand.
    pub(crate) size: Option<u64>,
    /// More than that is never written.
    pub(crate) most: u64,
    /// How long [`STRETCH`] bytes may take, over however many connections.
    pub(crate) patience: Duration,
    pub(crate) moved: Moved<'a>,
}

/// A file that has arrived whole. Nobody has looked into it.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Locked as long as it is open.
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    /// Whether an earlier attempt had left a part of it.
    pub(crate) resumed: bool,
}

impl Fetch<'_> {
    /// Fetches to `partial`, going on where an earlier attempt ended. Nobody else writes to the file meanwhile. A
    /// future that is dropped leaves what has arrived for the next attempt.
    pub(crate) async fn to(&self, partial: &Path) -> Result<Fetched, ClientError> {
        let file = lock(partial).await?;
        let ours = file.try_clone().map_err(|error| StateError::io("open", partial, &error))?;
        let resumed = self.fill(ours, partial).await?;
        Ok(Fetched { file, path: partial.to_owned(), resumed })
    }

    /// Fetches into a file of one's own, which is at `partial`. Returns whether there was something in it before.
    pub(crate) async fn fill(&self, file: File, partial: &Path) -> Result<bool, ClientError> {
        let mut file = tokio::fs::File::from_std(file);
        let wrong = |error: io::Error| ClientError::from(StateError::io("write", partial, &error));
        let mut have = file.metadata().await.map_err(wrong)?.len();
        if self.size.is_some_and(|size| have > size) {
            file.set_len(0).await.map_err(wrong)?;
            have = 0;
        }
        let resumed = have > 0;
        let (server, etag) = (self.server, self.etag.as_deref());
        let resumable = ResumableFetch { server, url: &self.url, etag, pause: PAUSE, stall: None };
        let mut target = FileTarget {
            fetch: self,
            file: &mut file,
            path: partial,
            have,
            expected: self.size,
            restarts: 0,
            due: have + STRETCH,
            until: Instant::now() + self.patience,
        };
        resumable.run(&mut target).await?;
        file.flush().await.map_err(wrong)?;
        file.sync_all().await.map_err(wrong)?;
        Ok(resumed)
    }
}

/// A file on the disk that grows.
struct FileTarget<'a> {
    fetch: &'a Fetch<'a>,
    file: &'a mut tokio::fs::File,
    path: &'a Path,
    have: u64,
    /// The length that progress is told against.
    expected: Option<u64>,
    /// How often it was begun anew.
    restarts: u32,
    /// The place that has to be reached by `until`.
    due: u64,
    /// When patience with this stretch ends, whatever is tried meanwhile.
    until: Instant,
}

impl FileTarget<'_> {
    /// The longest file that is written.
    fn most(&self) -> u64 {
        self.fetch.size.unwrap_or(self.fetch.most).min(self.fetch.most)
    }

    fn begin_stretch(&mut self) {
        (self.due, self.until) = (self.have + STRETCH, Instant::now() + self.fetch.patience);
    }

    fn disk(&self, error: &io::Error) -> Stopped<ClientError> {
        Stopped::Failed(StateError::io("write", self.path, error).into())
    }

    /// What is here does not belong to what is there: begins at the beginning.
    async fn clear(&mut self) -> Result<(), Stopped<ClientError>> {
        self.file.set_len(0).await.map_err(|error| self.disk(&error))?;
        if self.have > 0 {
            self.restarts += 1;
            if self.restarts > MAX_RESTARTS {
                let anew = TransportError::Interrupted("the server always sends another file".into());
                return Err(Stopped::Failed(anew.into()));
            }
        }
        self.have = 0;
        self.begin_stretch();
        Ok(())
    }
}

#[async_trait]
impl Target for FileTarget<'_> {
    type Error = ClientError;

    fn position(&self) -> u64 {
        self.have
    }

    fn missing(&self) -> Option<u64> {
        self.fetch.size.map(|size| size.saturating_sub(self.have))
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.until)
    }

    async fn accept(&mut self, head: Head) -> Result<Option<u64>, Stopped<ClientError>> {
        match head.status {
            206 if head.from == self.have => {}
            200 => self.clear().await?,
            206 | 416 => {
                self.clear().await?;
                return Err(Stopped::Lost(TransportError::Interrupted("the server sent another piece".into())));
            }
            404 | 410 => {
                return Err(Stopped::Failed(ClientError::NotFound(format!("there is no file at {}", self.fetch.url))));
            }
            400..500 => return Err(Stopped::Failed(unexpected_status(head.status).into())),
            _ => return Err(Stopped::Lost(unexpected_status(head.status))),
        }
        if head.total.is_some_and(|total| total > self.most()) {
            return Err(Stopped::Failed(TransportError::TooLong.into()));
        }
        self.file.seek(io::SeekFrom::Start(self.have)).await.map_err(|error| self.disk(&error))?;
        self.expected = self.fetch.size.or(head.total);
        (self.fetch.moved)(self.have, self.expected);
        Ok(head.total)
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), Stopped<ClientError>> {
        if self.have + bytes.len() as u64 > self.most() {
            return Err(Stopped::Failed(TransportError::TooLong.into()));
        }
        self.file.write_all(bytes).await.map_err(|error| self.disk(&error))?;
        self.have += bytes.len() as u64;
        if self.have >= self.due {
            self.begin_stretch();
        }
        (self.fetch.moved)(self.have, self.expected);
        Ok(())
    }
}

/// Opens the file at a path for one process alone, as soon as nobody else has it.
pub(crate) async fn lock(path: &Path) -> Result<File, StateError> {
    loop {
        let of = path.to_owned();
        if let Some(file) =
            off_thread(move || lock_now(&of).map_err(|error| StateError::io("open", &of, &error))).await??
        {
            return Ok(file);
        }
        tokio::time::sleep(BUSY).await;
    }
}

fn lock_now(path: &Path) -> io::Result<Option<File>> {
    let file = private_file().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Whoever had it may have moved it away: then it is his still, and another one belongs here.
    let ours = Handle::from_file(file.try_clone()?)?;
    let here = Handle::from_path(path).is_ok_and(|here| here == ours);
    Ok(here.then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::transport::{Download, Downloaded, Exchange, Exchanged};
    use futures::StreamExt as _;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Bytes of the file.
    const SIZE: u64 = 3 * STRETCH;

    /// How a store holds up whoever fetches from it.
    enum Slow {
        /// A byte now and then, on a connection that stays open.
        Drip,
        /// So many bytes per connection.
        Cut(u64),
        /// Half of it, and then another piece than was asked for.
        Anew,
    }

    struct Store(Slow, AtomicU64);

    #[async_trait]
    impl BillingServer for Store {
        async fn exchange(&self, _: Exchange) -> Result<Exchanged, TransportError> {
            Err(TransportError::Timeout)
        }

        async fn download(&self, download: Download) -> Result<Downloaded, TransportError> {
            let number = self.1.fetch_add(1, Ordering::SeqCst);
            let piece = |bytes: u64| {
                let bytes = vec![7; bytes.min(SIZE.saturating_sub(download.from)) as usize];
                futures::stream::iter([Ok(bytes.into())]).boxed()
            };
            let (from, body) = match self.0 {
                Slow::Cut(bytes) => (download.from, piece(bytes)),
                Slow::Anew if number % 2 == 1 => (download.from + 1, piece(1)),
                Slow::Anew => (download.from, piece(SIZE / 2)),
                Slow::Drip => {
                    let byte = |()| async {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        Some((Ok(vec![7].into()), ()))
                    };
                    (download.from, futures::stream::unfold((), byte).boxed())
                }
            };
            let status = if from == 0 { 200 } else { 206 };
            Ok(Downloaded { status, from, total: Some(SIZE), body })
        }
    }

    /// Whoever fetches several files one after the other gets to the next one.
    #[tokio::test]
    async fn a_store_that_never_comes_to_an_end_is_given_up_in_time() {
        let home = tempfile::tempdir().expect("a folder");
        for (number, (slow, ends)) in [
            (Slow::Drip, Some(TransportError::Timeout)),
            (Slow::Cut(1), Some(TransportError::Timeout)),
            (Slow::Anew, Some(TransportError::Interrupted("the server always sends another file".into()))),
            (Slow::Cut(STRETCH / 2), None),
        ]
        .into_iter()
        .enumerate()
        {
            let server = Store(slow, AtomicU64::new(0));
            let fetch = Fetch {
                server: &server,
                url: "https://store.example/file".into(),
                etag: Some("e".into()),
                size: Some(SIZE),
                most: SIZE,
                // In which a stretch of the control, with its pauses, arrives.
                patience: Duration::from_secs(3),
                moved: &|_, _| {},
            };
            let partial = home.path().join(number.to_string());
            let fetched = tokio::time::timeout(Duration::from_secs(20), fetch.to(&partial)).await.expect("an end");
            assert_eq!(fetched.map(|_| ()).err(), ends.map(ClientError::from), "{number}");
        }
    }
}
