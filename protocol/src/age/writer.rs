//! Writing a payload as a stream.

use super::cipher::{ChunkCipher, PayloadNonce};
use super::file_key::FileKey;
use super::layout::{CHUNK_LEN, Chunk};
use crate::plaintext::Plaintext;
use std::fmt;
use std::io::{self, Write};

/// Encrypts what is written to it, in 128 KiB of memory. The writer underneath sees exactly the payload: the nonce,
/// then the chunks; a caller that digests the payload wraps it there. The header is written before, by the caller.
///
/// Without [`PayloadWriter::finish`] the payload has no last chunk and no reader accepts it. After an error of the
/// writer underneath nothing more can be written: a chunk is sealed once.
pub struct PayloadWriter<W> {
    state: State<W>,
    cipher: ChunkCipher,
    text: Plaintext,
    sealed: Vec<u8>,
    index: u64,
}

enum State<W> {
    Writing(W),
    Failed,
}

impl<W: Write> PayloadWriter<W> {
    /// Begins a payload: writes the nonce.
    ///
    /// # Errors
    /// Those of the writer underneath.
    pub fn new(mut inner: W, file_key: &FileKey, nonce: &PayloadNonce) -> io::Result<Self> {
        inner.write_all(nonce.as_bytes())?;
        Ok(Self {
            state: State::Writing(inner),
            cipher: ChunkCipher::new(file_key, nonce),
            text: Plaintext::with_capacity(CHUNK_LEN),
            sealed: Vec::new(),
            index: 0,
        })
    }

    /// Bytes of plaintext written so far.
    #[must_use]
    pub fn plain_len(&self) -> u64 {
        self.index * CHUNK_LEN as u64 + self.text.len() as u64
    }

    /// Seals the last chunk, flushes, and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer underneath.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal_chunk(true)?;
        match self.state {
            State::Writing(mut inner) => {
                inner.flush()?;
                Ok(inner)
            }
            State::Failed => Err(failed()),
        }
    }

    /// Chunks leave only when more follows or the end is known, so that the last one can be marked.
    fn seal_chunk(&mut self, last: bool) -> io::Result<()> {
        // A chunk of which a part is out is not sealed again: so until all of this one is, there is no next.
        let State::Writing(mut inner) = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(failed());
        };
        let chunk = Chunk::written(self.index, last, self.text.len());
        self.sealed.resize(chunk.sealed_len(), 0);
        self.cipher.seal_to(&chunk, &self.text, &mut self.sealed);
        inner.write_all(&self.sealed)?;
        self.text.clear();
        self.index += 1;
        self.state = State::Writing(inner);
        Ok(())
    }
}

impl<W: Write> Write for PayloadWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if matches!(self.state, State::Failed) {
            return Err(failed());
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.text.len() == CHUNK_LEN {
            self.seal_chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK_LEN - self.text.len());
        self.text.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Flushes the chunks sealed so far; the rest waits for the end of its chunk.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Writing(inner) => inner.flush(),
            State::Failed => Err(failed()),
        }
    }
}

impl<W> fmt::Debug for PayloadWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadWriter").field("chunks", &self.index).finish_non_exhaustive()
    }
}

fn failed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "writing the age payload failed before: begin it anew")
}
