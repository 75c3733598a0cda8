//! Resources: what was published, its operations and its wrapped part keys.

use super::{Merchant, OpenedPart, ProductRevision, PublisherId, StoreError};
use crate::billing::offer_revision::OfferRevision;
use crate::crypto::secrets::Sealed;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::PartOpening;
use portcullis_protocol::{AccountId, Digest, Manifest, PartName, PublicKey, PublisherName, ResourceName, Version};
use serde::{Deserialize, Serialize};

/// A part to be published: its file key is wrapped before it comes here.
#[derive(Debug, Clone)]
pub struct NewPart {
    /// The part.
    pub name: PartName,
    /// Its commitment, which belongs to whoever published it first.
    pub commitment: Octets<32>,
    /// Its file key, wrapped by [`Secrets::wrap_file_key`](crate::crypto::secrets::Secrets::wrap_file_key).
    pub key: Sealed,
}

/// A resource to be published. Its manifest has been verified, its file stands where files stand.
#[derive(Debug, Clone)]
pub struct NewResource {
    /// The resource digest.
    pub digest: Digest,
    /// The account that publishes: it has to own the publisher.
    pub account: AccountId,
    /// The manifest.
    pub manifest: Manifest,
    /// Bytes of the sealed file.
    pub size: u64,
    /// Bytes that the files of the account may have together.
    pub account_bytes: u64,
    /// Every part of the manifest.
    pub parts: Vec<NewPart>,
}

/// What became of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishOutcome {
    /// Published.
    Published,
    /// The very same resource was published before.
    Already,
    /// The publisher is unknown, belongs to another account, or has another key.
    NotOwner,
    /// It is not newer than this version, which was published before it.
    NotNewer(Version),
    /// There are as many versions as a resource may have.
    TooManyVersions,
    /// It is a new one, and the account has [`MAX_RESOURCES`](portcullis_protocol::limits::MAX_RESOURCES).
    TooManyResources,
    /// The files of the account would have so many bytes, more than they may.
    TooManyBytes(u64),
    /// An operation that is free at present would open a part that is not public.
    OpensPart(OpenedPart),
    /// Another publisher has published this part.
    CommitmentTaken(PartName),
}

/// What the cycle needs of a resource.
#[derive(Debug, Clone)]
pub struct ResourceFacts {
    /// The resource digest.
    pub digest: Digest,
    /// Its publisher.
    pub publisher: PublisherId,
    /// Its publisher's name.
    pub publisher_name: PublisherName,
    /// Its name.
    pub name: ResourceName,
    /// Its version.
    pub version: Version,
    /// How long a call may run, in seconds, where its publisher says so.
    pub run_max: Option<u32>,
    /// Bytes of the sealed file.
    pub size: u64,
    /// Since when it is withdrawn, if it is.
    pub withdrawn: Option<Timestamp>,
    /// Why, in the words of whoever withdrew it; empty if it is not withdrawn, or nothing was said.
    pub withdrawn_reason: String,
}

/// What became of a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithdrawOutcome {
    /// It is withdrawn. It may have been before.
    Withdrawn,
    /// There is no such resource of a publisher that the account owns.
    NotFound,
}

/// What became of a wish to restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreOutcome {
    /// It is on sale. It may not have been withdrawn.
    Restored,
    /// There is no such resource of a publisher that the account owns.
    NotFound,
    /// The operator took it down: it is the operator's to restore.
    TakenDown,
    /// An operation that is free by now would open a part of it that is not public.
    OpensPart(OpenedPart),
}

/// A resource in the catalogue.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The publisher.
    pub publisher: PublisherName,
    /// Its key.
    pub publisher_key: PublicKey,
    /// The name.
    pub name: ResourceName,
    /// The kind of the newest version.
    pub kind: String,
    /// The title of the newest version.
    pub title: String,
    /// The description of the newest version.
    pub description: String,
    /// Newest first.
    pub versions: Vec<ListingVersion>,
    /// The offers on sale.
    pub offers: Vec<OfferRevision>,
    /// Compact vouches of the publisher, oldest first.
    pub vouches: Vec<String>,
    /// What the key has adopted, compact.
    pub adoption: Option<String>,
    /// The version whose cover is shown, if one on sale has any.
    pub cover: Option<Digest>,
}

