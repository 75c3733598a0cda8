//! The catalogue as a person walks along it: by kind, by publisher, one resource at a time.

use super::{Listing, SearchPage, StoreError};
use crate::crypto::secrets::Sealed;
use async_trait::async_trait;
use portcullis_protocol::{Digest, Manifest, PartEntry, PublisherName, ResourceName};

/// A resource as its page shows it, as it stood at one moment.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// Its entry.
    pub listing: Listing,
    /// The manifest of the version that is shown.
    pub manifest: Manifest,
    /// The digest of that version.
    pub digest: Digest,
    /// Whether any of it is on sale: what is withdrawn, or of somebody who is suspended, is not shown to strangers.
    pub sold: bool,
}

/// A part that is shown as a cover, and the key that opens it.
#[derive(Debug, Clone)]
pub struct CoverPart {
    /// The part.
    pub part: PartEntry,
    /// Its file key, wrapped by [`Secrets::wrap_file_key`](crate::crypto::secrets::Secrets::wrap_file_key).
    pub key: Sealed,
}

/// What is on sale, for browsers.
#[async_trait]
pub trait Shelves {
    /// The kinds of which something is on sale, by name: at most so many.
    async fn kinds(&self, limit: u32) -> Result<Vec<String>, StoreError>;

    /// What a publisher sells, newest first. Page 0 is the first, then what the page before says.
    async fn sold_by(&self, publisher: &PublisherName, page: u32, per_page: u32) -> Result<SearchPage, StoreError>;

    /// A resource.
    async fn shelf(&self, publisher: &PublisherName, name: &ResourceName) -> Result<Option<Shelf>, StoreError>;

    /// The cover of a version, if it has one, is not withdrawn, and its publisher is in good standing.
    async fn cover(&self, resource: &Digest) -> Result<Option<CoverPart>, StoreError>;
}
