//! How long something takes that computes, on a machine that may do other things meanwhile.

use std::time::{Duration, Instant};

/// Runs from its start.
pub(crate) struct Stopwatch {
    begun: Instant,
    used: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now(), used: used() }
    }

    /// What went by, or what this process computed if that is less: a busy machine makes nothing slower, and tests that
    /// share a process do not either.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed().min(used() - self.used)
    }
}

/// What this process has computed.
#[cfg(unix)]
fn used() -> Duration {
    use rustix::time::{ClockId, Timespec, clock_gettime};
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(tv_sec.try_into().expect("since its start"), tv_nsec.try_into().expect("below a second"))
}

/// What went by, on systems that are not asked.
#[cfg(not(unix))]
fn used() -> Duration {
    static BEGUN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    BEGUN.elapsed()
}
