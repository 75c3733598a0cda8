//! Server time on the terminal.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time of the billing server, as well as the terminal knows it.
pub trait Clock: Send + Sync {
    /// Unix seconds. Grants, key documents and proofs are judged by it.
    fn now(&self) -> u64;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}
