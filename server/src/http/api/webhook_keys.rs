//! `/v1/webhook-keys/{endpoint}`: what the webhooks of an endpoint are verified with.

use super::{Segments, segment};
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::notices::webhooks::keys;
use crate::store::{EndpointId, EndpointState};
use axum::Json;
use axum::extract::State;
use portcullis_protocol::wire::WebhookKeysAnswer;
use portcullis_protocol::{Verified, WebhookKey, WebhookKeys, paths};

/// The public keys of an endpoint: those that sign now, and one that will a day after it is first here.
#[utoipa::path(
    get,
    path = paths::WEBHOOK_KEYS,
    tag = "events",
    params(("endpoint" = String, Path, description = "The endpoint", pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")),
    responses((status = 200, description = "The keys", body = WebhookKeysAnswer)),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Segments(endpoint): Segments<String>,
) -> Result<Json<WebhookKeysAnswer>, ApiError> {
    let id = EndpointId(segment(&endpoint)?);
    let core = &app.core;
    let endpoint = core.store.endpoint(&id).await.map_err(ApiError::internal)?;
    if endpoint.is_none_or(|endpoint| endpoint.state == EndpointState::Removed) {
        return Err(ApiError::NotFound);
    }
    let stored = core.store.endpoint_keys(&id).await.map_err(ApiError::internal)?;
    let now = core.store.now().await.map_err(ApiError::internal)?;
    let keys = stored
        .iter()
        .map(|stored| WebhookKey {
            key: keys::public(&stored.public),
            from: stored.not_before.seconds(),
            until: stored.ends.map(|ends| ends.seconds()),
        })
        .collect();
    let document = WebhookKeys { iss: core.origin.clone(), endpoint: id.0, keys, iat: now.seconds() };
    let key = core.keys.signing_key(now).map_err(ApiError::internal)?;
    Ok(Json(WebhookKeysAnswer { signed: Verified::sign(document, &key).compact().to_owned() }))
}
