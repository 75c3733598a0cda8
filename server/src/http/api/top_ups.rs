//! `/v1/account/top-ups` and `/v1/account/balances`: prepaid money.

use super::account::RECEIPTS;
use super::segment;
use crate::billing::{balances, orders};
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::{ApiError, Refused};
use crate::store::{AccountPage, GoodsKind, Page};
use portcullis_protocol::paths;
use portcullis_protocol::wire::{BalancesAnswer, OrderAnswer, TopUpRequest, TopUpsAnswer};

/// Pays money into the prepaid balance.
///
/// The order itself remembers its request.
#[utoipa::path(
    post,
    path = paths::TOP_UPS,
    tag = "buying",
    request_body = TopUpRequest,
    responses((status = 200, description = "Done", body = OrderAnswer), (status = 402, description = "Not to be paid so")),
)]
pub(crate) async fn create(app: App, caller: ProvenTerminal, (): ()) -> Result<OrderAnswer, Refused> {
    let request: TopUpRequest = caller.json()?;
    Ok(orders::order(&app.core, &caller.asker, request, caller.request()?).await?)
}

/// The prepaid balances, one per currency.
#[utoipa::path(
    get,
    path = paths::BALANCES,
    tag = "account",
    responses((status = 200, description = "Done", body = BalancesAnswer)),
)]
pub(crate) async fn balances(app: App, caller: ProvenTerminal, (): ()) -> Result<BalancesAnswer, Refused> {
    Ok(balances::balances(&app.core, &caller.asker).await?)
}

/// Receipts of top-ups, newest first.
#[utoipa::path(
    get,
    path = paths::TOP_UPS,
    tag = "account",
    responses((status = 200, description = "Done", body = TopUpsAnswer)),
)]
pub(crate) async fn list(app: App, caller: ProvenTerminal, (): ()) -> Result<TopUpsAnswer, Refused> {
    list_from(app, caller, 0).await
}

/// A further page of receipts of top-ups.
#[utoipa::path(
    get,
    path = paths::TOP_UPS_PAGE,
    tag = "account",
    params(("page" = u32, Path, description = "What `next` of the page before named")),
    responses((status = 200, description = "Done", body = TopUpsAnswer)),
)]
pub(crate) async fn list_page(app: App, caller: ProvenTerminal, page: String) -> Result<TopUpsAnswer, Refused> {
    list_from(app, caller, segment(&page)?).await
}

async fn list_from(app: App, caller: ProvenTerminal, page: u32) -> Result<TopUpsAnswer, Refused> {
    let page = AccountPage::new(page, RECEIPTS);
    let receipts = app.core.store.receipts(caller.account(), GoodsKind::TopUp, page);
    let Page { rows, next } = receipts.await.map_err(ApiError::internal)?;
    Ok(TopUpsAnswer { receipts: rows, next })
}
