//! Compiled code between runs, sealed.
//!
//! ```text
//!  first start    grant ─▶ part key ─▶ body decrypted ─▶ checked ─▶ compiled ─▶ sealed ─▶ SealedBlobs
//!  later starts   grant ─▶ part key ──────────────────────────────▶ opened ◀───────────── SealedBlobs
//! ```
//!
//! Compiled code is as good as the body itself. So it is sealed under the body's own key, which travels only in a
//! grant, together with a secret of this terminal: it opens with a current grant and here, and nowhere else. It is
//! bound to the resource digest, whose body was checked before it was compiled.

pub(crate) mod blobs;
pub(crate) mod deserialise;
pub(crate) mod sealing;

use crate::cache::blobs::{BlobId, SealedBlobs};
use crate::cache::sealing::{EngineId, Opened, SealedAs, read_label};
use crate::run::compile::Compiled;
use crate::state::sealing_key::StateKey;
use portcullis_protocol::age::FileKey;
use portcullis_protocol::labels::{CACHE_FILE, CACHE_LABEL, TERMINAL_CACHE};
use portcullis_protocol::{Digest, PartName, PublisherName, ResourceName, SignedManifest, Version};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// What a piece of compiled code belongs to.
pub(crate) struct CompiledOf<'a> {
    pub(crate) resource: &'a SignedManifest,
    pub(crate) part: &'a PartName,
    pub(crate) key: &'a FileKey,
    pub(crate) engine: EngineId,
}

/// What a label says, to whoever has the cache's secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    resource: Digest,
    publisher: PublisherName,
    name: ResourceName,
    version: Version,
    part: PartName,
    /// Bytes of code.
    size: u64,
}

/// Keeps compiled code between runs, sealed. A [`crate::Client`] has one in its state directory. Cheap to clone.
#[derive(Clone)]
pub struct CompiledCache {
    blobs: Arc<dyn SealedBlobs>,
    secret: StateKey,
}

/// A piece of compiled code that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedCode {
    /// The resource digest.
    pub resource: Digest,
    /// The publisher.
    pub publisher: PublisherName,
    /// The resource's name.
    pub name: ResourceName,
    /// Its version.
    pub version: Version,
    /// The code part.
    pub part: PartName,
    /// Bytes that it takes.
    pub size: u64,
    /// When it was last used.
    pub used: SystemTime,
}

impl CompiledCache {
    /// A cache over blobs. `secret` is 32 random bytes that stay on this machine: without them nothing opens.
    #[must_use]
    pub fn new(blobs: Arc<dyn SealedBlobs>, secret: Zeroizing<[u8; 32]>) -> Self {
        Self { blobs, secret: StateKey::from_bytes(secret) }
    }

    /// The cache of a terminal.
    pub(crate) fn of_terminal(blobs: Arc<dyn SealedBlobs>, state: &StateKey) -> Self {
        Self::new(blobs, state.derive(&[TERMINAL_CACHE]))
    }

    /// What is kept, least lately used first. Blobs that are not this cache's are left out.
    ///
    /// # Errors
    /// Of the place where it is kept.
    pub fn list(&self) -> io::Result<Vec<CachedCode>> {
        let mut blobs = self.blobs.list()?;
        blobs.sort_by_key(|blob| blob.used);
        let described = blobs.into_iter().filter_map(|blob| {
            let Label { resource, publisher, name, version, part, .. } = self.label(&blob.id)?;
            Some(CachedCode { resource, publisher, name, version, part, size: blob.size, used: blob.used })
        });
        Ok(described.collect())
    }

    /// Forgets the code of a resource, and returns how many pieces that were.
    ///
    /// # Errors
    /// Of the place where it is kept.
    pub fn remove(&self, resource: &Digest) -> io::Result<usize> {
        self.remove_where(|id| self.label(id).is_some_and(|label| label.resource == *resource))
    }

    /// Forgets everything, blobs that are not this cache's included, and returns how many pieces that were.
    ///
    /// # Errors
    /// Of the place where it is kept.
    pub fn clear(&self) -> io::Result<usize> {
        self.remove_where(|_| true)
    }

    fn remove_where(&self, is_meant: impl Fn(&BlobId) -> bool) -> io::Result<usize> {
        let mut removed = 0;
        for blob in self.blobs.list()? {
            if is_meant(&blob.id) {
                self.blobs.remove(&blob.id)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Keeps what was compiled. Where that fails, the next start compiles again.
    pub(crate) fn keep(&self, of: &CompiledOf<'_>, compiled: &Compiled) {
        let Some(code) = compiled.serialise() else { return };
        let id = self.id(of);
        let manifest = of.resource.manifest();
        let label = Label {
            resource: of.resource.digest(),
            publisher: manifest.publisher.name.clone(),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            part: of.part.clone(),
            size: code.len() as u64,
        };
        let Ok(label) = serde_json::to_vec(&label) else { return };
        let label = self.secret.seal(CACHE_LABEL, &id.to_string(), &label);
        let blob = self.sealed_as(of).seal(&label, &code);
        drop(code);
        if let Err(error) = self.blobs.put(&id, &blob) {
            tracing::debug!(%error, "compiled code is not kept");
        }
    }

    /// What was compiled before, if it is kept and as it was. What does not open is removed.
    pub(crate) fn open(&self, of: &CompiledOf<'_>) -> Option<Opened> {
        let id = self.id(of);
        let mut blob = self.blobs.get(&id).ok().flatten()?;
        let opened = self
            .read_label(&id, &mut *blob)
            .and_then(|(sealed, label)| self.sealed_as(of).open(&sealed, label.size, &mut *blob));
        drop(blob);
        if opened.is_some() {
            self.blobs.used(&id);
        } else {
            self.forget(&id);
        }
        opened
    }

    /// Removes what cannot be used.
    fn forget(&self, id: &BlobId) {
        tracing::warn!("compiled code in the cache was not as it was kept: it is made again");
        if let Err(error) = self.blobs.remove(id) {
            tracing::debug!(%error, "compiled code cannot be removed");
        }
    }

    fn label(&self, id: &BlobId) -> Option<Label> {
        let mut blob = self.blobs.get(id).ok().flatten()?;
        self.read_label(id, &mut *blob).map(|(_, label)| label)
    }

    /// The label as it was sealed, and what it says.
    fn read_label(&self, id: &BlobId, blob: &mut (dyn io::Read + Send)) -> Option<(Vec<u8>, Label)> {
        let sealed = read_label(blob).ok()?;
        let plain = self.secret.open(CACHE_LABEL, &id.to_string(), &sealed)?;
        let label = serde_json::from_slice(&plain).ok()?;
        Some((sealed, label))
    }

    fn sealed_as<'a>(&'a self, of: &CompiledOf<'a>) -> SealedAs<'a> {
        let (resource, engine) = (of.resource.digest(), of.engine);
        SealedAs { resource, part: of.part, file_key: of.key, secret: self.secret.expose(), engine }
    }

    fn id(&self, of: &CompiledOf<'_>) -> BlobId {
        let resource = of.resource.digest();
        let info: [&[u8]; 4] = [CACHE_FILE, resource.as_bytes(), of.engine.as_bytes(), of.part.as_str().as_bytes()];
        let digest = self.secret.derive(&info);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        BlobId::new(id)
    }
}

impl fmt::Debug for CompiledCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompiledCache")
    }
}
