//! For load balancers and for monitoring: whether the server runs, whether it can do its work, and what it has counted.
//!
//! Everybody may ask the first two, and is told yes or no. Why, and the figures, are told on an address of its own only
//! (`metrics.listen`).

use crate::http::app::App;
use crate::http::problem::{ApiError, complete};
use crate::ops::health::Finding;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use portcullis_protocol::paths;
use serde_json::{Value, json};

/// The form of [`figures`]: https://prometheus.io/docs/specs/om/open_metrics_spec/
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether a path is what load balancers ask.
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, paths::HEALTHZ | paths::READYZ)
}

/// Whether the server runs: that it answers is all it says.
#[utoipa::path(
    get,
    path = paths::HEALTHZ,
    tag = "operation",
    responses((status = 200, description = "It runs", content_type = "text/plain", body = String)),
)]
pub(crate) async fn live() -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], "ok\n")
}

/// Whether the server can do its work: the database answers, there is a key to sign with, files can be stored.
#[utoipa::path(
    get,
    path = paths::READYZ,
    tag = "operation",
    responses(
        (status = 200, description = "It is ready", content_type = "text/plain", body = String),
        (status = 503, description = "It is not"),
    ),
)]
pub(crate) async fn ready(State(app): State<App>) -> Result<impl IntoResponse, ApiError> {
    let findings = app.health.look(&app.core, &app.config.dir).await;
    if findings.iter().any(|finding| finding.fault.is_some()) {
        return Err(ApiError::NotReady);
    }
    Ok(([(header::CACHE_CONTROL, "no-store")], "ok\n"))
}

/// What is served at `metrics.listen`.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route(paths::HEALTHZ, get(live))
        .route(paths::READYZ, get(parts))
        .route("/metrics", get(figures))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(from_fn(complete))
        .with_state(app)
}

/// Each part, and what is wrong with it.
async fn parts(State(app): State<App>) -> impl IntoResponse {
    let findings = app.health.look(&app.core, &app.config.dir).await;
    let is_ready = findings.iter().all(|finding| finding.fault.is_none());
    let parts: serde_json::Map<String, Value> = findings
        .into_iter()
        .map(|Finding { part, fault }| (part.word().to_owned(), fault.map_or_else(|| json!("ok"), Value::String)))
        .collect();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(json!({ "ready": is_ready, "parts": parts })))
}

async fn figures(State(app): State<App>) -> impl IntoResponse {
    let (work, figures) = (app.core.store.work(), app.figures.look(&app.core).await);
    let text = app.core.metrics.text(&work, figures.as_ref());
    ([(header::CONTENT_TYPE, OPEN_METRICS), (header::CACHE_CONTROL, "no-store")], text)
}
