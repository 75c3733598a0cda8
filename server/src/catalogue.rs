//! The catalogue as the public sees it: what the store lists, with its offers signed.

use crate::app::Server;
use crate::offers;
use crate::problem::Fault;
use crate::store::{Listing, ListingVersion};
use portcullis_protocol::wire::{CatalogueEntry, CatalogueVersion};

/// Versions of a resource that a search shows, newest first: it is to be chosen from, and its entry has the others.
const FOUND_VERSIONS: usize = 8;

/// A listing as a search shows it: what a person chooses by, so that a page of the largest stays one answer. Whoever
/// installs it asks for its entry.
pub(crate) fn found(app: &Server, listing: Listing) -> Result<CatalogueEntry, Fault> {
    let versions = found_versions(listing.versions);
    entry(app, Listing { versions, vouches: Vec::new(), ..listing })
}

/// The newest few that are sold, and among them the newest that is no pre-release: terminals take that one.
fn found_versions(mut versions: Vec<ListingVersion>) -> Vec<ListingVersion> {
    versions.retain(|version| !version.withdrawn);
    if let Some(stable) = versions.iter().position(|version| !version.version.is_pre_release())
        && stable >= FOUND_VERSIONS
    {
        versions.swap(FOUND_VERSIONS - 1, stable);
    }
    versions.truncate(FOUND_VERSIONS);
    versions
}

/// A listing, with its offers signed by the current key.
pub(crate) fn entry(app: &Server, listing: Listing) -> Result<CatalogueEntry, Fault> {
    let offers = offers::sign(&app.core, &listing.offers, app.core.clock.now()).map_err(Fault::internal)?;
    let versions = listing.versions.into_iter().map(|version| CatalogueVersion {
        version: version.version,
        digest: version.digest,
        size: version.size,
        withdrawn: version.withdrawn,
        opens: Vec::new(),
    });
    Ok(CatalogueEntry {
        publisher: listing.publisher,
        publisher_key: listing.publisher_key,
        name: listing.name,
        kind: listing.kind,
        title: listing.title,
        description: listing.description,
        versions: versions.collect(),
        offers: offers.iter().map(|offer| offer.compact().to_owned()).collect(),
        vouches: listing.vouches,
    })
}
