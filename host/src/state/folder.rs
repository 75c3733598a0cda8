//! The state directory: everything a terminal keeps, readable by its owner alone.
//!
//! ```text
//! PORTCULLIS_HOME/
//! ├── lock                          held while two records have to change together
//! ├── tmp/                          records in the making
//! ├── keys/                         terminal keys, sign-ins, the state key (FileKeyStore)
//! ├── servers/<origin>/pin.json     the pinned root and the newest key document
//! │                    clock        the last time that it gave, sealed
//! │                    lock         held while its sign-in is renewed
//! │                    revoked      that it revoked this terminal
//! ├── sign-ins/                     sign-ins that wait for their user, sealed
//! ├── journal/                      what was sent and not yet answered, sealed
//! ├── publishers/<origin>/          pinned publisher keys
//! ├── merchants/<origin>/           pinned merchant keys
//! ├── codes/<origin>/               electronic codes, and the keys of their orders, sealed
//! ├── streamed/<origin>/            the newest versions that were streamed, by publisher
//! ├── downloads/                    what has partly arrived, and what is about to be installed
//! ├── streams/                      what has arrived of resources that are not installed, as ciphertext, up to 2 GiB
//! ├── resources/<publisher>/<name>/ what is installed
//! ├── cache/                        compiled code, sealed
//! └── grants                        the last grants, one a line
//! ```

use crate::state::temp_file::{self, TempFile};
use portcullis_folders::{Unprotected, private_file};
use portcullis_protocol::Origin;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the terminal's state could not be read or written. Names the file, never what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The operating system said no.
    #[error("cannot {action} `{path}`: {cause}; check that it belongs to you and that the disk is not full")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// What the operating system said.
        cause: String,
        /// Its kind.
        kind: io::ErrorKind,
    },
    /// A record that this terminal did not write like that.
    #[error("`{path}` is damaged; if it was not restored from a backup, delete it and sign in again")]
    Damaged {
        /// The record.
        path: String,
    },
    /// Others can read the directory that is to hold keys.
    #[error("other users can read `{path}`, which would hold this terminal's keys")]
    Exposed {
        /// The directory.
        path: String,
    },
    /// Nowhere to keep state.
    #[error("no home directory is known: set PORTCULLIS_HOME to a directory of your own")]
    NoHome,
    /// The work was cut off, because the runtime is shutting down.
    #[error("the work was interrupted: the program is ending")]
    CutOff,
}

/// The directory, opened. Records have names like paths, `servers/x/pin.json`, and are replaced atomically.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

