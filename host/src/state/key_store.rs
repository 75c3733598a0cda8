//! Where secrets lie: terminal keys, sign-ins, the state key.

use crate::state::folder::{self, StateDir, StateError, make_private};
use portcullis_protocol::Origin;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest secret: a sign-in, two tokens in JSON.
const MAX_SECRET: u64 = 16 * 1024;

/// Names a secret. It fits a file name and the attributes of a keyring.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    pub(crate) fn state() -> Self {
        Self("state".into())
    }

    pub(crate) fn terminal(origin: &Origin) -> Self {
        Self(format!("terminal-{}", folder::file_name(origin)))
    }

    pub(crate) fn sign_in(origin: &Origin) -> Self {
        Self(format!("sign-in-{}", folder::file_name(origin)))
    }

    /// The name: letters, digits, `.`, `-` and `%`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a secret could not be stored or read. Names it, never shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret `{name}` cannot be used: {cause}")]
pub struct KeyStoreError {
    name: KeyName,
    cause: String,
    /// What the disk said, if it is the disk.
    state: Option<Box<StateError>>,
}

impl KeyStoreError {
    /// The secret named so cannot be used, and why, in words without secrets.
    #[must_use]
    pub fn new(name: &KeyName, cause: impl Into<String>) -> Self {
        Self { name: name.clone(), cause: cause.into(), state: None }
    }

    fn disk(name: &KeyName, error: StateError) -> Self {
        Self { state: Some(Box::new(error.clone())), ..Self::new(name, error.to_string()) }
    }

    /// What the disk said; the error itself if it was not the disk.
    pub(crate) fn into_state(self) -> Result<StateError, Self> {
        match self.state {
            Some(state) => Ok(*state),
            None => Err(self),
        }
    }

    pub(crate) fn damaged(name: &KeyName) -> Self {
        Self::new(name, "it is damaged; delete it and sign in again")
    }
}

/// Keeps secrets: a keyring of the system, a file that only its owner reads, a hardware token. Calls are short and may
/// block.
pub trait KeyStore: Send + Sync {
    /// The secret, if there is one.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    fn load(&self, name: &KeyName) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError>;

    /// Stores a secret, in place of the one before, durably.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    fn store(&self, name: &KeyName, secret: &[u8]) -> Result<(), KeyStoreError>;

    /// Stores a secret if there is none, and returns the one that is there afterwards. Of two processes, one wins.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    fn load_or_store(&self, name: &KeyName, secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyStoreError>;

    /// Forgets a secret. One that is not there is forgotten.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    fn remove(&self, name: &KeyName) -> Result<(), KeyStoreError>;
}

/// Keeps each secret in a file of its own that only its owner reads (0600), under `keys/` of the state directory.
#[derive(Debug, Clone)]
pub struct FileKeyStore {
    state: Arc<StateDir>,
}

impl FileKeyStore {
    /// The key store of a state directory.
    #[must_use]
    pub const fn new(state: Arc<StateDir>) -> Self {
        Self { state }
    }

    fn record(name: &KeyName) -> String {
        format!("keys/{name}")
    }
}

impl KeyStore for FileKeyStore {
    fn load(&self, name: &KeyName) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
        let path = self.state.path(&Self::record(name));
        let wrong = |error: io::Error| KeyStoreError::disk(name, StateError::io("read", &path, &error));
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(error)),
        };
        refuse_shared(name, &path, &file)?;
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let mut secret = Zeroizing::new(Vec::with_capacity(MAX_SECRET as usize));
        file.take(MAX_SECRET).read_to_end(&mut secret).map_err(wrong)?;
        Ok(Some(secret))
    }

    fn store(&self, name: &KeyName, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.state.write(&Self::record(name), secret).map_err(|error| KeyStoreError::disk(name, error))
    }

    fn load_or_store(&self, name: &KeyName, secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        if let Some(stored) = self.load(name)? {
            return Ok(stored);
        }
        let (path, folder) = (self.state.path(&Self::record(name)), self.state.path("keys"));
        let made = make_private(&folder).and_then(|()| self.state.make(secret, true));
        let made = made.map_err(|error| KeyStoreError::disk(name, error))?;
        // Of two processes that store one at the same time, the first wins.
        let written = made.place_new(&path).and_then(|_| folder::sync_folder(&folder));
        written.map_err(|error| KeyStoreError::disk(name, StateError::io("write", &path, &error)))?;
        self.load(name)?.ok_or_else(|| KeyStoreError::new(name, "it vanished while it was stored; try again"))
    }

    fn remove(&self, name: &KeyName) -> Result<(), KeyStoreError> {
        self.state.remove(&Self::record(name)).map_err(|error| KeyStoreError::disk(name, error))
    }
}

/// A secret that others can read is no secret.
#[cfg(unix)]
fn refuse_shared(name: &KeyName, path: &Path, file: &fs::File) -> Result<(), KeyStoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata().map_or(0o777, |data| data.permissions().mode());
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let (mode, path) = (mode & 0o777, path.display());
    Err(KeyStoreError::new(
        name,
        format!("others can read it (mode {mode:03o}): chmod 600 '{path}', then sign in again"),
    ))
}

#[cfg(not(unix))]
fn refuse_shared(_: &KeyName, _: &Path, _: &fs::File) -> Result<(), KeyStoreError> {
    Ok(())
}
