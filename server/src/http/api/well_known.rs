//! `GET /.well-known/portcullis`

use crate::http::app::App;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use portcullis_protocol::paths;
use portcullis_protocol::wire::WellKnownAnswer;

/// Root key, key document and base of the interface.
#[utoipa::path(
    get,
    path = paths::WELL_KNOWN,
    tag = "store",
    responses((status = 200, description = "Done", body = WellKnownAnswer)),
)]
pub(crate) async fn show(State(app): State<App>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-cache")], Json(app.core.keys.well_known(app.core.clock.now())))
}
