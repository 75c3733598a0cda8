//! What keeps the database worthless to a thief: one master key in a file beside it, never in it.
//!
//! ```text
//! master key (file, 0600) ─HKDF─┬─ wrap     XChaCha20-Poly1305: keys of parts, server and webhooks, names, means
//!                               ├─ tokens   HMAC-SHA-256: tokens and codes are stored as keyed hashes
//!                               ├─ lookup   HMAC-SHA-256: a sign-in name is found by its keyed hash
//!                               ├─ audit    HMAC-SHA-256: a row of the audit log was written by the server
//!                               └─ backup   HMAC-SHA-256: a backup is as the server made it
//! ```
//!
//! What is wrapped names its row in the associated data, so that a row moved to another place does not open.

use crate::store::RedemptionLookup;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use portcullis_folders::private_file;
use portcullis_protocol::age::FileKey;
use portcullis_protocol::codes::RedemptionCode;
use portcullis_protocol::encoding::{base64url, from_base64url};
use portcullis_protocol::labels::{REDEMPTION_LOOKUP, REDEMPTION_SECRET};
use portcullis_protocol::{AccountId, BatchId, CodeSerial, Digest, PartName};
use sha2::Sha256;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Bytes of an XChaCha20 nonce: long enough to be drawn at random for ever.
const NONCE: usize = 24;
/// Bytes of a Poly1305 tag.
const TAG: usize = 16;
/// The salt of the key derivation: names this use of a master key.
const SALT: &[u8] = b"portcullis server secrets v1";

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The master key's file cannot be read or written.
    #[error("the master key file {path}: {cause}")]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The master key's file can be read by others.
    #[error("the master key file {0} can be read by other users: `chmod 600` it, and think about who has read it")]
    Exposed(PathBuf),
    /// The master key's file does not hold a master key.
    #[error("the master key file {0} does not hold a master key: restore it from the backup")]
    Malformed(PathBuf),
    /// A row was wrapped under another master key, or changed.
    #[error("{0} does not open: it was wrapped under another master key, or changed")]
    DoesNotOpen(&'static str),
}

/// Bytes that only the master key opens.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Sealed bytes read from storage.
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, to be stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

macro_rules! keyed_hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The 32 bytes, to be stored.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

keyed_hash!(
    /// The keyed hash under which a token, a device code, a user code or an invitation is stored.
    TokenHash
);
keyed_hash!(
    /// The keyed hash by which a sign-in name is found.
    LookupHash
);

/// What a token is for: the same text in two roles has two hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRole {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
    /// A device code.
    Device,
    /// A user code, in capitals and without its hyphen.
    User,
    /// An invitation.
    Invitation,
    /// A browser session.
    Web,
    /// The form token of a browser session.
    Form,
}

impl TokenRole {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Access => b"access token",
            Self::Refresh => b"refresh token",
            Self::Device => b"device code",
            Self::User => b"user code",
            Self::Invitation => b"invitation",
            Self::Web => b"browser session",
            Self::Form => b"form token",
        }
    }
}

/// The master key's uses. Wiped when dropped, printed as redacted.
#[derive(Clone)]
pub struct Secrets {
    wrap: Zeroizing<[u8; 32]>,
    tokens: Zeroizing<[u8; 32]>,
    lookup: Zeroizing<[u8; 32]>,
    audit: Zeroizing<[u8; 32]>,
    backup: Zeroizing<[u8; 32]>,
}

/// What redemption codes are made with.
pub(crate) struct CodeMaker(Zeroizing<[u8; 32]>);

impl CodeMaker {
    /// One that was kept.
    pub(crate) const fn from_bytes(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// Its bytes, to be sealed.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The code of a number in a batch, and its serial.
    pub(crate) fn code(&self, batch: &BatchId, number: u32) -> (RedemptionCode, CodeSerial) {
        let parts = [REDEMPTION_SECRET, batch.as_bytes(), &number.to_be_bytes()];
        let derived = Zeroizing::new(mac(&self.0, &parts));
        let (mut code, mut serial) = (Zeroizing::new([0; 10]), [0; 16]);
        code.copy_from_slice(&derived[..10]);
        serial.copy_from_slice(&derived[16..]);
        (RedemptionCode::from_bytes(*code), CodeSerial::from_bytes(serial))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(redacted)")
    }
}

impl Secrets {
    /// Derives the uses of a master key.
    #[must_use]
    pub fn from_master(master: &[u8; 32]) -> Self {
        let hkdf = Hkdf::<Sha256>::new(Some(SALT), master);
        let derive = |info: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            hkdf.expand(info, &mut *key).expect("32 bytes are far below HKDF's limit");
            key
        };
        Self {
            wrap: derive(b"wrap"),
            tokens: derive(b"tokens"),
            lookup: derive(b"lookup"),
            audit: derive(b"audit"),
            backup: derive(b"backup"),
        }
    }

