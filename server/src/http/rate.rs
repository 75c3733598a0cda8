//! Rate limits: token buckets, in memory, per process. They bound load and guessing; no promise about money rests on
//! them.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How many callers one limit remembers at once: about 16 MiB at most. Beyond that, those who owe least are forgotten.
const MAX_BUCKETS: usize = 100_000;

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

    /// That of so many together.
    pub(crate) fn times(self, shares: u32) -> Self {
        let shares = f64::from(shares);
        Self { burst: self.burst * shares, per_second: self.per_second * shares }
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
    most: usize,
    buckets: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// Empty: every caller begins with a full bucket.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self::bounded(rate, MAX_BUCKETS)
    }

    fn bounded(rate: Rate, most: usize) -> Self {
        Self { rate, most, buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes one token of `key`.
    ///
    /// # Errors
    /// [`TooMany`] if none is left.
    pub fn take(&self, key: K) -> Result<(), TooMany> {
        self.take_at(key, 1.0, Instant::now())
    }

    /// Takes `cost` tokens of `key` at once, and no more than a full bucket holds.
    ///
    /// # Errors
    /// [`TooMany`] if so many are not left.
    pub fn take_many(&self, key: K, cost: u32) -> Result<(), TooMany> {
        self.take_at(key, f64::from(cost), Instant::now())
    }

    /// Gives back what was taken for something that turned out not to count.
    pub fn give_back(&self, key: &K, cost: u32) {
        let now = Instant::now();
        let mut buckets = self.lock();
        if let Some(bucket) = buckets.get_mut(key) {
            let tokens = (self.level(bucket, now) + f64::from(cost).min(self.rate.burst)).min(self.rate.burst);
            *bucket = Bucket { tokens, at: now };
        }
    }

    fn take_at(&self, key: K, cost: f64, now: Instant) -> Result<(), TooMany> {
        let Rate { burst, per_second } = self.rate;
        let cost = cost.min(burst);
        let mut buckets = self.lock();
        if buckets.len() >= self.most && !buckets.contains_key(&key) {
            self.forget(&mut buckets, now);
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: burst, at: now });
        let tokens = self.level(bucket, now);
        if tokens < cost {
            *bucket = Bucket { tokens, at: now };
            let seconds = ((cost - tokens) / per_second).ceil().clamp(1.0, 86_400.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1 … 86400")]
            return Err(TooMany { retry_after: seconds as u32 });
        }
        *bucket = Bucket { tokens: tokens - cost, at: now };
        Ok(())
    }

    fn level(&self, bucket: &Bucket, now: Instant) -> f64 {
        let refilled = now.saturating_duration_since(bucket.at).as_secs_f64() * self.rate.per_second;
        (bucket.tokens + refilled).min(self.rate.burst)
    }

    /// Makes room. Who floods a limit with new callers makes it forget those who owe least, which are his own: to have
    /// one's empty bucket forgotten, one would have to empty as many others first.
    fn forget(&self, buckets: &mut HashMap<K, Bucket>, now: Instant) {
        buckets.retain(|_, bucket| self.level(bucket, now) < self.rate.burst);
        if buckets.len() < self.most {
            return;
        }
        // An eighth at once, so that a flood does not look through all of them for every caller.
        let mut levels: Vec<f64> = buckets.values().map(|bucket| self.level(bucket, now)).collect();
        let rank = levels.len() - levels.len() / 8 - 1;
        let (_, most, _) = levels.select_nth_unstable_by(rank, f64::total_cmp);
        let most = *most;
        buckets.retain(|_, bucket| self.level(bucket, now) < most);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Bucket>> {
        self.buckets.lock()
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
            buckets.take_at("a", 1.0, start).expect("within the burst");
        }
        assert_eq!(buckets.take_at("a", 1.0, start), Err(TooMany { retry_after: 1 }));
        buckets.take_at("b", 1.0, start).expect("another caller is not affected");
        buckets.take_at("a", 1.0, start + Duration::from_millis(500)).expect("half a second refills one");
        assert!(buckets.take_at("a", 1.0, start + Duration::from_millis(600)).is_err());
    }

    #[test]
    fn attempts_come_back_over_their_period() {
        let buckets = Buckets::new(Rate::per_period(2, Duration::from_secs(600)));
        let start = Instant::now();
        buckets.take_at(1, 1.0, start).expect("first");
        buckets.take_at(1, 1.0, start).expect("second");
        assert_eq!(buckets.take_at(1, 1.0, start), Err(TooMany { retry_after: 300 }));
        buckets.take_at(1, 1.0, start + Duration::from_secs(301)).expect("one came back");
    }

    #[test]
    fn what_does_not_count_is_given_back_and_no_more() {
        let buckets = Buckets::new(Rate::per_period(2, Duration::from_secs(600)));
        for _ in 0..5 {
            buckets.take(1).expect("taken");
            buckets.give_back(&1, 1);
        }
        buckets.give_back(&1, 100);
        buckets.take_many(1, 9).expect("a full bucket, however much is asked for");
        assert!(buckets.take(1).is_err());
    }

    #[test]
    fn a_flood_of_callers_is_let_in_and_empties_nobodys_record() {
        let buckets = Buckets::bounded(Rate::per_period(10, Duration::from_secs(600)), 1000);
        let start = Instant::now();
        for _ in 0..10 {
            buckets.take_at(0_u32, 1.0, start).expect("his ten tries");
        }
        for stranger in 1..20_000 {
            buckets.take_at(stranger, 1.0, start).expect("a new caller is not refused");
            assert!(buckets.lock().len() <= 1000);
        }
        assert!(buckets.take_at(0, 1.0, start).is_err(), "his tries are remembered");
    }

    #[test]
    fn room_is_made_among_the_exhausted_too() {
        let buckets = Buckets::bounded(Rate::per_period(1, Duration::from_secs(600)), 100);
        let start = Instant::now();
        for stranger in 0..1000 {
            buckets.take_at(stranger, 1.0, start).expect("let in");
        }
        assert!(buckets.lock().len() <= 100);
    }
}
