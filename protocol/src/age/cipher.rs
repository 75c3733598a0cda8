//! Sealing and opening single chunks.

use super::aead::Aead;
use super::error::AgeError;
use super::file_key::FileKey;
use super::layout::{CHUNK_LEN, Chunk, NONCE_LEN, PayloadLayout, TAG_LEN};
use crate::parallel;
use crate::plaintext::Plaintext;
use rand_core::CryptoRng;
use std::fmt;
use std::sync::Arc;

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
/// themselves; [`PayloadReader`](super::PayloadReader) does it over `Read + Seek`. Clones share the key, which is wiped
/// with the last of them.
#[derive(Clone)]
pub struct ChunkCipher(Arc<Aead>);

impl ChunkCipher {
    /// The cipher of the payload that begins with `nonce`, under the file's key.
    #[must_use]
    pub fn new(file_key: &FileKey, nonce: &PayloadNonce) -> Self {
        Self(Arc::new(Aead::new(&file_key.derive(&nonce.0, PAYLOAD_INFO))))
    }

    /// As [`ChunkCipher::new`], in portable code also where this build has the feature `fast`: to compare the two.
    #[must_use]
    pub fn portable(file_key: &FileKey, nonce: &PayloadNonce) -> Self {
        Self(Arc::new(Aead::portable(&file_key.derive(&nonce.0, PAYLOAD_INFO))))
    }

    /// Opens a chunk in place and returns its plaintext, the beginning of `buffer`. Where the chunk is not authentic in
    /// this place, no plaintext is left in `buffer`, which may have been wiped.
    ///
    /// # Errors
    /// [`AgeError::Chunk`] if the chunk is damaged or not this one, or `buffer` does not hold exactly
    /// [`Chunk::sealed_len`] bytes.
    pub fn open<'a>(&self, chunk: &Chunk, buffer: &'a mut [u8]) -> Result<&'a mut [u8], AgeError> {
        let refused = AgeError::Chunk { index: chunk.index() };
        if buffer.len() != chunk.sealed_len() {
            return Err(refused);
        }
        let (text, tag) = buffer.split_last_chunk_mut::<TAG_LEN>().ok_or(refused)?;
        self.0.open_in_place(chunk_nonce(chunk), text, tag).map_err(|_| refused)?;
        Ok(text)
    }

    /// Opens a chunk into `out`. Where the chunk is not authentic in this place, `out` is wiped.
    ///
    /// # Errors
    /// [`AgeError::Chunk`] if the chunk is damaged or not this one, `sealed` does not hold exactly
    /// [`Chunk::sealed_len`] bytes or `out` has not room for exactly [`Chunk::plain_len`].
    pub fn open_to(&self, chunk: &Chunk, sealed: &[u8], out: &mut [u8]) -> Result<(), AgeError> {
        let refused = AgeError::Chunk { index: chunk.index() };
        if sealed.len() != chunk.sealed_len() || out.len() != chunk.plain_len() {
            return Err(refused);
        }
        let (text, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(refused)?;
        self.0.open(chunk_nonce(chunk), text, tag, out).map_err(|_| refused)
    }

    /// Seals a chunk into `out`, its text and then its tag. Each chunk is sealed once.
    pub(crate) fn seal_to(&self, chunk: &Chunk, plain: &[u8], out: &mut [u8]) {
        debug_assert_eq!((plain.len(), out.len()), (chunk.plain_len(), chunk.sealed_len()));
        self.0.seal(chunk_nonce(chunk), plain, out);
    }

    /// Opens chunks that follow each other, over all cores where they are many.
    ///
    /// # Errors
    /// [`AgeError::Chunk`] names the first that is refused; then `out` holds nothing that is not authentic.
    pub(crate) fn open_run(&self, chunks: &[Chunk], sealed: &[u8], out: &mut [u8]) -> Result<(), AgeError> {
        if let [chunk] = chunks {
            return self.open_to(chunk, sealed, out);
        }
        let places = sealed.chunks(CHUNK_LEN + TAG_LEN).zip(out.chunks_mut(CHUNK_LEN));
        let work: Vec<_> = chunks.iter().zip(places).collect();
        assert_eq!(work.len(), chunks.len(), "a chunk without its place would be left out");
        parallel::first_error(work, |(chunk, (sealed, out))| self.open_to(chunk, sealed, out))
    }

    /// Seals chunks that follow each other, over all cores where they are many.
    pub(crate) fn seal_run(&self, chunks: &[Chunk], plain: &[u8], out: &mut [u8]) {
        if let [chunk] = chunks {
            return self.seal_to(chunk, plain, out);
        }
        let work: Vec<_> =
            chunks.iter().zip(plain.chunks(CHUNK_LEN).zip(out.chunks_mut(CHUNK_LEN + TAG_LEN))).collect();
        assert_eq!(work.len(), chunks.len(), "a chunk without its place would be left out");
        parallel::each(work, |(chunk, (plain, out))| self.seal_to(chunk, plain, out));
    }
}

impl fmt::Debug for ChunkCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkCipher(redacted)")
    }
}

/// An 11-byte big-endian counter, then 1 for the last chunk and 0 for the others.
fn chunk_nonce(chunk: &Chunk) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&chunk.index().to_be_bytes());
    nonce[11] = chunk.is_last().into();
    nonce
}

/// Seals a whole plaintext: nonce, then chunks.
#[must_use]
pub fn seal_payload(file_key: &FileKey, nonce: &PayloadNonce, plain: &[u8]) -> Vec<u8> {
    let layout = PayloadLayout::of_plain(plain.len() as u64).expect("what is in memory is far below u64");
    let mut payload = vec![0; usize::try_from(layout.payload_len()).expect("what is in memory fits in it")];
    payload[..NONCE_LEN].copy_from_slice(nonce.as_bytes());
    ChunkCipher::new(file_key, nonce).seal_run(&layout.chunks().collect::<Vec<_>>(), plain, &mut payload[NONCE_LEN..]);
    payload
}

/// Opens a whole payload: nonce and chunks, nothing after them.
///
/// # Errors
/// [`AgeError::PayloadLength`], [`AgeError::Chunk`]. No plaintext is returned unless all of it is authentic.
pub fn open_payload(file_key: &FileKey, payload: &[u8]) -> Result<Plaintext, AgeError> {
    open_payload_with(payload, |nonce| ChunkCipher::new(file_key, nonce))
}

/// As [`open_payload`], with the cipher that `cipher` makes of the payload's nonce.
///
/// # Errors
/// As [`open_payload`].
pub fn open_payload_with(
    payload: &[u8],
    cipher: impl FnOnce(&PayloadNonce) -> ChunkCipher,
) -> Result<Plaintext, AgeError> {
    let layout = PayloadLayout::of_payload(payload.len() as u64)?;
    let (nonce, sealed) = payload.split_first_chunk().ok_or(AgeError::PayloadLength)?;
    let cipher = cipher(&PayloadNonce::from_bytes(*nonce));
    let mut plain = Plaintext::zeroed(usize::try_from(layout.plain_len()).map_err(|_| AgeError::PayloadLength)?);
    cipher.open_run(&layout.chunks().collect::<Vec<_>>(), sealed, &mut plain)?;
    Ok(plain)
}
