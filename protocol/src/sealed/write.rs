//! Making a sealed resource as a stream.

use super::binding::{BindingOf, binding, commitment};
use super::encrypt::{Plain, encrypt};
use super::error::SealedError;
use super::index::scan_stub;
use super::section::{BLOCKS, MANIFEST, PART, custom_head};
use crate::age::{AgeError, FileKey, Header, PayloadNonce, Recipient, encrypted_len};
use crate::documents::{Manifest, ManifestError, SignedManifest};
use crate::encoding::Octets;
use crate::ids::{Digest, PartName};
use crate::keys::SecretKey;
use crate::limits::{BLOCK, MAX_PART, MAX_STUB};
use rand_core::CryptoRng;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Why a sealed resource could not be written. The output is then incomplete and no reader accepts it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The output failed.
    #[error("writing the sealed resource failed: {0}")]
    Io(#[from] io::Error),
    /// The source of a part failed.
    #[error("reading the source of part `{part}` failed: {error}")]
    Source {
        /// The part.
        part: PartName,
        /// Why.
        error: io::Error,
    },
    /// The source of a part ended before the announced size.
    #[error("the source of part `{part}` is shorter than the {size} bytes announced: it changed meanwhile; seal again")]
    Shorter {
        /// The part.
        part: PartName,
        /// Bytes announced.
        size: u64,
    },
    /// The source of a part has more bytes than announced.
    #[error("the source of part `{part}` is longer than the {size} bytes announced: it changed meanwhile; seal again")]
    Longer {
        /// The part.
        part: PartName,
        /// Bytes announced.
        size: u64,
    },
    /// Encrypted, the part would not fit in a section.
    #[error("part `{part}` is larger than 4,290 MB, the most that a part can have: split it")]
    TooLarge {
        /// The part.
        part: PartName,
    },
    /// There is not one source for each part of the manifest.
    #[error("{sources} sources for {parts} parts: give one for each, in the manifest's order")]
    Sources {
        /// Sources given.
        sources: usize,
        /// Parts in the manifest.
        parts: usize,
    },
    /// The stub is not one that a reader would accept.
    #[error("the stub cannot be used: {0}")]
    Stub(SealedError),
    /// The stub is sealed already.
    #[error("the stub holds `portcullis:` sections: it is a sealed resource already")]
    StubIsSealed,
    /// The recipients cannot be used.
    #[error(transparent)]
    Age(#[from] AgeError),
    /// The manifest is refused.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// What a sealed resource is made of.
pub struct Package<'a> {
    /// The stub: see `seal::stub_of`.
    pub stub: &'a [u8],
    /// The manifest. What it says in `stub_digest`, and for each part in `commitment` and `binding`, is filled in.
    pub manifest: Manifest,
    /// The plaintext of each part, in the manifest's order; each has as many bytes as the manifest says.
    pub sources: Vec<Box<dyn Read + 'a>>,
    /// Who can open the parts.
    pub recipients: &'a [Recipient],
}

impl std::fmt::Debug for Package<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Package({} {})", self.manifest.name, self.manifest.version)
    }
}

/// Where a part goes.
struct Slot {
    key: FileKey,
    nonce: PayloadNonce,
    header: Vec<u8>,
    payload_len: u64,
    /// The head of the section of the block list, and where it goes.
    blocks_head: Vec<u8>,
    blocks_at: u64,
    part_head: Vec<u8>,
}

