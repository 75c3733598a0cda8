//! Progress of downloads and of getting a resource ready, shown on standard error.

use indicatif::ProgressBar;
use portcullis_host::{Progress, Step};
use portcullis_protocol::SignedManifest;

use crate::output::{Screen, style};

/// Moves a bar as bytes arrive.
pub(crate) fn moved(bar: &ProgressBar) -> impl Fn(u64, Option<u64>) + Send + Sync + '_ {
    move |have, total| {
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(have);
    }
}

/// Tells each step of a start.
#[derive(Debug)]
pub(crate) struct Steps(pub(crate) Screen);

impl Progress for Steps {
    fn step(&self, _: &SignedManifest, step: Step<'_>) {
        // Steps of a few milliseconds are not worth a line; compiling is.
        if let Step::Compiling(part) = step {
            let dim = style::DIM;
            self.0.note(format_args!("{dim}compiling `{part}` …{dim:#}"));
        }
    }
}
