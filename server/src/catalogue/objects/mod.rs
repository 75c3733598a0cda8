//! Where sealed files lie: a folder of the server's, or a bucket of a service that speaks S3.
//!
//! A file is written once, under its resource's digest, and never changed. It is checked and countersigned on this
//! machine's disk first, so what is put here is whole; `intent` remembers what is under way, so that a process that
//! dies leaves nothing behind for long.

mod bucket;
mod intent;
mod reader;
mod settings;

use crate::crypto::keys::Keys;
use bucket::Bucket;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
pub(crate) use intent::{Abandoned, EXTENSION as INTENT, Intent};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt as _};
use portcullis_protocol::Digest;
use portcullis_protocol::sealed::{Sealed, SealedError};
pub(crate) use reader::ObjectReader;
use reader::{LARGE_WINDOW, WINDOW};
pub use settings::StorageSettings;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The folder of sealed files, and what their keys in a bucket begin with.
pub(crate) const FILES: &str = "files";
/// Bytes that are read from a disk at once: few calls, little memory per download.
const CHUNK: usize = 256 * 1024;

/// Why a sealed file cannot be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It is not there.
    #[error("the sealed file {place} is missing: `portcullis-server operator check` lists what is")]
    Missing {
        /// Where it belongs.
        place: String,
    },
    /// The settings do not describe a bucket.
    #[error("[storage]: {0}")]
    Settings(String),
    /// The folder or the service failed.
    #[error("{place} cannot be {what}: {cause}")]
    Failed {
        /// Where.
        place: String,
        /// Read, written, listed, removed.
        what: &'static str,
        /// Why. It holds no credentials.
        cause: String,
    },
}

