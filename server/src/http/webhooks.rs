//! `POST /webhooks/{provider}`: what payment providers say by themselves. What is believed of it is each provider's own
//! to prove; everybody may call this.

use crate::billing::answers::ServiceError;
use crate::billing::events;
use crate::http::app::App;
use crate::http::problem::ApiError;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use portcullis_protocol::paths;

/// Takes a provider's events.
///
/// A provider repeats what was not answered with success, so only what may still come right is refused: an event about
/// an order that is not here never will.
#[utoipa::path(
    post,
    path = paths::WEBHOOK,
    tag = "payment providers",
    params(("provider" = String, Path, description = "The provider", pattern = "^[a-z0-9-]+$")),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 204, description = "Taken"), (status = 400, description = "Not the provider's"), (status = 404, description = "No such provider")),
)]
pub(crate) async fn receive(
    State(app): State<App>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let core = &app.core;
    let provider = core.payments.get(&provider).ok_or(ApiError::NotFound)?;
    let events = provider
        .webhook(&headers, &body, core.clock.now())
        .map_err(|refused| ApiError::Malformed(refused.to_string()))?;
    for event in events {
        match events::apply(core, provider.name(), &event).await {
            Ok(_) => {}
            Err(ServiceError::NotFound | ServiceError::Unacceptable(_)) => {
                tracing::warn!(order = %event.order, provider = provider.name(), "an event of a payment has no effect");
            }
            Err(error) => return Err(ApiError::internal(error)),
        }
    }
    Ok(StatusCode::NO_CONTENT)
}
