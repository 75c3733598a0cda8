//! A part in the clear, read by range.

use super::error::SealedError;
use super::open::Sealed;
use super::read_at::ReadAt;
use super::stretch::{MOST_BLOCKS, Refused, Stretch};
use crate::age::{AgeError, CHUNK_LEN, Chunk, ChunkCipher, FileKey, PayloadLayout, PayloadNonce};
use crate::documents::PartEntry;
use crate::limits::BLOCK;
use crate::parallel;
use crate::plaintext::Plaintext;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

/// Chunks that are opened at once for one who reads on and on in small pieces: 2 MiB.
const MOST_AHEAD: u64 = 32;

/// The plaintext of one part, from any offset. Every byte was checked against the publisher's signature and
/// authenticated in its place; the plaintext held is wiped when it is dropped.
///
/// Large reads are opened straight into the caller's buffer over all cores, while what follows is read from the file.
/// Small ones in sequence are gathered: it then opens up to 2 MiB at once. It holds up to 11 MiB; a reader that only
/// ever reads small pieces here and there holds 1–2 MiB.
pub struct PartReader<R> {
    sealed: Sealed<R>,
    part: usize,
    entry: PartEntry,
    layout: PayloadLayout,
    cipher: ChunkCipher,
    /// Read last, and checked unless reading it failed.
    now: Stretch,
    /// Room for the stretch after it.
    next: Stretch,
    held: Held,
    position: u64,
}

/// Chunks opened last.
#[derive(Default)]
struct Held {
    first: u64,
    count: u64,
    text: Plaintext,
}

impl<R: ReadAt> PartReader<R> {
    /// The caller has checked the key.
    pub(super) fn open(sealed: Sealed<R>, part: usize, key: &FileKey) -> Result<Self, SealedError> {
        let entry = sealed.manifest().parts[part].clone();
        let layout = PayloadLayout::of_payload(sealed.place(part).payload_len);
        let layout = layout.ok().filter(|layout| layout.plain_len() == entry.size);
        let layout =
            layout.ok_or_else(|| SealedError::Age { part: entry.name.clone(), error: AgeError::PayloadLength })?;
        // Where there are but two blocks, the last chunk, which proves the size, lies in them too.
        let blocks = if sealed.place(part).blocks.len() == 2 { 2 } else { 1 };
        let mut now = Stretch::default();
        now.read(&sealed, part, 0, blocks)?;
        let nonce = match now.check(&sealed.place(part).blocks) {
            Ok(checked) => checked.nonce(),
            Err(block) if sealed.forget_block(part, block) => {
                now.read_again(&sealed, part)?;
                now.check(&sealed.place(part).blocks).map_err(|block| sealed.refused_block(part, block))?.nonce()
            }
            Err(block) => return Err(sealed.refused_block(part, block)),
        };
        let cipher = ChunkCipher::new(key, &PayloadNonce::from_bytes(nonce));
        Ok(Self {
            sealed,
            part,
            entry,
            layout,
            cipher,
            now,
            next: Stretch::default(),
            held: Held::default(),
            position: 0,
        })
    }

    /// Opens the last chunk, which proves the size.
    pub(super) fn prove_size(mut self) -> Result<Self, SealedError> {
        self.hold(self.layout.last_chunk().index(), 1)?;
        Ok(self)
    }

    /// Reads from `offset` on until `to` is full or the part ends, and says how many bytes that were. Leaves the
    /// position of [`Read`] alone. Fastest where `to` has room for a few MiB.
    ///
    /// # Errors
    /// [`SealedError::Block`] or [`SealedError::Age`] if the file is not what was signed, [`SealedError::Io`]. What
    /// `to` holds then is authentic but incomplete.
    pub fn read_at(&mut self, offset: u64, to: &mut [u8]) -> Result<usize, SealedError> {
        let mut done = 0;
        while done < to.len() {
            let at = offset.saturating_add(done as u64);
            let Some(chunk) = self.layout.chunk_at(at) else { break };
            done += match self.whole_chunks(at, &to[done..]) {
                0 => self.copy_held(chunk, at, &mut to[done..])?,
                count => {
                    let chunks = self.chunks(chunk.index(), count);
                    let len = chunks.iter().map(Chunk::plain_len).sum();
                    self.open_run(&chunks, &mut to[done..done + len])?;
                    len
                }
            };
        }
        Ok(done)
    }

    /// Frees what is held; the next read reads it again.
    pub fn release(&mut self) {
        (self.now, self.next, self.held) = Default::default();
    }

    /// Reads the whole part. The caller knows that it fits in memory.
    pub(super) fn read_all(mut self) -> Result<Plaintext, SealedError> {
        let len = usize::try_from(self.size()).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let mut plain = Plaintext::zeroed(len);
        let chunks: Vec<_> = self.layout.chunks().collect();
        self.open_run(&chunks, &mut plain)?;
        Ok(plain)
    }

