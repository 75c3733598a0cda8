//! A file that is one candidate's alone, from before it is verified until it is installed.
//!
//! ```text
//! downloads/<digest>.partial ──arrived whole──▶ <digest>.<random>.own ──verified, accepted──▶ installed
//!     ▲   whoever has its lock writes               │   nobody else's
//!     └──────────────── not accepted ───────────────┘
//! ```
//!
//! What was verified is then what is installed, whatever other processes fetch meanwhile. An own file is locked as long
//! as its process lives; what a process left behind that ended is found by that.

use crate::client_error::ClientError;
use crate::random;
use crate::state::folder::{StateDir, StateError, off_thread};
use crate::store::download::{Fetched, lock};
use portcullis_protocol::SignedManifest;
use portcullis_protocol::sealed::Sealed;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where files are that arrive.
pub(crate) const FOLDER: &str = "downloads";
/// The name of an own file ends so.
const OWN: &str = ".own";
/// The name of a download that all processes share ends so.
const PARTIAL: &str = ".partial";
/// How long a download that broke off is kept for whoever takes it up again.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A locked file under a name that nobody else uses. Dropping it gives a download back to whoever wants it next, and
/// removes anything else.
#[derive(Debug)]
pub(crate) struct OwnFile {
    file: File,
    path: PathBuf,
    /// The name that all processes use for this download.
    shared: Option<PathBuf>,
}

/// What has arrived of a store's file, under the name that all processes use for it.
pub(crate) fn shared(state: &StateDir, name: &str) -> PathBuf {
    state.path(&format!("{FOLDER}/{name}{PARTIAL}"))
}

impl OwnFile {
    /// An empty one.
    pub(crate) async fn new(state: &StateDir) -> Result<Self, StateError> {
        let path = state.path(&format!("{FOLDER}/{}{OWN}", random::octets::<12>()));
        Ok(Self { file: lock(&path).await?, path, shared: None })
    }

    /// Takes a download out of the others' reach.
    pub(crate) fn of(fetched: Fetched) -> Result<Self, StateError> {
        let Fetched { file, path: shared, .. } = fetched;
        let path = shared.with_extension(format!("{}{OWN}", random::octets::<12>()));
        fs::rename(&shared, &path).map_err(|error| StateError::io("rename", &shared, &error))?;
        Ok(Self { file, path, shared: Some(shared) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, open for reading and writing.
    pub(crate) fn file(&self) -> Result<File, StateError> {
        self.file.try_clone().map_err(|error| StateError::io("open", &self.path, &error))
    }

    /// Verifies all there is to verify about a sealed resource.
    ///
    /// # Errors
    /// [`ClientError::Package`], [`ClientError::State`].
    pub(crate) async fn verify(&self) -> Result<SignedManifest, ClientError> {
        verify(self.file()?).await
    }

    /// Moves it to where it stays.
    pub(crate) fn place(&mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.path = PathBuf::new();
        Ok(())
    }

    /// Removes it: it is not worth keeping.
    pub(crate) fn discard(mut self) {
        self.shared = None;
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if self.path.as_os_str().is_empty() {
            return;
        }
        // Never in place of what somebody fetches there now; if there are no links, it is fetched again.
        if let Some(shared) = &self.shared {
            let _ = fs::hard_link(&self.path, shared);
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// Gives back or removes what processes left behind that ended, and removes downloads that nobody takes up any more.
pub(crate) fn sweep(state: &StateDir) {
    for name in state.list(FOLDER).unwrap_or_default() {
        if name.ends_with(PARTIAL) {
            let path = state.path(&format!("{FOLDER}/{name}"));
            let Ok(file) = File::open(&path) else { continue };
            let written = file.metadata().and_then(|data| data.modified());
            let is_old = written.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > KEPT));
            if is_old && file.try_lock().is_ok() {
                let _ = fs::remove_file(&path);
            }
            continue;
        }
        let Some(stem) = name.strip_suffix(OWN) else { continue };
        let path = state.path(&format!("{FOLDER}/{name}"));
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_ok() {
            let shared = stem.split_once('.').map(|(name, _)| shared(state, name));
            drop(OwnFile { file, path, shared });
        }
    }
}

/// Form, signatures, content, block lists, then every block.
pub(crate) async fn verify(file: File) -> Result<SignedManifest, ClientError> {
    off_thread(move || {
        let sealed = Sealed::open(file)?;
        sealed.check_headers()?;
        sealed.verify_blocks()?;
        Ok(sealed.signed().clone())
    })
    .await?
}
