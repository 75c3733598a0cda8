//! Server time on the terminal: for each billing server, what it last said, carried on by a clock that nobody can turn
//! back.
//!
//! Stores distrust each other, so each has a clock of its own here, and its answers move no other. By that clock its
//! grants, its key document and its matters in the journal are judged.

use crate::state::folder::{StateDir, StateError, file_name};
use crate::state::sealing_key::StateKey;
use parking_lot::{Mutex, MutexGuard};
use portcullis_protocol::Origin;
use portcullis_protocol::labels::TERMINAL_CLOCK;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
use std::time::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time, as well as the machine knows it.
pub trait Clock: Send + Sync {
    /// Unix seconds. Until a server has said what time it is, its documents are judged by it.
    fn now(&self) -> u64;

    /// Time since some fixed moment, such as the start of the machine. It never goes back and goes on during suspend.
    fn elapsed(&self) -> Duration {
        boot_time()
    }

    /// Names the moment that [`Clock::elapsed`] counts from, if other processes count from the same one.
    fn epoch(&self) -> Option<[u8; 16]> {
        None
    }
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn epoch(&self) -> Option<[u8; 16]> {
        boot_id()
    }
}

/// Whether [`SystemClock`] goes on while the machine sleeps.
pub(crate) const COUNTS_SUSPEND: bool = cfg!(any(target_os = "linux", target_vendor = "apple"));

/// Time since the machine started, suspend included.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn boot_time() -> Duration {
    // On Linux CLOCK_MONOTONIC, which `Instant` is, stands still during suspend; on macOS it is the one that goes on.
    #[cfg(target_os = "linux")]
    let id = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let id = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(id);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

/// Time since the process first asked.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn boot_time() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// What the kernel calls this start of the machine: a random UUID.
fn boot_id() -> Option<[u8; 16]> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32).map(u128::to_be_bytes)
}

/// How far a server's time may go from the terminal's clock between two answers, beyond what the answers took on their
/// way: what honest clocks differ by, and what an operator who sets his clock corrects.
pub(crate) const DRIFT: Duration = Duration::from_secs(300);
/// How long the answers of a server whose time has jumped have to agree before they are believed again. An honest
/// store whose clock was wrong comes back by itself after it; whoever cannot wait signs in again.
const PROBATION: Duration = Duration::from_secs(600);
/// How long answers are compared with one and the same earlier answer: a server that creeps gets [`DRIFT`] in that
/// time.
const ANCHORED: Duration = Duration::from_secs(24 * 3600);
/// How far the time that is kept may lag behind, in seconds, so that not every answer costs a write.
const KEEP_EVERY: u64 = 60;
/// A record at most: two moments in JSON, sealed.
const MAX_RECORD: u64 = 1024;
/// The record of one time for all servers that earlier versions kept.
const SHARED_RECORD: &str = "clock";

/// The clocks of a terminal, one for each billing server.
pub(crate) struct ServerClocks {
    machine: Arc<dyn Clock>,
    state: Arc<StateDir>,
    key: StateKey,
    clocks: Mutex<HashMap<Origin, Arc<ServerClock>>>,
}

impl ServerClocks {
    /// The clocks of a state directory. Where an earlier version kept one time for all servers, it is the time of the
    /// one in `trusted` if there is no other; of several nobody knows whose it was.
    ///
    /// # Errors
    /// [`StateError`] if what was kept cannot be read.
    pub(crate) fn open(
        machine: Arc<dyn Clock>,
        state: Arc<StateDir>,
        key: StateKey,
        trusted: impl FnOnce() -> Result<Vec<Origin>, StateError>,
    ) -> Result<Self, StateError> {
        let clocks = Self { machine, state, key, clocks: Mutex::default() };
        let Some(sealed) = clocks.state.read(SHARED_RECORD, MAX_RECORD)? else { return Ok(clocks) };
        let mark = clocks.key.open(TERMINAL_CLOCK, SHARED_RECORD, &sealed);
        let mark = mark.and_then(|bytes| bytes.as_slice().try_into().ok()).map(u64::from_be_bytes);
        if let (Some(mark), [origin]) = (mark, trusted()?.as_slice()) {
            let clock = clocks.of(origin);
            let mut time = clock.time();
            if time.kept == 0 {
                time.kept = mark;
                drop(time);
                clock.keep();
            }
        }
        // On a disk that cannot be written to it stays, and does no harm.
        let _ = clocks.state.remove(SHARED_RECORD);
        Ok(clocks)
    }

