//! A part in the clear, read by range.

use super::blocks::BlockReader;
use super::error::SealedError;
use super::read_at::ReadAt;
use crate::age::{AgeError, FileKey, PayloadReader};
use crate::documents::PartEntry;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

/// The plaintext of one part, from any offset, in about 1 MiB of memory. Every byte was checked against the
/// publisher's signature and authenticated in its place; the plaintext held is wiped when it is dropped.
pub struct PartReader<R> {
    entry: PartEntry,
    payload: PayloadReader<BlockReader<R>>,
}

impl<R: ReadAt> PartReader<R> {
    pub(super) fn open(
        blocks: BlockReader<R>,
        entry: PartEntry,
        payload_len: u64,
        key: &FileKey,
    ) -> Result<Self, SealedError> {
        let payload = PayloadReader::new(blocks, 0, payload_len, key);
        let payload = payload.map_err(|error| SealedError::of_read(&entry.name, error))?;
        if payload.plain_len() != entry.size {
            return Err(SealedError::Age { part: entry.name, error: AgeError::PayloadLength });
        }
        Ok(Self { entry, payload })
    }

    /// What the manifest says of the part.
    #[must_use]
    pub const fn entry(&self) -> &PartEntry {
        &self.entry
    }

    /// Bytes of plaintext, proven.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.payload.plain_len()
    }

    /// Reads from `offset` on until `to` is full or the part ends, and says how many bytes that were. Leaves the
    /// position of [`Read`] alone.
    ///
    /// # Errors
    /// [`SealedError::Block`] or [`SealedError::Age`] where the file is not what was signed, [`SealedError::Io`].
    pub fn read_at(&mut self, offset: u64, to: &mut [u8]) -> Result<usize, SealedError> {
        self.payload.read_at(offset, to).map_err(|error| SealedError::of_read(&self.entry.name, error))
    }
}

impl<R: ReadAt> Read for PartReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.payload.read(to)
    }
}

impl<R: ReadAt> Seek for PartReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.payload.seek(to)
    }
}

impl<R> fmt::Debug for PartReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartReader({}, {} bytes)", self.entry.name, self.entry.size)
    }
}
