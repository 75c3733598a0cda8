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
        assert_eq!(Date::compact("20260131").expect("a day").to_string(), "2026-01-31");
        assert_eq!(Date::compact("20260132"), None);
        assert_eq!(Date::compact("2026013é"), None);
    }
}
