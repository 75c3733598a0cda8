//! `POST /oauth/token`: a device code becomes a session (RFC 8628 section 3.4), a refresh token a new pair.

use super::{CLIENT_ID, Code, Denied, ProvenForm, derive_tokens, draw_tokens};
use crate::crypto::secrets::{self, TokenRole};
use crate::http::app::App;
use crate::http::problem::ApiError;
use crate::store::{PollOutcome, RefreshOutcome, SessionId};
use axum::extract::State;
use axum::response::Response;
use portcullis_protocol::Thumbprint;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::paths;
use portcullis_protocol::wire::TokenAnswer;
use serde::Deserialize;

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const REFRESH_GRANT: &str = "refresh_token";

/// The form as sent.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct TokenForm {
    grant_type: String,
    client_id: Option<String>,
    device_code: Option<String>,
    refresh_token: Option<String>,
}

/// A device code becomes a session, a refresh token a new pair (RFC 8628 section 3.4).
#[utoipa::path(
    post,
    path = paths::TOKEN,
    tag = "signing in",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Done", body = TokenAnswer)),
)]
pub(crate) async fn create(State(app): State<App>, asked: ProvenForm<TokenForm>) -> Response {
    let answer = tokens(&app, &asked).await;
    asked.answer(answer)
}

async fn tokens(app: &App, asked: &ProvenForm<TokenForm>) -> Result<TokenAnswer, Denied> {
    let TokenForm { grant_type, client_id, device_code, refresh_token } = &asked.form;
    if client_id.as_ref().is_some_and(|id| id != CLIENT_ID) {
        return Err(Code::InvalidClient.into());
    }
    let key = asked.stranger.key.thumbprint();
    match (grant_type.as_str(), device_code, refresh_token) {
        (DEVICE_GRANT, Some(code), None) => poll(app, &key, code).await,
        (REFRESH_GRANT, None, Some(token)) => refresh(app, &key, token).await,
        (DEVICE_GRANT | REFRESH_GRANT, ..) => Err(Code::InvalidRequest.into()),
        _ => Err(Code::UnsupportedGrantType.into()),
    }
}

async fn poll(app: &App, key: &Thumbprint, device_code: &str) -> Result<TokenAnswer, Denied> {
    let code = app.core.secrets.hash_token(TokenRole::Device, device_code);
    let (stored, answer) = derive_tokens(app, device_code);
    let session = SessionId(Octets(secrets::random()));
    match app.core.store.poll_device(&code, key, session, stored).await.map_err(ApiError::internal)? {
        PollOutcome::Session { .. } => Ok(answer),
        PollOutcome::Pending => Err(Code::AuthorizationPending.into()),
        PollOutcome::SlowDown => Err(Code::SlowDown.into()),
        PollOutcome::Denied => Err(Code::AccessDenied.into()),
        PollOutcome::Expired => Err(Code::ExpiredToken.into()),
        PollOutcome::Unknown => Err(Code::InvalidGrant.into()),
    }
}

async fn refresh(app: &App, key: &Thumbprint, token: &str) -> Result<TokenAnswer, Denied> {
    let token = app.core.secrets.hash_token(TokenRole::Refresh, token);
    let (stored, answer) = draw_tokens(app);
    match app.core.store.refresh_session(&token, key, stored).await.map_err(ApiError::internal)? {
        RefreshOutcome::Refreshed => Ok(answer),
        RefreshOutcome::Reused => {
            tracing::warn!("a refresh token was used again long after it was renewed: its session has ended");
            Err(Code::InvalidGrant.into())
        }
        RefreshOutcome::TooOften => {
            tracing::warn!("a session that was renewed thousands of times has ended");
            Err(Code::InvalidGrant.into())
        }
        RefreshOutcome::Unknown => Err(Code::InvalidGrant.into()),
    }
}
