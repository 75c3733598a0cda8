//! The key under which a terminal seals what it writes down for itself.

use crate::random;
use crate::state::key_store::{KeyName, KeyStore, KeyStoreError};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of salt before each sealed record.
const SALT: usize = 16;

/// Seals records: ChaCha20-Poly1305 (RFC 8439) under HKDF-SHA-256(key; a random salt, the kind of record), so that no
/// key seals twice. The record's name is authenticated, so that records cannot change places.
#[derive(Clone)]
pub(crate) struct StateKey(Zeroizing<[u8; 32]>);

impl StateKey {
    /// The terminal's state key; a new one if there is none yet.
    pub(crate) fn of(keys: &dyn KeyStore) -> Result<Self, KeyStoreError> {
        let name = KeyName::state();
        let mut fresh = Zeroizing::new([0; 32]);
        rand_core::Rng::fill_bytes(&mut random::system(), &mut *fresh);
        // What another process stored first wins.
        let stored = keys.load_or_store(&name, &*fresh)?;
        let bytes: [u8; 32] = stored.as_slice().try_into().map_err(|_| KeyStoreError::damaged(&name))?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// A key from elsewhere.
    pub(crate) const fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// A secret of its own for another use.
    pub(crate) fn derive(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let hkdf = Hkdf::<Sha256>::new(None, &*self.0);
        hkdf.expand_multi_info(info, &mut *key).expect("32 bytes are far below the limit");
        key
    }

    /// The secret itself, to derive a key from it and another.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Salt, then ciphertext.
    pub(crate) fn seal(&self, kind: &[u8], name: &str, plain: &[u8]) -> Vec<u8> {
        let salt = random::octets::<SALT>().0;
        let payload = Payload { msg: plain, aad: name.as_bytes() };
        let sealed = self.cipher(&salt, kind).encrypt(&Nonce::default(), payload).expect("records are small");
        [&salt[..], &sealed].concat()
    }

    /// `None` if this key did not seal it, under this name, as this kind.
    pub(crate) fn open(&self, kind: &[u8], name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (salt, sealed) = sealed.split_at_checked(SALT)?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        self.cipher(salt, kind).decrypt(&Nonce::default(), payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self, salt: &[u8], kind: &[u8]) -> ChaCha20Poly1305 {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(salt), &*self.0).expand(kind, &mut *key).expect("32 bytes are far below the limit");
        ChaCha20Poly1305::new((&*key).into())
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateKey(redacted)")
    }
}
