//! A place for compiled code between runs.

use portcullis_protocol::age::FileKey;
use portcullis_protocol::{Digest, PartName};

/// What a piece of compiled code belongs to. Compiled code is as good as the body itself, so a cache keeps it sealed
/// under a key derived from [`CompiledOf::key`], and it opens only with a current grant.
#[derive(Debug)]
pub struct CompiledOf<'a> {
    /// The resource digest.
    pub resource: Digest,
    /// The code part.
    pub part: &'a PartName,
    /// The part's file key.
    pub key: &'a FileKey,
    /// Stands for the engine, its version and its settings: code of another engine does not run in this one.
    pub engine: u64,
}

/// Keeps compiled code. The default keeps nothing.
pub trait CompiledCache: Send + Sync {
    /// Keeps `compiled`, sealed. Failing is no error: the next start compiles again.
    fn put(&self, of: &CompiledOf<'_>, compiled: &[u8]);

    /// Whether [`CompiledCache::put`] keeps anything, so that nothing is serialised for nothing.
    fn keeps(&self) -> bool {
        true
    }
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCache;

impl CompiledCache for NoCache {
    fn put(&self, _: &CompiledOf<'_>, _: &[u8]) {}

    fn keeps(&self) -> bool {
        false
    }
}
