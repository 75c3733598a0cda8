//! `POST /oauth/revoke` (RFC 7009): signing out.

use super::{Denied, ProvenForm};
use crate::crypto::secrets::TokenRole;
use crate::http::app::App;
use crate::http::problem::ApiError;
use axum::extract::State;
use axum::response::Response;
use portcullis_protocol::paths;
use portcullis_protocol::wire::Done;
use serde::Deserialize;

/// The form as sent.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct RevokeForm {
    token: String,
}

/// Ends the session of a token, access or refresh (RFC 7009).
///
/// An unknown token is as good as ended.
#[utoipa::path(
    post,
    path = paths::REVOKE,
    tag = "signing in",
    request_body(content = RevokeForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Done", body = Done)),
)]
pub(crate) async fn end(State(app): State<App>, asked: ProvenForm<RevokeForm>) -> Response {
    let answer = end_session(&app, &asked).await;
    asked.answer(answer)
}

async fn end_session(app: &App, asked: &ProvenForm<RevokeForm>) -> Result<Done, Denied> {
    let key = asked.stranger.key.thumbprint();
    for role in [TokenRole::Access, TokenRole::Refresh] {
        let token = app.core.secrets.hash_token(role, &asked.form.token);
        app.core.store.end_session(&token, &key).await.map_err(ApiError::internal)?;
    }
    Ok(Done {})
}
