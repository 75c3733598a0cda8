//! What this program writes down: accounts with their credentials, cursors, bill records. Every file is sealed, as the
//! terminal seals its state.

use crate::account::AccountName;
use crate::folder_key::{self, Key};
use crate::limits::MAX_SEALED;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hkdf::Hkdf;
use portcullis_folders::{Unprotected, is_exposed, private_file};
use sha2::Sha256;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bytes of salt before each sealed file.
const SALT: usize = 16;
/// Bytes that sealing adds: the salt and the tag (RFC 8439).
const OVERHEAD: u64 = SALT as u64 + 16;

/// Why the folder could not be read or written. Names the file, never what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The operating system said no.
    #[error("cannot {action} `{path}`: {cause}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// What the operating system said.
        cause: String,
    },
    /// A file that was not sealed with this folder's key under its name, or is too long.
    #[error("`{path}` is damaged, or was sealed by another installation. Restore it from a backup, or delete it")]
    Damaged {
        /// The file.
        path: String,
    },
    /// Other users can read the folder.
    #[error("other users can look into `{path}`, where mail passwords would be kept. Run: chmod 700 '{path}'")]
    Exposed {
        /// The folder.
        path: String,
    },
    /// The key is not beside what it seals, and nothing says how to find it.
    #[error(
        "the key of `{path}` is not kept in it. Name the command that prints it: PORTCULLIS_MAIL_KEY_COMMAND, or --key-command"
    )]
    KeyElsewhere {
        /// The folder.
        path: String,
    },
    /// The command that prints the key did not.
    #[error(
        "the command for the key of the mail folder printed none: {cause}. Type it yourself: it must print what `portcullis-mail key` printed"
    )]
    KeyCommand {
        /// What went wrong. Never what it printed.
        cause: String,
    },
    /// The command prints a key that is not the folder's.
    #[error(
        "the command for the key of the mail folder prints another key than the one in its file `key`. Keep that one: portcullis-mail key"
    )]
    OtherKey,
    /// Nowhere to keep anything.
    #[error("no home directory is known. Set PORTCULLIS_MAIL_HOME to a directory of your own")]
    NoHome,
}

/// A folder of sealed files, readable by its owner alone. A file is replaced whole, durably.
pub struct SealedFolder {
    root: PathBuf,
    key: Key,
}

/// Held while one process works on an account. Dropping it lets others go on.
#[derive(Debug)]
pub struct FolderLock {
    #[expect(dead_code, reason = "the open file holds the lock")]
    file: File,
    path: PathBuf,
}

impl FolderLock {
    /// Removes the file of a lock that nobody needs any more. Whoever waits for it makes it anew.
    pub(crate) fn remove(self) -> Result<(), FolderError> {
        if cfg!(not(unix)) {
            // A file that is open goes late there, or not at all, and whoever waits for it could not tell.
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FolderError::io("remove", &self.path, &error)),
            _ => Ok(()),
        }
    }
}

