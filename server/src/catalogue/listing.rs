//! The catalogue as the public sees it: what the store lists, with its offers signed.

use crate::billing::offers;
use crate::http::app::Server;
use crate::http::problem::ApiError;
use crate::store::Listing;
use portcullis_protocol::wire::{CatalogueEntry, CatalogueVersion};

/// A listing, with its offers signed by the current key.
pub(crate) fn entry(app: &Server, listing: Listing) -> Result<CatalogueEntry, ApiError> {
    let offers = offers::sign(&app.core, &listing.offers, app.core.clock.now()).map_err(ApiError::internal)?;
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
        adoption: listing.adoption,
    })
}