/// A version in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingVersion {
    /// The version.
    pub version: Version,
    /// The resource digest.
    pub digest: Digest,
    /// Bytes of the sealed file.
    pub size: u64,
    /// Whether it is sold no more: it was withdrawn, or its publisher's key neither signed nor adopted it.
    pub withdrawn: bool,
}

/// What to search for. All words have to occur in publisher, name, kind, title, description or operations, or something
/// like them.
#[derive(Debug, Clone)]
pub struct SearchQuery {
    /// Words; empty for everything.
    pub text: String,
    /// The kind, if it matters.
    pub kind: Option<String>,
    /// 0 for the first page, then what the page before says.
    pub page: u32,
    /// Results of a page.
    pub per_page: u32,
}

/// A product of a merchant on a page of what was found.
#[derive(Debug, Clone)]
pub struct ListedProduct {
    /// Its place on the page: how many entries, resources and products, come before it.
    pub place: usize,
    /// The revision that is sold.
    pub revision: ProductRevision,
    /// Its merchant.
    pub merchant: Merchant,
}

/// A page of what a search found: with words the best first, without them the newest.
#[derive(Debug, Clone)]
pub struct SearchPage {
    /// What was found: with the newest few versions that are on sale, among them the newest that is no pre-release, and
    /// without vouches.
    pub listings: Vec<Listing>,
    /// What merchants sell among it.
    pub products: Vec<ListedProduct>,
    /// Names the next page, if there is one.
    pub next: Option<u32>,
}

/// Resources.
#[async_trait]
pub trait Resources {
    /// Why a resource would not be published, if it would not. What can be refused is so before its file is stored.
    async fn may_publish(&self, resource: &NewResource) -> Result<Option<PublishOutcome>, StoreError>;

    /// Publishes a resource.
    async fn publish(&self, resource: NewResource) -> Result<PublishOutcome, StoreError>;

    /// Withdraws a resource: no new authorisations, no new downloads for those who have no rights.
    async fn withdraw(
        &self,
        account: &AccountId,
        digest: &Digest,
        reason: String,
    ) -> Result<WithdrawOutcome, StoreError>;

    /// Withdraws a resource by the operator's act: its publisher cannot restore it.
    async fn take_down(&self, digest: &Digest, reason: String) -> Result<WithdrawOutcome, StoreError>;

    /// Restores a resource that was withdrawn: the publisher's account, or with no account the operator.
    async fn restore(&self, by: Option<&AccountId>, digest: &Digest) -> Result<RestoreOutcome, StoreError>;

    /// A resource.
    async fn resource(&self, digest: &Digest) -> Result<Option<ResourceFacts>, StoreError>;

    /// The manifest of the newest version of a resource, of one that is withdrawn if all are.
    async fn newest_manifest(
        &self,
        publisher: &PublisherName,
        name: &ResourceName,
    ) -> Result<Option<Manifest>, StoreError>;

    /// A resource in the catalogue.
    async fn listing(&self, publisher: &PublisherName, name: &ResourceName) -> Result<Option<Listing>, StoreError>;

    /// What opens the parts that are not public, of the newest versions that are not withdrawn.
    async fn openings(
        &self,
        publisher: &PublisherName,
        name: &ResourceName,
    ) -> Result<Vec<(Digest, Vec<PartOpening>)>, StoreError>;

    /// Searches what is on sale: what is not withdrawn, of publishers whose account is not suspended.
    async fn search(&self, query: SearchQuery) -> Result<SearchPage, StoreError>;

    /// The number of the listing that was added last; no page of everything has a higher one.
    async fn newest_listing(&self) -> Result<i64, StoreError>;
}