    /// The clock of a server.
    pub(crate) fn of(&self, origin: &Origin) -> Arc<ServerClock> {
        let mut clocks = self.clocks.lock();
        if let Some(clock) = clocks.get(origin) {
            return Arc::clone(clock);
        }
        let (machine, state) = (Arc::clone(&self.machine), Arc::clone(&self.state));
        let clock = Arc::new(ServerClock::open(origin, machine, state, self.key.clone()));
        clocks.insert(origin.clone(), Arc::clone(&clock));
        clock
    }

    /// The machine's clock, which is nobody's word.
    pub(crate) fn machine(&self) -> &Arc<dyn Clock> {
        &self.machine
    }

    /// Forgets a server's time.
    pub(crate) fn forget(&self, origin: &Origin) -> Result<(), StateError> {
        self.clocks.lock().remove(origin);
        self.state.remove(&record(origin))
    }
}

/// A moment of a server's time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Moment {
    /// What the server signed, Unix seconds.
    at: u64,
    /// When the answer came, by the clock that cannot be set.
    came: Duration,
    /// How long it was on its way: it was signed at some time in that span.
    took: Duration,
}

impl Moment {
    /// What the server's clock shows at `elapsed`, at the least.
    fn shown(&self, elapsed: Duration) -> Duration {
        Duration::from_secs(self.at).saturating_add(elapsed.saturating_sub(self.came))
    }

    /// How far `later` is from what follows from this one, beyond what the two were on their way.
    fn strays(&self, later: &Self) -> Duration {
        let sent = later.came.saturating_sub(later.took);
        // Signed times are whole seconds.
        let latest = self.shown(later.came).saturating_add(self.took).saturating_add(Duration::from_secs(1));
        let earliest = self.shown(sent);
        let at = Duration::from_secs(later.at);
        at.saturating_sub(latest).max(earliest.saturating_sub(at.saturating_add(Duration::from_secs(1))))
    }

    fn agrees(&self, later: &Self) -> bool {
        self.strays(later) <= DRIFT
    }
}

/// What is kept of a server's time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The last time of the server that was kept, Unix seconds.
    last: u64,
    /// The start that the moments count from.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<[u8; 16]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doubtful: Option<Moment>,
}

/// A terminal's clock for one billing server. Once that server has answered, it shows the server's signed time and what
/// has passed since by a clock that cannot be set, also in later processes if they can read that clock. Before that, it
/// shows the machine's clock, but never a time before the last one that this server gave, which is kept sealed.
///
/// A signed answer is bound to the proof of its request, so it is never an old one: it sets the clock, backwards too,
/// as long as it agrees with earlier answers.
pub struct ServerClock {
    origin: Origin,
    machine: Arc<dyn Clock>,
    state: Arc<StateDir>,
    key: StateKey,
    /// Nothing waits for the disk under it: the thread that ends guests takes it.
    time: Mutex<Time>,
    /// Whoever writes holds it, so that what is written last is what was heard last.
    writing: Mutex<()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Time {
    /// The last answer.
    last: Option<Moment>,
    /// Whether it came to this process.
    is_own: bool,
    /// The answer that others are compared with.
    anchor: Option<Moment>,
    /// The first answer after the server's time jumped. The later ones agree with it.
    doubtful: Option<Moment>,
    /// The last server time that was written down.
    kept: u64,
}

/// A server's time has jumped: nothing of its answer is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Jumped {
    /// By how much.
    pub(crate) by: Duration,
    pub(crate) ahead: bool,
}

impl ServerClock {
    /// A record that does not open is ignored: it was not this terminal's, or not this server's.
    fn open(origin: &Origin, machine: Arc<dyn Clock>, state: Arc<StateDir>, key: StateKey) -> Self {
        let name = record(origin);
        let sealed = state.read(&name, MAX_RECORD).ok().flatten();
        let plain = sealed.and_then(|sealed| key.open(TERMINAL_CLOCK, &name, &sealed));
        let mut time = Time::default();
        if let Some(kept) = plain.and_then(|plain| serde_json::from_slice::<Kept>(&plain).ok()) {
            time.kept = kept.last;
            // Moments of another start, or from after now, are of another clock.
            let counts = |moment: &Moment| kept.epoch.is_some() && moment.came <= machine.elapsed();
            if kept.epoch == machine.epoch() {
                time.anchor = kept.anchor.filter(counts);
                time.doubtful = kept.doubtful.filter(counts);
                time.last = time.anchor;
            }
        }
        Self { origin: origin.clone(), machine, state, key, time: Mutex::new(time), writing: Mutex::default() }
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock()
    }

    /// Whether it shows what the server said since the machine was started.
    pub(crate) fn is_told(&self) -> bool {
        self.time().last.is_some()
    }

