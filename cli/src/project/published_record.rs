//! What was published from this machine: a line for each version, in the home folder. When a publisher's key is
//! changed, the store's word for what was published is compared with it.

use portcullis_folders::private_file;
use portcullis_protocol::{Digest, Origin, PublisherName, ResourceName, Version};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Its name in the home folder.
const FILE: &str = "published.jsonl";
/// A line has some 250 bytes: a hundred thousand versions.
const MAX_FILE: u64 = 32 * 1024 * 1024;

/// A version that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PublishedVersion {
    /// The store.
    pub(crate) server: Origin,
    /// The publisher.
    pub(crate) publisher: PublisherName,
    /// The resource.
    pub(crate) name: ResourceName,
    /// The version.
    pub(crate) version: Version,
    /// The resource digest.
    pub(crate) digest: Digest,
}

/// The record.
#[derive(Debug)]
pub(crate) struct PublishedRecord {
    path: PathBuf,
}

impl PublishedRecord {
    /// Of a home folder.
    pub(crate) fn of(home: &Path) -> Self {
        Self { path: home.join(FILE) }
    }

    /// Adds a version, in one write: what another process adds meanwhile stands before or after it.
    pub(crate) fn add(&self, version: &PublishedVersion) -> io::Result<()> {
        let mut line = serde_json::to_vec(version)?;
        line.push(b'\n');
        let mut file = private_file().append(true).create(true).open(&self.path)?;
        file.write_all(&line)?;
        file.sync_data()
    }

    /// The digests that were published under this name, wherever: a digest names publisher, resource and version. What
    /// cannot be read is not in it, and is asked about.
    pub(crate) fn digests(&self, publisher: &PublisherName) -> HashSet<Digest> {
        self.versions().filter(|version| version.publisher == *publisher).map(|version| version.digest).collect()
    }

    /// The stores at which this was published.
    pub(crate) fn stores(&self, digest: &Digest) -> HashSet<Origin> {
        self.versions().filter(|version| version.digest == *digest).map(|version| version.server).collect()
    }

    fn versions(&self) -> impl Iterator<Item = PublishedVersion> {
        let file = File::open(&self.path).ok();
        let lines = file.into_iter().flat_map(|file| BufReader::new(file.take(MAX_FILE)).split(b'\n'));
        lines.map_while(Result::ok).filter_map(|line| serde_json::from_slice(&line).ok())
    }
}
