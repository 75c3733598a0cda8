//! The state directory: everything a terminal keeps, readable by its owner alone.
//!
//! ```text
//! PORTCULLIS_HOME/
//! ├── lock                          held while two records have to change together
//! ├── keys/                         terminal keys, sign-ins, the state key (FileKeyStore)
//! ├── servers/<origin>/pin.json     the pinned root and the newest key document
//! ├── sign-ins/                     sign-ins that wait for their user, sealed
//! ├── journal/                      what was sent and not yet answered, sealed
//! ├── publishers/<origin>/          pinned publisher keys
//! ├── streamed/<origin>/            the newest versions that were streamed, by publisher
//! ├── downloads/                    what has partly arrived, and what is about to be installed
//! ├── streams/                      what has arrived of resources that are not installed, as ciphertext, up to 2 GiB
//! ├── resources/<publisher>/<name>/ what is installed
//! ├── cache/                        compiled code, sealed
//! ├── grants                        the last grants, one a line
//! └── clock                         the last time a server gave, sealed
//! ```

use crate::random;
use portcullis_protocol::Origin;
use std::fs::{self, File, OpenOptions};
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
    #[error("other users can look into `{path}`, where this terminal's keys would be kept")]
    Exposed {
        /// The directory.
        path: String,
    },
    /// Nowhere to keep state.
    #[error("no home directory is known: set PORTCULLIS_HOME to a directory of your own")]
    NoHome,
    /// The work was cut off, because the runtime is shutting down.
    #[error("the work was cut off: the program is ending")]
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

impl StateDir {
    /// Opens the directory, or makes it, readable by its owner alone (0700). An empty one is made so too. One that others can
    /// read and that holds anything stays as it is, and is not used.
    ///
    /// # Errors
    /// [`StateError::Io`], [`StateError::Exposed`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StateError> {
        let root = root.into();
        let holds_something = || fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_some());
        // Asked again at last: another process may just have taken it, and makes it private before it puts anything there.
        if Self::is_exposed(&root) && holds_something() && Self::is_exposed(&root) {
            return Err(StateError::Exposed { path: root.display().to_string() });
        }
        make_private(&root)?;
        Ok(Self { root })
    }

    /// Whether a directory is there that other users can look into.
    #[must_use]
    pub fn is_exposed(root: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::metadata(root).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
        }
        #[cfg(not(unix))]
        {
            let _ = root;
            false
        }
    }

    /// Where state is kept unless the embedder says otherwise: `PORTCULLIS_HOME`, else the platform's place for the
    /// data of applications.
    ///
    /// # Errors
    /// [`StateError::NoHome`] where none is known.
    pub fn default_path() -> Result<PathBuf, StateError> {
        let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
        let data = || {
            if cfg!(windows) {
                of("LOCALAPPDATA")
            } else if cfg!(target_os = "macos") {
                home().map(|home| home.join("Library/Application Support"))
            } else {
                of("XDG_DATA_HOME").or_else(|| home().map(|home| home.join(".local/share")))
            }
        };
        of("PORTCULLIS_HOME").or_else(|| data().map(|data| data.join("portcullis"))).ok_or(StateError::NoHome)
    }

    /// Where a record or directory lies.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Reads a record of at most `most` bytes; `None` where there is none.
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
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.root);
        make_private(folder)?;
        let new = folder.join(format!(".{}.new", random::octets::<12>()));
        let written = || -> io::Result<()> {
            let mut file = private_file().write(true).create_new(true).open(&new)?;
            file.write_all(bytes)?;
            if durable {
                file.sync_all()?;
            }
            fs::rename(&new, &path)?;
            if durable { sync_folder(folder) } else { Ok(()) }
        };
        written().map_err(|error| {
            let _ = fs::remove_file(&new);
            StateError::io("write", &path, &error)
        })
    }

    /// Removes a record or an empty directory. One that is not there is removed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.path(name);
        let removed = if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
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

    /// Waits until no other process changes records that belong together.
    pub(crate) async fn lock(self: &Arc<Self>) -> Result<StateLock, StateError> {
        let state = Arc::clone(self);
        off_thread(move || {
            let path = state.path("lock");
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

/// Options for a file that only its owner reads (0600).
pub(crate) fn private_file() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a directory and those above it; only its owner enters it (0700).
pub(crate) fn make_private(path: &Path) -> Result<(), StateError> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).map_err(|error| StateError::io("make", path, &error))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_err(|error| StateError::io("read", path, &error))?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                .map_err(|error| StateError::io("protect", path, &error))?;
        }
    }
    Ok(())
}

/// Makes a rename in `folder` outlive a crash.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Directories can be opened for this on unix only; elsewhere the rename itself is written through.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
