//! Files on their way to the terminal: bounded, resumed where they broke off, never taken for whole before they are.

use crate::client::failure::ClientError;
use crate::ports::transport::{BillingServer, Download, Downloaded, TransportError};
use crate::state::folder::{StateError, off_thread, private_file};
use futures::StreamExt as _;
use same_file::Handle;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

/// Is told how many bytes have arrived, and of how many where that is known. Must return at once.
pub type Moved<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// How often a broken connection is taken up again without a single byte of progress.
const FRUITLESS: u32 = 4;
/// The pause before the first of them; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// How often is looked whether another process is done with a file.
const BUSY: Duration = Duration::from_millis(100);

/// A file to fetch.
pub(crate) struct Fetch<'a> {
    pub(crate) server: &'a dyn BillingServer,
    pub(crate) url: String,
    /// The entity tag that it has to keep while it is fetched in pieces.
    pub(crate) etag: Option<String>,
    /// Its exact length, where it is known beforehand.
    pub(crate) size: Option<u64>,
    /// More than that is never written.
    pub(crate) most: u64,
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
    /// Fetches to `partial`, going on where an earlier attempt ended. Nobody else writes to the file meanwhile. A future
    /// that is dropped leaves what has arrived for the next attempt.
    pub(crate) async fn to(&self, partial: &Path) -> Result<Fetched, ClientError> {
        let file = lock(partial).await?;
        let ours = file.try_clone().map_err(|error| StateError::io("open", partial, &error))?;
        let resumed = self.fill(ours, partial).await?;
        Ok(Fetched { file, path: partial.to_owned(), resumed })
    }

    /// Fetches into a file of one's own, which is at `partial`. Gives whether there was something in it before.
    pub(crate) async fn fill(&self, file: File, partial: &Path) -> Result<bool, ClientError> {
        let mut file = tokio::fs::File::from_std(file);
        let wrong = |error: io::Error| ClientError::from(StateError::io("write", partial, &error));
        let mut have = file.metadata().await.map_err(wrong)?.len();
        if self.size.is_some_and(|size| have > size) {
            file.set_len(0).await.map_err(wrong)?;
            have = 0;
        }
        let resumed = have > 0;
        let mut fruitless = 0;
        while self.size.is_none_or(|size| have < size) {
            let before = have;
            match self.piece(&mut file, &mut have).await {
                // Whole, as far as the server says. Where the length is known it has to be that one.
                Ok(()) if self.size.is_none_or(|size| have == size) => break,
                Ok(()) => {}
                Err(Stopped::Lost(error)) if have == before && fruitless == FRUITLESS => return Err(error.into()),
                Err(Stopped::Lost(_)) => {}
                Err(Stopped::Failed(error)) => return Err(error),
                Err(Stopped::Disk(error)) => return Err(wrong(error)),
            }
            fruitless = if have > before { 0 } else { fruitless + 1 };
            if fruitless > FRUITLESS {
                return Err(TransportError::Interrupted("the file always ends early".into()).into());
            }
            tokio::time::sleep(PAUSE.saturating_mul(1 << fruitless.saturating_sub(1))).await;
        }
        file.flush().await.map_err(wrong)?;
        file.sync_all().await.map_err(wrong)?;
        Ok(resumed)
    }

    async fn piece(&self, file: &mut tokio::fs::File, have: &mut u64) -> Result<(), Stopped> {
        let download = Download { url: self.url.clone(), from: *have, length: None, etag: self.etag.clone() };
        let Downloaded { status, from, total, mut body } = self.server.download(download).await.map_err(Stopped::of)?;
        match status {
            206 if from == *have => {}
            200 => {
                file.set_len(0).await.map_err(Stopped::Disk)?;
                *have = 0;
            }
            // What is here does not fit what is there.
            206 | 416 => {
                file.set_len(0).await.map_err(Stopped::Disk)?;
                *have = 0;
                return Err(Stopped::Lost(TransportError::Interrupted("the server sent another piece".into())));
            }
            404 | 410 => {
                return Err(Stopped::Failed(ClientError::NotFound(format!("there is no file at {}", self.url))));
            }
            400..500 => {
                let answer = TransportError::Unreachable(format!("it answers with status {status}"));
                return Err(Stopped::Failed(answer.into()));
            }
            status => {
                return Err(Stopped::Lost(TransportError::Unreachable(format!("it answers with status {status}"))));
            }
        }
        let most = self.size.unwrap_or(self.most).min(self.most);
        if total.is_some_and(|total| total > most) {
            return Err(Stopped::Failed(TransportError::TooLong.into()));
        }
        file.seek(io::SeekFrom::Start(*have)).await.map_err(Stopped::Disk)?;
        let expected = self.size.or(total);
        (self.moved)(*have, expected);
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(Stopped::of)?;
            if *have + chunk.len() as u64 > most {
                return Err(Stopped::Failed(TransportError::TooLong.into()));
            }
            file.write_all(&chunk).await.map_err(Stopped::Disk)?;
            *have += chunk.len() as u64;
            (self.moved)(*have, expected);
        }
        file.flush().await.map_err(Stopped::Disk)?;
        match total {
            Some(total) if *have < total => Err(Stopped::Lost(TransportError::Interrupted("it ended early".into()))),
            _ => Ok(()),
        }
    }
}

enum Stopped {
    /// Worth another try.
    Lost(TransportError),
    /// Not worth one.
    Failed(ClientError),
    Disk(io::Error),
}

impl Stopped {
    fn of(error: TransportError) -> Self {
        match error {
            TransportError::Address | TransportError::Redirect => Self::Failed(error.into()),
            error => Self::Lost(error),
        }
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
