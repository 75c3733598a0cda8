//! `/v1/catalogue/{publisher}/{name}` and its offers.

use super::{Segments, segment};
use crate::billing::offers;
use crate::catalogue::listing;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::{ApiError, Refused};
use axum::Json;
use axum::extract::State;
use portcullis_protocol::paths;
use portcullis_protocol::wire::{CatalogueEntry, OffersAnswer, OffersRequest};
use portcullis_protocol::{PublisherName, ResourceName};

/// One resource: versions, offers and the publisher's key.
#[utoipa::path(
    get,
    path = paths::CATALOGUE_ENTRY,
    tag = "store",
    params(("publisher" = PublisherName, Path, description = "The publisher"), ("name" = ResourceName, Path, description = "The resource")),
    responses((status = 200, description = "Done", body = CatalogueEntry)),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Segments((publisher, name)): Segments<(String, String)>,
) -> Result<Json<CatalogueEntry>, ApiError> {
    let (publisher, name): (PublisherName, ResourceName) = (segment(&publisher)?, segment(&name)?);
    let Some(listing) = app.core.store.listing(&publisher, &name).await.map_err(ApiError::internal)? else {
        return Err(ApiError::NotFound);
    };
    let openings = app.core.store.openings(&publisher, &name).await.map_err(ApiError::internal)?;
    let entry = tokio::task::spawn_blocking(move || listing::entry(&app, listing));
    let mut entry = entry.await.map_err(ApiError::internal)??;
    for (digest, opens) in openings {
        if let Some(version) = entry.versions.iter_mut().find(|version| version.digest == digest) {
            version.opens = opens;
        }
    }
    Ok(Json(entry))
}

/// Sets the whole price list of a resource.
///
/// Offers that are not listed end.
#[utoipa::path(
    put,
    path = paths::OFFERS,
    tag = "publishing",
    params(("publisher" = PublisherName, Path, description = "The publisher"), ("name" = ResourceName, Path, description = "The resource")),
    request_body = OffersRequest,
    responses((status = 200, description = "Done", body = OffersAnswer)),
)]
pub(crate) async fn put_offers(
    app: App,
    caller: ProvenTerminal,
    (publisher, name): (String, String),
) -> Result<OffersAnswer, Refused> {
    let (publisher, name): (PublisherName, ResourceName) = (segment(&publisher)?, segment(&name)?);
    let OffersRequest { offers } = caller.json()?;
    let offers = offers::replace(&app.core, caller.account(), &publisher, &name, offers).await?;
    Ok(OffersAnswer { offers: offers.iter().map(|offer| offer.compact().to_owned()).collect() })
}
