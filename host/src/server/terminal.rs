//! The terminal as one billing server knows it: a key set of its own, so that servers cannot compare notes.

use crate::random;
use crate::state::key_store::{KeyName, KeyStore, KeyStoreError};
use portcullis_protocol::{Enrolment, Origin, ReleaseSecretKey, SecretKey, Thumbprint, Verified};
use std::fmt;
use zeroize::Zeroizing;

/// An Ed25519 key, which makes proofs, and an X25519 key, to which part keys are released.
#[derive(Clone)]
pub(crate) struct Terminal {
    origin: Origin,
    signing: SecretKey,
    release: ReleaseSecretKey,
}

impl Terminal {
    /// The key set for a server, if there is one.
    pub(crate) fn load(keys: &dyn KeyStore, origin: &Origin) -> Result<Option<Self>, KeyStoreError> {
        let name = KeyName::terminal(origin);
        keys.load(&name)?.map(|secret| Self::from_secret(&name, origin, &secret)).transpose()
    }

    /// The key set for a server; a new one if there is none yet.
    pub(crate) fn load_or_create(keys: &dyn KeyStore, origin: &Origin) -> Result<Self, KeyStoreError> {
        let name = KeyName::terminal(origin);
        let mut secret = Zeroizing::new([0; 64]);
        secret[..32].copy_from_slice(&*SecretKey::generate(&mut random::system()).to_seed());
        secret[32..].copy_from_slice(&*ReleaseSecretKey::generate(&mut random::system()).to_bytes());
        Self::from_secret(&name, origin, &keys.load_or_store(&name, &*secret)?)
    }

    /// A key that makes proofs and is no terminal's: nothing is released to it.
    pub(crate) fn of_key(origin: &Origin, key: &SecretKey) -> Self {
        let release = ReleaseSecretKey::generate(&mut random::system());
        Self { origin: origin.clone(), signing: key.clone(), release }
    }

    /// Forgets this key set, which was revoked, unless another one has taken its place: the user may have signed in
    /// anew since. The server's lock is held meanwhile. Whether it was this one.
    pub(crate) fn forget_revoked(&self, keys: &dyn KeyStore) -> Result<bool, KeyStoreError> {
        match Self::load(keys, &self.origin)? {
            Some(kept) if kept.thumbprint() == self.thumbprint() => Self::forget(keys, &self.origin).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Forgets the key set for a server, whichever it is.
    pub(crate) fn forget(keys: &dyn KeyStore, origin: &Origin) -> Result<(), KeyStoreError> {
        keys.remove(&KeyName::terminal(origin))
    }

    fn from_secret(name: &KeyName, origin: &Origin, secret: &[u8]) -> Result<Self, KeyStoreError> {
        let damaged = || KeyStoreError::damaged(name);
        let (seed, release) = secret.split_at_checked(32).ok_or_else(damaged)?;
        let seed = Zeroizing::new(<[u8; 32]>::try_from(seed).map_err(|_| damaged())?);
        let release = Zeroizing::new(<[u8; 32]>::try_from(release).map_err(|_| damaged())?);
        Ok(Self {
            origin: origin.clone(),
            signing: SecretKey::from_seed(&seed),
            release: ReleaseSecretKey::from_bytes(*release),
        })
    }

    /// The server that this key set is for.
    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The key that makes proofs.
    pub(crate) const fn signing(&self) -> &SecretKey {
        &self.signing
    }

    /// The key to which part keys are released.
    pub(crate) const fn release(&self) -> &ReleaseSecretKey {
        &self.release
    }

    /// How the server and the user's screen name this terminal.
    pub(crate) const fn thumbprint(&self) -> Thumbprint {
        self.signing.public().thumbprint()
    }

    /// The statement with which it enrols.
    pub(crate) fn enrolment(&self, root: Thumbprint, label: &str, now: u64) -> Verified<Enrolment> {
        let enrolment = Enrolment {
            jwk: self.signing.public().clone(),
            x25519: self.release.public().into(),
            origin: self.origin.clone(),
            root,
            label: label.to_owned(),
            iat: now,
        };
        Verified::sign(enrolment, &self.signing)
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Terminal({} at {})", self.thumbprint(), self.origin)
    }
}
