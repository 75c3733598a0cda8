//! Key release: how the file keys of granted parts travel to the one terminal that may use them.
//!
//! HPKE (RFC 9180) in base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305: one encapsulation per
//! grant, then one sealed message per part.
//!
//! - `info` = [`KEY_RELEASE`] ‖ suite byte `0x01` ‖ SHA-256(the grant, in compact serialisation).
//! - Message *i* (sequence number *i*, from 0) is the 16-byte file key of the *i*-th part, `aad` = the part's name.
//!
//! So a release opens only with the terminal's key and only beside the very grant it was made for, and no key in it
//! can be renamed, reordered or moved. Keys cut off at the end are not noticed here: the terminal compares the parts
//! with those of the grant. It does not say who made it: the signed answer around it does. The terminal
//! uses a key only after [`Header::verify_mac`](crate::age::Header::verify_mac) accepted it.

use crate::age::FileKey;
use crate::agreement::is_low_order;
use crate::encapsulation::{EphemeralSecret, TAG};
use crate::encoding::Octets;
use crate::ids::PartName;
use crate::labels::KEY_RELEASE;
use crate::limits::MAX_PARTS;
use hpke::aead::{AeadCtxR, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, setup_receiver};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// The suite above. Another suite, such as a post-quantum one, gets another byte and its own fields.
pub(crate) const SUITE: u8 = 1;
/// A sealed file key: the key and its tag.
const SEALED_LEN: usize = FileKey::LEN + TAG;

/// Why a key release cannot be made or does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The terminal's public key is a low-order point, which would let anyone open the release.
    #[error("the terminal's X25519 key is a low-order point: enrol the terminal again")]
    LowOrderKey,
    /// The suite is not one that this version knows.
    #[error("unknown key release suite {0}: update the runtime")]
    UnknownSuite(u8),
    /// More keys than a resource has parts.
    #[error("more than 64 keys in a key release")]
    TooManyKeys,
    /// Two keys for one part.
    #[error("a key release names a part twice")]
    DuplicatePart,
    /// A text that is not the name of a part.
    #[error("a key release names something that is not a part name")]
    PartName,
    /// Made for another terminal or another grant, or changed on the way.
    #[error("the key release does not open: it is for another terminal or grant, or was changed")]
    DoesNotOpen,
}

/// The X25519 key to which a server releases keys: a terminal's. Never a low-order point.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Octets<32>", into = "Octets<32>")]
pub struct ReleasePublicKey([u8; 32]);

impl ReleasePublicKey {
    /// Takes the 32 bytes of RFC 7748.
    ///
    /// # Errors
    /// [`ReleaseError::LowOrderKey`].
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, ReleaseError> {
        if is_low_order(&bytes) { Err(ReleaseError::LowOrderKey) } else { Ok(Self(bytes)) }
    }

    /// The 32 bytes of RFC 7748.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<Octets<32>> for ReleasePublicKey {
    type Error = ReleaseError;
    fn try_from(octets: Octets<32>) -> Result<Self, ReleaseError> {
        Self::from_bytes(octets.0)
    }
}

impl From<ReleasePublicKey> for Octets<32> {
    fn from(key: ReleasePublicKey) -> Self {
        Self(key.0)
    }
}

impl fmt::Debug for ReleasePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReleasePublicKey({})", Octets(self.0))
    }
}

/// The terminal's X25519 secret key. Wiped when dropped, printed as redacted.
#[derive(Clone)]
pub struct ReleaseSecretKey(StaticSecret);

impl ReleaseSecretKey {
    /// A new key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(StaticSecret::random_from_rng(rng))
    }

    /// A key read from storage. The caller wipes its own copy.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    /// The secret itself, to store it where only the owner reads it.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> ReleasePublicKey {
        ReleasePublicKey(PublicKey::from(&self.0).to_bytes())
    }
}

impl fmt::Debug for ReleaseSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReleaseSecretKey(redacted)")
    }
}

/// File keys on their way to a terminal, beside the grant they belong to. At most [`MAX_PARTS`], each part once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct KeyRelease {
    enc: Octets<32>,
    keys: Vec<SealedKey>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedKey {
    part: PartName,
    key: Octets<SEALED_LEN>,
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    suite: u8,
    enc: Octets<32>,
    keys: Vec<SealedKey>,
}

impl TryFrom<Unchecked> for KeyRelease {
    type Error = ReleaseError;
    fn try_from(unchecked: Unchecked) -> Result<Self, ReleaseError> {
        if unchecked.suite != SUITE {
            return Err(ReleaseError::UnknownSuite(unchecked.suite));
        }
        check_parts(unchecked.keys.iter().map(|sealed| &sealed.part))?;
        Ok(Self { enc: unchecked.enc, keys: unchecked.keys })
    }
}

impl From<KeyRelease> for Unchecked {
    fn from(release: KeyRelease) -> Self {
        Self { suite: SUITE, enc: release.enc, keys: release.keys }
    }
}

