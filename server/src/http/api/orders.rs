//! `/v1/orders`

use super::segment;
use crate::billing::orders;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::Refused;
use portcullis_protocol::paths;
use portcullis_protocol::wire::{OrderAnswer, OrderRequest, UnpaidOrdersAnswer};

/// Buys an offer, at the server's own price.
///
/// The order itself remembers its request.
#[utoipa::path(
    post,
    path = paths::ORDERS,
    tag = "buying",
    request_body = OrderRequest,
    responses((status = 200, description = "Done", body = OrderAnswer), (status = 402, description = "Not to be bought so; the refusal carries the current offers"), (status = 404, description = "Unknown operation"), (status = 410, description = "The resource was withdrawn")),
)]
pub(crate) async fn create(app: App, caller: ProvenTerminal, (): ()) -> Result<OrderAnswer, Refused> {
    let request: OrderRequest = caller.json()?;
    Ok(orders::order(&app.core, &caller.asker, request, caller.request()?).await?)
}

/// The orders of the account that are not paid, newest first.
#[utoipa::path(
    get,
    path = paths::ORDERS,
    tag = "buying",
    responses((status = 200, description = "Done", body = UnpaidOrdersAnswer)),
)]
pub(crate) async fn unpaid(app: App, caller: ProvenTerminal, (): ()) -> Result<UnpaidOrdersAnswer, Refused> {
    Ok(UnpaidOrdersAnswer { orders: orders::unpaid(&app.core, &caller.asker).await?.into() })
}

/// Gives an order up that is not paid yet.
///
/// One that is decided stays as it is. What is paid after this goes back.
#[utoipa::path(
    post,
    path = paths::ORDER_CANCEL,
    tag = "buying",
    params(("id" = portcullis_protocol::OrderId, Path, description = "The order")),
    responses((status = 200, description = "The order as it stands", body = OrderAnswer)),
)]
pub(crate) async fn cancel(app: App, caller: ProvenTerminal, order: String) -> Result<OrderAnswer, Refused> {
    Ok(orders::give_up(&app.core, &caller.asker, &segment(&order)?).await?)
}

/// What became of an order.
#[utoipa::path(
    get,
    path = paths::ORDER,
    tag = "buying",
    params(("id" = portcullis_protocol::OrderId, Path, description = "The order")),
    responses((status = 200, description = "Done", body = OrderAnswer)),
)]
pub(crate) async fn show(app: App, caller: ProvenTerminal, order: String) -> Result<OrderAnswer, Refused> {
    Ok(orders::find(&app.core, &caller.asker, &segment(&order)?).await?)
}
