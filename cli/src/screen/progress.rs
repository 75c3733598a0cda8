//! Progress of downloads and of getting a resource ready, shown on standard error.

use indicatif::ProgressBar;
use portcullis_host::{Progress, Step};
use portcullis_protocol::SignedManifest;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::screen::output::{Screen, asking, style};

/// Moves a bar as bytes arrive.
pub(crate) fn moved(bar: &ProgressBar) -> impl Fn(u64, Option<u64>) + Send + Sync + '_ {
    move |have, total| {
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(have);
    }
}

/// Tells each step of a start. Once the resource runs, the terminal is its own.
#[derive(Debug)]
pub(crate) struct Steps {
    screen: Screen,
    /// Of what is streamed from a store.
    bar: OnceLock<ProgressBar>,
    running: AtomicBool,
}

impl Steps {
    pub(crate) fn new(screen: Screen) -> Self {
        Self { screen, bar: OnceLock::new(), running: AtomicBool::new(false) }
    }

    fn clear(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Steps {
    fn step(&self, _: &SignedManifest, step: Step<'_>) {
        match step {
            // Steps of a few milliseconds are not worth a line; compiling is.
            Step::Compiling(part) => {
                self.clear();
                let dim = style::DIM;
                self.screen.note(format_args!("{dim}compiling `{part}` …{dim:#}"));
            }
            Step::Streaming { arrived, total } if !self.running.load(Ordering::Relaxed) && !asking() => {
                let bar = self.bar.get_or_init(|| self.screen.bar("streaming", Some(total)));
                bar.set_position(arrived);
            }
            Step::Ready(_) => {
                self.running.store(true, Ordering::Relaxed);
                self.clear();
            }
            _ => {}
        }
    }
}
