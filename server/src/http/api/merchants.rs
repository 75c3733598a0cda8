//! `/v1/merchants`: merchants as everybody sees them, and how one comes to be.

use super::segment;
use crate::ServiceError;
use crate::http::api::Segments;
use crate::http::app::App;
use crate::http::auth::ProvenTerminal;
use crate::http::problem::{ApiError, Refused};
use crate::merchants::{products, registration};
use axum::Json;
use axum::extract::State;
use portcullis_protocol::wire::{MerchantAnswer, MerchantEntry, MerchantRequest, PaymentRequestEntry};
use portcullis_protocol::{Digest, MerchantName, paths};

/// Claims a merchant's name for the account.
#[utoipa::path(
    post,
    path = paths::MERCHANTS,
    tag = "merchants",
    request_body = MerchantRequest,
    responses((status = 200, description = "Done", body = MerchantAnswer)),
)]
pub(crate) async fn claim(app: App, caller: ProvenTerminal, (): ()) -> Result<MerchantAnswer, Refused> {
    let MerchantRequest { claim } = caller.json()?;
    app.gates.claims.take(*caller.account())?;
    Ok(registration::claim(&app.core, caller.account(), &claim).await?)
}

/// A merchant, its keys and what it sells.
#[utoipa::path(
    get,
    path = paths::MERCHANT,
    tag = "store",
    params(("name" = MerchantName, Path, description = "The merchant")),
    responses((status = 200, description = "Done", body = MerchantEntry)),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<MerchantEntry>, ApiError> {
    let name: MerchantName = segment(&name)?;
    registration::show(&app.core, &name).await.map(Json).map_err(not_found)
}

/// What a merchant asks to be paid.
#[utoipa::path(
    get,
    path = paths::PAYMENT_REQUEST,
    tag = "store",
    params(("digest" = Digest, Path, description = "The payment request")),
    responses((status = 200, description = "Done", body = PaymentRequestEntry)),
)]
pub(crate) async fn show_request(
    State(app): State<App>,
    Segments(digest): Segments<String>,
) -> Result<Json<PaymentRequestEntry>, ApiError> {
    products::show_request(&app.core, &segment(&digest)?).await.map(Json).map_err(not_found)
}

/// What is public has no answer but itself.
fn not_found(error: ServiceError) -> ApiError {
    match error {
        ServiceError::NotFound => ApiError::NotFound,
        error => ApiError::internal(error),
    }
}
