//! Days, counted.

use portcullis_guest::gate::bills::Date;

/// Days since 1970-01-01, in the calendar that bills use (Howard Hinnant, `days_from_civil`).
pub(crate) fn day_number(date: Date) -> i64 {
    let (month, day) = (i64::from(date.month), i64::from(date.day));
    let year = i64::from(date.year) - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// `2026-11-29`.
pub(crate) fn written(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
}

/// `2026-11`.
pub(crate) fn month(date: Date) -> String {
    format!("{:04}-{:02}", date.year, date.month)
}
