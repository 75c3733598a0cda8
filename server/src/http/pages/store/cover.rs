//! `GET /covers/{digest}`: a public part as a picture. See [`crate::catalogue::cover`] for what is one.

use crate::catalogue::cover::{self, Cover};
use crate::http::api::segment;
use crate::http::app::App;
use crate::http::problem::ApiError;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use portcullis_protocol::Digest;

/// How it is served: as a picture of this site, never as a document, and kept for an hour, since it may be withdrawn.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// The cover of a version.
pub(crate) async fn show(State(app): State<App>, Path(digest): Path<String>) -> Result<Response, ApiError> {
    let digest: Digest = segment(&digest)?;
    // It may have been withdrawn since it was opened.
    let Some(part) = app.core.store.cover(&digest).await.map_err(ApiError::internal)? else {
        return Err(ApiError::NotFound);
    };
    let Cover { media_type, bytes } = match app.covers.kept(&digest) {
        Some(cover) => cover,
        None => {
            let turn = app.covers.turn().await;
            let opened = tokio::task::spawn_blocking(move || {
                // Held until it is open, whoever still waits for it; by then another one may have opened the same.
                let _turn = turn;
                app.covers.kept(&digest).map_or_else(|| cover::open(&app, &digest, &part), Ok)
            });
            opened.await.map_err(ApiError::internal)??
        }
    };
    Ok((HEADERS, [(header::CONTENT_TYPE, media_type)], bytes).into_response())
}