impl Package<'_> {
    /// Encrypts the parts as their sources are read, and signs. All lengths are known before, so each part goes to its
    /// place at once; then the manifest and the block lists are written into the room left for them. Takes about 10
    /// MiB of memory whatever the parts' sizes. Begins at the output's position and leaves it after the last byte; a
    /// file has to be empty from there on.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write<W: Write + Seek>(
        self,
        out: &mut W,
        key: &SecretKey,
        rng: &mut impl CryptoRng,
    ) -> Result<SignedManifest, WriteError> {
        let Self { stub, mut manifest, sources, recipients } = self;
        check_stub(stub)?;
        if sources.len() != manifest.parts.len() {
            return Err(WriteError::Sources { sources: sources.len(), parts: manifest.parts.len() });
        }
        manifest.stub_digest = Digest::of(stub);
        for part in &mut manifest.parts {
            (part.commitment, part.binding) = (Octets([0; 32]), Octets([0; 32]));
        }
        // Signed once for its length, which does not depend on the digests.
        let manifest_len = SignedManifest::sign(manifest.clone(), key)?.to_bytes().len();
        let manifest_head = custom_head(MANIFEST, manifest_len as u64).ok_or(ManifestError::TooLong)?;

        let start = out.stream_position()?;
        let manifest_at = start + stub.len() as u64;
        let mut at = manifest_at + (manifest_head.len() + manifest_len) as u64;
        out.write_all(stub)?;
        let mut lists = Vec::with_capacity(sources.len());
        for (index, mut source) in sources.into_iter().enumerate() {
            let (part, size) = (manifest.parts[index].name.clone(), manifest.parts[index].size);
            let slot = Slot::lay_out(&part, size, at, recipients, rng)?;
            out.seek(SeekFrom::Start(slot.part_at()))?;
            out.write_all(&slot.part_head)?;
            out.write_all(&slot.header)?;
            let blocks =
                encrypt(out, &Plain { part: &part, size, key: &slot.key, nonce: slot.nonce }, source.as_mut())?;
            at = slot.end();
            manifest.parts[index].commitment = commitment(slot.payload_len, &blocks);
            let bound = binding(&slot.key, &BindingOf::part(&manifest, &manifest.parts[index]));
            manifest.parts[index].binding = bound;
            lists.push((slot, blocks));
        }
        for (slot, blocks) in &lists {
            out.seek(SeekFrom::Start(slot.blocks_at))?;
            out.write_all(&slot.blocks_head)?;
            out.write_all(blocks.as_flattened())?;
        }
        let signed = SignedManifest::sign(manifest, key)?;
        let bytes = signed.to_bytes();
        assert_eq!(bytes.len(), manifest_len, "a manifest's length depends on no digest and no signature");
        out.seek(SeekFrom::Start(manifest_at))?;
        out.write_all(&manifest_head)?;
        out.write_all(&bytes)?;
        out.seek(SeekFrom::Start(at))?;
        out.flush()?;
        Ok(signed)
    }
}

impl Slot {
    fn lay_out(
        part: &PartName,
        size: u64,
        at: u64,
        recipients: &[Recipient],
        rng: &mut impl CryptoRng,
    ) -> Result<Self, WriteError> {
        let too_large = || WriteError::TooLarge { part: part.clone() };
        let payload_len = encrypted_len(size).filter(|len| *len <= MAX_PART).ok_or_else(too_large)?;
        let key = FileKey::generate(rng);
        let nonce = PayloadNonce::generate(rng);
        let header = Header::wrap(&key, recipients, rng)?.to_bytes();
        let blocks_head = custom_head(&format!("{BLOCKS}{part}"), 32 * payload_len.div_ceil(BLOCK));
        let part_head = custom_head(&format!("{PART}{part}"), header.len() as u64 + payload_len);
        Ok(Self {
            key,
            nonce,
            header,
            payload_len,
            blocks_head: blocks_head.ok_or_else(too_large)?,
            blocks_at: at,
            part_head: part_head.ok_or_else(too_large)?,
        })
    }

    fn part_at(&self) -> u64 {
        self.blocks_at + self.blocks_head.len() as u64 + 32 * self.payload_len.div_ceil(BLOCK)
    }

    fn end(&self) -> u64 {
        self.part_at() + (self.part_head.len() + self.header.len()) as u64 + self.payload_len
    }
}

fn check_stub(stub: &[u8]) -> Result<(), WriteError> {
    if stub.len() as u64 > MAX_STUB {
        let defect = super::error::Defect::StubTooLong;
        return Err(WriteError::Stub(SealedError::Structure { offset: 0, defect }));
    }
    match scan_stub(stub, stub.len() as u64) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(WriteError::StubIsSealed),
        Err(error) => Err(WriteError::Stub(error)),
    }
}
