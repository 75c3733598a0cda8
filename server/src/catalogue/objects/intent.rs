//! What is about to be put where sealed files lie: a file beside the uploads, locked as long as its process works on
//! it.
//!
//! It is there before the first byte is stored, and gone when the catalogue knows the resource. So whoever finds one
//! that nobody holds knows what a dead process, or an upload that was refused, may have left: parts of an upload, or a
//! file that no catalogue names.

use super::Objects;
use crate::catalogue::publish::{self, Incoming};
use crate::store::{Store, StoreError};
use portcullis_protocol::Digest;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How the file's name ends.
pub(crate) const EXTENSION: &str = "intent";
/// How long a stored file is left alone that no catalogue names: another process may be about to name it.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a request of a dead process may still take at the service.
const UNDER_WAY: Duration = Duration::from_secs(180);

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    digest: Digest,
    /// The number that the service gave the upload in parts.
    upload: Option<String>,
}

/// An intent of this process. Dropped before it is [`done`](Intent::done), it stays, and whoever finds it looks after
/// it.
pub(crate) struct Intent {
    digest: Digest,
    file: Incoming,
}

impl Intent {
    /// Remembers that the file of a resource is about to be stored.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn new(dir: &Path, digest: Digest) -> io::Result<Self> {
        let (file, _) = Incoming::with_extension(dir, EXTENSION)?;
        let intent = Self { digest, file: file.staying() };
        intent.write(None)?;
        Ok(intent)
    }

    /// Remembers the number of the upload in parts.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn began(&mut self, upload: &str) -> io::Result<()> {
        self.write(Some(upload.to_owned()))
    }

    fn write(&self, upload: Option<String>) -> io::Result<()> {
        let text = serde_json::to_vec(&Record { digest: self.digest, upload })?;
        let mut file = self.file.file();
        file.rewind()?;
        file.set_len(0)?;
        file.write_all(&text)?;
        file.sync_data()
    }

    /// Nothing is left to look after: the catalogue names the file, or nothing was stored.
    pub(crate) fn done(self) {
        self.file.remove();
    }
}

/// An intent whose process has ended. It is locked while this process looks after it.
pub(crate) struct Abandoned {
    path: PathBuf,
    file: File,
}

impl Abandoned {
    pub(crate) const fn new(path: PathBuf, file: File) -> Self {
        Self { path, file }
    }

    /// Gives up its upload, and removes what no catalogue names. What cannot be decided yet stays for the next time.
    pub(crate) async fn resolve(mut self, objects: &Objects, store: &dyn Store) -> Result<(), publish::ClearError> {
        let mut text = String::new();
        let read = self.file.read_to_string(&mut text).map_err(publish::ClearError::Io)?;
        // Killed before a word of it was written: nothing was stored.
        let record = if read == 0 { None } else { serde_json::from_str::<Record>(&text).ok() };
        let Some(Record { digest, upload }) = record else { return self.remove() };
        if let Some(upload) = upload {
            objects.abort(&digest, &upload).await?;
        }
        match objects.find(&digest).await? {
            // The service may still be at what the process began.
            None if self.age() < UNDER_WAY => Ok(()),
            None => self.remove(),
            Some(_) if is_named(store, &digest).await? => self.remove(),
            Some(stored) => {
                let age = SystemTime::now().duration_since(stored.written).unwrap_or_default();
                if age < PATIENCE {
                    return Ok(());
                }
                objects.remove(&digest).await?;
                tracing::info!(resource = %digest, "a file that was stored and never published was removed");
                self.remove()
            }
        }
    }

    /// How long ago it was written last.
    fn age(&self) -> Duration {
        let written = self.file.metadata().and_then(|data| data.modified());
        written.ok().and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default()
    }

    fn remove(self) -> Result<(), publish::ClearError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(publish::ClearError::Io(error)),
            _ => Ok(()),
        }
    }
}

async fn is_named(store: &dyn Store, digest: &Digest) -> Result<bool, StoreError> {
    Ok(store.resource(digest).await?.is_some())
}
