//! A sealed resource, verified.

use super::binding::{BindingOf, check_binding};
use super::error::SealedError;
use super::index::{Index, Place};
use super::part::PartReader;
use super::read_at::ReadAt;
use super::stretch::{Checked, MOST_BLOCKS, Stretch};
use crate::age::{FileKey, Header, Identity};
use crate::documents::{Manifest, PartEntry, PartKind, SignedManifest};
use crate::ids::{Digest, PartName};
use crate::limits::BLOCK;
use crate::parallel;
use crate::plaintext::Plaintext;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

/// A sealed resource whose signatures, stub, block lists and sections are verified. Its parts are not yet: each of
/// their blocks is checked when it is read. Cloning it is cheap; all clones read the same open file.
pub struct Sealed<R> {
    inner: Arc<Inner<R>>,
}

struct Inner<R> {
    source: R,
    index: Index,
}

impl<R: ReadAt> Sealed<R> {
    /// Indexes the sections, then verifies the manifest (signatures, canonical form, content), the stub's digest and
    /// that the block lists are those committed to. Reads no part; holds no more than the stub, the manifest, the block
    /// lists and the age headers.
    ///
    /// # Errors
    /// [`SealedError`], by the first check that fails.
    pub fn open(source: R) -> Result<Self, SealedError> {
        let index = Index::read(&source)?;
        Ok(Self { inner: Arc::new(Inner { source, index }) })
    }

    /// The file that this was opened from.
    #[must_use]
    pub fn source(&self) -> &R {
        &self.inner.source
    }

    /// Checks every block of every part against the publisher's signature: then the file is whole.
    ///
    /// # Errors
    /// [`SealedError::Block`] names the first that differs.
    pub fn verify_blocks(&self) -> Result<(), SealedError> {
        (0..self.inner.index.parts.len()).try_for_each(|part| self.copy_payload(part, &mut io::sink()))
    }

    /// Unwraps a part's file key with the identity of one of its recipients, and checks with it the header's MAC and
    /// the part's binding.
    ///
    /// # Errors
    /// [`SealedError::Age`] if no identity fits or the header was changed, [`SealedError::Binding`] if the part
    /// was lifted from elsewhere, [`SealedError::NoSuchPart`].
    pub fn unwrap_key<'a>(
        &self,
        part: &PartName,
        identities: impl IntoIterator<Item = &'a Identity> + Clone,
    ) -> Result<FileKey, SealedError> {
        let (_, entry, place) = self.find(part)?;
        let key = place.header.unwrap_file_key(identities);
        let key = key.map_err(|error| SealedError::Age { part: part.clone(), error })?;
        check_binding(&key, &BindingOf::part(self.manifest(), entry), &entry.binding)?;
        Ok(key)
    }

    /// Checks, in constant time, that a key that came beside the file is this part's: by the header's MAC and by the
    /// part's binding.
    ///
    /// # Errors
    /// [`SealedError::Age`], [`SealedError::Binding`], [`SealedError::NoSuchPart`].
    pub fn check_key(&self, part: &PartName, key: &FileKey) -> Result<(), SealedError> {
        let (_, entry, place) = self.find(part)?;
        place.header.verify_mac(key).map_err(|error| SealedError::Age { part: part.clone(), error })?;
        check_binding(key, &BindingOf::part(self.manifest(), entry), &entry.binding)
    }

    /// Decrypts a code part into memory that is wiped afterwards: checks the key, each block before it is decrypted,
    /// and the size.
    ///
    /// # Errors
    /// [`SealedError`]. Nothing is returned unless all of it is authentic.
    pub fn read_code(&self, part: &PartName, key: &FileKey) -> Result<Plaintext, SealedError> {
        let (index, entry, _) = self.find(part)?;
        if entry.kind != PartKind::Code {
            return Err(SealedError::NotCode(part.clone()));
        }
        self.check_key(part, key)?;
        // A code part's size is bounded by `MAX_CODE_PART`.
        PartReader::open(self.clone(), index, key)?.read_all()
    }

    /// Opens a part to be read anywhere, while other readers of the same file go on. Checks the key and the size now,
    /// and each block before it is decrypted.
    ///
    /// # Errors
    /// [`SealedError`].
    pub fn part(&self, part: &PartName, key: &FileKey) -> Result<PartReader<R>, SealedError> {
        let (index, ..) = self.find(part)?;
        self.check_key(part, key)?;
        PartReader::open(self.clone(), index, key)?.prove_size()
    }

    /// Writes a part as the age file it is, each block checked before it is written. Any age tool opens it with the
    /// identity of one of its recipients.
    ///
    /// # Errors
    /// [`SealedError::Block`] if the file is damaged, [`SealedError::NoSuchPart`], [`SealedError::Io`].
    pub fn extract(&self, part: &PartName, out: &mut (impl Write + ?Sized)) -> Result<(), SealedError> {
        let (index, _, place) = self.find(part)?;
        out.write_all(&place.header.to_bytes())?;
        self.copy_payload(index, out)
    }

    /// Checks some blocks while it reads the next ones, then writes them.
    pub(super) fn copy_payload(&self, part: usize, out: &mut (impl Write + ?Sized)) -> Result<(), SealedError> {
        let digests = &self.place(part).blocks;
        let (mut now, mut next) = (Stretch::default(), Stretch::default());
        let (count, mut at) = (digests.len() as u64, 0);
        now.read(self, part, 0, count.min(MOST_BLOCKS))?;
        while at < count {
            at = (at + MOST_BLOCKS).min(count);
            let left = (count - at).min(MOST_BLOCKS);
            let check = |now: &mut Stretch| now.check(digests).map(|_| ());
            let (mut checked, read) = match left {
                0 => (check(&mut now), Ok(())),
                _ => parallel::meanwhile(|| check(&mut now), || next.read(self, part, at, left)),
            };
            if let Err(block) = checked
                && self.forget_block(part, block)
            {
                now.read_again(self, part)?;
                checked = check(&mut now);
            }
            checked.map_err(|block| self.refused_block(part, block))?;
            out.write_all(now.checked().map(Checked::blocks).expect("checked just now"))?;
            read?;
            std::mem::swap(&mut now, &mut next);
        }
        Ok(())
    }

    /// Tells the source that a block is not the one that was signed. Gives whether reading it again is worth it.
    pub(super) fn forget_block(&self, part: usize, index: u64) -> bool {
        let place = self.place(part);
        self.inner.source.forget(place.payload + index * BLOCK, place.block_len(index))
    }
}

