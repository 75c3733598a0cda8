//! Sealing and opening single chunks.

use super::error::AgeError;
use super::file_key::FileKey;
use super::layout::{Chunk, NONCE_LEN, PayloadLayout, TAG_LEN};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

const PAYLOAD_INFO: &[u8] = b"payload";

/// The public random bytes with which a payload begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadNonce([u8; NONCE_LEN]);

impl PayloadNonce {
    /// A new nonce, for a payload that is written once.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; NONCE_LEN];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The nonce read from the beginning of a payload.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; NONCE_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; NONCE_LEN] {
        &self.0
    }
}

/// Opens the chunks of one payload, in any order and from several threads. For callers that fetch the ciphertext
/// themselves; [`PayloadReader`](super::PayloadReader) does it over `Read + Seek`.
#[derive(Clone)]
pub struct ChunkCipher(ChaCha20Poly1305);

impl ChunkCipher {
    /// The cipher of the payload that begins with `nonce`, under the file's key.
    #[must_use]
    pub fn new(file_key: &FileKey, nonce: &PayloadNonce) -> Self {
        let key = file_key.derive(&nonce.0, PAYLOAD_INFO);
        Self(ChaCha20Poly1305::new((&*key).into()))
    }

    /// Opens a chunk in place and returns its plaintext, the beginning of `buffer`. Nothing is decrypted unless the
    /// chunk is authentic in this place.
    ///
    /// # Errors
    /// [`AgeError::Chunk`] where the chunk is damaged or not this one, or `buffer` does not hold exactly
    /// [`Chunk::sealed_len`] bytes.
    pub fn open<'a>(&self, chunk: &Chunk, buffer: &'a mut [u8]) -> Result<&'a mut [u8], AgeError> {
        let refused = AgeError::Chunk { index: chunk.index() };
        if buffer.len() != chunk.sealed_len() {
            return Err(refused);
        }
        let (text, tag) = buffer.split_at_mut(chunk.plain_len());
        let tag = Tag::try_from(&*tag).map_err(|_| refused)?;
        self.0.decrypt_inout_detached(&chunk_nonce(chunk), b"", (&mut *text).into(), &tag).map_err(|_| refused)?;
        Ok(text)
    }

    /// Seals a chunk in place, and returns the tag that follows it. Each chunk is sealed once.
    pub(super) fn seal(&self, chunk: &Chunk, text: &mut [u8]) -> [u8; TAG_LEN] {
        debug_assert_eq!(text.len(), chunk.plain_len());
        self.0
            .encrypt_inout_detached(&chunk_nonce(chunk), b"", text.into())
            .expect("64 KiB are below the cipher's limit")
            .into()
    }
}

impl fmt::Debug for ChunkCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkCipher(redacted)")
    }
}

/// An 11-byte big-endian counter, then 1 for the last chunk and 0 for the others.
fn chunk_nonce(chunk: &Chunk) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&chunk.index().to_be_bytes());
    nonce[11] = chunk.is_last().into();
    nonce.into()
}

/// Seals a whole plaintext: nonce, then chunks.
#[must_use]
pub fn seal_payload(file_key: &FileKey, nonce: &PayloadNonce, plain: &[u8]) -> Vec<u8> {
    let layout = PayloadLayout::of_plain(plain.len() as u64).expect("what is in memory is far below u64");
    let cipher = ChunkCipher::new(file_key, nonce);
    let mut payload = Vec::with_capacity(usize::try_from(layout.payload_len()).unwrap_or_default());
    payload.extend_from_slice(nonce.as_bytes());
    let mut rest = plain;
    for chunk in (0..layout.chunk_count()).filter_map(|index| layout.chunk(index)) {
        let (text, after) = rest.split_at(chunk.plain_len());
        rest = after;
        let start = payload.len();
        payload.extend_from_slice(text);
        let tag = cipher.seal(&chunk, &mut payload[start..]);
        payload.extend_from_slice(&tag);
    }
    payload
}

/// Opens a whole payload: nonce and chunks, nothing after them.
///
/// # Errors
/// [`AgeError::PayloadLength`], [`AgeError::Chunk`]. No plaintext is returned unless all of it is authentic.
pub fn open_payload(file_key: &FileKey, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let layout = PayloadLayout::of_payload(payload.len() as u64)?;
    let (nonce, mut sealed) = payload.split_first_chunk().ok_or(AgeError::PayloadLength)?;
    let cipher = ChunkCipher::new(file_key, &PayloadNonce::from_bytes(*nonce));
    // Room for the last tag too, so that the buffer never moves and leaves a copy.
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    for chunk in (0..layout.chunk_count()).filter_map(|index| layout.chunk(index)) {
        let (this, after) = sealed.split_at(chunk.sealed_len());
        sealed = after;
        let start = plain.len();
        plain.extend_from_slice(this);
        cipher.open(&chunk, &mut plain[start..])?;
        plain.truncate(start + chunk.plain_len());
    }
    Ok(plain)
}
