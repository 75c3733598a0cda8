//! Reading a payload anywhere.

use super::cipher::{ChunkCipher, PayloadNonce};
use super::error::{AgeError, ReadError};
use super::file_key::FileKey;
use super::layout::{CHUNK_LEN, Chunk, NONCE_LEN, PayloadLayout};
use crate::plaintext::Plaintext;
use std::io::{self, Read, Seek, SeekFrom};

/// Decrypts a payload from any offset, one 64 KiB chunk in memory. Every byte it gives out was authenticated in its
/// place, and so was the size.
pub struct PayloadReader<R> {
    inner: R,
    start: u64,
    layout: PayloadLayout,
    cipher: ChunkCipher,
    held: Option<Held>,
    position: u64,
}

/// The chunk opened last.
struct Held {
    chunk: Chunk,
    text: Plaintext,
}

impl<R: Read + Seek> PayloadReader<R> {
    /// The payload (nonce and chunks) that takes `payload_len` bytes from `start` on. Opens the last chunk, which
    /// proves the size.
    ///
    /// # Errors
    /// [`ReadError::Age`] with [`AgeError::PayloadLength`] or [`AgeError::Chunk`], [`ReadError::Io`] from the reader.
    pub fn new(mut inner: R, start: u64, payload_len: u64, file_key: &FileKey) -> Result<Self, ReadError> {
        let layout = PayloadLayout::of_payload(payload_len)?;
        if start.checked_add(payload_len).is_none() {
            return Err(AgeError::PayloadLength.into());
        }
        let mut nonce = [0; NONCE_LEN];
        inner.seek(SeekFrom::Start(start))?;
        inner.read_exact(&mut nonce)?;
        let cipher = ChunkCipher::new(file_key, &PayloadNonce::from_bytes(nonce));
        let mut reader = Self { inner, start, layout, cipher, held: None, position: 0 };
        reader.load(layout.last_chunk())?;
        Ok(reader)
    }

    /// Bytes of plaintext, proven.
    #[must_use]
    pub const fn plain_len(&self) -> u64 {
        self.layout.plain_len()
    }

    /// Reads from `offset` on until `out` is full or the plaintext ends, and says how many bytes that were: 0 at and
    /// after the end. Leaves the position of [`Read`] alone.
    ///
    /// # Errors
    /// [`ReadError::Age`] with [`AgeError::Chunk`], [`ReadError::Io`] from the reader. What `out` holds then is
    /// authentic but incomplete.
    pub fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<usize, ReadError> {
        let mut done = 0;
        while done < out.len() {
            let at = offset.saturating_add(done as u64);
            let Some(chunk) = self.layout.chunk_at(at) else {
                break;
            };
            let text = self.load(chunk)?;
            let from = &text[(at % CHUNK_LEN as u64) as usize..];
            let taken = from.len().min(out.len() - done);
            out[done..done + taken].copy_from_slice(&from[..taken]);
            done += taken;
        }
        Ok(done)
    }

    fn load(&mut self, chunk: Chunk) -> Result<&[u8], ReadError> {
        let mut text = match self.held.take() {
            Some(held) if held.chunk == chunk => return Ok(&self.held.insert(held).text),
            Some(held) => held.text,
            None => Plaintext::with_capacity(CHUNK_LEN + super::layout::TAG_LEN),
        };
        text.resize(chunk.sealed_len(), 0);
        self.inner.seek(SeekFrom::Start(self.start + chunk.payload_offset()))?;
        self.inner.read_exact(&mut text)?;
        self.cipher.open(&chunk, &mut text)?;
        text.truncate(chunk.plain_len());
        Ok(&self.held.insert(Held { chunk, text }).text)
    }
}

impl<R: Read + Seek> Read for PayloadReader<R> {
    /// Reads up to the end of the current chunk.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let room = CHUNK_LEN - (self.position % CHUNK_LEN as u64) as usize;
        let wanted = out.len().min(room);
        let taken = self.read_at(self.position, &mut out[..wanted])?;
        self.position += taken as u64;
        Ok(taken)
    }
}

impl<R> Seek for PayloadReader<R> {
    /// Seeks in the plaintext; past its end is allowed and reads nothing.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.layout.plain_len().checked_add_signed(by),
        };
        self.position = target
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the beginning of the plaintext"))?;
        Ok(self.position)
    }
}

impl<R> std::fmt::Debug for PayloadReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayloadReader")
            .field("start", &self.start)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}
