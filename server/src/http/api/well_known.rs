//! `GET /.well-known/portcullis`

use crate::http::app::App;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

/// Root key, key document and the base of the API.
pub(crate) async fn show(State(app): State<App>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-cache")], Json(app.core.keys.well_known(app.core.clock.now())))
}