    /// Whether it shows another time than the machine's clock.
    pub(crate) fn is_apart(&self) -> bool {
        self.now().abs_diff(self.machine.now()) > DRIFT.as_secs()
    }

    /// Server time, if the server has given it to this process, and the last that was kept from earlier (or 0).
    pub(crate) fn heard(&self) -> (Option<u64>, u64) {
        let time = self.time();
        let own = time.last.filter(|_| time.is_own);
        (own.map(|moment| moment.shown(self.machine.elapsed()).as_secs()), time.kept)
    }

    /// Takes the time `at` of a signed answer to a request that was sent and answered at these moments of
    /// [`Clock::elapsed`].
    ///
    /// # Errors
    /// [`Jumped`]: then the answer is not to be believed, and the clock stays as it is.
    pub(crate) fn hear(&self, at: u64, sent: Duration, came: Duration) -> Result<(), Jumped> {
        let heard = Moment { at, came, took: came.saturating_sub(sent) };
        let mut time = self.time();
        let strays = match &time.anchor {
            Some(anchor) => anchor.strays(&heard),
            // All that is known after a restart of the machine is that time does not go back.
            None => Duration::from_secs(time.kept.saturating_sub(at)),
        };
        if strays <= DRIFT {
            time.doubtful = None;
        } else {
            let agreed = time.doubtful.filter(|doubtful| doubtful.agrees(&heard));
            let since = agreed.map_or(Duration::ZERO, |doubtful| came.saturating_sub(doubtful.came));
            if since < PROBATION {
                let shown = time.anchor.map_or(time.kept, |anchor| anchor.shown(came).as_secs());
                if agreed.is_none() {
                    time.doubtful = Some(heard);
                    drop(time);
                    self.keep();
                }
                return Err(Jumped { by: strays, ahead: at > shown });
            }
            (time.doubtful, time.anchor) = (None, None);
        }
        let was_anchored = time.anchor.is_some();
        time.anchor = time.anchor.filter(|anchor| came.saturating_sub(anchor.came) < ANCHORED).or(Some(heard));
        (time.last, time.is_own) = (Some(heard), true);
        if !was_anchored || at.abs_diff(time.kept) >= KEEP_EVERY {
            time.kept = at;
            drop(time);
            self.keep();
        }
        Ok(())
    }

    /// The user has signed in to the server anew: its next answer sets the clock, whatever it said before.
    pub(crate) fn begin_anew(&self) {
        *self.time() = Time::default();
        self.keep();
    }

    /// Writes down what is known by now.
    fn keep(&self) {
        let _one_at_a_time = self.writing.lock();
        let name = record(&self.origin);
        let Time { anchor, doubtful, kept, .. } = *self.time();
        let kept = Kept { last: kept, epoch: self.machine.epoch(), anchor, doubtful };
        let Ok(plain) = serde_json::to_vec(&kept) else { return };
        // Without a record the clock is only as good as before.
        if let Err(error) = self.state.write_lazily(&name, &self.key.seal(TERMINAL_CLOCK, &name, &plain)) {
            tracing::warn!(%error, "the time of the last answer was not kept");
        }
    }
}

impl Clock for ServerClock {
    fn now(&self) -> u64 {
        let time = self.time();
        match time.last {
            Some(moment) => moment.shown(self.machine.elapsed()).as_secs(),
            None => self.machine.now().max(time.kept),
        }
    }

    fn elapsed(&self) -> Duration {
        self.machine.elapsed()
    }

    fn epoch(&self) -> Option<[u8; 16]> {
        self.machine.epoch()
    }
}

impl std::fmt::Debug for ServerClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerClock({} at {})", self.now(), self.origin)
    }
}

fn record(origin: &Origin) -> String {
    format!("servers/{}/clock", file_name(origin))
}

