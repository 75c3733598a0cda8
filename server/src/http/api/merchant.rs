//! `/v1/merchant`: what a merchant asks and says, by its key.

use super::{DONE, segment};
use crate::http::app::App;
use crate::http::auth::{Caller as _, ProvenMerchant};
use crate::http::problem::Refused;
use crate::merchants::{orders, products, registration};
use crate::notices::{events, outbound};
use crate::store::Cursor;
use portcullis_protocol::wire::{
    CodeSubmission, CodeSubmissionAnswer, DeclineRequest, Done, EventsAnswer, MerchantAnswer, MerchantOrder,
    MerchantOrdersAnswer, MerchantStatus, MerchantVouchRequest, OrderVerificationAnswer, OrderVerificationRequest,
    OwnershipRequest, PaymentRequestAnswer, PaymentRequestRequest, ProductAnswer, ProductRequest,
};
use portcullis_protocol::{EpochId, OrderId, ProductName, paths};

/// What the merchant needs to know of itself.
#[utoipa::path(
    get,
    path = paths::OWN_MERCHANT,
    tag = "merchants",
    responses((status = 200, description = "Done", body = MerchantStatus)),
)]
pub(crate) async fn show(app: App, caller: ProvenMerchant, (): ()) -> Result<MerchantStatus, Refused> {
    Ok(registration::status(&app.core, &caller.merchant).await?)
}

/// Has the merchant's endpoint show that it is the merchant's.
#[utoipa::path(
    post,
    path = paths::OWNERSHIP,
    tag = "merchants",
    request_body = OwnershipRequest,
    responses((status = 200, description = "Done", body = MerchantAnswer)),
)]
pub(crate) async fn prove(app: App, caller: ProvenMerchant, (): ()) -> Result<MerchantAnswer, Refused> {
    let OwnershipRequest {} = caller.json()?;
    // Before anything is sent to where somebody else may be.
    app.gates.challenges.take(caller.merchant.owner)?;
    let webhook = outbound::WebhookUrl::stored(caller.merchant.webhook.as_str());
    app.gates.challenged_hosts.take(webhook.map(|url| url.shown_host()).unwrap_or_default())?;
    Ok(registration::prove(&app.core, &caller.merchant).await?)
}

/// Sells a product, or another revision of it.
#[utoipa::path(
    put,
    path = paths::PRODUCTS,
    tag = "merchants",
    request_body = ProductRequest,
    responses((status = 200, description = "Done", body = ProductAnswer)),
)]
pub(crate) async fn sell(app: App, caller: ProvenMerchant, (): ()) -> Result<ProductAnswer, Refused> {
    let ProductRequest { product } = caller.json()?;
    app.gates.products.take(caller.merchant.id)?;
    Ok(products::sell(&app.core, &caller.merchant, &product).await?)
}

/// Ends the sale of a product.
#[utoipa::path(
    delete,
    path = paths::PRODUCT,
    tag = "merchants",
    params(("name" = ProductName, Path, description = "The product")),
    responses((status = 200, description = "Done", body = Done)),
)]
pub(crate) async fn end(app: App, caller: ProvenMerchant, name: String) -> Result<Done, Refused> {
    products::end(&app.core, &caller.merchant, &segment(&name)?).await?;
    Ok(DONE)
}

/// Asks to be paid.
#[utoipa::path(
    post,
    path = paths::MERCHANT_REQUESTS,
    tag = "merchants",
    request_body = PaymentRequestRequest,
    responses((status = 200, description = "Done", body = PaymentRequestAnswer)),
)]
pub(crate) async fn request(app: App, caller: ProvenMerchant, (): ()) -> Result<PaymentRequestAnswer, Refused> {
    let PaymentRequestRequest { request } = caller.json()?;
    app.gates.requests.take(caller.merchant.id)?;
    Ok(products::request(&app.core, &caller.merchant, &request).await?)
}

/// The second interface: what was ordered.
#[utoipa::path(
    post,
    path = paths::ORDER_VERIFICATIONS,
    tag = "merchants",
    request_body = OrderVerificationRequest,
    responses(
        (status = 200, description = "Done", body = OrderVerificationAnswer),
        (status = 404, description = "Not an order of this merchant, or nonce or request are not its own"),
        (status = 410, description = "No code is taken any more"),
    ),
)]
pub(crate) async fn verify(app: App, caller: ProvenMerchant, (): ()) -> Result<OrderVerificationAnswer, Refused> {
    let asked: OrderVerificationRequest = caller.json()?;
    Ok(orders::verify(&app.core, &caller.merchant, &asked).await?)
}