/// Held while records change together. Other processes wait; dropping it lets them go on.
#[derive(Debug)]
pub(crate) struct StateLock(#[expect(dead_code, reason = "the open file holds the lock")] File);

/// Where records are made, before they are put in their place.
const TMP: &str = "tmp";

impl StateDir {
    /// Opens the directory, or makes it, readable by its owner alone (0700), and clears what killed processes left in
    /// it. An empty one is made so too. One that others can read and that holds anything stays as it is, and is not
    /// used.
    ///
    /// # Errors
    /// [`StateError::Io`], [`StateError::Exposed`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StateError> {
        let root = root.into();
        // Also after the program has changed its folder.
        let root = std::path::absolute(&root).unwrap_or(root);
        let holds_something = || fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_some());
        // Asked again at last: another process may just have taken it, and makes it private before it puts anything
        // there.
        if Self::is_exposed(&root) && holds_something() && Self::is_exposed(&root) {
            return Err(StateError::Exposed { path: root.display().to_string() });
        }
        make_private(&root)?;
        temp_file::sweep(&root.join(TMP));
        Ok(Self { root })
    }

    /// Whether a directory is there that other users can look into.
    #[must_use]
    pub fn is_exposed(root: &Path) -> bool {
        portcullis_folders::is_exposed(root)
    }

    /// Where state is kept unless the embedder says otherwise: `PORTCULLIS_HOME`, else the platform's place for the
    /// data of applications. A place of the platform that is not an absolute path counts as none, as the XDG Base
    /// Directory Specification has it: keys do not land in whatever folder is the current one.
    ///
    /// # Errors
    /// [`StateError::NoHome`] if none is known.
    pub fn default_path() -> Result<PathBuf, StateError> {
        portcullis_folders::data_folder("PORTCULLIS_HOME", "portcullis").ok_or(StateError::NoHome)
    }

    /// Where a record or directory lies.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Reads a record of at most `most` bytes; `None` if there is none.
    pub(crate) fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.path(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StateError::io("read", &path, &error)),
        };
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes).map_err(|error| StateError::io("read", &path, &error))?;
        if bytes.len() as u64 > most { Err(StateError::damaged(&path)) } else { Ok(Some(bytes)) }
    }

    /// Replaces a record, durably: when this returns, a crash leaves the new one.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        self.replace(name, bytes, true)
    }

    /// Replaces a record; after a crash of the machine it may be the old one.
    pub(crate) fn write_lazily(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        self.replace(name, bytes, false)
    }

    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> Result<(), StateError> {
        self.put(name, bytes, durable).map(drop)
    }

    /// Replaces a record and returns it, open and locked by this process. With `durable`, a crash of the machine leaves
    /// the new one when this has returned.
    pub(crate) fn put(&self, name: &str, bytes: &[u8], durable: bool) -> Result<File, StateError> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.root);
        make_private(folder)?;
        let placed = match self.make(bytes, durable)?.place(&path) {
            // Part of the directory lies on another disk.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                temp_file::sweep(folder);
                make_in(folder, bytes, durable).and_then(|made| made.place(&path))
            }
            placed => placed,
        };
        let synced = placed.and_then(|file| if durable { sync_folder(folder).map(|()| file) } else { Ok(file) });
        synced.map_err(|error| StateError::io("write", &path, &error))
    }

    /// A record in the making, with these bytes in it.
    pub(crate) fn make(&self, bytes: &[u8], durable: bool) -> Result<TempFile, StateError> {
        let tmp = self.path(TMP);
        make_private(&tmp)?;
        make_in(&tmp, bytes, durable).map_err(|error| StateError::io("write in", &tmp, &error))
    }

    /// Removes a record or an empty directory. One that is not there is removed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.path(name);
        let removed = if path.is_dir() {
            // What killed processes left there is nothing.
            temp_file::sweep(&path);
            fs::remove_dir(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::io("remove", &path, &error)),
            _ => Ok(()),
        }
    }

    /// The names in a directory, sorted, without those in the making.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<String>, StateError> {
        let path = self.path(name);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StateError::io("read", &path, &error)),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Waits until no other process changes records that belong together. It is not held while a server is waited for.
    pub(crate) async fn lock(self: &Arc<Self>) -> Result<StateLock, StateError> {
        self.lock_file("lock".into()).await
    }

    /// Waits until no other process changes the sign-in at a server. Its answer may be waited for meanwhile, so each
    /// server has a lock of its own: one that does not answer holds up nobody else.
    pub(crate) async fn lock_of(self: &Arc<Self>, origin: &Origin) -> Result<StateLock, StateError> {
        make_private(&self.path(&format!("servers/{}", file_name(origin))))?;
        self.lock_file(lock_record(origin)).await
    }

    /// The server is trusted no longer.
    pub(crate) fn remove_lock_of(&self, origin: &Origin) -> Result<(), StateError> {
        self.remove(&lock_record(origin))
    }

    async fn lock_file(self: &Arc<Self>, name: String) -> Result<StateLock, StateError> {
        let state = Arc::clone(self);
        off_thread(move || {
            let path = state.path(&name);
            let lock = || -> io::Result<File> {
                let file = private_file().write(true).create(true).truncate(false).open(&path)?;
                file.lock()?;
                Ok(file)
            };
            lock().map(StateLock).map_err(|error| StateError::io("lock", &path, &error))
        })
        .await?
    }
}

impl StateError {
    pub(crate) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { action, path: path.display().to_string(), cause: error.to_string(), kind: error.kind() }
    }

    pub(crate) fn damaged(path: &Path) -> Self {
        Self::Damaged { path: path.display().to_string() }
    }
}

/// Runs what waits for the disk where it holds up nobody.
pub(crate) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StateError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StateError::CutOff)
}

fn lock_record(origin: &Origin) -> String {
    format!("servers/{}/lock", file_name(origin))
}

fn make_in(folder: &Path, bytes: &[u8], durable: bool) -> io::Result<TempFile> {
    let mut made = TempFile::new(folder)?;
    made.file().write_all(bytes)?;
    if durable {
        made.file().sync_all()?;
    }
    Ok(made)
}

/// An origin as the name of a file: what is not a letter, a digit, `.` or `-` is written `%XX`.
pub(crate) fn file_name(origin: &Origin) -> String {
    let mut name = String::new();
    for byte in origin.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

/// Makes a directory and those above it; only its owner enters it (0700).
pub(crate) fn make_private(path: &Path) -> Result<(), StateError> {
    let failed = |Unprotected { action, cause }| StateError::io(action, path, &cause);
    portcullis_folders::make_private(path).map_err(failed)
}

/// Makes a rename in `folder` outlive a crash.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Directories can be opened for this on unix only; elsewhere the rename itself is written through.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