/// A length of time in words, for a person: `10 minutes`, `3 days`.
pub(crate) fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3600, "hour"),
        172_800..63_072_000 => (seconds / 86_400, "day"),
        _ => (seconds / 31_536_000, "year"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: u64, came: u64, took: u64) -> Moment {
        Moment { at, came: Duration::from_secs(came), took: Duration::from_secs(took) }
    }

    #[test]
    fn what_answers_took_on_their_way_is_not_held_against_them() {
        let first = moment(1_000, 100, 0);
        for (at, came, took, agrees) in [
            (1_050, 150, 0, true),
            (1_351, 150, 0, true),
            (1_352, 150, 0, false),
            (749, 150, 0, true),
            (748, 150, 0, false),
            // Signed at some time of the ten minutes that it took.
            (1_000, 700, 600, true),
            (1_600, 700, 600, true),
            (699, 700, 600, true),
            (698, 700, 600, false),
            (1_901, 700, 600, true),
            (1_902, 700, 600, false),
        ] {
            assert_eq!(first.agrees(&moment(at, came, took)), agrees, "{at} {came} {took}");
        }
        assert!(moment(1_000, 100, 60).agrees(&moment(1_411, 150, 0)));
        assert!(!moment(1_000, 100, 60).agrees(&moment(1_412, 150, 0)));
        // Whatever a server signs.
        assert!(!first.agrees(&moment(u64::MAX, 150, 0)) && !moment(u64::MAX, 100, 0).agrees(&moment(0, 150, 0)));
    }

    /// The thread that ends guests asks for the time: on a disk that does not answer nothing would end any more.
    #[test]
    fn the_time_is_told_while_it_is_written_down() {
        use std::sync::atomic::{AtomicBool, Ordering};
        use std::sync::mpsc;

        /// Is asked for its epoch when a record is made. Once armed, it answers as late as a disk that is gone.
        struct Stuck {
            armed: AtomicBool,
            asked: Mutex<mpsc::Sender<()>>,
            goes_on: Mutex<mpsc::Receiver<()>>,
        }
        impl Clock for Stuck {
            fn now(&self) -> u64 {
                1_000
            }

            fn epoch(&self) -> Option<[u8; 16]> {
                if self.armed.swap(false, Ordering::SeqCst) {
                    self.asked.lock().send(()).expect("the test listens");
                    let _ = self.goes_on.lock().recv();
                }
                None
            }
        }
        let home = tempfile::tempdir().expect("home");
        let state = Arc::new(StateDir::open(home.path()).expect("opened"));
        let key = StateKey::from_bytes(zeroize::Zeroizing::new([7; 32]));
        let (asked, is_asked) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel();
        let machine =
            Arc::new(Stuck { armed: AtomicBool::new(false), asked: Mutex::new(asked), goes_on: Mutex::new(goes_on) });
        let origin = "https://store.example".parse().expect("origin");
        let clock = Arc::new(ServerClock::open(&origin, Arc::clone(&machine) as Arc<dyn Clock>, state, key));
        machine.armed.store(true, Ordering::SeqCst);
        let hearing = Arc::clone(&clock);
        let heard = std::thread::spawn(move || hearing.hear(5_000, Duration::ZERO, Duration::ZERO));
        is_asked.recv().expect("a record is being made");
        let (told, is_told) = mpsc::channel();
        let telling = Arc::clone(&clock);
        std::thread::spawn(move || told.send(telling.now() >= 5_000));
        let time = is_told.recv_timeout(Duration::from_secs(10));
        go_on.send(()).expect("the record waits");
        assert_eq!(time, Ok(true), "the time waits for no record");
        heard.join().expect("heard").expect("believed");
    }

    #[test]
    fn lengths_are_told_in_words() {
        for (seconds, words) in
            [(1, "1 second"), (301, "5 minutes"), (7_200, "2 hours"), (864_000, "10 days"), (315_360_000, "10 years")]
        {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn the_one_time_of_earlier_versions_goes_to_the_only_store() {
        struct Still;
        impl Clock for Still {
            fn now(&self) -> u64 {
                1_000
            }
        }
        let origin = |text: &str| text.parse::<Origin>().expect("origin");
        let (here, there) = (origin("https://store.example"), origin("https://other.example"));
        for (trusted, expected) in [(vec![here.clone()], 5_000), (vec![here.clone(), there.clone()], 1_000)] {
            let home = tempfile::tempdir().expect("home");
            let state = Arc::new(StateDir::open(home.path()).expect("opened"));
            let key = StateKey::from_bytes(zeroize::Zeroizing::new([7; 32]));
            let sealed = key.seal(TERMINAL_CLOCK, SHARED_RECORD, &5_000_u64.to_be_bytes());
            state.write(SHARED_RECORD, &sealed).expect("written");
            let open = |trusted: Vec<Origin>| {
                let (state, key) = (Arc::clone(&state), key.clone());
                ServerClocks::open(Arc::new(Still), state, key, || Ok(trusted)).expect("opened")
            };
            let clocks = open(trusted.clone());
            assert_eq!((clocks.of(&here).now(), clocks.of(&there).now()), (expected, 1_000));
            assert_eq!(open(trusted).of(&here).now(), expected, "it is kept");
            assert!(!home.path().join(SHARED_RECORD).exists());
            // A record of one server is none of another.
            if expected == 5_000 {
                let sealed = std::fs::read(state.path(&record(&here))).expect("a record");
                state.write(&record(&there), &sealed).expect("written");
                assert_eq!(open(vec![]).of(&there).now(), 1_000);
            }
        }
    }
}