    /// How many chunks from `at` on would fill `to` whole; 0 where so few that they are better held.
    fn whole_chunks(&self, at: u64, to: &[u8]) -> u64 {
        if !at.is_multiple_of(CHUNK_LEN as u64) || self.held.has(at / CHUNK_LEN as u64) {
            return 0;
        }
        let left = self.size() - at;
        let count =
            if to.len() as u64 >= left { left.div_ceil(CHUNK_LEN as u64) } else { (to.len() / CHUNK_LEN) as u64 };
        if count > 1 { count } else { 0 }
    }

    fn chunks(&self, first: u64, count: u64) -> Vec<Chunk> {
        (first..first + count).filter_map(|index| self.layout.chunk(index)).collect()
    }

    fn copy_held(&mut self, chunk: Chunk, at: u64, to: &mut [u8]) -> Result<usize, SealedError> {
        if !self.held.has(chunk.index()) {
            let goes_on = self.held.count > 0 && chunk.index() == self.held.first + self.held.count;
            let count = if goes_on { (self.held.count * 2).min(MOST_AHEAD) } else { 1 };
            self.hold(chunk.index(), count.min(self.layout.chunk_count() - chunk.index()))?;
        }
        let from = &self.held.text[(at - self.held.first * CHUNK_LEN as u64) as usize..];
        let taken = from.len().min(to.len());
        to[..taken].copy_from_slice(&from[..taken]);
        Ok(taken)
    }

    fn hold(&mut self, first: u64, count: u64) -> Result<(), SealedError> {
        let chunks = self.chunks(first, count);
        let len = chunks.iter().map(Chunk::plain_len).sum();
        let mut text = std::mem::take(&mut self.held).text;
        if text.capacity() < len {
            // Growing in place would leave a copy behind.
            text = Plaintext::with_capacity(len);
        }
        text.resize(len, 0);
        self.open_run(&chunks, &mut text)?;
        self.held = Held { first, count, text };
        Ok(())
    }

    /// Opens chunks that follow each other into `out`, which they fill.
    fn open_run(&mut self, chunks: &[Chunk], out: &mut [u8]) -> Result<(), SealedError> {
        let opened = self.try_open_run(chunks, out);
        if opened.is_err() {
            self.now.clear();
        }
        opened
    }

    fn try_open_run(&mut self, mut chunks: &[Chunk], mut out: &mut [u8]) -> Result<(), SealedError> {
        let Self { sealed, part, now, next, cipher, .. } = self;
        let (sealed, part) = (&*sealed, *part);
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Ok(()) };
        let (start, end) = (first.payload_offset(), last.payload_end());
        let digests = &sealed.place(part).blocks;
        let count = |from: u64| (end.div_ceil(BLOCK) - from).min(MOST_BLOCKS);
        if now.checked().is_none() || !now.holds(start) {
            now.read(sealed, part, start / BLOCK, count(start / BLOCK))?;
        }
        loop {
            let whole = chunks.iter().take_while(|chunk| chunk.payload_end() <= now.end()).count();
            let (these, later) = chunks.split_at(whole);
            let (mine, rest) = out.split_at_mut(these.iter().map(Chunk::plain_len).sum());
            let mut open = |now: &mut Stretch| now.check(digests).map_err(Refused::Block)?.open(cipher, these, mine);
            let after = now.end() / BLOCK;
            let (mut opened, read) = if now.end() < end {
                parallel::meanwhile(|| open(now), || next.read(sealed, part, after, count(after)))
            } else {
                (open(now), Ok(()))
            };
            if let Err(Refused::Block(block)) = opened
                && sealed.forget_block(part, block)
            {
                now.read_again(sealed, part)?;
                opened = open(now);
            }
            opened.map_err(|refused| match refused {
                Refused::Block(block) => sealed.refused_block(part, block),
                Refused::Chunk(error) => SealedError::Age { part: sealed.manifest().parts[part].name.clone(), error },
            })?;
            read?;
            let Some(chunk) = later.first() else { return Ok(()) };
            let checked = now.checked().expect("it was opened, so it was checked");
            next.carry(checked, chunk.payload_offset());
            std::mem::swap(now, next);
            (chunks, out) = (later, rest);
        }
    }
}

impl<R> PartReader<R> {
    /// What the manifest says of the part.
    #[must_use]
    pub const fn entry(&self) -> &PartEntry {
        &self.entry
    }

    /// Bytes of plaintext, proven.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.layout.plain_len()
    }
}

impl Held {
    const fn has(&self, chunk: u64) -> bool {
        self.first <= chunk && chunk < self.first + self.count
    }
}

impl<R: ReadAt> Read for PartReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.read_at(self.position, to).map_err(SealedError::into_io)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl<R> Seek for PartReader<R> {
    /// Seeks in the plaintext; past its end is allowed and reads nothing.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.size().checked_add_signed(by),
        };
        self.position = target
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the beginning of the plaintext"))?;
        Ok(self.position)
    }
}

impl<R> fmt::Debug for PartReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartReader({}, {} bytes)", self.entry.name, self.entry.size)
    }
}
