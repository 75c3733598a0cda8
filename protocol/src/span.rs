//! A length of time as a person reads it.

use crate::text::counted;
use std::fmt;

/// Seconds in words: `10 minutes`, `36 hours`, `1 hour 1 second`. Exactly what they are: in one unit if that is a
/// number that one can picture, otherwise in several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

/// From here on a number of one unit is broken up into larger ones.
const MANY: u64 = 100;
pub(crate) const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(mut left) = *self;
        let is_exact = |(seconds, _): &&(u64, &str)| left >= *seconds && left.is_multiple_of(*seconds);
        let (seconds, unit) = UNITS.iter().find(is_exact).unwrap_or(&(1, "second"));
        if left / seconds < MANY || *seconds == UNITS[0].0 {
            return f.write_str(&counted(left / seconds, unit));
        }
        let mut gap = "";
        for (seconds, unit) in UNITS {
            let count = left / seconds;
            if count > 0 {
                f.write_str(gap)?;
                f.write_str(&counted(count, unit))?;
                (left, gap) = (left % seconds, " ");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn a_length_of_time_is_read_by_people() {
        for (seconds, words) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (45, "45 seconds"),
            (600, "10 minutes"),
            (601, "10 minutes 1 second"),
            (3_600, "1 hour"),
            (3_601, "1 hour 1 second"),
            (5_400, "90 minutes"),
            (86_400, "1 day"),
            (90_061, "1 day 1 hour 1 minute 1 second"),
            (129_600, "36 hours"),
            (864_000_000, "10000 days"),
        ] {
            assert_eq!(Span(seconds).to_string(), words, "{seconds}");
        }
    }
}
