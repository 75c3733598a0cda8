//! Time. Decisions take the database's time, read in their transaction; everything else asks this clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment: milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A moment read from storage.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, as documents have them.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        (self.0 / 1000).unsigned_abs()
    }

    /// Milliseconds as identifiers take them.
    #[must_use]
    pub const fn id_millis(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// The moment so many seconds later.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        let millis = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        Self(self.0.saturating_add(millis))
    }

    /// The moment so many seconds earlier.
    #[must_use]
    pub fn minus(self, seconds: u64) -> Self {
        let millis = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        Self(self.0.saturating_sub(millis))
    }
}

/// The clock of this process. With the feature `test-seams` it can be shifted, and the database's time with it.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    #[cfg(any(test, feature = "test-seams"))]
    shift: std::sync::Arc<std::sync::atomic::AtomicI64>,
}

impl Clock {
    /// The clock of the system. With `test-seams`, `PORTCULLIS_CLOCK_SHIFT` shifts it by so many seconds.
    #[must_use]
    pub fn system() -> Self {
        let clock = Self::default();
        #[cfg(any(test, feature = "test-seams"))]
        if let Some(seconds) = std::env::var("PORTCULLIS_CLOCK_SHIFT").ok().and_then(|text| text.parse().ok()) {
            clock.advance(seconds);
        }
        clock
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(self.shift_millis()))
    }

    /// How far this clock, and the database's, is shifted. Zero outside tests.
    #[must_use]
    pub fn shift_millis(&self) -> i64 {
        #[cfg(any(test, feature = "test-seams"))]
        {
            self.shift.load(std::sync::atomic::Ordering::SeqCst)
        }
        #[cfg(not(any(test, feature = "test-seams")))]
        {
            0
        }
    }

    /// Moves this clock, and every clone of it, by so many seconds.
    #[cfg(any(test, feature = "test-seams"))]
    pub fn advance(&self, seconds: i64) {
        self.shift.fetch_add(seconds.saturating_mul(1000), std::sync::atomic::Ordering::SeqCst);
    }
}
