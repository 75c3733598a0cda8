//! The key of one file.

use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The 128-bit key of one age file. Wiped when dropped, compared in constant time, printed as redacted.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct FileKey([u8; Self::LEN]);

impl FileKey {
    /// Bytes in a file key.
    pub const LEN: usize = 16;

    /// A new key for a new file. A key is never used for two files.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut key = Self([0; Self::LEN]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// A key that was unwrapped, released or stored. The caller wipes its own copy.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The key itself, to seal it for a terminal or wrap it for storage.
    #[must_use]
    pub const fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// A key cut from a buffer that is wiped by its owner.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Self([0; Self::LEN]);
        (bytes.len() == Self::LEN).then(|| {
            key.0.copy_from_slice(bytes);
            key
        })
    }

    /// HKDF-SHA-256 (RFC 5869) of the key: 32 bytes for the use that `info` names. age itself takes `header` and
    /// `payload`.
    #[must_use]
    pub fn derive(&self, salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
        hkdf_sha256(&self.0, salt, info)
    }
}

impl PartialEq for FileKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for FileKey {}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(redacted)")
    }
}

/// 32 bytes of HKDF-SHA-256, the only key derivation of age.
pub(super) fn hkdf_sha256(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand(info, key.as_mut_slice())
        .expect("32 bytes are far below HKDF's limit of 255 hashes");
    key
}
