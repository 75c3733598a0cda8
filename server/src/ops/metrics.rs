//! What the server counts of itself, in the OpenMetrics form. No name, address, code or key of anybody is a label, and
//! no label takes a value that a caller makes up.

use crate::ops::traces;
use axum::http::{Method, StatusCode};
use portcullis_protocol::Reason;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::time::{Duration, Instant};
use tracing::{Instrument as _, info_span};

/// Upper ends of durations: 100 µs to 13 s, each twice the one before.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 18))
}

/// The word for a method: a caller may make up any.
pub(crate) fn word(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE => method.as_str(),
        _ => "other",
    }
}

type Labels<const N: usize> = [(&'static str, String); N];

/// A part of the cycle that takes time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Step 2: everything that the decision rests on is read, as one snapshot.
    ReadAuthorisation,
    /// Step 2: what is paid for is held, durable.
    Hold,
    /// Step 3: everything that the grant rests on is read.
    ReadVerification,
    /// Step 3: the grant is signed, and the keys are sealed to the terminal.
    MakeGrant,
    /// Step 3: the code is consumed and the grant is issued, durable.
    Issue,
}

impl Stage {
    const fn word(self) -> &'static str {
        match self {
            Self::ReadAuthorisation => "read-authorisation",
            Self::Hold => "hold",
            Self::ReadVerification => "read-verification",
            Self::MakeGrant => "make-grant",
            Self::Issue => "issue",
        }
    }
}

/// The counters of one process.
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels<3>, Counter>,
    answers: Family<Labels<1>, Histogram, fn() -> Histogram>,
    stages: Family<Labels<1>, Histogram, fn() -> Histogram>,
    refusals: Family<Labels<1>, Counter>,
    grants: Family<Labels<1>, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("portcullis");
        let requests = Family::default();
        registry.register("requests", "Requests that were answered", requests.clone());
        let answers = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register_with_unit(
            "answer",
            "Time from a request to the head of its answer",
            Unit::Seconds,
            answers.clone(),
        );
        let stages = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register_with_unit(
            "cycle_stage",
            "Time that a stage of the cycle took",
            Unit::Seconds,
            stages.clone(),
        );
        let refusals = Family::default();
        registry.register("refusals", "Signed refusals, by reason", refusals.clone());
        let grants = Family::default();
        registry.register("grants", "Grants that were issued, by rights model", grants.clone());
        Self { registry, requests, answers, stages, refusals, grants }
    }
}

impl Metrics {
    /// A request was answered. `route` is the pattern of the path, never the path itself.
    pub(crate) fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let labels = [("method", word(method).into()), ("route", route.into()), ("status", status.as_str().into())];
        self.requests.get_or_create(&labels).inc();
        self.answers.get_or_create(&[("route", route.into())]).observe(took.as_secs_f64());
    }

    /// A request was refused, signed.
    pub(crate) fn refused(&self, reason: Reason) {
        self.refusals.get_or_create(&[("reason", reason.to_string())]).inc();
    }

    /// A grant was issued under rights of this model.
    pub(crate) fn granted(&self, model: &str) {
        self.grants.get_or_create(&[("model", model.into())]).inc();
    }

    /// Waits for a stage of the cycle, counts what it took, and traces it.
    pub(crate) async fn stage<T>(&self, stage: Stage, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let span = info_span!(target: traces::TARGET, "stage", otel.name = stage.word());
        let done = work.instrument(span).await;
        self.took(stage, begun);
        done
    }

    /// A stage that began at this moment is over.
    pub(crate) fn took(&self, stage: Stage, begun: Instant) {
        self.stages.get_or_create(&[("stage", stage.word().into())]).observe(begun.elapsed().as_secs_f64());
    }

    /// Everything that was counted, as OpenMetrics text 1.0.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_make_up_no_label() {
        let metrics = Metrics::default();
        for word in ["BREW", "WHEN", "PROPFIND"] {
            let method = Method::from_bytes(word.as_bytes()).expect("a method");
            metrics.answered(&method, "unmatched", StatusCode::NOT_FOUND, Duration::from_millis(1));
        }
        let text = metrics.text();
        assert!(
            text.contains(r#"portcullis_requests_total{method="other",route="unmatched",status="404"} 3"#),
            "{text}"
        );
        assert!(!text.contains("BREW"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
