//! What ties a part's ciphertext to its manifest, and its key to its publisher.

use super::error::SealedError;
use crate::age::FileKey;
use crate::documents::{Manifest, PartEntry};
use crate::encoding::Octets;
use crate::ids::{PartName, ResourceName};
use crate::keys::Thumbprint;
use crate::labels::{PART_BINDING, PART_COMMITMENT};
use crate::version::Version;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// Commits to a payload of `payload_len` bytes by the BLAKE3 digests of its blocks:
/// `SHA-256(label ‖ payload length as u64 big-endian ‖ digests)`.
#[must_use]
pub fn commitment(payload_len: u64, blocks: &[[u8; 32]]) -> Octets<32> {
    let hash = Sha256::new().chain_update(PART_COMMITMENT).chain_update(payload_len.to_be_bytes());
    Octets(blocks.iter().fold(hash, |hash, block| hash.chain_update(block)).finalize().into())
}

/// What a part's key is bound to.
#[derive(Debug, Clone, Copy)]
pub struct BindingOf<'a> {
    /// The publisher's key.
    pub publisher: Thumbprint,
    /// The resource.
    pub name: &'a ResourceName,
    /// Its version.
    pub version: &'a Version,
    /// The part.
    pub part: &'a PartName,
    /// The part's ciphertext: see [`commitment`].
    pub commitment: Octets<32>,
}

impl<'a> BindingOf<'a> {
    /// What the key of this part of this manifest has to be bound to.
    #[must_use]
    pub fn part(manifest: &'a Manifest, part: &'a PartEntry) -> Self {
        Self {
            publisher: manifest.publisher.jwk.thumbprint(),
            name: &manifest.name,
            version: &manifest.version,
            part: &part.name,
            commitment: part.commitment,
        }
    }
}

/// Binds a part's key: HMAC-SHA-256 over the length-prefixed fields, under a key derived from the file key. Only who
/// holds the file key can make it, and it fits no second key: a payload made to open under two keys is refused.
#[must_use]
pub fn binding(key: &FileKey, of: &BindingOf<'_>) -> Octets<32> {
    Octets(mac(key, of).finalize().into_bytes().into())
}

/// Checks a binding in constant time.
///
/// # Errors
/// [`SealedError::Binding`].
pub fn check_binding(key: &FileKey, of: &BindingOf<'_>, binding: &Octets<32>) -> Result<(), SealedError> {
    mac(key, of).verify_slice(&binding.0).map_err(|_| SealedError::Binding { part: of.part.clone() })
}

fn mac(key: &FileKey, of: &BindingOf<'_>) -> Hmac<Sha256> {
    let derived = key.derive(b"", PART_BINDING);
    let mut mac = Hmac::<Sha256>::new_from_slice(derived.as_slice()).expect("HMAC takes a key of any length");
    let version = of.version.to_string();
    let fields: [&[u8]; 5] = [
        of.publisher.as_bytes(),
        of.name.as_str().as_bytes(),
        version.as_bytes(),
        of.part.as_str().as_bytes(),
        &of.commitment.0,
    ];
    for field in fields {
        mac.update(&(field.len() as u64).to_be_bytes());
        mac.update(field);
    }
    mac
}
