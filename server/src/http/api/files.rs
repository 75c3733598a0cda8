//! `GET /v1/files/{digest}`
//!
//! Files of withdrawn resources stay: who bought one may need it again, and to everybody else it is ciphertext.

use super::{Segments, segment};
use crate::catalogue::files;
use crate::http::app::App;
use crate::http::problem::ApiError;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use portcullis_protocol::Digest;
use portcullis_protocol::paths;

/// A sealed file, or a single range of it.
#[utoipa::path(
    get,
    path = paths::FILE,
    tag = "store",
    params(("digest" = Digest, Path, description = "The resource digest"), ("Range" = Option<String>, Header, description = "A single range of bytes (RFC 9110 section 14.2)")),
    responses((status = 200, description = "The file", body = Vec<u8>, content_type = "application/wasm"), (status = 206, description = "The range", body = Vec<u8>, content_type = "application/wasm"), (status = 304, description = "The file that the client has"), (status = 416, description = "The range lies beyond the file")),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Segments(digest): Segments<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let digest: Digest = segment(&digest)?;
    // The store knows what is published; a file alone may be one on its way in.
    let resource = app.core.store.resource(&digest).await.map_err(ApiError::internal)?.ok_or(ApiError::NotFound)?;
    files::serve(&app.core.objects, (&digest, resource.size), &method, &headers).await.map_err(ApiError::internal)
}