impl From<StorageError> for io::Error {
    fn from(error: StorageError) -> Self {
        let kind = match error {
            StorageError::Missing { .. } => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// What a sealed file is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) size: u64,
    pub(crate) written: SystemTime,
}

/// The sealed files of a server.
#[derive(Debug)]
pub struct Objects {
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder { folder: PathBuf, files: LocalFileSystem },
    Bucket(Bucket),
}

impl Objects {
    /// The place that the settings name; left out, the folder `files` in the server's directory.
    ///
    /// # Errors
    /// [`StorageError::Settings`].
    pub fn open(dir: &Path, settings: &StorageSettings) -> Result<Self, StorageError> {
        let place = match &settings.bucket {
            None => return Ok(Self::in_folder(dir.join(FILES))),
            Some(_) => Place::Bucket(Bucket::open(settings)?),
        };
        Ok(Self { place })
    }

    /// The files in a folder.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        // Keys of the local store have no `..` in them.
        let folder = match (folder.parent(), folder.file_name()) {
            (Some(dir), Some(name)) => dir.canonicalize().map_or_else(|_| folder.clone(), |dir| dir.join(name)),
            _ => folder,
        };
        Self { place: Place::Folder { folder, files: LocalFileSystem::new() } }
    }

    /// Where a sealed file belongs, for people: a path, or `s3://bucket/key`.
    pub(crate) fn place_of(&self, digest: &Digest) -> String {
        match &self.place {
            Place::Folder { folder, .. } => path(folder, digest).display().to_string(),
            Place::Bucket(bucket) => format!("s3://{}/{}", bucket.name(), bucket.key(&name(digest))),
        }
    }

    /// Its folder, if that is where the files lie.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder { folder, .. } => Some(folder),
            Place::Bucket(_) => None,
        }
    }

    fn store(&self) -> &dyn ObjectStore {
        match &self.place {
            Place::Folder { files, .. } => files,
            Place::Bucket(bucket) => bucket.store(),
        }
    }

    fn key(&self, digest: &Digest) -> Result<Key, StorageError> {
        match &self.place {
            Place::Folder { folder, .. } => {
                // A key of the local store is an absolute path.
                let absolute = std::path::absolute(path(folder, digest));
                let key = absolute.ok().and_then(|path| Key::from_absolute_path(path).ok());
                key.ok_or_else(|| StorageError::Settings(format!("{} is no usable path", folder.display())))
            }
            Place::Bucket(bucket) => Ok(bucket.key(&name(digest))),
        }
    }

    fn failed(&self, digest: &Digest, what: &'static str) -> impl Fn(object_store::Error) -> StorageError + use<> {
        let place = self.place_of(digest);
        move |error| match error {
            object_store::Error::NotFound { .. } => StorageError::Missing { place: place.clone() },
            error => StorageError::Failed { place: place.clone(), what, cause: error.to_string() },
        }
    }

    /// What is stored under this digest, if anything is.
    pub(crate) async fn find(&self, digest: &Digest) -> Result<Option<Stored>, StorageError> {
        match self.store().head(&self.key(digest)?).await {
            Ok(found) => Ok(Some(Stored { size: found.size, written: found.last_modified.into() })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(digest, "read")(error)),
        }
    }

    /// These bytes of a sealed file, piece by piece. A read that ends before is an error of the stream.
    pub(crate) async fn read(
        &self,
        digest: &Digest,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, io::Result<Bytes>>, StorageError> {
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let length = range.end - range.start;
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let found = self.store().get_opts(&self.key(digest)?, options).await.map_err(self.failed(digest, "read"))?;
        let pieces = match found.payload {
            GetResultPayload::File(file, _) => from_disk(file, range.start, length).boxed(),
            GetResultPayload::Stream(pieces) => pieces.map_err(io::Error::other).boxed(),
        };
        Ok(whole(pieces, length).boxed())
    }

    /// A sealed file that is read at positions, from threads that may wait.
    pub(crate) fn reader(self: &Arc<Self>, digest: &Digest) -> Result<ObjectReader, StorageError> {
        ObjectReader::open(self.clone(), *digest, WINDOW)
    }

    /// Whether what is stored under a digest is this resource, each block as its publisher signed it, and each part
    /// opened by its key, which this server can unwrap. Reads all of it.
    pub(crate) async fn is_whole(self: &Arc<Self>, keys: &Arc<Keys>, digest: &Digest) -> Result<bool, StorageError> {
        let (objects, keys, wanted) = (self.clone(), keys.clone(), *digest);
        let checked = tokio::task::spawn_blocking(move || {
            let read = Sealed::open(ObjectReader::open(objects, wanted, LARGE_WINDOW)?).and_then(|sealed| {
                sealed.verify_blocks()?;
                for part in &sealed.manifest().parts {
                    sealed.unwrap_key(&part.name, [keys.identity()])?;
                }
                Ok(sealed.digest() == wanted)
            });
            match read {
                Err(SealedError::Io(cause)) if cause.kind() != io::ErrorKind::UnexpectedEof => Err(cause),
                read => Ok(read.unwrap_or(false)),
            }
        });
        let checked = checked.await.map_err(io::Error::other).flatten();
        checked.map_err(|error| StorageError::Failed {
            place: self.place_of(digest),
            what: "read",
            cause: error.to_string(),
        })
    }

    /// Puts a file of this machine where it belongs. It is durable when this returns; what it lay in before may be
    /// gone.
    pub(crate) async fn put(&self, digest: &Digest, from: &Path, intent: &mut Intent) -> Result<(), StorageError> {
        match &self.place {
            Place::Folder { folder, .. } => {
                let (from, to) = (from.to_owned(), path(folder, digest));
                let moved = tokio::task::spawn_blocking(move || adopt(&from, &to)).await;
                moved.map_err(io::Error::other).flatten().map_err(|error| StorageError::Failed {
                    place: self.place_of(digest),
                    what: "written",
                    cause: error.to_string(),
                })
            }
            Place::Bucket(bucket) => {
                // What is missing while one writes is the bucket, or the upload that somebody gave up.
                bucket.put(&self.key(digest)?, from, intent).await.map_err(|error| StorageError::Failed {
                    place: self.place_of(digest),
                    what: "written",
                    cause: error.to_string(),
                })
            }
        }
    }

    /// Removes what is stored under this digest, if anything is.
    pub(crate) async fn remove(&self, digest: &Digest) -> Result<(), StorageError> {
        match self.store().delete(&self.key(digest)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(digest, "removed")(error)),
        }
    }

    /// Gives up an upload in parts whose process has ended.
    pub(crate) async fn abort(&self, digest: &Digest, upload: &str) -> Result<(), StorageError> {
        match &self.place {
            Place::Folder { .. } => Ok(()),
            Place::Bucket(bucket) => {
                bucket.abort(&self.key(digest)?, upload).await.map_err(self.failed(digest, "removed"))
            }
        }
    }

    /// Gives up uploads in parts that were begun more than a day before `now`: nobody remembers them. Returns how many.
    ///
    /// # Errors
    /// If the service does not list or remove them.
    pub async fn abort_forgotten(&self, now: SystemTime) -> Result<usize, StorageError> {
        match &self.place {
            Place::Folder { .. } => Ok(0),
            Place::Bucket(bucket) => bucket.abort_forgotten(now).await,
        }
    }

    /// Finds out whether files can be stored, by storing one of a block's size that is gone again.
    pub(crate) async fn try_writing(&self) -> Result<(), StorageError> {
        match &self.place {
            // A folder is looked at with the folder of uploads.
            Place::Folder { .. } => Ok(()),
            Place::Bucket(bucket) => bucket.try_writing().await,
        }
    }

    /// Finds out whether the place answers.
    pub(crate) async fn ping(&self) -> Result<(), StorageError> {
        self.find(&Digest::of(b"no resource has this digest")).await.map(drop)
    }
}

fn name(digest: &Digest) -> String {
    format!("{FILES}/{digest}.wasm")
}

fn path(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(format!("{digest}.wasm"))
}

/// Moves a file, which is on the disk already, to its place on the same disk. Its name is durable only once its folder
/// is.
fn adopt(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    match to.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn from_disk(file: File, start: u64, length: u64) -> impl stream::Stream<Item = io::Result<Bytes>> {
    let file = Arc::new(file);
    stream::try_unfold((file, start, length), |(file, at, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let most = CHUNK.min(usize::try_from(left).unwrap_or(CHUNK));
        let reading = file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; most];
            let read = portcullis_protocol::sealed::ReadAt::read_at(&*reading, at, &mut chunk)?;
            chunk.truncate(read);
            io::Result::Ok(chunk)
        });
        let chunk = read.await.map_err(io::Error::other)??;
        if chunk.is_empty() {
            return Ok(None);
        }
        let read = chunk.len() as u64;
        Ok(Some((Bytes::from(chunk), (file, at + read, left - read))))
    })
}

/// Fails if the pieces end before so many bytes came.
fn whole(pieces: BoxStream<'static, io::Result<Bytes>>, length: u64) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((pieces, length), |(mut pieces, left)| async move {
        match pieces.next().await.transpose()? {
            Some(piece) => {
                let left = left.checked_sub(piece.len() as u64).ok_or(io::ErrorKind::InvalidData)?;
                Ok(Some((piece, (pieces, left))))
            }
            None if left == 0 => Ok(None),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    })
}
