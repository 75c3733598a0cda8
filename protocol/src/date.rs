//! A day of the calendar.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A day between 1990 and 2100: no bill is older than mail, or due later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// Not a day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date between 1990-01-01 and 2100-12-31, written as 2026-11-29")]
pub struct BadDate;

impl Date {
    /// A day, if the calendar has it.
    #[must_use]
    pub fn new(year: u32, month: u32, day: u32) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return None,
        };
        if !(1990..=2100).contains(&year) || !(1..=days).contains(&day) {
            return None;
        }
        Some(Self { year: year.try_into().ok()?, month: month.try_into().ok()?, day: day.try_into().ok()? })
    }

    /// Year, month and day, as a calendar counts them.
    #[must_use]
    pub const fn parts(self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }

    /// The day (UTC) of a time in Unix seconds; `None` outside 1990 to 2100. After Howard Hinnant's `civil_from_days`.
    #[must_use]
    pub fn of_unix(seconds: u64) -> Option<Self> {
        let days = u32::try_from(seconds / 86_400).ok()?.checked_add(719_468)?;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // The year begins in March here.
        let march = (5 * day_of_year + 2) / 153;
        let month = if march < 10 { march + 3 } else { march - 9 };
        Self::new(year_of_era + era * 400 + u32::from(month <= 2), month, day_of_year - (153 * march + 2) / 5 + 1)
    }

    /// A day written as `20261129` (format 102 of UN/EDIFACT 2379).
    #[must_use]
    pub fn compact(text: &str) -> Option<Self> {
        let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            return None;
        }
        Self::new(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?)
    }
}

impl FromStr for Date {
    type Err = BadDate;
    /// Reads `2026-11-29`, also with a time or a zone after it, as XML Schema and ISO 8601 write dates.
    fn from_str(text: &str) -> Result<Self, BadDate> {
        let (date, rest) = text.trim().split_at_checked(10).ok_or(BadDate)?;
        if !rest.is_empty() && !rest.starts_with(['T', 'Z', '+', '-', ' ']) {
            return Err(BadDate);
        }
        let bytes = date.as_bytes();
        if bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(BadDate);
        }
        Self::compact(&date.replacen('-', "", 2)).ok_or(BadDate)
    }
}

impl TryFrom<String> for Date {
    type Error = BadDate;
    fn try_from(text: String) -> Result<Self, BadDate> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_of_the_calendar_are_read() {
        for good in ["2024-02-29", "2000-02-29", "2026-12-31", "2026-11-29Z", "2026-11-29T10:00:00+01:00"] {
            assert_eq!(good.parse::<Date>().expect(good).to_string(), good[..10]);
        }
        for bad in [
            "2023-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "1989-12-31",
            "9999-12-31",
            "29.11.2026",
            "2026-1-1",
            "+026-11-29",
            "2026-11-299",
            "",
            "２０２６-11-29",
            "-2026-11-2",
        ] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
        for (seconds, day) in [
            (631_152_000, "1990-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_164_799, "2024-02-28"),
            (1_709_164_800, "2024-02-29"),
            (1_709_251_200, "2024-03-01"),
            (1_795_910_399, "2026-11-28"),
            (4_133_894_400, "2100-12-31"),
        ] {
            assert_eq!(Date::of_unix(seconds).map(|date| date.to_string()).as_deref(), Some(day), "{seconds}");
        }
        assert!(
            Date::of_unix(0).is_none() && Date::of_unix(u64::MAX).is_none() && Date::of_unix(4_133_980_800).is_none()
        );
        assert_eq!(Date::compact("20260131").expect("a day").to_string(), "2026-01-31");
        assert_eq!(Date::compact("20260132"), None);
        assert_eq!(Date::compact("2026013é"), None);
    }
}
