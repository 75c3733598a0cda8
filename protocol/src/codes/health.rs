//! Whether a merchant delivers: by the orders of the last hour, believed for as long as they do not prove otherwise.

/// How the orders of a merchant went that were decided within the last hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// How many were decided.
    pub decided: u32,
    /// How many of them got their code before the deadline.
    pub in_time: u32,
}

impl Health {
    /// Below this no new orders are taken, but for probes.
    pub const THRESHOLD: f64 = 0.5;
    /// One order in so many seconds is taken from a merchant that fails: by it the merchant shows that it is back.
    pub const PROBE_SECONDS: u64 = 60;
    /// Over how many seconds orders count.
    pub const WINDOW_SECONDS: u64 = 3600;
    /// The quantile of the normal distribution for 95 % on both sides.
    const Z: f64 = 1.96;

    /// The upper bound of Wilson's interval for the share that is delivered in time: the best that the merchant may
    /// be, by what was seen. Without orders it is 1, and with few that failed still high.
    fn upper_bound(self) -> f64 {
        if self.decided == 0 {
            return 1.0;
        }
        let n = f64::from(self.decided);
        let share = f64::from(self.in_time.min(self.decided)) / n;
        let z2 = Self::Z * Self::Z;
        let spread = Self::Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
        ((share + z2 / (2.0 * n) + spread) / (1.0 + z2 / n)).min(1.0)
    }

    /// Whether orders are taken without more ado.
    #[must_use]
    pub fn is_good(self) -> bool {
        self.upper_bound() >= Self::THRESHOLD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_shut_out_by_a_handful() {
        assert!(Health::default().is_good());
        assert!((Health::default().upper_bound() - 1.0).abs() < f64::EPSILON);
        let all_failed = |decided| Health { decided, in_time: 0 };
        assert!(all_failed(3).is_good(), "{}", all_failed(3).upper_bound());
        assert!(!all_failed(4).is_good(), "{}", all_failed(4).upper_bound());
        assert!(Health { decided: 100, in_time: 100 }.is_good());
        assert!(!Health { decided: 100, in_time: 30 }.is_good());
        assert!(Health { decided: 100, in_time: 45 }.is_good(), "the bound is the upper one");
    }

    #[test]
    fn the_bound_is_that_of_published_tables() {
        // Newcombe 1998, table I: 81 of 263, Wilson without correction: 0.2553 to 0.3662.
        let bound = Health { decided: 263, in_time: 81 }.upper_bound();
        assert!((bound - 0.3662).abs() < 0.0001, "{bound}");
        let bound = Health { decided: 20, in_time: 0 }.upper_bound();
        assert!((bound - 0.1611).abs() < 0.0001, "{bound}");
    }

    #[test]
    fn it_never_leaves_its_range_and_grows_with_success() {
        for decided in 1..200 {
            let mut before = 0.0;
            for in_time in 0..=decided {
                let bound = Health { decided, in_time }.upper_bound();
                assert!((0.0..=1.0).contains(&bound) && bound >= before, "{in_time} of {decided}: {bound}");
                before = bound;
            }
        }
    }
}
