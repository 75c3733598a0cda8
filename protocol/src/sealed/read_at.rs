//! Reading at a position, from any number of readers at once.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that can be read at any position without a cursor, so that several readers share one open file.
pub trait ReadAt {
    /// Reads up to `to.len()` bytes from `offset` on, and says how many; 0 only at and after the end.
    ///
    /// # Errors
    /// Those of the file underneath.
    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// Those of the file underneath.
    fn size(&self) -> io::Result<u64>;

    /// Is told that these bytes are not those that were signed. Gives whether it has forgotten them, so that reading
    /// them once more may give others: a reader that keeps what it fetched does.
    fn forget(&self, offset: u64, len: u64) -> bool {
        let _ = (offset, len);
        false
    }

    /// Fills `to` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the bytes end before; those of the file underneath.
    fn read_exact_at(&self, mut offset: u64, mut to: &mut [u8]) -> io::Result<()> {
        while !to.is_empty() {
            match self.read_at(offset, to) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    offset += read as u64;
                    to = &mut to[read..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let read = from.len().min(to.len());
        to[..read].copy_from_slice(&from[..read]);
        Ok(read)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, to)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

#[cfg(any(unix, windows))]
impl ReadAt for std::fs::File {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(self, to, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(self, to, offset);
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl<R: ReadAt + ?Sized> ReadAt for Arc<R> {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, to)
    }

    fn forget(&self, offset: u64, len: u64) -> bool {
        (**self).forget(offset, len)
    }

    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }
}

impl<R: ReadAt + ?Sized> ReadAt for Box<R> {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, to)
    }

    fn forget(&self, offset: u64, len: u64) -> bool {
        (**self).forget(offset, len)
    }

    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, to)
    }

    fn forget(&self, offset: u64, len: u64) -> bool {
        (**self).forget(offset, len)
    }

    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }
}

/// Makes [`ReadAt`] of anything with a cursor. Readers wait for each other.
#[derive(Debug)]
pub struct Seeking<R>(Mutex<R>);

impl<R: Read + Seek> Seeking<R> {
    /// Takes the reader, whose position no longer matters.
    #[must_use]
    pub const fn new(reader: R) -> Self {
        Self(Mutex::new(reader))
    }
}

impl<R: Read + Seek> ReadAt for Seeking<R> {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        // Every use seeks first, so a reader that panicked half-way leaves nothing behind that matters.
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reader.seek(SeekFrom::Start(offset))?;
        reader.read(to)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).seek(SeekFrom::End(0))
    }
}
