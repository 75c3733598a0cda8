//! `/v1/account/top-ups` and `/v1/account/balances`: prepaid money.

use super::account::RECEIPTS;
use super::segment;
use crate::billing::{balances, orders};
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::{ApiError, Refused};
use crate::store::{AccountPage, GoodsKind, Page};
use portcullis_protocol::wire::{BalancesAnswer, OrderAnswer, TopUpRequest, TopUpsAnswer};

/// `POST /v1/account/top-ups`. The order itself remembers its request.
pub(crate) async fn create(app: App, caller: ProvenTerminal, (): ()) -> Result<OrderAnswer, Refused> {
    let request: TopUpRequest = caller.json()?;
    Ok(orders::order(&app.core, &caller.asker, request, caller.request()?).await?)
}

/// `GET /v1/account/balances`
pub(crate) async fn balances(app: App, caller: ProvenTerminal, (): ()) -> Result<BalancesAnswer, Refused> {
    Ok(balances::balances(&app.core, &caller.asker).await?)
}

/// `GET /v1/account/top-ups`
pub(crate) async fn list(app: App, caller: ProvenTerminal, (): ()) -> Result<TopUpsAnswer, Refused> {
    list_from(app, caller, 0).await
}

/// `GET /v1/account/top-ups/{page}`
pub(crate) async fn list_page(app: App, caller: ProvenTerminal, page: String) -> Result<TopUpsAnswer, Refused> {
    list_from(app, caller, segment(&page)?).await
}

async fn list_from(app: App, caller: ProvenTerminal, page: u32) -> Result<TopUpsAnswer, Refused> {
    let page = AccountPage::new(page, RECEIPTS);
    let receipts = app.core.store.receipts(caller.account(), GoodsKind::TopUp, page);
    let Page { rows, next } = receipts.await.map_err(ApiError::internal)?;
    Ok(TopUpsAnswer { receipts: rows, next })
}