    /// Draws a master key and writes its file, which must not exist, readable by its owner only.
    ///
    /// # Errors
    /// [`SecretError::File`].
    pub fn create(path: &Path) -> Result<Self, SecretError> {
        let failed = |cause| SecretError::File { path: path.to_owned(), cause };
        let master = Zeroizing::new(random::<32>());
        let mut file = private_file().write(true).create_new(true).open(path).map_err(failed)?;
        let text = Zeroizing::new(format!("{}\n", *secret_text(&*master)));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(Self::from_master(&master))
    }

    /// Reads the master key's file.
    ///
    /// # Errors
    /// [`SecretError`], also where others can read the file.
    pub fn open(path: &Path) -> Result<Self, SecretError> {
        let failed = |cause| SecretError::File { path: path.to_owned(), cause };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(SecretError::Exposed(path.to_owned()));
            }
        }
        let malformed = || SecretError::Malformed(path.to_owned());
        let file = Zeroizing::new(fs::read(path).map_err(failed)?);
        let text = std::str::from_utf8(&file).map_err(|_| malformed())?;
        let bytes = Zeroizing::new(Base64UrlUnpadded::decode_vec(text.trim_end()).map_err(|_| malformed())?);
        let master: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| malformed())?;
        Ok(Self::from_master(master))
    }

    /// Seals `plain` for the row that `place` and `row` name.
    #[must_use]
    pub fn seal(&self, place: &'static str, row: &[u8], plain: &[u8]) -> Sealed {
        let nonce = random::<NONCE>();
        let mut sealed = Vec::with_capacity(NONCE + plain.len() + TAG);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = XChaCha20Poly1305::new((&*self.wrap).into())
            .encrypt_inout_detached(&XNonce::from(nonce), &associated(place, row), (&mut sealed[NONCE..]).into())
            .expect("what is wrapped is far below the cipher's limit");
        sealed.extend_from_slice(&tag);
        Sealed(sealed)
    }

    /// Opens what [`Secrets::seal`] sealed for the same row.
    ///
    /// # Errors
    /// [`SecretError::DoesNotOpen`].
    pub fn unseal(&self, place: &'static str, row: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let refused = SecretError::DoesNotOpen(place);
        let (Some((nonce, rest)), true) = (sealed.0.split_first_chunk::<NONCE>(), sealed.0.len() >= NONCE + TAG) else {
            return Err(refused);
        };
        let (body, tag) = rest.split_at(rest.len() - TAG);
        let mut plain = Zeroizing::new(body.to_vec());
        let tag = Tag::try_from(tag).expect("split at the tag's length");
        match XChaCha20Poly1305::new((&*self.wrap).into()).decrypt_inout_detached(
            &XNonce::from(*nonce),
            &associated(place, row),
            plain.as_mut_slice().into(),
            &tag,
        ) {
            Ok(()) => Ok(plain),
            Err(_) => Err(refused),
        }
    }

    /// Wraps the file key of a part for storage.
    #[must_use]
    pub fn wrap_file_key(&self, resource: &Digest, part: &PartName, key: &FileKey) -> Sealed {
        self.seal("part key", &part_row(resource, part), key.expose())
    }

    /// Unwraps the file key of a part.
    ///
    /// # Errors
    /// [`SecretError::DoesNotOpen`].
    pub fn unwrap_file_key(&self, resource: &Digest, part: &PartName, key: &Sealed) -> Result<FileKey, SecretError> {
        let opened = self.unseal("part key", &part_row(resource, part), key)?;
        let bytes: Zeroizing<[u8; FileKey::LEN]> =
            Zeroizing::new(opened.as_slice().try_into().map_err(|_| SecretError::DoesNotOpen("part key"))?);
        Ok(FileKey::from_bytes(*bytes))
    }

    /// Seals a sign-in name to its account.
    #[must_use]
    pub fn seal_name(&self, account: &AccountId, name: &str) -> Sealed {
        self.seal("sign-in name", account.as_bytes(), name.as_bytes())
    }

    /// Opens a sign-in name.
    ///
    /// # Errors
    /// [`SecretError::DoesNotOpen`].
    pub fn open_name(&self, account: &AccountId, name: &Sealed) -> Result<String, SecretError> {
        let opened = self.unseal("sign-in name", account.as_bytes(), name)?;
        String::from_utf8(opened.to_vec()).map_err(|_| SecretError::DoesNotOpen("sign-in name"))
    }

    /// Seals the body of an answer that is kept for a repetition of its request: it may name the account's owner.
    #[must_use]
    pub fn seal_answer(&self, request: &Digest, body: &str) -> String {
        base64url(self.seal("stored answer", request.as_bytes(), body.as_bytes()).as_bytes())
    }

    /// Opens a stored answer.
    ///
    /// # Errors
    /// [`SecretError::DoesNotOpen`].
    pub fn open_answer(&self, request: &Digest, stored: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let sealed = from_base64url(stored).map_err(|_| SecretError::DoesNotOpen("stored answer"))?;
        self.unseal("stored answer", request.as_bytes(), &Sealed::from_bytes(sealed))
    }

    /// The keyed hash of a sign-in name: without surrounding white space, in lower case.
    #[must_use]
    pub fn lookup_name(&self, name: &str) -> LookupHash {
        LookupHash(mac(&self.lookup, &[name.trim().to_lowercase().as_bytes()]))
    }

    /// A token that the same `seed` always gives, and that nobody without the master key can compute.
    #[must_use]
    pub fn derive_token(&self, role: TokenRole, seed: &str) -> Zeroizing<String> {
        let token = Zeroizing::new(mac(&self.tokens, &[b"derived ", role.label(), b"\0", seed.as_bytes()]));
        secret_text(&*token)
    }

    /// The seal of a row of the audit log, by its digest.
    #[must_use]
    pub fn seal_audit(&self, digest: &Digest) -> [u8; 32] {
        mac(&self.audit, &[digest.as_bytes()])
    }

    /// Whether a seal is that of this digest.
    #[must_use]
    pub fn has_sealed_audit(&self, digest: &Digest, seal: &[u8; 32]) -> bool {
        self.seal_audit(digest).ct_eq(seal).into()
    }

    /// The seal of what a backup says that it holds.
    #[must_use]
    pub fn seal_backup(&self, record: &[u8]) -> [u8; 32] {
        mac(&self.backup, &[record])
    }

    /// Whether a seal is that of this record.
    #[must_use]
    pub fn has_sealed_backup(&self, record: &[u8], seal: &[u8; 32]) -> bool {
        self.seal_backup(record).ct_eq(seal).into()
    }

    /// The redemption code of a number in a batch, and its serial: the same whenever they are asked for, and nobody
    /// without the master key can compute them.
    #[must_use]
    pub fn redemption_code(&self, batch: &BatchId, number: u32) -> (RedemptionCode, CodeSerial) {
        self.code_maker().code(batch, number)
    }

    /// What makes redemption codes: kept when the master key changes, for the codes that there are.
    pub(crate) fn code_maker(&self) -> CodeMaker {
        CodeMaker(self.tokens.clone())
    }

    /// The keyed hash by which a redemption code is found.
    #[must_use]
    pub fn redemption_lookup(&self, code: &RedemptionCode) -> RedemptionLookup {
        RedemptionLookup(mac(&self.lookup, &[REDEMPTION_LOOKUP, code.expose()]))
    }

    /// What tells this master key from others, and nothing about it.
    #[must_use]
    pub fn key_check(&self) -> [u8; 32] {
        mac(&self.lookup, &[b"portcullis key check v1"])
    }

    /// The keyed hash of a token.
    #[must_use]
    pub fn hash_token(&self, role: TokenRole, token: &str) -> TokenHash {
        TokenHash(mac(&self.tokens, &[role.label(), b"\0", token.as_bytes()]))
    }
}