impl<R> Sealed<R> {
    /// The manifest and its signatures.
    #[must_use]
    pub fn signed(&self) -> &SignedManifest {
        &self.inner.index.signed
    }

    /// What the publisher signed.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.signed().manifest()
    }

    /// The resource digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.signed().digest()
    }

    /// The stub: a component with the body's surface, verified.
    #[must_use]
    pub fn stub(&self) -> &[u8] {
        &self.inner.index.stub
    }

    /// Checks of every part's age header what can be checked without its key. The publisher does not sign headers,
    /// since recipients can be added: a header that was changed otherwise shows only when somebody opens it.
    ///
    /// # Errors
    /// [`SealedError::Age`].
    pub fn check_headers(&self) -> Result<(), SealedError> {
        let parts = self.manifest().parts.iter().zip(&self.inner.index.parts);
        parts.into_iter().try_for_each(|(entry, place)| {
            place.header.check_shares().map_err(|error| SealedError::Age { part: entry.name.clone(), error })
        })
    }

    /// A part's age header. Well-formed; authentic only once its MAC is checked with the file key.
    ///
    /// # Errors
    /// [`SealedError::NoSuchPart`].
    pub fn age_header(&self, part: &PartName) -> Result<&Header, SealedError> {
        Ok(&self.find(part)?.2.header)
    }

    fn find(&self, part: &PartName) -> Result<(usize, &PartEntry, &Place), SealedError> {
        let parts = self.manifest().parts.iter().zip(&self.inner.index.parts).enumerate();
        let mut found = parts.filter(|(_, (entry, _))| entry.name == *part);
        let (index, (entry, place)) = found.next().ok_or_else(|| SealedError::NoSuchPart(part.clone()))?;
        Ok((index, entry, place))
    }

    pub(super) fn refused_block(&self, part: usize, index: u64) -> SealedError {
        SealedError::Block { part: self.manifest().parts[part].name.clone(), index }
    }

    pub(super) fn place(&self, part: usize) -> &Place {
        &self.inner.index.parts[part]
    }
}

impl<R> Clone for Sealed<R> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<R> fmt::Debug for Sealed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({:?})", self.signed())
    }
}
