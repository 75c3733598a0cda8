//! `/v1/redemptions` and `/v1/catalogue/{publisher}/{name}/gifts`: codes that redeem to rights.

use super::segment;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::Refused;
use crate::merchants::redemption;
use portcullis_protocol::wire::{
    BatchesAnswer, GiftsAnswer, GiftsRequest, RedemptionAnswer, RedemptionRequest, VoidAnswer,
};
use portcullis_protocol::{PublisherName, ResourceName, paths};

/// Turns a code into rights.
#[utoipa::path(
    post,
    path = paths::REDEMPTIONS,
    tag = "codes",
    request_body = RedemptionRequest,
    responses(
        (status = 200, description = "Done", body = RedemptionAnswer),
        (status = 404, description = "There is no such code"),
        (status = 410, description = "The code is void"),
    ),
)]
pub(crate) async fn redeem(app: App, caller: ProvenTerminal, (): ()) -> Result<RedemptionAnswer, Refused> {
    let RedemptionRequest { code } = caller.json()?;
    Ok(redemption::redeem(&app.core, &caller.asker, &code).await?)
}

/// Makes redemption codes.
///
/// The batch itself remembers its request, so that no answer with codes is stored.
#[utoipa::path(
    post,
    path = paths::GIFTS,
    tag = "publishing",
    params(
        ("publisher" = PublisherName, Path, description = "The publisher"),
        ("name" = ResourceName, Path, description = "The resource"),
    ),
    request_body = GiftsRequest,
    responses((status = 200, description = "Done", body = GiftsAnswer)),
)]
pub(crate) async fn make(
    app: App,
    caller: ProvenTerminal,
    (publisher, name): (String, String),
) -> Result<GiftsAnswer, Refused> {
    let asked: GiftsRequest = caller.json()?;
    let (publisher, name) = (segment(&publisher)?, segment(&name)?);
    Ok(redemption::make(&app.core, caller.account(), &publisher, &name, &asked, caller.request()?).await?)
}

/// The batches of a resource, newest first.
#[utoipa::path(
    get,
    path = paths::GIFTS,
    tag = "publishing",
    params(
        ("publisher" = PublisherName, Path, description = "The publisher"),
        ("name" = ResourceName, Path, description = "The resource"),
    ),
    responses((status = 200, description = "Done", body = BatchesAnswer)),
)]
pub(crate) async fn list(
    app: App,
    caller: ProvenTerminal,
    (publisher, name): (String, String),
) -> Result<BatchesAnswer, Refused> {
    let (publisher, name) = (segment(&publisher)?, segment(&name)?);
    Ok(redemption::batches(&app.core, caller.account(), &publisher, &name, 0).await?)
}

/// A further page of them.
#[utoipa::path(
    get,
    path = paths::GIFTS_PAGE,
    tag = "publishing",
    params(
        ("publisher" = PublisherName, Path, description = "The publisher"),
        ("name" = ResourceName, Path, description = "The resource"),
        ("page" = u32, Path, description = "What `next` of the page before named"),
    ),
    responses((status = 200, description = "Done", body = BatchesAnswer)),
)]
pub(crate) async fn list_page(
    app: App,
    caller: ProvenTerminal,
    (publisher, name, page): (String, String, String),
) -> Result<BatchesAnswer, Refused> {
    let (publisher, name) = (segment(&publisher)?, segment(&name)?);
    Ok(redemption::batches(&app.core, caller.account(), &publisher, &name, segment(&page)?).await?)
}

/// Ends the codes of a batch that nobody has redeemed.
#[utoipa::path(
    delete,
    path = paths::GIFT_BATCH,
    tag = "publishing",
    params(
        ("publisher" = PublisherName, Path, description = "The publisher"),
        ("name" = ResourceName, Path, description = "The resource"),
        ("batch" = String, Path, description = "The batch"),
    ),
    responses((status = 200, description = "Done", body = VoidAnswer)),
)]
pub(crate) async fn void(
    app: App,
    caller: ProvenTerminal,
    (publisher, _name, batch): (String, String, String),
) -> Result<VoidAnswer, Refused> {
    let void = redemption::void(&app.core, caller.account(), &segment(&publisher)?, &segment(&batch)?).await?;
    Ok(VoidAnswer { void })
}
