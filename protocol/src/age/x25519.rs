//! X25519 recipients and identities, as keys and as text.

use super::error::AgeError;
use super::file_key::{FileKey, hkdf_sha256};
use super::stanza::X25519Stanza;
use crate::agreement::is_low_order;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use rand_core::CryptoRng;
use std::fmt;
use std::str::FromStr;
use x25519_dalek::{EphemeralSecret, PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

const RECIPIENT_HRP: Hrp = Hrp::parse_unchecked("age");
const IDENTITY_HRP: Hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-");
const WRAP_INFO: &[u8] = b"age-encryption.org/v1/X25519";

/// Who can open a file: an X25519 public key, `age1…` as text. Never a low-order point.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recipient(PublicKey);

impl Recipient {
    /// Takes the 32 bytes of a public key (RFC 7748).
    ///
    /// # Errors
    /// [`AgeError::LowOrderPoint`] for the points on which any two secrets agree.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, AgeError> {
        if is_low_order(&bytes) { Err(AgeError::LowOrderPoint) } else { Ok(Self(PublicKey::from(bytes))) }
    }

    /// The 32 bytes of the public key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Wraps a file key for this recipient under a fresh ephemeral key.
    pub(super) fn wrap(&self, file_key: &FileKey, rng: &mut impl CryptoRng) -> Result<X25519Stanza, AgeError> {
        let ephemeral = EphemeralSecret::random_from_rng(rng);
        let share = PublicKey::from(&ephemeral);
        let cipher = wrap_cipher(&ephemeral.diffie_hellman(&self.0), &share, self)?;
        let mut wrapped = [0; X25519Stanza::WRAPPED_LEN];
        let (key, tag) = wrapped.split_at_mut(FileKey::LEN);
        key.copy_from_slice(file_key.expose());
        let made = cipher
            .encrypt_inout_detached(&Nonce::default(), b"", (&mut *key).into())
            .expect("16 bytes are below the cipher's limit");
        tag.copy_from_slice(&made);
        Ok(X25519Stanza { share: share.to_bytes(), wrapped })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32, _>(f, RECIPIENT_HRP, self.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Recipient {
    type Err = AgeError;

    /// Reads `age1…`, lower case only.
    fn from_str(text: &str) -> Result<Self, AgeError> {
        let bytes = decode(text, RECIPIENT_HRP).ok_or(AgeError::BadRecipient)?;
        let recipient = Self::from_bytes(*bytes)?;
        if recipient.to_string() == text { Ok(recipient) } else { Err(AgeError::BadRecipient) }
    }
}

/// Opens what was encrypted for its recipient: an X25519 secret key, `AGE-SECRET-KEY-1…` as text. Wiped when dropped,
/// printed as redacted.
#[derive(Clone)]
pub struct Identity {
    secret: StaticSecret,
    recipient: Recipient,
}

impl Identity {
    /// A new identity.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::from_secret(StaticSecret::random_from_rng(rng))
    }

    /// An identity read from storage. The caller wipes its own copy.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self::from_secret(StaticSecret::from(bytes))
    }

    fn from_secret(secret: StaticSecret) -> Self {
        let recipient = Recipient(PublicKey::from(&secret));
        Self { secret, recipient }
    }

    /// The secret itself, to wrap it for storage.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.secret.as_bytes()
    }

    /// The secret as any age tool reads it, `AGE-SECRET-KEY-1…`.
    #[must_use]
    pub fn expose_text(&self) -> Zeroizing<String> {
        // Room for all of it at once: a string that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(128));
        bech32::encode_upper_to_fmt::<Bech32, _>(&mut *text, IDENTITY_HRP, self.expose())
            .expect("32 bytes are below the limit of Bech32");
        text
    }

    /// Whom to encrypt for, so that this identity can open it.
    #[must_use]
    pub const fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// Unwraps the file key where the stanza is meant for this identity.
    pub(super) fn unwrap(&self, stanza: &X25519Stanza) -> Result<Option<FileKey>, AgeError> {
        let share = PublicKey::from(stanza.share);
        let cipher = wrap_cipher(&self.secret.diffie_hellman(&share), &share, &self.recipient)?;
        let mut opened = Zeroizing::new(stanza.wrapped);
        let (key, tag) = opened.split_at_mut(FileKey::LEN);
        let tag = Tag::try_from(&*tag).expect("the body is a key and a tag");
        if cipher.decrypt_inout_detached(&Nonce::default(), b"", (&mut *key).into(), &tag).is_err() {
            return Ok(None);
        }
        Ok(FileKey::from_slice(key))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(redacted, recipient {})", self.recipient)
    }
}

impl FromStr for Identity {
    type Err = AgeError;

    /// Reads `AGE-SECRET-KEY-1…`, upper case only.
    fn from_str(text: &str) -> Result<Self, AgeError> {
        let bytes = decode(text, IDENTITY_HRP).ok_or(AgeError::BadIdentity)?;
        let identity = Self::from_bytes(*bytes);
        if *identity.expose_text() == text { Ok(identity) } else { Err(AgeError::BadIdentity) }
    }
}

/// The cipher under which a file key is wrapped: `HKDF(shared secret; share ‖ recipient)`.
fn wrap_cipher(shared: &SharedSecret, share: &PublicKey, recipient: &Recipient) -> Result<ChaCha20Poly1305, AgeError> {
    if !shared.was_contributory() {
        return Err(AgeError::LowOrderPoint);
    }
    let mut salt = [0; 64];
    salt[..32].copy_from_slice(share.as_bytes());
    salt[32..].copy_from_slice(recipient.as_bytes());
    let key = hkdf_sha256(shared.as_bytes(), &salt, WRAP_INFO);
    Ok(ChaCha20Poly1305::new((&*key).into()))
}

/// 32 bytes of Bech32 (BIP 173, not Bech32m). The caller encodes again and compares, which refuses wrong case and
/// non-zero padding bits.
fn decode(text: &str, hrp: Hrp) -> Option<Zeroizing<[u8; 32]>> {
    let parsed = CheckedHrpstring::new::<Bech32>(text).ok()?;
    let data = parsed.byte_iter();
    if parsed.hrp() != hrp || data.len() != 32 {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.iter_mut().zip(data).for_each(|(to, from)| *to = from);
    Some(bytes)
}
