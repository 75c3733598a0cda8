//! A sealed file that is read at positions, wherever it lies.

use super::{Objects, StorageError};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use portcullis_protocol::Digest;
use portcullis_protocol::sealed::ReadAt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// Bytes that are fetched at once: what is read of a file is its head, a table, and one part from its beginning on.
pub(super) const WINDOW: u64 = 256 * 1024;
/// The same for what is read from its beginning to its end: a service takes some ten milliseconds to begin an answer.
pub(super) const LARGE_WINDOW: u64 = 8 * 1024 * 1024;

/// Reads a sealed file through a window. Only for threads that may wait, such as those of `spawn_blocking`.
pub(crate) struct ObjectReader {
    objects: Arc<Objects>,
    digest: Digest,
    size: u64,
    runtime: Handle,
    /// How many bytes are fetched at once.
    window_size: u64,
    /// The bytes that were fetched last, and where they begin.
    window: Mutex<(u64, Bytes)>,
}

impl ObjectReader {
    pub(super) fn open(objects: Arc<Objects>, digest: Digest, window_size: u64) -> Result<Self, StorageError> {
        let runtime = Handle::current();
        let found = runtime.block_on(objects.find(&digest))?;
        let found = found.ok_or_else(|| StorageError::Missing { place: objects.place_of(&digest) })?;
        Ok(Self { objects, digest, size: found.size, runtime, window_size, window: Mutex::default() })
    }

    fn fetch(&self, start: u64) -> Result<Bytes, io::Error> {
        let end = start.saturating_add(self.window_size).min(self.size);
        self.runtime.block_on(async {
            let pieces = self.objects.read(&self.digest, start..end).await?;
            let fetched = pieces.try_fold(BytesMut::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            });
            Ok(fetched.await?.freeze())
        })
    }
}

impl ReadAt for ObjectReader {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<usize> {
        if offset >= self.size || to.is_empty() {
            return Ok(0);
        }
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = |(start, bytes): &(u64, Bytes)| offset >= *start && offset - *start < bytes.len() as u64;
        if !holds(&window) {
            *window = (offset, self.fetch(offset)?);
        }
        let (start, bytes) = &*window;
        let from = usize::try_from(offset - start).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let read = from.len().min(to.len());
        to[..read].copy_from_slice(&from[..read]);
        Ok(read)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }
}
