//! Rate limits: token buckets, in memory, per process. They bound load and guessing; no promise about money rests on them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many callers are remembered at once. Full buckets are forgotten first; a flood of new callers beyond this is
/// refused as a whole rather than let in unmeasured.
const MAX_BUCKETS: usize = 200_000;

/// So many at once, and so many in a time.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// How much fits.
    burst: f64,
    /// How much comes back per second.
    per_second: f64,
}

impl Rate {
    /// `burst` at once, refilled with `per_second`.
    #[must_use]
    pub fn per_second(per_second: u32, burst: u32) -> Self {
        Self { burst: f64::from(burst.max(1)), per_second: f64::from(per_second.max(1)) }
    }

    /// `count` at once, refilled within `period`.
    #[must_use]
    pub fn per_period(count: u32, period: Duration) -> Self {
        let burst = f64::from(count.max(1));
        Self { burst, per_second: burst / period.as_secs_f64().max(1.0) }
    }
}

/// Too many: to be tried again after so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// Seconds, at least 1.
    pub retry_after: u32,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// One bucket per caller.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    buckets: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// Empty: every caller begins with a full bucket.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes one token of `key`.
    ///
    /// # Errors
    /// [`TooMany`] where none is left.
    pub fn take(&self, key: K) -> Result<(), TooMany> {
        self.take_at(key, Instant::now())
    }

    fn take_at(&self, key: K, now: Instant) -> Result<(), TooMany> {
        let Rate { burst, per_second } = self.rate;
        let level = |bucket: &Bucket| {
            (bucket.tokens + now.saturating_duration_since(bucket.at).as_secs_f64() * per_second).min(burst)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| level(bucket) < burst);
            if buckets.len() >= MAX_BUCKETS {
                return Err(TooMany { retry_after: 1 });
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: burst, at: now });
        let tokens = level(bucket);
        if tokens < 1.0 {
            *bucket = Bucket { tokens, at: now };
            let seconds = ((1.0 - tokens) / per_second).ceil().clamp(1.0, 86_400.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1 … 86400")]
            return Err(TooMany { retry_after: seconds as u32 });
        }
        *bucket = Bucket { tokens: tokens - 1.0, at: now };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_one_per_refill() {
        let buckets = Buckets::new(Rate::per_second(2, 3));
        let start = Instant::now();
        for _ in 0..3 {
            buckets.take_at("a", start).expect("within the burst");
        }
        assert_eq!(buckets.take_at("a", start), Err(TooMany { retry_after: 1 }));
        buckets.take_at("b", start).expect("another caller is not affected");
        buckets.take_at("a", start + Duration::from_millis(500)).expect("half a second refills one");
        assert!(buckets.take_at("a", start + Duration::from_millis(600)).is_err());
    }

    #[test]
    fn attempts_come_back_over_their_period() {
        let buckets = Buckets::new(Rate::per_period(2, Duration::from_secs(600)));
        let start = Instant::now();
        buckets.take_at(1, start).expect("first");
        buckets.take_at(1, start).expect("second");
        assert_eq!(buckets.take_at(1, start), Err(TooMany { retry_after: 300 }));
        buckets.take_at(1, start + Duration::from_secs(301)).expect("one came back");
    }
}
