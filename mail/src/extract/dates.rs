//! Dates as people write them. What can be read in two ways is not read.

use crate::extract::{Refusal, Templates};
use portcullis_protocol::Date;

/// Which of two numbers of a date is the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    DayFirst,
    MonthFirst,
    /// Nothing says it, or two dates contradict each other.
    Unknown,
}

/// The order that the dates of a text prove: `25/06/2026` has its day first.
pub(super) fn proven<'t>(lines: impl Iterator<Item = &'t str>) -> Order {
    let mut proven = Order::Unknown;
    for line in lines {
        let words = words(line);
        for at in 0..words.len() {
            let Some([a, s, b, t, y, ..]) = words.get(at..) else { break };
            let is_date = s == t && (s == "/" || s == "-") && y.len() == 4 && number(y).is_some();
            let order = match (small(a), small(b)) {
                (Some(13..=31), Some(1..=12)) if is_date => Order::DayFirst,
                (Some(1..=12), Some(13..=31)) if is_date => Order::MonthFirst,
                _ => continue,
            };
            if proven != Order::Unknown && proven != order {
                return Order::Unknown;
            }
            proven = order;
        }
    }
    proven
}

/// The dates in a text, in order. A day and a month that may be exchanged are no date unless `order` says which is
/// which; one that no calendar has is refused.
pub(super) fn dates(text: &str, order: Order) -> Result<Vec<Date>, Refusal> {
    all(&words(text), order).collect()
}

/// The first of them: what follows may be older than any bill, as that of a law.
pub(super) fn first_date(text: &str, order: Order) -> Result<Option<Date>, Refusal> {
    all(&words(text), order).next().transpose()
}

fn all(words: &[String], order: Order) -> impl Iterator<Item = Result<Date, Refusal>> {
    let mut rest = words;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (day, used) = date(rest, order);
            let read = rest;
            rest = rest.get(used..).unwrap_or_default();
            if let Some((Some(year), Some(month), Some(day))) = day {
                // `01.23.45` is a date only if there is one.
                let is_short = read.get(used - 1).is_some_and(|year| year.len() == 2)
                    && read.first().is_some_and(|year| !is_year(year));
                match Date::new(year, month, day) {
                    Some(date) => return Some(Ok(date)),
                    None if is_short => {}
                    None => return Some(Err(Refusal::BadDate)),
                }
            }
        }
        None
    })
}

/// Whether a text names a day: a date, or a day and a month.
pub(super) fn names_day(text: &str) -> bool {
    if !text.contains(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let words = words(text);
    let is_one = |day: &str, name: &str| small(day).is_some() && month(name).is_some();
    let is_day = |pair: &[String]| matches!(pair, [a, b] if is_one(a, b) || is_one(b, a));
    let is_dotted = |three: &[String]| matches!(three, [a, dot, b] if dot == "." && is_one(a, b));
    dates(text, Order::DayFirst).is_ok_and(|dates| !dates.is_empty())
        || words.windows(2).any(is_day)
        // `15. Dezember`
        || words.windows(3).any(is_dotted)
}

/// Year, month and day.
type Parts = (Option<u32>, Option<u32>, Option<u32>);

/// The date that words begin with, and how many they are.
fn date(words: &[String], order: Order) -> (Option<Parts>, usize) {
    match words {
        [y, a, m, b, d, ..] if a == b && is_joint(a) && is_year(y) && small(m).is_some() && small(d).is_some() => {
            (Some((year(y), small(m), small(d))), 5)
        }
        [d, a, m, b, y, ..]
            if a == "." && b == "." && small(d).is_some() && small(m).is_some() && year(y).is_some() =>
        {
            (Some((year(y), small(m), small(d))), 5)
        }
        [a, s, b, t, y, ..] if s == t && is_joint(s) && small(a).is_some() && small(b).is_some() => {
            // Two digits may be the year or the day, and only a known order tells.
            let year = if order == Order::Unknown && y.len() == 2 { None } else { year(y) };
            (slashed(small(a), small(b), year, order), 5)
        }
        // `15-Dec-2026`
        [d, s, m, t, y, ..]
            if s == t && is_joint(s) && small(d).is_some() && month(m).is_some() && year(y).is_some() =>
        {
            (Some((year(y), month(m), small(d))), 5)
        }
        // `15. Dezember 2026`
        [d, dot, m, y, ..] if dot == "." && small(d).is_some() && month(m).is_some() && is_year(y) => {
            (Some((year(y), month(m), small(d))), 4)
        }
        // `15 December 18:00`: two digits behind a word are no year.
        [d, m, y, ..] if small(d).is_some() && month(m).is_some() && is_year(y) => {
            (Some((year(y), month(m), small(d))), 3)
        }
        [m, d, y, ..] if small(d).is_some() && month(m).is_some() && is_year(y) => {
            (Some((year(y), month(m), small(d))), 3)
        }
        _ => (None, 1),
    }
}

/// Words, numbers and signs, in lower case, without what stands between the parts of a date and means nothing.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in text.chars() {
        let last = words.last().and_then(|word| word.chars().next_back());
        let joins = last.is_some_and(|last| {
            (last.is_ascii_digit() && c.is_ascii_digit()) || (last.is_alphabetic() && c.is_alphabetic())
        });
        match words.last_mut() {
            // `Dec. 15`, `15 déc. 2026`
            Some(word) if c == '.' && word.chars().all(char::is_alphabetic) => {}
            Some(word) if joins => word.extend(c.to_lowercase()),
            _ => words.push(c.to_lowercase().collect()),
        }
    }
    // `1st`, `15 de diciembre`
    let is_filler =
        |word: &str| ["de", "del", "of", "the", "st", "nd", "rd", "th", "er", "ᵉʳ", "º", "°", ","].contains(&word);
    words.retain(|word| !word.trim().is_empty() && !is_filler(word));
    words
}

