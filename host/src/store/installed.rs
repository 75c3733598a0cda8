//! The record of an installed resource.

use crate::state::folder::{StateDir, StateError};
use portcullis_protocol::{Digest, Origin, PublisherName, ResourceName, SignedManifest, Thumbprint, Version};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A record of an installed resource: a few names and digests.
const MAX_RECORD: u64 = 16 * 1024;

/// An installed resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Installed {
    /// The publisher.
    pub publisher: PublisherName,
    /// The name.
    pub name: ResourceName,
    /// The version.
    pub version: Version,
    /// The resource digest.
    pub digest: Digest,
    /// The kind.
    pub kind: String,
    /// The title.
    pub title: String,
    /// The store that sells it.
    pub server: Origin,
    /// The publisher key.
    pub publisher_key: Thumbprint,
    /// When it was installed, Unix seconds.
    pub at: u64,
    /// The sealed file.
    #[serde(skip)]
    pub path: PathBuf,
}

/// Reads a record; `None` if nothing of that name is installed.
pub(crate) fn read(state: &StateDir, publisher: &str, name: &str) -> Result<Option<Installed>, StateError> {
    let record = record(publisher, name);
    let Some(bytes) = state.read(&record, MAX_RECORD)? else { return Ok(None) };
    let mut installed: Installed =
        serde_json::from_slice(&bytes).map_err(|_| StateError::damaged(&state.path(&record)))?;
    installed.path = state.path(&file(publisher, name, &installed.digest));
    Ok(Some(installed))
}

/// The store that the installed resource of this digest came from.
pub(crate) fn taken_from(state: &StateDir, resource: &SignedManifest) -> Option<Origin> {
    let manifest = resource.manifest();
    let installed = read(state, manifest.publisher.name.as_str(), manifest.name.as_str()).ok()??;
    (installed.digest == resource.digest()).then_some(installed.server)
}

/// The name of the record of an installed resource.
pub(crate) fn record(publisher: &str, name: &str) -> String {
    format!("resources/{publisher}/{name}/installed.json")
}

/// The name of the sealed file of an installed resource.
pub(crate) fn file(publisher: &str, name: &str, digest: &Digest) -> String {
    format!("resources/{publisher}/{name}/{digest}.wasm")
}
