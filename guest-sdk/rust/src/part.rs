//! An open part, as an ordinary reader.

use std::fmt;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::marker::PhantomData;

use crate::{Grant, gate};

/// What one call to the host reads ahead: many small reads cost one call.
const READ_AHEAD: usize = 64 * 1024;

/// What the host gives at once, at most (`portcullis:gate/vault.part.read`).
const LARGEST_READ: usize = 1024 * 1024;

/// An open part: [`Read`], [`BufRead`] and [`Seek`], buffered.
///
/// It borrows the grant that opened it, because it can be read only as long as that grant is held:
///
/// ```compile_fail,E0505
/// # use portcullis_guest::billing;
/// let grant = billing::entry();
/// let part = grant.open("full").unwrap();
/// drop(grant);
/// part.read_all(1024).unwrap();
/// ```
///
/// Errors of the host come as [`io::Error`] with the [`VaultError`] inside.
pub struct Part<'grant> {
    handle: gate::vault::Part,
    size: u64,
    position: u64,
    /// Bytes of the part from `ahead_from` on.
    ahead: Vec<u8>,
    ahead_from: u64,
    grant: PhantomData<&'grant Grant>,
}

/// Wraps the host's handle. The caller ties the lifetime to the grant.
pub(crate) fn under<'grant>(handle: gate::vault::Part) -> Part<'grant> {
    Part { size: handle.size(), handle, position: 0, ahead: Vec::new(), ahead_from: 0, grant: PhantomData }
}

impl Part<'_> {
    /// Its length in bytes, in the clear.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The whole part, from its beginning.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] if it has more than `limit` bytes: a guest's memory is bounded, so each
    /// caller says what it has room for. Otherwise as reading.
    pub fn read_all(mut self, limit: usize) -> io::Result<Vec<u8>> {
        let size = usize::try_from(self.size).ok().filter(|size| *size <= limit).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("the part has {} bytes, more than the {limit} that there is room for", self.size),
            )
        })?;
        self.position = 0;
        let mut bytes = vec![0; size];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// At most `length` bytes at `offset`, straight from the host. Empty only at the end.
    fn fetch(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = length.min(left).min(LARGEST_READ);
        if length == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = self.handle.read(offset, u32::try_from(length).unwrap_or(u32::MAX))?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    /// What is buffered from the position on.
    fn buffered(&self) -> &[u8] {
        self.position
            .checked_sub(self.ahead_from)
            .and_then(|skip| self.ahead.get(usize::try_from(skip).ok()?..))
            .unwrap_or_default()
    }
}

impl Read for Part<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // A large read goes past the buffer: one copy less.
        if self.buffered().is_empty() && into.len() >= READ_AHEAD {
            let bytes = self.fetch(self.position, into.len())?;
            into[..bytes.len()].copy_from_slice(&bytes);
            self.position += bytes.len() as u64;
            return Ok(bytes.len());
        }
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Part<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.buffered().is_empty() {
            self.ahead = self.fetch(self.position, READ_AHEAD)?;
            self.ahead_from = self.position;
        }
        Ok(self.buffered())
    }

    fn consume(&mut self, length: usize) {
        self.position += length.min(self.buffered().len()) as u64;
    }
}

impl Seek for Part<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("size", &self.size).field("position", &self.position).finish_non_exhaustive()
    }
}

/// Why a part could not be opened or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VaultError {
    /// The resource has no part of this name.
    NoSuchPart,
    /// The grant does not release this part.
    NotGranted,
    /// The grant has ended.
    Expired,
    /// The bytes of the part are not what the publisher signed.
    Damaged,
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchPart => "the resource has no part of this name: compare it with the manifest",
            Self::NotGranted => "the grant does not release this part: get one for an operation that does",
            Self::Expired => "the grant has ended: request the operation again",
            Self::Damaged => "the part is not what the publisher signed: install the resource again",
        })
    }
}

impl std::error::Error for VaultError {}

impl From<VaultError> for io::Error {
    fn from(error: VaultError) -> Self {
        let kind = match error {
            VaultError::NoSuchPart => io::ErrorKind::NotFound,
            VaultError::NotGranted | VaultError::Expired => io::ErrorKind::PermissionDenied,
            VaultError::Damaged => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
