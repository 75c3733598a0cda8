//! Encrypting a part as its source is read: some chunks are sealed and digested while the next are read.

use super::write::WriteError;
use crate::age::{CHUNK_LEN, Chunk, ChunkCipher, FileKey, NONCE_LEN, PayloadLayout, PayloadNonce, TAG_LEN};
use crate::ids::PartName;
use crate::limits::BLOCK;
use crate::parallel;
use crate::plaintext::Plaintext;
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// Chunks that are sealed at once: 2 MiB. Twice that is held in the clear, and somewhat more sealed.
const CHUNKS: usize = 32;

/// A part to be encrypted.
pub(super) struct Plain<'a> {
    pub(super) part: &'a PartName,
    pub(super) size: u64,
    pub(super) key: &'a FileKey,
    pub(super) nonce: PayloadNonce,
}

/// Writes the payload where the output stands, and gives the digests of its blocks.
pub(super) fn encrypt<W: Write>(
    out: &mut W,
    plain: &Plain<'_>,
    source: &mut dyn Read,
) -> Result<Vec<[u8; 32]>, WriteError> {
    let layout = PayloadLayout::of_plain(plain.size)?;
    let cipher = ChunkCipher::new(plain.key, &plain.nonce);
    let mut chunks = layout.chunks();
    let mut some = || chunks.by_ref().take(CHUNKS).collect::<Vec<_>>();
    let (mut now, mut next) = (Text::default(), Text::default());
    // What is being sealed, and what was sealed before and is not yet written.
    let (mut sealing, mut sealed) = (Sealing::default(), Sealing::default());
    sealing.bytes.extend_from_slice(plain.nonce.as_bytes());
    let mut digests = Vec::new();
    now.read(some(), plain, source)?;
    while !now.chunks.is_empty() {
        let (of_blocks, read) = parallel::meanwhile(
            || sealing.seal(&cipher, &now),
            || {
                out.write_all(sealed.whole_blocks())?;
                next.read(some(), plain, source)
            },
        );
        read?;
        digests.extend(of_blocks);
        // What does not fill a block goes before the chunks that come next.
        sealed.begin_after(&sealing);
        std::mem::swap(&mut sealed, &mut sealing);
        std::mem::swap(&mut now, &mut next);
    }
    out.write_all(sealed.whole_blocks())?;
    if !sealing.bytes.is_empty() {
        digests.push(*blake3::hash(&sealing.bytes).as_bytes());
        out.write_all(&sealing.bytes)?;
    }
    Ok(digests)
}

/// Some chunks in the clear.
#[derive(Default)]
struct Text {
    chunks: Vec<Chunk>,
    bytes: Plaintext,
}

impl Text {
    /// Reads these chunks, and after the last one makes sure that the source ends.
    fn read(&mut self, chunks: Vec<Chunk>, plain: &Plain<'_>, source: &mut dyn Read) -> Result<(), WriteError> {
        self.chunks = chunks;
        let len = self.chunks.iter().map(Chunk::plain_len).sum();
        if self.bytes.capacity() < len {
            self.bytes = Plaintext::with_capacity(len);
        }
        self.bytes.resize(len, 0);
        let failed = |error| WriteError::Source { part: plain.part.clone(), error };
        let (part, size) = (plain.part, plain.size);
        source.read_exact(&mut self.bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => WriteError::Shorter { part: part.clone(), size },
            _ => failed(error),
        })?;
        if self.chunks.last().is_some_and(Chunk::is_last) {
            let mut beyond = Zeroizing::new([0; 1]);
            match source.read_exact(beyond.as_mut_slice()) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(failed(error)),
                Ok(()) => return Err(WriteError::Longer { part: part.clone(), size }),
            }
        }
        Ok(())
    }
}

/// Sealed bytes, beginning with a block.
#[derive(Default)]
struct Sealing {
    bytes: Vec<u8>,
}

impl Sealing {
    /// Appends chunks, over all cores, and digests the blocks that are whole now.
    fn seal(&mut self, cipher: &ChunkCipher, text: &Text) -> Vec<[u8; 32]> {
        let start = self.bytes.len();
        self.bytes.resize(start + text.bytes.len() + text.chunks.len() * TAG_LEN, 0);
        cipher.seal_run(&text.chunks, &text.bytes, &mut self.bytes[start..]);
        let blocks = self.whole_blocks().chunks(BLOCK as usize);
        let mut digests = vec![[0; 32]; blocks.len()];
        let alone = digests.len() < 4;
        parallel::each(blocks.zip(&mut digests).collect(), |(block, digest)| {
            *digest = *parallel::blake3(block, alone).as_bytes();
        });
        digests
    }

    fn whole_blocks(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - self.bytes.len() % BLOCK as usize]
    }

    fn begin_after(&mut self, before: &Self) {
        self.bytes.clear();
        self.bytes.reserve(BLOCK as usize + NONCE_LEN + CHUNKS * (CHUNK_LEN + TAG_LEN));
        self.bytes.extend_from_slice(&before.bytes[before.whole_blocks().len()..]);
    }
}
