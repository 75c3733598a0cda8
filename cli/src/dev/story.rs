//! What `portcullis dev` tells: each step as it happens, with the exchanges that it took.

use portcullis_host::HttpBillingServer;
use portcullis_protocol::paths;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

use super::wire::{Arrow, Watched, micros};
use crate::context::Context;
use crate::screen::output::{size, style};

#[derive(Debug, Serialize)]
pub(crate) struct Step {
    step: String,
    outcome: String,
    microseconds: u64,
    /// The exchanges with the server, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wire: Vec<Arrow>,
}

/// Tells the story as it happens, and keeps it for `--json`.
pub(crate) struct Story<'c> {
    pub(crate) context: &'c Context,
    wire: Arc<Watched<HttpBillingServer>>,
    begun: Instant,
    pub(crate) steps: Vec<Step>,
}

impl<'c> Story<'c> {
    /// Begins to tell.
    pub(crate) fn new(context: &'c Context, wire: Arc<Watched<HttpBillingServer>>) -> Self {
        Self { context, wire, begun: Instant::now(), steps: Vec::new() }
    }

    pub(crate) fn begin(&mut self) {
        self.wire.take();
        self.begun = Instant::now();
    }

    /// Ends a step: prints it and the exchanges that it took.
    pub(crate) fn end(&mut self, step: impl Into<String>, outcome: impl Into<String>) {
        let (good, strong, dim) = (style::GOOD, style::STRONG, style::DIM);
        let microseconds = micros(self.begun.elapsed());
        let step = Step { step: step.into(), outcome: outcome.into(), microseconds, wire: self.wire.take() };
        let screen = self.context.screen;
        let time = milliseconds(microseconds);
        screen.note(format_args!(
            "{good}✓{good:#} {strong}{:<11}{strong:#} {}  {dim}{time}{dim:#}",
            step.step, step.outcome
        ));
        for arrow in &step.wire {
            let time = milliseconds(arrow.microseconds);
            let (sent, received) = (size(arrow.sent), size(arrow.received));
            let means = match meaning(arrow) {
                "" => String::new(),
                means => format!("  {means}"),
            };
            screen.note(format_args!(
                "{dim}    {:<30} {sent:>10} → {} {received:>10}  {time:>9}{means}{dim:#}",
                arrow.request, arrow.status
            ));
        }
        self.steps.push(step);
        self.begun = Instant::now();
    }
}

/// What an exchange is in the cycle.
fn meaning(arrow: &Arrow) -> &'static str {
    let path = arrow.request.split_once(' ').map_or("", |(_, path)| path);
    match (path, arrow.status) {
        (_, 401) => "the server's nonce",
        (paths::AUTHORIZATIONS, 200) => "1 request → 2 authenticated: billing status code",
        (paths::AUTHORIZATIONS, _) => "1 request → 2 refused, signed",
        (paths::VERIFICATIONS, 200) => "3 verify → signed grant and sealed keys",
        (paths::ORDERS, 200) => "order → signed receipt",
        (path, 200) if path.starts_with(paths::GRANT.trim_end_matches("{id}")) => "the keys arrived",
        _ => "",
    }
}

fn milliseconds(microseconds: u64) -> String {
    match microseconds {
        0..10_000_000 => format!("{}.{} ms", microseconds / 1000, microseconds / 100 % 10),
        // A build is a matter of seconds.
        _ => format!("{}.{} s", microseconds / 1_000_000, microseconds / 100_000 % 10),
    }
}

#[test]
fn times_are_read_in_the_unit_that_fits() {
    for (microseconds, said) in [(0, "0.0 ms"), (1_250, "1.2 ms"), (9_999_999, "9999.9 ms"), (52_555_400, "52.5 s")] {
        assert_eq!(milliseconds(microseconds), said);
    }
}
