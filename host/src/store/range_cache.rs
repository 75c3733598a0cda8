//! What has arrived of a file that is streamed: on the disk as it came, or, if that cannot be, a little of it in
//! memory.
//!
//! Only ciphertext, and nothing in it is believed: whoever reads it checks every byte against signed digests, so a file
//! that was changed or cut by a crash costs a second fetch and nothing else.

use crate::state::folder::{StateDir, make_private};
use portcullis_folders::private_file;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Bytes that are fetched and kept together. Small enough that the index of a large resource costs little to read,
/// large enough that a stream takes few requests.
pub(crate) const GRANULE: u64 = 256 * 1024;
/// Bytes of all streams on the disk together; the longest unused go first. A stream that alone is larger is not kept.
const MOST_ON_DISK: u64 = 2 << 30;
/// Granules of a stream in memory: 8 MiB.
const MOST_IN_MEMORY: usize = 32;
/// Where streams are kept, in the state directory.
pub(crate) const FOLDER: &str = "streams";

/// What is kept of resources that were streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptStreams {
    /// Resources of which something is kept.
    pub count: usize,
    /// Bytes that it takes on the disk.
    pub bytes: u64,
    /// Bytes that are kept at most.
    pub most: u64,
}

impl KeptStreams {
    pub(crate) fn of(state: &StateDir) -> io::Result<Self> {
        let kept = streams(&state.path(FOLDER))?;
        Ok(Self { count: kept.len(), bytes: kept.iter().map(|stream| stream.bytes).sum(), most: MOST_ON_DISK })
    }

    /// Removes all of it and gives how many there were. Who streams one meanwhile goes on.
    pub(crate) fn clear(state: &StateDir) -> io::Result<usize> {
        let kept = streams(&state.path(FOLDER))?;
        kept.iter().try_for_each(|stream| match fs::remove_file(&stream.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })?;
        Ok(kept.len())
    }
}

/// The granules of one file that are here.
pub(crate) struct StreamCache {
    size: u64,
    place: Place,
    /// Bytes that are here.
    have: u64,
}

enum Place {
    /// The file in its own length, with holes, then one bit per granule.
    Disk {
        file: File,
        map: Vec<u8>,
    },
    Memory {
        granules: BTreeMap<u64, Arc<[u8]>>,
        order: VecDeque<u64>,
    },
}

impl StreamCache {
    /// What is kept of a file called `name` of this size. If another process streams it, or the disk cannot take
    /// it, a little is kept in memory.
    pub(crate) fn open(state: &StateDir, name: &str, size: u64) -> Self {
        if size <= MOST_ON_DISK && make_private(&state.path(FOLDER)).is_ok() {
            make_room(&state.path(FOLDER), name, MOST_ON_DISK - size);
            if let Ok((file, map)) = open(&state.path(FOLDER).join(name), size) {
                let mut kept = Self { size, place: Place::Disk { file, map }, have: 0 };
                kept.have =
                    (0..kept.count()).filter(|granule| kept.has(*granule)).map(|granule| kept.len(granule)).sum();
                return kept;
            }
        }
        Self { size, place: Place::memory(), have: 0 }
    }

    /// How many granules the file has.
    pub(crate) const fn count(&self) -> u64 {
        self.size.div_ceil(GRANULE)
    }

    /// How many bytes a granule has.
    pub(crate) fn len(&self, granule: u64) -> u64 {
        self.size.saturating_sub(granule * GRANULE).min(GRANULE)
    }

    /// Bytes that are here.
    pub(crate) const fn have(&self) -> u64 {
        self.have
    }

    /// Whether a granule is here.
    pub(crate) fn has(&self, granule: u64) -> bool {
        match &self.place {
            Place::Disk { map, .. } => map.get(granule as usize / 8).is_some_and(|byte| byte >> (granule % 8) & 1 == 1),
            Place::Memory { granules, .. } => granules.contains_key(&granule),
        }
    }

    /// Reads from the granule that `offset` lies in, if it is here.
    pub(crate) fn read(&mut self, offset: u64, to: &mut [u8]) -> Option<usize> {
        let (granule, start) = (offset / GRANULE, offset % GRANULE);
        if !self.has(granule) {
            return None;
        }
        let len = to.len().min((self.len(granule) - start) as usize);
        let read = match &self.place {
            Place::Disk { file, .. } => {
                portcullis_protocol::sealed::ReadAt::read_exact_at(file, offset, &mut to[..len]).is_ok()
            }
            Place::Memory { granules, .. } => granules.get(&granule).is_some_and(|bytes| {
                to[..len].copy_from_slice(&bytes[start as usize..start as usize + len]);
                true
            }),
        };
        if !read {
            // The disk lost it.
            self.forget(granule);
        }
        read.then_some(len)
    }

