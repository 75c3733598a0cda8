//! What the server counts of itself, in the OpenMetrics form. No name, address, code or key of anybody is a label, and
//! no label takes a value that a caller makes up.

use crate::ops::traces;
use crate::store::{EffectKind, EffectQueue, EffectVerdict, StoreFigures, StoreWork};
use axum::http::{Method, StatusCode};
use portcullis_protocol::Reason;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
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
    effects: Family<Labels<2>, Counter>,
    deliveries: Family<Labels<1>, Counter>,
    waiting: Family<Labels<2>, Gauge>,
    overdue: Family<Labels<1>, Gauge>,
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
        let effects = Family::default();
        registry.register("effects", "Attempts at effects, by kind and by what came of them", effects.clone());
        let deliveries = Family::default();
        registry.register("webhook_attempts", "Attempts to deliver a webhook, by the answer", deliveries.clone());
        let waiting = Family::default();
        registry.register("effects_waiting", "Effects that are due or being tried, in the database", waiting.clone());
        let overdue = Family::default();
        registry.register_with_unit(
            "effects_overdue",
            "For how long the first effect of a kind has been due",
            Unit::Seconds,
            overdue.clone(),
        );
        Self { registry, requests, answers, stages, refusals, grants, effects, deliveries, waiting, overdue }
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

    /// An effect was tried.
    pub(crate) fn tried(&self, kind: EffectKind, verdict: Option<EffectVerdict>) {
        let outcome = match verdict {
            Some(EffectVerdict::Again(_)) => "again",
            Some(EffectVerdict::Failed) => "failed",
            Some(EffectVerdict::Done) | None => "written",
        };
        self.effects.get_or_create(&[("kind", kind.word().into()), ("outcome", outcome.into())]).inc();
    }

    /// A webhook was answered with this status, or not at all.
    pub(crate) fn delivered(&self, status: Option<u16>) {
        let answer = match status {
            Some(200..=299) => "2xx",
            Some(300..=399) => "3xx",
            Some(400..=499) => "4xx",
            Some(_) => "5xx",
            None => "none",
        };
        self.deliveries.get_or_create(&[("answer", answer.into())]).inc();
    }

    /// What waits in the database, as one process sees it.
    pub(crate) fn waits(&self, queues: &[EffectQueue]) {
        for queue in queues {
            let kind = || queue.kind.word().to_owned();
            self.waiting.get_or_create(&[("kind", kind()), ("state", "due".into())]).set(queue.due.into());
            self.waiting.get_or_create(&[("kind", kind()), ("state", "claimed".into())]).set(queue.claimed.into());
            let overdue = i64::try_from(queue.overdue).unwrap_or(i64::MAX);
            self.overdue.get_or_create(&[("kind", kind())]).set(overdue);
        }
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

    /// Everything that was counted, and what the store says of itself, as OpenMetrics text 1.0.
    pub(crate) fn text(&self, work: &StoreWork, figures: Option<&StoreFigures>) -> String {
        let (mut text, store) = (String::new(), of_store(work, figures));
        // Writing into a string does not fail.
        let _ = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &store))
            .and_then(|()| encode_eof(&mut text));
        text
    }
}

/// What the store says of itself. Labels are names of queues, states, classes of accounts and currencies.
fn of_store(work: &StoreWork, figures: Option<&StoreFigures>) -> Registry {
    let mut registry = Registry::with_prefix("portcullis");
    let queues: Family<Labels<1>, Gauge> = Family::default();
    for (queue, waiting) in &work.waiting {
        queues.get_or_create(&[("queue", (*queue).into())]).set(i64::try_from(*waiting).unwrap_or(i64::MAX));
    }
    registry.register("store_queue", "Jobs that wait for a connection to the database", queues);
    registry.register("store_commit_writes", "Writes that were committed together", work.commits.sizes.clone());
    let repeated = "Writes that were run again, because another one was in the way or the connection broke";
    registry.register("store_repeated", repeated, work.commits.repeated.clone());
    let Some(StoreFigures { orders, books, behind, held_up, held_up_seconds, audit_rows, audit_signed }) = figures
    else {
        return registry;
    };
    let by_state: Family<Labels<1>, Gauge> = Family::default();
    for (phase, count) in orders {
        by_state.get_or_create(&[("state", phase.word().into())]).set(*count);
    }
    registry.register("orders", "Orders, by where they stand", by_state);
    let by_class: Family<Labels<2>, Gauge> = Family::default();
    for (class, commodity, amount) in books {
        by_class.get_or_create(&[("account", class.clone()), ("commodity", commodity.to_string())]).set(*amount);
    }
    registry.register("books", "What the accounts of the ledger hold by class, in minor units or uses", by_class);
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("books_behind", "Transfers that `books` does not have yet", *behind);
    let late = "Orders of codes that are past their deadline and wait for a person";
    gauge("code_orders_held_up", late, *held_up);
    gauge("code_orders_held_up_seconds", "For how long the first of them has been past its deadline", *held_up_seconds);
    gauge("audit_rows", "Rows of the audit log", *audit_rows);
    gauge("audit_signed_rows", "Rows of the audit log that its newest head covers", *audit_signed);
    registry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Commits;

    #[test]
    fn callers_make_up_no_label() {
        let metrics = Metrics::default();
        for word in ["BREW", "WHEN", "PROPFIND"] {
            let method = Method::from_bytes(word.as_bytes()).expect("a method");
            metrics.answered(&method, "unmatched", StatusCode::NOT_FOUND, Duration::from_millis(1));
        }
        let work = StoreWork { waiting: vec![("write", 3)], commits: Commits::default() };
        let text = metrics.text(&work, None);
        assert!(text.contains(r#"portcullis_store_queue{queue="write"} 3"#), "{text}");
        assert!(
            text.contains(r#"portcullis_requests_total{method="other",route="unmatched",status="404"} 3"#),
            "{text}"
        );
        assert!(!text.contains("BREW"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