/// `N` bytes from the operating system.
///
/// # Panics
/// Where the operating system has no randomness: nothing can be done safely then.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// The operating system's randomness, as an argument.
#[must_use]
pub fn rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// A new token: 32 random bytes as text.
#[must_use]
pub fn new_token() -> Zeroizing<String> {
    secret_text(&*Zeroizing::new(random::<32>()))
}

/// A secret as base64url text, in a time that does not depend on it.
fn secret_text(secret: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(Base64UrlUnpadded::encode_string(secret))
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn associated(place: &str, row: &[u8]) -> Vec<u8> {
    let mut bytes = SALT.to_vec();
    for part in [place.as_bytes(), row] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn part_row(resource: &Digest, part: &PartName) -> Vec<u8> {
    [resource.as_bytes(), part.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_own_row_only() {
        let secrets = Secrets::from_master(&[7; 32]);
        let sealed = secrets.seal("part key", b"row 1", b"a file key");
        assert_eq!(secrets.unseal("part key", b"row 1", &sealed).expect("its row").as_slice(), b"a file key");
        assert!(secrets.unseal("part key", b"row 2", &sealed).is_err());
        assert!(secrets.unseal("sign-in name", b"row 1", &sealed).is_err());
        assert!(Secrets::from_master(&[8; 32]).unseal("part key", b"row 1", &sealed).is_err());
        let mut bytes = sealed.as_bytes().to_vec();
        *bytes.last_mut().expect("a tag") ^= 1;
        assert!(secrets.unseal("part key", b"row 1", &Sealed::from_bytes(bytes)).is_err());
        assert!(secrets.unseal("part key", b"row 1", &Sealed::from_bytes(vec![0; NONCE + TAG - 1])).is_err());
    }

    #[test]
    fn a_token_in_two_roles_has_two_hashes() {
        let secrets = Secrets::from_master(&[7; 32]);
        let access = secrets.hash_token(TokenRole::Access, "token");
        assert_eq!(access, secrets.hash_token(TokenRole::Access, "token"));
        assert_ne!(access, secrets.hash_token(TokenRole::Refresh, "token"));
        assert_eq!(secrets.lookup_name(" Ada@Example.org"), secrets.lookup_name("ada@example.org "));
    }

    #[cfg(unix)]
    #[test]
    fn a_master_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master.key");
        let made = Secrets::create(&path).expect("made");
        let read = Secrets::open(&path).expect("read");
        assert_eq!(made.lookup_name("a"), read.lookup_name("a"));
        assert!(Secrets::create(&path).is_err(), "it is never overwritten");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(matches!(Secrets::open(&path), Err(SecretError::Exposed(_))));
    }
}
