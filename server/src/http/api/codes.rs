//! `/v1/codes`: ordering codes, and having them delivered.

use super::account::RECEIPTS;
use super::segment;
use crate::billing::orders;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::{ApiError, Refused};
use crate::merchants::delivery;
use crate::store::{AccountPage, GoodsKind, Page};
use portcullis_protocol::wire::{
    CodeAckAnswer, CodeAckRequest, CodeOrderAnswer, CodeOrderRequest, CodeOrdersAnswer, CodeReceiptsAnswer,
    OrderAnswer, RecipientAnswer, RecipientRequest,
};
use portcullis_protocol::{OrderId, paths};

/// Orders codes of a merchant.
///
/// The order itself remembers its request.
#[utoipa::path(
    post,
    path = paths::CODES,
    tag = "codes",
    request_body = CodeOrderRequest,
    responses(
        (status = 200, description = "Done", body = OrderAnswer),
        (status = 402, description = "Not to be paid so"),
        (status = 404, description = "The merchant or the product is not sold"),
        (status = 410, description = "The payment request has ended"),
    ),
)]
pub(crate) async fn create(app: App, caller: ProvenTerminal, (): ()) -> Result<OrderAnswer, Refused> {
    let request: CodeOrderRequest = caller.json()?;
    Ok(orders::order(&app.core, &caller.asker, request, caller.request()?).await?)
}

/// The account's orders of codes, newest first.
#[utoipa::path(
    get,
    path = paths::ACCOUNT_CODES,
    tag = "codes",
    responses((status = 200, description = "Done", body = CodeOrdersAnswer)),
)]
pub(crate) async fn list(app: App, caller: ProvenTerminal, (): ()) -> Result<CodeOrdersAnswer, Refused> {
    Ok(delivery::list(&app.core, &caller.asker, 0).await?)
}

/// A further page of them.
#[utoipa::path(
    get,
    path = paths::ACCOUNT_CODES_PAGE,
    tag = "codes",
    params(("page" = u32, Path, description = "What `next` of the page before named")),
    responses((status = 200, description = "Done", body = CodeOrdersAnswer)),
)]
pub(crate) async fn list_page(app: App, caller: ProvenTerminal, page: String) -> Result<CodeOrdersAnswer, Refused> {
    Ok(delivery::list(&app.core, &caller.asker, segment(&page)?).await?)
}

/// Receipts of codes, newest first.
#[utoipa::path(
    get,
    path = paths::CODE_RECEIPTS,
    tag = "codes",
    responses((status = 200, description = "Done", body = CodeReceiptsAnswer)),
)]
pub(crate) async fn receipts(app: App, caller: ProvenTerminal, (): ()) -> Result<CodeReceiptsAnswer, Refused> {
    receipts_from(app, caller, 0).await
}

/// A further page of receipts of codes.
#[utoipa::path(
    get,
    path = paths::CODE_RECEIPTS_PAGE,
    tag = "codes",
    params(("page" = u32, Path, description = "What `next` of the page before named")),
    responses((status = 200, description = "Done", body = CodeReceiptsAnswer)),
)]
pub(crate) async fn receipts_page(
    app: App,
    caller: ProvenTerminal,
    page: String,
) -> Result<CodeReceiptsAnswer, Refused> {
    receipts_from(app, caller, segment(&page)?).await
}

async fn receipts_from(app: App, caller: ProvenTerminal, page: u32) -> Result<CodeReceiptsAnswer, Refused> {
    let page = AccountPage::new(page, RECEIPTS);
    let receipts = app.core.store.receipts(caller.account(), GoodsKind::Codes, page);
    let Page { rows, next } = receipts.await.map_err(ApiError::internal)?;
    Ok(CodeReceiptsAnswer { receipts: rows, next })
}

/// An order of codes, and its sealed code.
#[utoipa::path(
    get,
    path = paths::CODE,
    tag = "codes",
    params(("order" = OrderId, Path, description = "The order")),
    responses((status = 200, description = "Done", body = CodeOrderAnswer)),
)]
pub(crate) async fn show(app: App, caller: ProvenTerminal, order: String) -> Result<CodeOrderAnswer, Refused> {
    Ok(delivery::fetch(&app.core, &caller.asker, &segment(&order)?).await?)
}

/// The code arrived, or cannot be read.
#[utoipa::path(
    post,
    path = paths::CODE_ACK,
    tag = "codes",
    params(("order" = OrderId, Path, description = "The order")),
    request_body = CodeAckRequest,
    responses(
        (status = 200, description = "Done", body = CodeAckAnswer),
        (status = 410, description = "The order is over"),
    ),
)]
pub(crate) async fn acknowledge(app: App, caller: ProvenTerminal, order: String) -> Result<CodeAckAnswer, Refused> {
    let said: CodeAckRequest = caller.json()?;
    Ok(delivery::acknowledge(&app.core, &caller.asker, &segment(&order)?, &said).await?)
}

/// Delivers the order to this terminal from now on.
#[utoipa::path(
    post,
    path = paths::CODE_RECIPIENT,
    tag = "codes",
    params(("order" = OrderId, Path, description = "The order")),
    request_body = RecipientRequest,
    responses(
        (status = 200, description = "Done", body = RecipientAnswer),
        (status = 410, description = "The order is over"),
    ),
)]
pub(crate) async fn relocate(app: App, caller: ProvenTerminal, order: String) -> Result<RecipientAnswer, Refused> {
    let asked: RecipientRequest = caller.json()?;
    Ok(delivery::relocate(&app.core, &caller.asker, &segment(&order)?, &asked).await?)
}