impl SealedFolder {
    /// Opens the folder, or makes it with a new key.
    ///
    /// # Errors
    /// [`FolderError`]; [`FolderError::Exposed`] if other users can look into a folder that holds anything.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, FolderError> {
        Self::open_with(root, None)
    }

    /// Opens the folder by the key that a command of the shell prints, such as one that asks the system's keyring.
    ///
    /// # Errors
    /// As [`SealedFolder::open`]; [`FolderError::KeyCommand`] if it prints none, [`FolderError::OtherKey`] if it prints
    /// another one than the folder still has.
    pub fn open_with(root: impl Into<PathBuf>, key_command: Option<&str>) -> Result<Self, FolderError> {
        let root = root.into();
        let root = std::path::absolute(&root).unwrap_or(root);
        if is_exposed(&root) && fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(FolderError::Exposed { path: root.display().to_string() });
        }
        make_private(&root)?;
        let key = folder_key::key(&root, key_command)?;
        Ok(Self { root, key })
    }

    /// The key as a command is to print it for [`SealedFolder::open_with`].
    #[must_use]
    pub fn key_as_printed(&self) -> Zeroizing<String> {
        folder_key::written(&self.key)
    }

    /// Removes the file with the key, once the command prints the same key.
    ///
    /// # Errors
    /// As [`SealedFolder::open_with`]; then the file stays.
    pub fn forget_key_file(&self, key_command: &str) -> Result<(), FolderError> {
        folder_key::forget(&self.root, key_command)
    }

    /// Where the folder is unless the user says otherwise: `PORTCULLIS_MAIL_HOME`, else the platform's place for data.
    ///
    /// # Errors
    /// [`FolderError::NoHome`] if none is known.
    pub fn default_path() -> Result<PathBuf, FolderError> {
        portcullis_folders::data_folder("PORTCULLIS_MAIL_HOME", "portcullis-mail").ok_or(FolderError::NoHome)
    }

    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// [`FolderError::Io`]; [`FolderError::Damaged`] if it was not sealed here, as this kind, under this name.
    pub fn read(&self, kind: &str, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, FolderError> {
        let path = self.path(kind, name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FolderError::io("read", &path, &error)),
        };
        let mut sealed = Vec::new();
        file.take(MAX_SEALED + 1).read_to_end(&mut sealed).map_err(|error| FolderError::io("read", &path, &error))?;
        let damaged = || FolderError::Damaged { path: path.display().to_string() };
        if sealed.len() as u64 > MAX_SEALED {
            return Err(damaged());
        }
        let (salt, sealed) = sealed.split_at_checked(SALT).ok_or_else(damaged)?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        let opened = self.cipher(salt, kind).decrypt(&Nonce::default(), payload);
        opened.map(|plain| Some(Zeroizing::new(plain))).map_err(|_| damaged())
    }

    /// The salt of a file, which is another one whenever it is written; `None` if there is no file.
    pub(crate) fn stamp(&self, kind: &str, name: &str) -> Result<Option<[u8; SALT]>, FolderError> {
        let path = self.path(kind, name);
        let mut salt = [0; SALT];
        match File::open(&path).and_then(|mut file| file.read_exact(&mut salt)) {
            Ok(()) => Ok(Some(salt)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FolderError::io("read", &path, &error)),
        }
    }

    /// Seals and replaces a file. When this returns, a crash leaves the new one.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn write(&self, kind: &str, name: &str, plain: &[u8]) -> Result<(), FolderError> {
        let path = self.path(kind, name);
        if plain.len() as u64 + OVERHEAD > MAX_SEALED {
            // It could not be read again. What is there stays.
            return Err(FolderError::io("write", &path, &io::ErrorKind::FileTooLarge.into()));
        }
        let folder = self.root.join(kind);
        make_private(&folder)?;
        let mut salt = [0; SALT];
        random(&mut salt);
        let payload = Payload { msg: plain, aad: name.as_bytes() };
        let sealed = self
            .cipher(&salt, kind)
            .encrypt(&Nonce::default(), payload)
            .map_err(|_| FolderError::Damaged { path: path.display().to_string() })?;
        let made = self.root.join(format!("{kind}-{name}.tmp"));
        let put = || -> io::Result<()> {
            let mut file = private_file().write(true).create(true).truncate(true).open(&made)?;
            file.write_all(&salt)?;
            file.write_all(&sealed)?;
            file.sync_all()?;
            fs::rename(&made, &path)?;
            // A rename outlives a crash once its directory is written. Directories can be opened for this on unix only.
            if cfg!(unix) { File::open(&folder)?.sync_all() } else { Ok(()) }
        };
        put().map_err(|error| FolderError::io("write", &path, &error))
    }

    /// Removes a file. One that is not there is removed.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn remove(&self, kind: &str, name: &str) -> Result<(), FolderError> {
        let path = self.path(kind, name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FolderError::io("remove", &path, &error)),
            _ => Ok(()),
        }
    }

    /// The names of a kind, sorted.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn names(&self, kind: &str) -> Result<Vec<String>, FolderError> {
        let path = self.root.join(kind);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FolderError::io("read", &path, &error)),
        };
        let mut names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Waits until no other process changes what all accounts share, such as the list of billers.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn lock(&self) -> Result<FolderLock, FolderError> {
        self.lock_file("lock")
    }

    /// Waits until no other process works on this account: nothing of it that was read before is current.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn lock_account(&self, name: &AccountName) -> Result<FolderLock, FolderError> {
        self.lock_file(&format!("lock-{name}"))
    }

    fn lock_file(&self, name: &str) -> Result<FolderLock, FolderError> {
        let path = self.root.join(name);
        let lock = || -> io::Result<File> {
            loop {
                let file = private_file().write(true).create(true).truncate(false).open(&path)?;
                file.lock()?;
                // Who had it before may have removed it, and a third made it anew.
                if is_at(&file, &path)? {
                    return Ok(file);
                }
            }
        };
        match lock() {
            Ok(file) => Ok(FolderLock { file, path }),
            Err(error) => Err(FolderError::io("lock", &path, &error)),
        }
    }

    /// Where a person puts templates: data without a secret, so it lies there as it is.
    #[must_use]
    pub fn templates(&self) -> PathBuf {
        self.root.join("templates")
    }

    fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.root.join(kind).join(name)
    }

    /// No key seals twice: it is derived from a salt of its own. The kind separates, the name is authenticated.
    fn cipher(&self, salt: &[u8], kind: &str) -> ChaCha20Poly1305 {
        let mut key = Zeroizing::new([0; 32]);
        let hkdf = Hkdf::<Sha256>::new(Some(salt), &*self.key);
        let label: [&[u8]; 2] = [b"portcullis mail state v1 ", kind.as_bytes()];
        hkdf.expand_multi_info(&label, &mut *key).expect("32 bytes are far below the limit");
        ChaCha20Poly1305::new((&*key).into())
    }
}

