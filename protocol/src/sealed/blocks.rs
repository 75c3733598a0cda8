//! Reading a part's payload so that no byte comes out that the publisher did not sign.

use super::error::SealedError;
use super::open::Sealed;
use super::read_at::ReadAt;
use crate::limits::BLOCK;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

/// The age payload of one part, each block checked against its digest before any byte of it comes out. Holds one block
/// of 1 MiB. Errors are [`SealedError`]s inside [`io::Error`]; see [`SealedError::from_io`].
pub struct BlockReader<R> {
    sealed: Sealed<R>,
    part: usize,
    held: Option<u64>,
    block: Vec<u8>,
    position: u64,
}

impl<R: ReadAt> BlockReader<R> {
    pub(super) fn new(sealed: Sealed<R>, part: usize) -> Self {
        Self { sealed, part, held: None, block: Vec::new(), position: 0 }
    }

    /// The block with this number, which the caller knows to exist.
    fn load(&mut self, index: u64) -> Result<&[u8], SealedError> {
        if self.held != Some(index) {
            self.held = None;
            self.sealed.read_block(self.part, index, &mut self.block)?;
            self.held = Some(index);
        }
        Ok(&self.block)
    }
}

impl<R: ReadAt> Read for BlockReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let position = self.position;
        if position >= self.sealed.place(self.part).payload_len || to.is_empty() {
            return Ok(0);
        }
        let block = self.load(position / BLOCK).map_err(SealedError::into_io)?;
        let from = &block[(position % BLOCK) as usize..];
        let read = from.len().min(to.len());
        to[..read].copy_from_slice(&from[..read]);
        self.position += read as u64;
        Ok(read)
    }
}

impl<R: ReadAt> Seek for BlockReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.sealed.place(self.part).payload_len.checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl<R> fmt::Debug for BlockReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockReader")
            .field("part", &self.part)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