/// A key pair for one release: of the sender's side, made at any time before, and used up by [`Ephemeral::seal`]. It
/// cannot be copied, so no two releases have the same.
pub struct Ephemeral(EphemeralSecret);

impl Ephemeral {
    /// A new one. Half of what a release costs.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(EphemeralSecret::generate(rng))
    }

    /// Seals file keys, in the order given, for the terminal that a grant was issued to.
    ///
    /// # Errors
    /// [`ReleaseError::PartName`], [`ReleaseError::TooManyKeys`], [`ReleaseError::DuplicatePart`].
    pub fn seal(
        self,
        recipient: &ReleasePublicKey,
        compact_grant: &str,
        keys: &[(&str, &FileKey)],
    ) -> Result<KeyRelease, ReleaseError> {
        let parts: Vec<PartName> = keys
            .iter()
            .map(|(part, _)| PartName::new(*part))
            .collect::<Result<_, _>>()
            .map_err(|_| ReleaseError::PartName)?;
        check_parts(parts.iter())?;
        let encapsulated = self.0.encapsulate(recipient.as_bytes(), &info(compact_grant));
        let (enc, mut sender) = encapsulated.ok_or(ReleaseError::LowOrderKey)?;
        let sealed = parts.into_iter().zip(keys).map(|(part, (_, file_key))| {
            let sealed = sender.seal(file_key.expose(), part.as_str().as_bytes());
            SealedKey { part, key: Octets(sealed.try_into().expect("sealing adds a tag")) }
        });
        Ok(KeyRelease { keys: sealed.collect(), enc: Octets(enc) })
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral(redacted)")
    }
}

/// Seals file keys under an ephemeral key that is made now.
///
/// # Errors
/// As [`Ephemeral::seal`].
pub fn seal(
    recipient: &ReleasePublicKey,
    compact_grant: &str,
    keys: &[(&str, &FileKey)],
    rng: &mut impl CryptoRng,
) -> Result<KeyRelease, ReleaseError> {
    Ephemeral::generate(rng).seal(recipient, compact_grant, keys)
}

/// Opens every key of a release, in its order, with the name of its part. All of them or none.
///
/// # Errors
/// [`ReleaseError::DoesNotOpen`].
pub fn open(
    key: &ReleaseSecretKey,
    compact_grant: &str,
    release: &KeyRelease,
) -> Result<Vec<(String, FileKey)>, ReleaseError> {
    let mut context = opener(key, &release.enc, &info(compact_grant))?;
    release
        .keys
        .iter()
        .map(|SealedKey { part, key }| {
            let opened =
                Zeroizing::new(context.open(&key.0, part.as_str().as_bytes()).map_err(|_| ReleaseError::DoesNotOpen)?);
            let file_key = FileKey::from_slice(&opened).ok_or(ReleaseError::DoesNotOpen)?;
            Ok((part.as_str().to_owned(), file_key))
        })
        .collect()
}

/// Seals one message to a key: what is not a key release and travels the same way.
pub(crate) fn seal_once(
    recipient: &ReleasePublicKey,
    info: &[u8],
    message: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<(Octets<32>, Vec<u8>), ReleaseError> {
    let encapsulated = EphemeralSecret::generate(rng).encapsulate(recipient.as_bytes(), info);
    let (enc, mut sender) = encapsulated.ok_or(ReleaseError::LowOrderKey)?;
    Ok((Octets(enc), sender.seal(message, &[])))
}

/// Opens such a message.
pub(crate) fn open_once(
    key: &ReleaseSecretKey,
    info: &[u8],
    enc: &Octets<32>,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ReleaseError> {
    let opened = opener(key, enc, info)?.open(sealed, &[]).map_err(|_| ReleaseError::DoesNotOpen)?;
    Ok(Zeroizing::new(opened))
}

/// What opens messages that were sealed to a key.
fn opener(
    key: &ReleaseSecretKey,
    enc: &Octets<32>,
    info: &[u8],
) -> Result<AeadCtxR<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>, ReleaseError> {
    let refused = |_| ReleaseError::DoesNotOpen;
    let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(key.0.as_bytes()).map_err(refused)?;
    let enc = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&enc.0).map_err(refused)?;
    setup_receiver(&OpModeR::Base, &secret, &enc, info).map_err(refused)
}

fn check_parts<'a>(parts: impl ExactSizeIterator<Item = &'a PartName>) -> Result<(), ReleaseError> {
    let count = parts.len();
    if count > MAX_PARTS {
        return Err(ReleaseError::TooManyKeys);
    }
    if parts.collect::<BTreeSet<_>>().len() == count { Ok(()) } else { Err(ReleaseError::DuplicatePart) }
}

fn info(compact_grant: &str) -> Vec<u8> {
    let mut info = KEY_RELEASE.to_vec();
    info.push(SUITE);
    info.extend_from_slice(&Sha256::digest(compact_grant.as_bytes()));
    info
}