impl fmt::Debug for SealedFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedFolder").field("root", &self.root).finish_non_exhaustive()
    }
}

impl FolderError {
    pub(crate) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { action, path: path.display().to_string(), cause: error.to_string() }
    }
}

fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

/// Whether the open file is the one that a path leads to.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let held = file.metadata()?;
        match fs::metadata(path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        Ok(true)
    }
}

fn make_private(path: &Path) -> Result<(), FolderError> {
    let failed = |Unprotected { action, cause }| FolderError::io(action, path, &cause);
    portcullis_folders::make_private(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_open_only_under_their_own_kind_and_name_and_with_their_own_key() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = SealedFolder::open(home.path().join("a")).expect("open");
        folder.write("accounts", "main", b"hunter2").expect("write");
        let open = |kind, name| folder.read(kind, name);
        assert_eq!(open("accounts", "main").expect("read").expect("there").as_slice(), b"hunter2");
        assert_eq!(open("accounts", "other").expect("read"), None);
        let path = |kind, name| folder.path(kind, name);
        let sealed = fs::read(path("accounts", "main")).expect("bytes");
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"), "nothing lies in the clear");

        fs::copy(path("accounts", "main"), path("accounts", "other")).expect("copy");
        assert!(matches!(open("accounts", "other"), Err(FolderError::Damaged { .. })), "another name");
        make_private(&folder.root.join("bills")).expect("folder");
        fs::copy(path("accounts", "main"), path("bills", "main")).expect("copy");
        assert!(matches!(open("bills", "main"), Err(FolderError::Damaged { .. })), "another kind");
        let other = SealedFolder::open(home.path().join("b")).expect("open");
        other.write("accounts", "x", b"").expect("write");
        fs::copy(path("accounts", "main"), other.path("accounts", "main")).expect("copy");
        assert!(matches!(other.read("accounts", "main"), Err(FolderError::Damaged { .. })), "another key");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            fs::write(path("accounts", "main"), changed).expect("write");
            assert!(open("accounts", "main").is_err(), "byte {at}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_was_removed_is_held_by_one_of_those_who_waited() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let home = tempfile::tempdir().expect("a folder");
        let folder = SealedFolder::open(home.path().join("mail")).expect("open");
        let name = "main".parse().expect("a name");
        let holders = AtomicUsize::new(0);
        let first = folder.lock_account(&name).expect("locked");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let lock = folder.lock_account(&name).expect("locked");
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                        std::thread::sleep(std::time::Duration::from_micros(50));
                        holders.fetch_sub(1, Ordering::SeqCst);
                        lock.remove().expect("removed");
                    }
                });
            }
            first.remove().expect("removed");
        });
        assert!(!folder.root.join("lock-main").exists());
    }

    #[cfg(unix)]
    #[test]
    fn others_see_nothing_and_an_exposed_folder_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("a folder");
        let root = home.path().join("mail");
        let folder = SealedFolder::open(&root).expect("open");
        folder.write("accounts", "main", b"x").expect("write");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&root), 0o700);
        assert_eq!(mode(&root.join("key")), 0o600);
        assert_eq!(mode(&folder.path("accounts", "main")), 0o600);
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("mode");
        assert!(matches!(SealedFolder::open(&root), Err(FolderError::Exposed { .. })));
    }
}
