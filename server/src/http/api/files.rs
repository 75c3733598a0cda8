//! `GET /v1/files/{digest}`
//!
//! Files of withdrawn resources stay: who bought one may need it again, and to everybody else it is ciphertext.

use super::{Segments, segment};
use crate::catalogue::{files, publish};
use crate::http::app::App;
use crate::http::problem::ApiError;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use portcullis_protocol::Digest;

/// The sealed file, or a range of it.
pub(crate) async fn show(
    State(app): State<App>,
    Segments(digest): Segments<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let digest: Digest = segment(&digest)?;
    // The store knows what is published; a file alone may be one on its way in.
    if app.core.store.resource(&digest).await.map_err(ApiError::internal)?.is_none() {
        return Err(ApiError::NotFound);
    }
    files::serve(&publish::file_of(&app, &digest), &digest, &method, &headers).await.map_err(ApiError::internal)
}