/// Whether a word is a month.
pub(super) fn is_month(word: &str) -> bool {
    month(word).is_some()
}

fn is_joint(word: &str) -> bool {
    matches!(word, "/" | "-" | "\u{2013}")
}

fn number(word: &str) -> Option<u32> {
    word.parse().ok()
}

fn small(word: &str) -> Option<u32> {
    if word.len() <= 2 { number(word) } else { None }
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && number(word).is_some()
}

/// A year of four digits, or of this century.
fn year(word: &str) -> Option<u32> {
    match word.len() {
        4 => number(word),
        2 => number(word).map(|year| 2000 + year),
        _ => None,
    }
}

/// A month by its name in any language, or by the beginning of it if that is of no other month.
fn month(word: &str) -> Option<u32> {
    if word.chars().count() < 3 || !word.chars().all(char::is_alphabetic) {
        return None;
    }
    let mut found = None;
    for language in Templates::languages() {
        for (at, (name, plain)) in language.months().enumerate() {
            if name == word || plain == word {
                return u32::try_from(at + 1).ok();
            }
            if name.starts_with(word) || plain.starts_with(word) {
                match found {
                    Some(other) if other != at => return None,
                    _ => found = Some(at),
                }
            }
        }
    }
    found.and_then(|at| u32::try_from(at + 1).ok())
}

/// Day and month between slashes: which is which differs between countries.
fn slashed(a: Option<u32>, b: Option<u32>, year: Option<u32>, order: Order) -> Option<Parts> {
    let (day, month) = match (a?, b?) {
        (day, month) if day == month || day > 12 => (day, month),
        (month, day) if day > 12 => (day, month),
        (day, month) if order == Order::DayFirst => (day, month),
        (month, day) if order == Order::MonthFirst => (day, month),
        _ => return None,
    };
    Some((year, Some(month), Some(day)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_dates(text: &str, order: Order) -> Result<Vec<String>, Refusal> {
        dates(text, order).map(|dates| dates.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn dates_are_read_as_each_language_writes_them() {
        for text in [
            "2026-12-15",
            "2026/12/15",
            "15 December 2026",
            "December 15, 2026",
            "Dec 15th, 2026.",
            "Dec. 15, 2026",
            "Tuesday, 15 December 2026",
            "15-Dec-2026",
            "15-Dec-26",
            "12/15/2026",
            "15/12/2026",
            "15.12.2026",
            "15.12.26",
            "dem 15. Dezember 2026",
            "Di., 15. Dez. 2026",
            ": 15 décembre 2026",
            "15 DECEMBRE 2026",
            "15 déc. 2026",
            "15 de diciembre de 2026",
            "15 dic. 2026",
        ] {
            assert_eq!(read_dates(text, Order::Unknown), Ok(vec!["2026-12-15".into()]), "{text}");
        }
        let period = Ok(vec!["2026-11-01".into(), "2026-11-30".into()]);
        for text in ["01.11.2026 - 30.11.2026", "01.11.2026-30.11.2026", "1 Nov 2026 to 30 Nov 2026"] {
            assert_eq!(read_dates(text, Order::Unknown), period, "{text}");
        }
        assert_eq!(read_dates("31.02.2026", Order::Unknown), Err(Refusal::BadDate));
        assert_eq!(read_dates("99 December 9999", Order::Unknown), Err(Refusal::BadDate));
        for none in ["12.50", "Tel. 01.23.45.67.89", "15 December 18:00", "15 jui 2026", "1 of 12 pages", "15 x 12", ""]
        {
            assert_eq!(read_dates(none, Order::Unknown), Ok(vec![]), "{none}");
        }
    }

    #[test]
    fn what_follows_the_first_date_may_be_older_than_any_bill() {
        let text = "1er janvier 2027, conformément à la loi du 10 juillet 1965";
        assert_eq!(first_date(text, Order::DayFirst), Ok(Date::new(2027, 1, 1)));
        assert_eq!(dates(text, Order::DayFirst), Err(Refusal::BadDate));
    }

    #[test]
    fn a_day_is_named_without_its_year_too() {
        for text in ["by 15 December", "bis zum 15. Dezember", "le 15 décembre", "December 15", "15.12.2026"] {
            assert!(names_day(text), "{text}");
        }
        for text in ["in December", "15 EUR", "12.50", "15 days"] {
            assert!(!names_day(text), "{text}");
        }
    }

    #[test]
    fn a_day_and_a_month_are_told_apart_if_the_text_says_how() {
        let of = |text: &str, order| read_dates(text, order);
        assert_eq!(of("05/06/2026", Order::Unknown), Ok(vec![]), "May or June");
        assert_eq!(of("05/06/26", Order::Unknown), Ok(vec![]));
        assert_eq!(of("25/06/26", Order::Unknown), Ok(vec![]), "or the 26th of a year");
        for text in ["05/06/2026", "05-06-2026", "05/06/26"] {
            assert_eq!(of(text, Order::DayFirst), Ok(vec!["2026-06-05".into()]), "{text}");
            assert_eq!(of(text, Order::MonthFirst), Ok(vec!["2026-05-06".into()]), "{text}");
        }
        let proven = |text: &str| super::proven(text.lines());
        assert_eq!(proven("01/06/2026\n25/06/2026"), Order::DayFirst);
        assert_eq!(proven("Issued 06/25/2026"), Order::MonthFirst);
        assert_eq!(proven("25/06/2026 06/25/2026"), Order::Unknown, "they contradict each other");
        assert_eq!(proven("01/06/2026, 24/7, 45/99/2026"), Order::Unknown);
    }
}
