//! Traces for OpenTelemetry: a span per request and per stage of the cycle, sent to a collector if one is configured.
//!
//! Spans have the target `portcullis_server::trace`, which the log leaves out: the log says what happened, a trace
//! where the time went. They hold what the metrics hold, and the number of the request. A caller's own `traceparent`
//! is not believed.

use crate::ops::config::TracesSettings;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use std::fmt;
use std::time::Duration;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

/// The target of every span that is traced.
pub(crate) const TARGET: &str = "portcullis_server::trace";
/// How long the collector may take to accept a batch.
const SENT_WITHIN: Duration = Duration::from_secs(5);

/// What sends spans, if anything does.
#[derive(Clone, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").field(&self.0.is_some()).finish()
    }
}

impl Traces {
    /// Begins to send spans to the collector that the settings name.
    pub(crate) fn start(settings: &TracesSettings) -> Result<Self, String> {
        let Some(endpoint) = &settings.endpoint else { return Ok(Self::default()) };
        // Its client has a runtime of its own, which no thread of another one may make.
        let endpoint = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
        let made = std::thread::spawn(move || {
            let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
            exporter.with_endpoint(endpoint).with_timeout(SENT_WITHIN).build()
        });
        let made = made.join().map_err(|_| "traces: the exporter does not start".to_owned())?;
        let exporter = made.map_err(|error| format!("traces.endpoint: {error}"))?;
        let resource = Resource::builder().with_service_name("portcullis-server").build();
        let sampler = Sampler::TraceIdRatioBased(settings.ratio);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .build();
        Ok(Self(Some(provider)))
    }

    /// What takes spans up.
    pub(crate) fn layer<S>(&self) -> Option<OpenTelemetryLayer<S, SdkTracer>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let provider = self.0.as_ref()?;
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("portcullis-server"));
        Some(layer.with_location(false).with_threads(false).with_target(false).with_level(false))
    }

    /// Sends what is left. Waits for the collector, five seconds at most.
    pub fn end(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(SENT_WITHIN)
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}
