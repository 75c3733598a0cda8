//! Where the chunks of a payload lie.

use super::error::AgeError;

/// Plaintext bytes in a full chunk.
pub const CHUNK_LEN: usize = 64 * 1024;
/// Bytes that encryption adds to a chunk.
pub const TAG_LEN: usize = 16;
/// Bytes of nonce before the first chunk.
pub const NONCE_LEN: usize = 16;

const SEALED_CHUNK: u64 = (CHUNK_LEN + TAG_LEN) as u64;

/// The bytes that the payload of `plain_len` bytes takes: nonce and chunks, without the header. `None` where it would
/// pass `u64`.
#[must_use]
pub const fn encrypted_len(plain_len: u64) -> Option<u64> {
    match chunk_count(plain_len).checked_mul(TAG_LEN as u64) {
        Some(tags) => match plain_len.checked_add(tags) {
            Some(chunks) => chunks.checked_add(NONCE_LEN as u64),
            None => None,
        },
        None => None,
    }
}

/// An empty payload still has one, empty, chunk.
const fn chunk_count(plain_len: u64) -> u64 {
    if plain_len == 0 { 1 } else { plain_len.div_ceil(CHUNK_LEN as u64) }
}

/// The division of a payload into chunks, which its length alone determines.
///
/// A length that an attacker may have cut is still safe: the last chunk is sealed as the last, so opening what the
/// layout calls the last chunk proves the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadLayout {
    plain_len: u64,
}

impl PayloadLayout {
    /// The layout of a payload (nonce and chunks) of this many bytes.
    ///
    /// # Errors
    /// [`AgeError::PayloadLength`] if no payload has that length: it must hold the nonce and at least one chunk,
    /// and the last chunk is empty only where it is the only one.
    pub const fn of_payload(payload_len: u64) -> Result<Self, AgeError> {
        let Some(sealed) = payload_len.checked_sub(NONCE_LEN as u64) else {
            return Err(AgeError::PayloadLength);
        };
        let (full, rest) = (sealed / SEALED_CHUNK, sealed % SEALED_CHUNK);
        let rest = match (full, rest) {
            (0, rest) if rest < TAG_LEN as u64 => return Err(AgeError::PayloadLength),
            (0, rest) => rest - TAG_LEN as u64,
            (_, 0) => 0,
            (_, rest) if rest <= TAG_LEN as u64 => return Err(AgeError::PayloadLength),
            (_, rest) => rest - TAG_LEN as u64,
        };
        Ok(Self { plain_len: full * CHUNK_LEN as u64 + rest })
    }

    /// The layout of the payload of a plaintext of this many bytes.
    ///
    /// # Errors
    /// [`AgeError::PayloadLength`] if the payload's length would pass `u64`.
    pub const fn of_plain(plain_len: u64) -> Result<Self, AgeError> {
        match encrypted_len(plain_len) {
            Some(_) => Ok(Self { plain_len }),
            None => Err(AgeError::PayloadLength),
        }
    }

    /// Bytes of plaintext.
    #[must_use]
    pub const fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// Bytes of payload: nonce and chunks.
    #[must_use]
    pub const fn payload_len(&self) -> u64 {
        self.plain_len + self.chunk_count() * TAG_LEN as u64 + NONCE_LEN as u64
    }

    /// Chunks, at least one.
    #[must_use]
    pub const fn chunk_count(&self) -> u64 {
        chunk_count(self.plain_len)
    }

    /// The chunk with this number, from 0.
    #[must_use]
    pub const fn chunk(&self, index: u64) -> Option<Chunk> {
        if index >= self.chunk_count() {
            return None;
        }
        let last = index == self.chunk_count() - 1;
        let plain_offset = index * CHUNK_LEN as u64;
        let plain_len = if last { (self.plain_len - plain_offset) as usize } else { CHUNK_LEN };
        Some(Chunk { index, last, plain_len })
    }

    /// All chunks, in order.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk> + use<> {
        let layout = *self;
        (0..layout.chunk_count()).filter_map(move |index| layout.chunk(index))
    }

    /// The chunk that holds the plaintext byte at `offset`.
    #[must_use]
    pub const fn chunk_at(&self, offset: u64) -> Option<Chunk> {
        if offset < self.plain_len { self.chunk(offset / CHUNK_LEN as u64) } else { None }
    }

    /// The last chunk. Opening it proves the payload's length.
    #[must_use]
    pub const fn last_chunk(&self) -> Chunk {
        match self.chunk(self.chunk_count() - 1) {
            Some(chunk) => chunk,
            None => unreachable!(),
        }
    }
}

/// One chunk of a payload: where it lies and in which place it was sealed. Only a [`PayloadLayout`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    index: u64,
    last: bool,
    plain_len: usize,
}

impl Chunk {
    /// The chunk of a writer that learns its layout as it goes.
    pub(super) const fn written(index: u64, last: bool, plain_len: usize) -> Self {
        Self { index, last, plain_len }
    }

    /// Its number, from 0.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Whether the payload ends with it.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// Where its plaintext begins in the plaintext.
    #[must_use]
    pub const fn plain_offset(&self) -> u64 {
        self.index * CHUNK_LEN as u64
    }

    /// Bytes of its plaintext.
    #[must_use]
    pub const fn plain_len(&self) -> usize {
        self.plain_len
    }

    /// Where it begins in the payload, whose first bytes are the nonce.
    #[must_use]
    pub const fn payload_offset(&self) -> u64 {
        NONCE_LEN as u64 + self.index * SEALED_CHUNK
    }

    /// Where it ends in the payload, its tag included.
    #[must_use]
    pub const fn payload_end(&self) -> u64 {
        self.payload_offset() + self.sealed_len() as u64
    }

    /// Bytes it takes in the payload, its tag included.
    #[must_use]
    pub const fn sealed_len(&self) -> usize {
        self.plain_len + TAG_LEN
    }
}
