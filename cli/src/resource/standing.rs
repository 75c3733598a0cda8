//! How a version of a resource stands at a store, by the store's word of now. What a file says of itself is of the day
//! on which it was written.

use portcullis_host::{Client, ClientError, Listing};
use portcullis_protocol::{Digest, Manifest, Origin, PublisherName, ResourceName, SignedManifest, Version};
use serde::Serialize;

/// Whether it is sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Standing {
    Sold,
    Withdrawn,
    /// The store does not list it.
    Unlisted,
}

/// What a store says of one version.
pub(crate) struct AtStore {
    pub(crate) server: Origin,
    pub(crate) standing: Standing,
    /// All that the store lists under the name.
    pub(crate) listing: Option<Listing>,
}

impl Standing {
    /// Of the version with this digest.
    fn of(listing: &Listing, digest: Digest) -> Self {
        match listing.versions.iter().find(|version| version.digest == digest) {
            Some(version) if version.withdrawn => Self::Withdrawn,
            Some(_) => Self::Sold,
            None => Self::Unlisted,
        }
    }
}

impl AtStore {
    /// Asks a store that the user trusts.
    ///
    /// # Errors
    /// Fails if it does not answer.
    pub(crate) async fn ask(
        client: &Client,
        server: &Origin,
        (publisher, name, digest): (&PublisherName, &ResourceName, Digest),
    ) -> Result<Self, ClientError> {
        let listing = match client.store(server).entry(publisher, name).await {
            Ok(listing) => Some(listing),
            Err(ClientError::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        let standing = listing.as_ref().map_or(Standing::Unlisted, |listing| Standing::of(listing, digest));
        Ok(Self { server: server.clone(), standing, listing })
    }

    /// Asks those of the stores of a manifest that the user trusts and that answer.
    pub(crate) async fn ask_all(client: &Client, signed: &SignedManifest) -> Vec<Self> {
        let Manifest { publisher, name, servers, .. } = signed.manifest();
        let pins = client.servers().unwrap_or_default();
        let is_pinned = |origin: &Origin, root| pins.iter().any(|p| p.origin == *origin && p.root.thumbprint() == root);
        let mut stores = Vec::new();
        for server in servers.iter().filter(|server| is_pinned(&server.origin, server.root)) {
            let version = (&publisher.name, name, signed.digest());
            stores.extend(Self::ask(client, &server.origin, version).await.ok());
        }
        stores
    }

    /// The version to have instead of one that was withdrawn.
    pub(crate) fn newest(&self) -> Option<&Version> {
        self.listing.as_ref().and_then(Listing::newest).map(|newest| &newest.version)
    }
}

/// What to do about a version that was withdrawn: `newest` is the one that is on sale, if there is any.
pub(crate) fn instead(publisher: &PublisherName, name: &ResourceName, newest: Option<&Version>) -> String {
    match newest {
        Some(newest) => {
            format!("install the version that is on sale: `portcullis install {publisher}/{name}@{newest}`")
        }
        None => format!("ask its publisher, {publisher}; `portcullis receipts` shows what you paid for"),
    }
}

/// Why a file is of no use here though it was published, if it was: it stays as it was sealed, and only the store's own
/// copy has the countersignature.
pub(crate) fn published(signed: &SignedManifest, stores: &[AtStore]) -> Option<(String, String)> {
    let at = |standing| stores.iter().find(move |store| store.standing == standing);
    let Manifest { publisher, name, version, .. } = signed.manifest();
    let name = format!("{}/{name}", publisher.name);
    if let Some(AtStore { server, .. }) = at(Standing::Sold) {
        let what = format!(
            "{server} sells it from a copy of its own; this file is as it was sealed, without the store's \
             countersignature"
        );
        let fix = format!("take the store's copy: `portcullis install {name}@{version}`; then name it `{name}`");
        return Some((what, fix));
    }
    let AtStore { server, .. } = at(Standing::Withdrawn)?;
    let fix = format!("if it is yours, put it on sale again: `portcullis restore {name}@{version}`");
    Some((format!("{server} does not sell it any more: it was withdrawn"), fix))
}
