//! Where sealed blobs lie: a directory, unless the embedder has another place.
//!
//! A place sees ciphertext under meaningless names. It is trusted with nothing: what it changes, mixes up, forgets or
//! brings back from yesterday is noticed above it and made anew.

use crate::state::folder::make_private;
use crate::state::temp_file::{self, TempFile};
use portcullis_folders::private_file;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes that a directory of blobs holds at most, unless the embedder says otherwise: the compiled code of about ten
/// bodies in JavaScript, or of a thousand in Rust.
pub const DEFAULT_CACHE_SIZE: u64 = 512 << 20;

/// The name of a blob: 32 hexadecimal digits, a keyed digest that says nothing to whoever has not the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId([u8; 16]);

impl BlobId {
    pub(crate) const fn new(digest: [u8; 16]) -> Self {
        Self(digest)
    }

    /// Reads a name as it is written.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let digits = name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (digits && name.len() == 32)
            .then(|| u128::from_str_radix(name, 16).ok())
            .flatten()
            .map(|n| Self(n.to_be_bytes()))
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A blob that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// Its name.
    pub id: BlobId,
    /// Bytes.
    pub size: u64,
    /// When it was last used.
    pub used: SystemTime,
}

/// Keeps sealed blobs between runs. No implementation ever sees what is in them: the runtime seals above it, checks
/// what comes back, and asks for the removal of what is not as it was. Calls may block; several processes may make
/// them at once.
pub trait SealedBlobs: Send + Sync {
    /// Opens a blob, to be read from its beginning; `None` if there is none.
    ///
    /// # Errors
    /// Of the place. An error counts as none.
    fn get(&self, id: &BlobId) -> io::Result<Option<Box<dyn Read + Send>>>;

    /// Keeps a blob, in place of one of the same name, or does not if there is no room. No reader sees half of it.
    ///
    /// # Errors
    /// Of the place. Nothing depends on it.
    fn put(&self, id: &BlobId, blob: &[u8]) -> io::Result<()>;

    /// The blob was used now, so that another goes first where room is needed.
    fn used(&self, id: &BlobId) {
        let _ = id;
    }

    /// What is kept.
    ///
    /// # Errors
    /// Of the place.
    fn list(&self) -> io::Result<Vec<Blob>>;

    /// Forgets a blob. One that is not there is forgotten.
    ///
    /// # Errors
    /// Of the place.
    fn remove(&self, id: &BlobId) -> io::Result<()>;
}

/// Keeps blobs as files of a directory that only its owner enters, up to a bound; then those go first that were used
/// least lately. Several processes may use it at once.
#[derive(Debug, Clone)]
pub struct BlobDir {
    path: PathBuf,
    most: u64,
}

impl BlobDir {
    /// The directory, which is made when something is kept, and the bytes it holds at most.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, most: u64) -> Self {
        Self { path: path.into(), most }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes it holds at most.
    #[must_use]
    pub const fn most(&self) -> u64 {
        self.most
    }

    fn file(&self, id: &BlobId) -> PathBuf {
        self.path.join(id.to_string())
    }

    /// Whether the directory is there and nobody else could write in it. What lies in one that others could write in
    /// is thrown away, and the directory is closed to them.
    fn is_own(&self) -> io::Result<bool> {
        let data = match fs::symlink_metadata(&self.path) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if !data.is_dir() {
            return Err(io::Error::other("a directory is expected, and something else is there"));
        }
        if is_loose(&data) {
            for entry in fs::read_dir(&self.path)? {
                let _ = fs::remove_file(entry?.path());
            }
            self.make()?;
            return Ok(false);
        }
        Ok(true)
    }

    fn make(&self) -> io::Result<()> {
        make_private(&self.path).map_err(io::Error::other)
    }

    /// What is kept.
    fn entries(&self) -> io::Result<Vec<Blob>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Ok(data) = entry.metadata() else { continue };
            let used = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if let Some(id) = entry.file_name().to_str().and_then(BlobId::parse) {
                found.push(Blob { id, size: data.len(), used });
            }
        }
        Ok(found)
    }

    /// Makes room for `size` bytes under this name.
    fn make_room(&self, id: &BlobId, size: u64) -> io::Result<()> {
        temp_file::sweep(&self.path);
        let mut others = self.entries()?;
        others.retain(|blob| blob.id != *id);
        others.sort_by_key(|blob| blob.used);
        let mut total: u64 = others.iter().map(|blob| blob.size).sum();
        for blob in others {
            if total.saturating_add(size) <= self.most {
                break;
            }
            self.remove(&blob.id)?;
            total -= blob.size;
        }
        Ok(())
    }
}

impl SealedBlobs for BlobDir {
    fn get(&self, id: &BlobId) -> io::Result<Option<Box<dyn Read + Send>>> {
        if self.most == 0 || !self.is_own()? {
            return Ok(None);
        }
        let path = self.file(id);
        let entry = match fs::symlink_metadata(&path) {
            Ok(entry) => entry,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Opening waits for a writer if it is a pipe, and leads elsewhere if it is a link.
        if !entry.is_file() || is_open_to_others(&entry) {
            self.remove(id)?;
            return Ok(None);
        }
        Ok(Some(Box::new(File::open(&path)?)))
    }

    fn put(&self, id: &BlobId, blob: &[u8]) -> io::Result<()> {
        if blob.len() as u64 > self.most {
            return self.remove(id);
        }
        if !self.is_own()? {
            self.make()?;
        }
        // Room is made and taken by one process at a time.
        let lock = private_file().write(true).create(true).truncate(false).open(self.path.join(".lock"))?;
        lock.lock()?;
        self.make_room(id, blob.len() as u64)?;
        let mut new = TempFile::new(&self.path)?;
        // Not synced: what a crash tears apart does not open, and is made again.
        new.file().write_all(blob)?;
        new.place(&self.file(id)).map(drop)
    }

    fn used(&self, id: &BlobId) {
        let now = |file: File| file.set_modified(SystemTime::now());
        if let Err(error) = File::open(self.file(id)).and_then(now) {
            tracing::debug!(%error, "cannot note that compiled code was used");
        }
    }

    fn list(&self) -> io::Result<Vec<Blob>> {
        if self.is_own()? { self.entries() } else { Ok(Vec::new()) }
    }

    fn remove(&self, id: &BlobId) -> io::Result<()> {
        let path = self.file(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Something else is in the way, such as a directory.
            Err(_) if path.is_dir() => fs::remove_dir_all(&path),
            removed => removed,
        }
    }
}

/// Whether others than its owner can write in a directory.
#[cfg(unix)]
fn is_loose(directory: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    directory.permissions().mode() & 0o022 != 0
}

/// Whether others than its owner can read or write a file.
#[cfg(unix)]
fn is_open_to_others(file: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_loose(_: &fs::Metadata) -> bool {
    false
}

#[cfg(not(unix))]
fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}
