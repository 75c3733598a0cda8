//! Server time on the terminal: what a billing server last said, carried on by a clock that nobody can turn back.

use crate::state_dir::{StateDir, StateError};
use crate::state_key::StateKey;
use portcullis_protocol::labels::TERMINAL_CLOCK;
use std::sync::{Arc, Mutex, PoisonError};
#[cfg(not(target_os = "linux"))]
use std::time::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time of the billing server, as well as the terminal knows it.
pub trait Clock: Send + Sync {
    /// Unix seconds. Grants, key documents and proofs are judged by it.
    fn now(&self) -> u64;

    /// Time since some fixed moment, such as the start of the machine. It never goes back and goes on during suspend.
    fn elapsed(&self) -> Duration {
        boot_time()
    }
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

/// Time since the machine started, suspend included.
#[cfg(target_os = "linux")]
fn boot_time() -> Duration {
    // `Instant` is CLOCK_MONOTONIC, which stands still during suspend.
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

/// Time since the process first asked.
#[cfg(not(target_os = "linux"))]
fn boot_time() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// How far the high-water mark may lag behind, in seconds, so that not every answer costs a write.
const MARK_EVERY: u64 = 60;
/// The record that holds the mark.
const MARK: &str = "clock";

/// The terminal's clock. Once a billing server has answered, it shows that server's signed time and what has passed
/// since by a clock that cannot be set. Before that, it shows the machine's clock, but never a time before the last one
/// that a server gave, which is kept sealed.
///
/// A signed answer is bound to the proof of its request, so it is never an old one: it sets the clock, backwards too.
pub struct ServerClock {
    machine: Arc<dyn Clock>,
    state: Arc<StateDir>,
    key: StateKey,
    time: Mutex<Time>,
}

struct Time {
    /// Server time and when it was heard, on the clock that cannot be set.
    heard: Option<(u64, Duration)>,
    /// The last server time that was written down.
    mark: u64,
}

impl ServerClock {
    /// The clock of a state directory. A mark that does not open is ignored: it was not this terminal's.
    ///
    /// # Errors
    /// [`StateError`] where the mark cannot be read.
    pub(crate) fn open(machine: Arc<dyn Clock>, state: Arc<StateDir>, key: StateKey) -> Result<Self, StateError> {
        let mark = state.read(MARK, 1024)?.and_then(|sealed| key.open(TERMINAL_CLOCK, MARK, &sealed));
        let mark = mark.and_then(|bytes| bytes.as_slice().try_into().ok()).map_or(0, u64::from_be_bytes);
        Ok(Self { machine, state, key, time: Mutex::new(Time { heard: None, mark }) })
    }

    /// Server time, where a server has given it to this process, and the last that was kept from earlier (or 0).
    pub(crate) fn heard(&self) -> (Option<u64>, u64) {
        let time = self.time.lock().unwrap_or_else(PoisonError::into_inner);
        let heard =
            time.heard.map(|(at, then)| at.saturating_add(self.machine.elapsed().saturating_sub(then).as_secs()));
        (heard, time.mark)
    }

    /// Takes the time of a signed answer that has just come.
    pub(crate) fn hear(&self, at: u64) {
        let mark = {
            let mut time = self.time.lock().unwrap_or_else(PoisonError::into_inner);
            time.heard = Some((at, self.machine.elapsed()));
            if at.abs_diff(time.mark) < MARK_EVERY {
                return;
            }
            time.mark = at;
            at
        };
        let sealed = self.key.seal(TERMINAL_CLOCK, MARK, &mark.to_be_bytes());
        // Without a mark the clock is only as good as before.
        if let Err(error) = self.state.write_lazily(MARK, &sealed) {
            tracing::warn!(%error, "the time of the last answer was not kept");
        }
    }
}

impl Clock for ServerClock {
    fn now(&self) -> u64 {
        let time = self.time.lock().unwrap_or_else(PoisonError::into_inner);
        match time.heard {
            Some((at, then)) => at.saturating_add(self.machine.elapsed().saturating_sub(then).as_secs()),
            None => self.machine.now().max(time.mark),
        }
    }

    fn elapsed(&self) -> Duration {
        self.machine.elapsed()
    }
}

impl std::fmt::Debug for ServerClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerClock({})", self.now())
    }
}
