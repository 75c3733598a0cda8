//! A stretch of a part's payload: read by the thread that asked, checked against the signed digests, then opened.
//!
//! ```text
//!  stretch before        │ carried │  block  │  block  │  block  │
//!                         └ the chunk that a border of blocks cuts: checked with the stretch before
//! ```

use super::error::SealedError;
use super::open::Sealed;
use super::read_at::ReadAt;
use crate::age::{AgeError, CHUNK_LEN, Chunk, ChunkCipher, NONCE_LEN, TAG_LEN};
use crate::limits::BLOCK;
use crate::parallel;
use std::io;

/// Blocks that a stretch holds at most. Two stretches are held, one being read while the other is opened: 8 MiB, which
/// is enough for several cores and stays in their cache.
pub(super) const MOST_BLOCKS: u64 = 4;
/// Room before the blocks for what is carried over: less than one chunk.
const ROOM: usize = CHUNK_LEN + TAG_LEN;

/// Some bytes of a payload. Ciphertext: nothing in it is secret.
#[derive(Default)]
pub(super) struct Stretch {
    /// `ROOM` bytes, of which the last `carried` count, then the blocks.
    bytes: Vec<u8>,
    carried: usize,
    /// The first block.
    first: u64,
    /// Whether the blocks are those that the publisher signed.
    checked: bool,
}

/// Why a stretch gives nothing.
pub(super) enum Refused {
    /// This block is not the one that the publisher signed.
    Block(u64),
    /// A chunk does not open.
    Chunk(AgeError),
}

/// Shown by a stretch whose blocks were all checked: only it gives bytes.
#[derive(Clone, Copy)]
pub(super) struct Checked<'a>(&'a Stretch);

impl Stretch {
    /// Where it begins in the payload.
    pub(super) fn start(&self) -> u64 {
        self.first * BLOCK - self.carried as u64
    }

    /// Where it ends in the payload.
    pub(super) fn end(&self) -> u64 {
        self.first * BLOCK + self.bytes.len().saturating_sub(ROOM) as u64
    }

    /// Whether it holds this place of the payload.
    pub(super) fn holds(&self, at: u64) -> bool {
        (self.start()..self.end()).contains(&at)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.carried, self.first, self.checked) = (0, 0, false);
    }

    /// Reads `count` blocks from `first` on, in place of what it held, and carries nothing over.
    pub(super) fn read<R: ReadAt>(
        &mut self,
        sealed: &Sealed<R>,
        part: usize,
        first: u64,
        count: u64,
    ) -> Result<(), SealedError> {
        // At most `MOST_BLOCKS`.
        let len = (sealed.place(part).payload_len - first * BLOCK).min(count * BLOCK);
        (self.carried, self.first) = (0, first);
        self.bytes.resize(ROOM + len as usize, 0);
        self.read_again(sealed, part)
    }

    /// Reads the same blocks once more. What was carried over stays.
    pub(super) fn read_again<R: ReadAt>(&mut self, sealed: &Sealed<R>, part: usize) -> Result<(), SealedError> {
        self.checked = false;
        let from = sealed.place(part).payload + self.first * BLOCK;
        sealed.source().read_exact_at(from, &mut self.bytes[ROOM..]).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => sealed.refused_block(part, self.first),
            _ => SealedError::Io(error),
        })
    }

    /// Puts before the blocks what the stretch before holds from `at` on, less than a chunk.
    pub(super) fn carry(&mut self, before: Checked<'_>, at: u64) {
        let tail = before.bytes(at, before.0.end());
        self.bytes[ROOM - tail.len()..ROOM].copy_from_slice(tail);
        self.carried = tail.len();
    }

    /// Checks every block, over all cores, unless that was done. The error names the first that differs.
    pub(super) fn check(&mut self, digests: &[[u8; 32]]) -> Result<Checked<'_>, u64> {
        if !self.checked {
            let first = self.first as usize;
            let blocks = self.bytes.get(ROOM..).unwrap_or_default().chunks(BLOCK as usize);
            let count = blocks.len();
            let expected = digests.get(first..first + count).ok_or(self.first)?;
            let work: Vec<_> = blocks.zip(expected).zip(self.first..).collect();
            parallel::first_error(work, |((block, digest), index)| {
                if parallel::blake3(block, count < MOST_BLOCKS as usize) == *digest { Ok(()) } else { Err(index) }
            })?;
            self.checked = true;
        }
        Ok(Checked(self))
    }

    /// The evidence, where it was given before.
    pub(super) fn checked(&self) -> Option<Checked<'_>> {
        self.checked.then_some(Checked(self))
    }
}

impl<'a> Checked<'a> {
    /// All blocks.
    pub(super) fn blocks(self) -> &'a [u8] {
        &self.0.bytes[ROOM..]
    }

    /// The bytes of the payload from `from` to `to`, which lie in the stretch.
    fn bytes(self, from: u64, to: u64) -> &'a [u8] {
        let start = ROOM - self.0.carried + (from - self.0.start()) as usize;
        &self.0.bytes[start..start + (to - from) as usize]
    }

    /// Opens chunks that follow each other and lie in the stretch whole.
    pub(super) fn open(self, cipher: &ChunkCipher, chunks: &[Chunk], out: &mut [u8]) -> Result<(), Refused> {
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Ok(()) };
        let sealed = self.bytes(first.payload_offset(), last.payload_end());
        cipher.open_run(chunks, sealed, out).map_err(Refused::Chunk)
    }

    /// The beginning of the payload, where the stretch begins with it.
    pub(super) fn nonce(self) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(self.bytes(0, NONCE_LEN as u64));
        nonce
    }
}