    /// Keeps a granule.
    pub(crate) fn put(&mut self, granule: u64, bytes: &[u8]) {
        if self.has(granule) || bytes.len() as u64 != self.len(granule) {
            return;
        }
        if let Place::Disk { file, map } = &mut self.place
            && let Some(byte) = map.get_mut(granule as usize / 8)
        {
            let marked = *byte | 1 << (granule % 8);
            let written = write_at(file, granule * GRANULE, bytes)
                .and_then(|()| write_at(file, self.size + granule / 8, &[marked]));
            match written {
                Ok(()) => *byte = marked,
                // A full disk: from here on in memory. What is there stays for another time.
                Err(_) => (self.place, self.have) = (Place::memory(), 0),
            }
        }
        if let Place::Memory { granules, order } = &mut self.place {
            granules.insert(granule, bytes.into());
            order.push_back(granule);
            if order.len() > MOST_IN_MEMORY
                && let Some(oldest) = order.pop_front()
                && let Some(oldest) = granules.remove(&oldest)
            {
                self.have -= oldest.len() as u64;
            }
        }
        self.have += bytes.len() as u64;
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&mut self) {
        let here: Vec<u64> = match &self.place {
            // A file on the disk has a few thousand.
            Place::Disk { .. } => (0..self.count()).filter(|granule| self.has(*granule)).collect(),
            Place::Memory { granules, .. } => granules.keys().copied().collect(),
        };
        here.into_iter().for_each(|granule| self.forget(granule));
    }

    /// Forgets a granule: it is fetched again.
    pub(crate) fn forget(&mut self, granule: u64) {
        if !self.has(granule) {
            return;
        }
        self.have -= self.len(granule);
        match &mut self.place {
            Place::Disk { file, map } => {
                let byte = &mut map[granule as usize / 8];
                *byte &= !(1 << (granule % 8));
                // Where this fails, it is checked and forgotten again next time.
                let _ = write_at(file, self.size + granule / 8, &[*byte]);
            }
            Place::Memory { granules, order } => {
                granules.remove(&granule);
                order.retain(|kept| *kept != granule);
            }
        }
    }
}

impl Place {
    const fn memory() -> Self {
        Self::Memory { granules: BTreeMap::new(), order: VecDeque::new() }
    }
}

/// Opens the file for this process alone, with the map of what is in it.
fn open(path: &Path, size: u64) -> io::Result<(File, Vec<u8>)> {
    let mut map = vec![0; size.div_ceil(GRANULE).div_ceil(8) as usize];
    let file = private_file().read(true).write(true).create(true).truncate(false).open(path)?;
    lock(&file)?;
    let whole = size + map.len() as u64;
    if file.metadata()?.len() == whole {
        portcullis_protocol::sealed::ReadAt::read_exact_at(&file, size, &mut map)?;
        // The last used is the last to go.
        let _ = file.set_modified(std::time::SystemTime::now());
    } else {
        file.set_len(0)?;
        file.set_len(whole)?;
    }
    Ok((file, map))
}

/// Takes the file for this process. One that has just stopped streaming it may need a moment to let go.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..20 {
        if file.try_lock().is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(file.try_lock()?)
}

/// A stream on the disk.
struct Stream {
    used: SystemTime,
    bytes: u64,
    path: PathBuf,
}

/// The streams in a folder, the longest unused first.
fn streams(folder: &Path) -> io::Result<Vec<Stream>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut streams: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let metadata = entry.metadata().ok()?;
            Some(Stream { used: metadata.modified().ok()?, bytes: on_disk(&metadata), path: entry.path() })
        })
        .collect();
    streams.sort_unstable_by_key(|stream| stream.used);
    Ok(streams)
}

/// Removes the longest unused streams until the others take at most so many bytes.
fn make_room(folder: &Path, except: &str, most: u64) {
    let Ok(mut streams) = streams(folder) else { return };
    streams.retain(|stream| stream.path.file_name().is_some_and(|name| name != except));
    let mut total: u64 = streams.iter().map(|stream| stream.bytes).sum();
    for stream in streams {
        if total <= most {
            break;
        }
        // Who streams it meanwhile has it open and goes on.
        let _ = fs::remove_file(stream.path);
        total -= stream.bytes;
    }
}

/// What a file with holes takes.
fn on_disk(metadata: &fs::Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::blocks(metadata) * 512;
    #[cfg(not(unix))]
    metadata.len()
}

fn write_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, bytes, offset);
    #[cfg(not(unix))]
    {
        use std::io::{Seek as _, Write as _};
        let mut file = file;
        file.seek(io::SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }
}