/// Submits the sealed code of an order.
#[utoipa::path(
    post,
    path = paths::SUBMISSIONS,
    tag = "merchants",
    request_body = CodeSubmission,
    responses(
        (status = 200, description = "Done", body = CodeSubmissionAnswer),
        (status = 404, description = "Not an order of this merchant"),
        (status = 410, description = "No code is taken any more"),
    ),
)]
pub(crate) async fn submit(app: App, caller: ProvenMerchant, (): ()) -> Result<CodeSubmissionAnswer, Refused> {
    let submitted: CodeSubmission = caller.json()?;
    Ok(orders::submit(&app.core, &caller.merchant, submitted).await?)
}

/// An order as its merchant sees it.
#[utoipa::path(
    get,
    path = paths::MERCHANT_ORDER,
    tag = "merchants",
    params(("id" = OrderId, Path, description = "The order")),
    responses((status = 200, description = "Done", body = MerchantOrder)),
)]
pub(crate) async fn order(app: App, caller: ProvenMerchant, id: String) -> Result<MerchantOrder, Refused> {
    Ok(orders::show(&app.core, &caller.merchant, &segment(&id)?).await?)
}

/// There is no code for an order.
#[utoipa::path(
    post,
    path = paths::DECLINE,
    tag = "merchants",
    params(("id" = OrderId, Path, description = "The order")),
    request_body = DeclineRequest,
    responses(
        (status = 200, description = "Done", body = MerchantOrder),
        (status = 410, description = "A code was accepted"),
    ),
)]
pub(crate) async fn decline(app: App, caller: ProvenMerchant, id: String) -> Result<MerchantOrder, Refused> {
    let DeclineRequest { reason } = caller.json()?;
    Ok(orders::decline(&app.core, &caller.merchant, &segment(&id)?, &reason).await?)
}

/// The merchant's orders that are not final, oldest first.
#[utoipa::path(
    get,
    path = paths::MERCHANT_OPEN,
    tag = "merchants",
    responses((status = 200, description = "Done", body = MerchantOrdersAnswer)),
)]
pub(crate) async fn open(app: App, caller: ProvenMerchant, (): ()) -> Result<MerchantOrdersAnswer, Refused> {
    Ok(orders::open(&app.core, &caller.merchant, None).await?)
}

/// A further page of them.
#[utoipa::path(
    get,
    path = paths::MERCHANT_OPEN_PAGE,
    tag = "merchants",
    params(("after" = OrderId, Path, description = "What `next` of the page before named: its last order")),
    responses((status = 200, description = "Done", body = MerchantOrdersAnswer)),
)]
pub(crate) async fn open_page(
    app: App,
    caller: ProvenMerchant,
    after: String,
) -> Result<MerchantOrdersAnswer, Refused> {
    Ok(orders::open(&app.core, &caller.merchant, Some(&segment(&after)?)).await?)
}

/// The events that are kept for the merchant, oldest first: what its endpoint is told.
#[utoipa::path(
    get,
    path = paths::MERCHANT_EVENTS,
    tag = "merchants",
    responses((status = 200, description = "Events", body = EventsAnswer)),
)]
pub(crate) async fn events(app: App, caller: ProvenMerchant, (): ()) -> Result<EventsAnswer, Refused> {
    pull(&app, &caller, None).await
}

/// Those after a cursor.
#[utoipa::path(
    get,
    path = paths::MERCHANT_EVENTS_AFTER,
    tag = "merchants",
    params(
        ("epoch" = EpochId, Path, description = "The epoch of the cursor"),
        ("seq" = u64, Path, description = "The last event that was seen; 0: none"),
    ),
    responses((status = 200, description = "Events", body = EventsAnswer)),
)]
pub(crate) async fn events_after(
    app: App,
    caller: ProvenMerchant,
    (epoch, seq): (String, String),
) -> Result<EventsAnswer, Refused> {
    pull(&app, &caller, Some(Cursor { epoch: segment(&epoch)?, seq: segment(&seq)? })).await
}

async fn pull(app: &App, caller: &ProvenMerchant, after: Option<Cursor>) -> Result<EventsAnswer, Refused> {
    let receiver = caller.merchant.id.receiver();
    Ok(events::pull(&app.core, &receiver, after, caller.reply().req()).await?)
}

/// Changes the merchant's key: the one in use names its successor.
#[utoipa::path(
    post,
    path = paths::MERCHANT_VOUCHES,
    tag = "merchants",
    request_body = MerchantVouchRequest,
    responses((status = 200, description = "Done", body = Done)),
)]
pub(crate) async fn vouch(app: App, caller: ProvenMerchant, (): ()) -> Result<Done, Refused> {
    let asked: MerchantVouchRequest = caller.json()?;
    registration::vouch(&app.core, &caller.merchant, &asked).await?;
    Ok(DONE)
}
