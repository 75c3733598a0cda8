//! Where everything lies: the heads of all sections, the manifest, the block lists and the age headers.
//!
//! Reads no part. What it holds in memory is bounded by the limits of the stub, the manifest and the block lists.

use super::binding::commitment;
use super::error::{Defect, SealedError};
use super::read_at::ReadAt;
use super::section::{BLOCKS, MANIFEST, PART, PREAMBLE, Section};
use crate::age::{self, Header};
use crate::documents::{PartEntry, SignedManifest};
use crate::ids::Digest;
use crate::limits::{BLOCK, MAX_AGE_HEADER, MAX_MANIFEST, MAX_PART, MAX_STUB, MAX_STUB_SECTIONS};

/// A verified index.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) signed: SignedManifest,
    pub(super) stub: Vec<u8>,
    /// In the order of the manifest.
    pub(super) parts: Vec<Place>,
}

/// Where a part lies, and what its blocks have to be.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) header: Header,
    /// Where the payload begins in the file.
    pub(super) payload: u64,
    pub(super) payload_len: u64,
    pub(super) blocks: Vec<[u8; 32]>,
}

impl Index {
    /// Reads and verifies, in the order of `docs/protocol.md`.
    pub(super) fn read(source: &(impl ReadAt + ?Sized)) -> Result<Self, SealedError> {
        let file_len = source.size()?;
        let section = scan_stub(source, file_len)?
            .ok_or(SealedError::Structure { offset: file_len, defect: Defect::NotSealed })?;
        if section.name.as_deref() != Some(MANIFEST) {
            return Err(out_of_place(MANIFEST.to_owned(), &section));
        }
        if section.len > MAX_MANIFEST as u64 {
            return Err(SealedError::Structure { offset: section.start, defect: Defect::ManifestTooLong });
        }
        let signed = SignedManifest::verify(&read_vec(source, section.data, section.len)?)?;
        let stub = read_vec(source, 0, section.start)?;
        if Digest::of(&stub) != signed.manifest().stub_digest {
            return Err(SealedError::StubDigest);
        }
        let mut at = section.end();
        let mut parts = Vec::with_capacity(signed.manifest().parts.len());
        for entry in &signed.manifest().parts {
            let blocks = expect(source, at, file_len, format!("{BLOCKS}{}", entry.name))?;
            let part = expect(source, blocks.end(), file_len, format!("{PART}{}", entry.name))?;
            at = part.end();
            parts.push(Place::read(source, entry, &blocks, &part)?);
        }
        if at != file_len {
            return Err(SealedError::Structure { offset: at, defect: Defect::Trailing });
        }
        Ok(Self { signed, stub, parts })
    }
}

impl Place {
    fn read(
        source: &(impl ReadAt + ?Sized),
        entry: &PartEntry,
        blocks: &Section,
        part: &Section,
    ) -> Result<Self, SealedError> {
        let wrong_length = SealedError::Structure { offset: part.start, defect: Defect::PartLength };
        let payload_len = match age::encrypted_len(entry.size) {
            Some(len) if len <= MAX_PART && len < part.len => len,
            _ => return Err(wrong_length),
        };
        let header_len = part.len - payload_len;
        if header_len > MAX_AGE_HEADER as u64 {
            return Err(wrong_length);
        }
        if blocks.len != payload_len.div_ceil(BLOCK) * 32 {
            return Err(SealedError::Structure { offset: blocks.start, defect: Defect::BlockListLength });
        }
        let list = read_vec(source, blocks.data, blocks.len)?;
        let list = list.as_chunks::<32>().0.to_vec();
        if commitment(payload_len, &list) != entry.commitment {
            return Err(SealedError::Commitment { part: entry.name.clone() });
        }
        let bytes = read_vec(source, part.data, header_len)?;
        let (header, consumed) =
            Header::parse(&bytes).map_err(|error| SealedError::Age { part: entry.name.clone(), error })?;
        if consumed as u64 != header_len {
            return Err(wrong_length);
        }
        if !header.is_x25519_only() {
            return Err(SealedError::Recipient { part: entry.name.clone() });
        }
        Ok(Self { header, payload: part.data + header_len, payload_len, blocks: list })
    }

    /// How many bytes a block has: 1 MiB, or what is left.
    pub(super) fn block_len(&self, index: u64) -> u64 {
        self.payload_len.saturating_sub(index * BLOCK).min(BLOCK)
    }
}

/// Passes over the sections of a stub. Gives the first section of ours, or none where the file ends before.
pub(super) fn scan_stub(source: &(impl ReadAt + ?Sized), file_len: u64) -> Result<Option<Section>, SealedError> {
    let fail = |offset, defect| Err(SealedError::Structure { offset, defect });
    let mut preamble = PREAMBLE;
    if file_len < preamble.len() as u64 {
        return fail(0, Defect::NotAComponent);
    }
    source.read_exact_at(0, &mut preamble)?;
    if preamble != PREAMBLE {
        return fail(0, Defect::NotAComponent);
    }
    let mut at = preamble.len() as u64;
    for _ in 0..=MAX_STUB_SECTIONS {
        if at > MAX_STUB {
            return fail(at, Defect::StubTooLong);
        }
        if at == file_len {
            return Ok(None);
        }
        let section = Section::read(source, at, file_len)?;
        if section.is_ours() {
            return Ok(Some(section));
        }
        at = section.end();
    }
    fail(at, Defect::TooManySections)
}

fn expect(source: &(impl ReadAt + ?Sized), at: u64, file_len: u64, expected: String) -> Result<Section, SealedError> {
    let section = Section::read(source, at, file_len)?;
    if section.name.as_deref() == Some(&expected) { Ok(section) } else { Err(out_of_place(expected, &section)) }
}

fn out_of_place(expected: String, found: &Section) -> SealedError {
    let name =
        found.name.as_ref().map_or_else(|| "another section".to_owned(), |name| format!("`{}`", name.escape_debug()));
    SealedError::Structure { offset: found.start, defect: Defect::OutOfPlace { expected, found: name } }
}

/// The caller has bounded `len` by a limit.
fn read_vec(source: &(impl ReadAt + ?Sized), offset: u64, len: u64) -> Result<Vec<u8>, SealedError> {
    let mut bytes = vec![0; usize::try_from(len).expect("bounded by a limit")];
    source.read_exact_at(offset, &mut bytes)?;
    Ok(bytes)
}
