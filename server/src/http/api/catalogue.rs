//! `/v1/catalogue/{publisher}/{name}`, its offers, and what its publisher's key stands for.

use super::{DONE, Segments, segment};
use crate::billing::offers;
use crate::catalogue::listing;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::{ApiError, Refused};
use crate::store::{AdoptOutcome, NewAdoption};
use axum::Json;
use axum::extract::State;
use portcullis_protocol::paths;
use portcullis_protocol::wire::{AdoptionRequest, CatalogueEntry, Done, OffersAnswer, OffersRequest};
use portcullis_protocol::{Adoption, PublisherName, ResourceName, Unverified};

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
    app.gates.offers.take_many(*caller.account(), u32::try_from(offers.len()).unwrap_or(u32::MAX).max(1))?;
    let offers = offers::replace(&app.core, caller.account(), &publisher, &name, offers).await?;
    Ok(OffersAnswer { offers: offers.iter().map(|offer| offer.compact().to_owned()).collect() })
}

/// Takes what a publisher's key stands for of what earlier ones signed.
///
/// The key is the one in use, or one that may come next: then it holds as soon as that one is in use.
#[utoipa::path(
    put,
    path = paths::ADOPTION,
    tag = "publishing",
    params(("publisher" = PublisherName, Path, description = "The publisher"), ("name" = ResourceName, Path, description = "The resource")),
    request_body = AdoptionRequest,
    responses((status = 200, description = "Done", body = Done)),
)]
pub(crate) async fn put_adoption(
    app: App,
    caller: ProvenTerminal,
    (publisher, name): (String, String),
) -> Result<Done, Refused> {
    let (publisher, name): (PublisherName, ResourceName) = (segment(&publisher)?, segment(&name)?);
    let AdoptionRequest { adoption: compact } = caller.json()?;
    let unacceptable = |why: String| ApiError::Unacceptable(format!("the adoption is not accepted: {why}"));
    let adoption = Unverified::<Adoption>::parse(&compact)
        .and_then(Unverified::verify_self_signed)
        .map_err(|error| unacceptable(error.to_string()))?
        .into_document();
    if adoption.publisher != publisher || adoption.name != name {
        return Err(unacceptable("it is for another resource".into()).into());
    }
    let adopted = app.core.store.adopt(NewAdoption { account: *caller.account(), adoption, compact }).await;
    match adopted.map_err(ApiError::internal)? {
        AdoptOutcome::Adopted => Ok(DONE),
        AdoptOutcome::NotFound => Err(ApiError::NotFound.into()),
        AdoptOutcome::NoSuchVersion(version) => {
            Err(unacceptable(format!("{publisher}/{name} has no version of the digest {version}")).into())
        }
        AdoptOutcome::LeavesOut(version) => {
            let text = format!(
                "the key in use has adopted {version} before, and terminals may know: name it again, and withdraw what is \
                 not to be sold"
            );
            Err(ApiError::Conflict(text).into())
        }
    }
}
