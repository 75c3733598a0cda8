//! Logs: one line per request, to standard error. Never a token, a code, an address of a person, a key or a body.

use crate::http::address::Unheard;
use crate::http::app::App;
use crate::ops::config::{Log, LogFormat, TracesSettings};
use crate::ops::metrics;
use crate::ops::traces::{self, Traces};
use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use portcullis_protocol::Reason;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing::{Instrument as _, field, info, info_span};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The header that repeats a request's number, so that a person can name it to the operator.
pub const REQUEST_ID: &str = "x-request-id";

/// The number of a request, for the page that says that it failed.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Makes the process write its log to `writer`, and send its traces where the settings say.
///
/// # Errors
/// A text if the level is no filter, the collector is no address, or a log is kept already.
pub fn start<W>(config: &Log, traces: &TracesSettings, writer: W) -> Result<Traces, String>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.level).map_err(|error| format!("log.level: {error}"))?;
    let traces = Traces::start(traces)?;
    let lines = fmt::layer().with_writer(writer).with_ansi(colours());
    let lines = match config.format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    // Each sees its own: the log no spans that are only timed, the traces nothing else.
    let lines = lines.with_filter(filter.and(filter_fn(|of| of.target() != traces::TARGET)));
    let spans = traces.layer().map(|layer| layer.with_filter(filter_fn(|of| of.target() == traces::TARGET)));
    let started = tracing_subscriber::registry().with(spans).with(lines).try_init();
    started.map_err(|_| "a log is kept already".to_owned())?;
    Ok(traces)
}

/// Only a terminal is coloured, and only when nobody objects (no-color.org).
fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Requests that their addresses had too many of, and that the log has not said yet. Whoever sends them decides how
/// many there are, so they take a line a second, and not one each.
#[derive(Debug, Default)]
pub(crate) struct TooFast(Arc<AtomicU64>);

impl TooFast {
    const EVERY: Duration = Duration::from_secs(1);

    fn count(&self) {
        if self.0.fetch_add(1, Ordering::Relaxed) > 0 {
            return;
        }
        let count = Arc::clone(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(Self::EVERY).await;
            let requests = count.swap(0, Ordering::Relaxed);
            info!(requests, "refused unheard: their addresses send too many");
        });
    }
}

/// Counts each request once, when it is answered, and logs it: its number, method (one of those that there are),
/// *route* (not the path, which may hold an invitation), status and time; of a refusal its reason.
pub(crate) async fn each_request(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let mut bytes = [0; 8];
    let id = match getrandom::fill(&mut bytes) {
        Ok(()) => portcullis_protocol::encoding::base64url(&bytes),
        Err(_) => "unnumbered".to_owned(),
    };
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    request.extensions_mut().insert(RequestId(id.clone()));
    let begun = Instant::now();
    let span = info_span!("request", id = %id);
    let traced = info_span!(
        target: traces::TARGET, "request", id = %id, otel.name = %format_args!("{} {route}", metrics::word(&method)), otel.kind = "server",
        http.response.status_code = field::Empty
    );
    let mut response = next.run(request).instrument(span.clone()).instrument(traced.clone()).await;
    traced.record("http.response.status_code", response.status().as_u16());
    let took = begun.elapsed();
    app.core.metrics.answered(&method, &route, response.status(), took);
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    let reason = response.extensions().get::<Reason>().map(field::display);
    if response.extensions().get::<Unheard>().is_some() {
        app.too_fast.count();
    } else {
        let method = metrics::word(&method);
        info!(parent: &span, method, %route, status, micros, reason, "answered");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
