//! Dates as people write them. What can be read in two ways is not read.

use crate::extract::Refusal;
use portcullis_protocol::Date;

/// The dates in a text, in order. A day and a month that may be exchanged are no date; one that no calendar has is
/// refused.
pub(super) fn dates(text: &str, months: &[String]) -> Result<Vec<Date>, Refusal> {
    let mut words: Vec<String> = Vec::new();
    for c in text.chars() {
        let last = words.last().and_then(|word| word.chars().next_back());
        let joins = last.is_some_and(|last| {
            (last.is_ascii_digit() && c.is_ascii_digit()) || (last.is_alphabetic() && c.is_alphabetic())
        });
        match words.last_mut() {
            Some(word) if joins => word.extend(c.to_lowercase()),
            _ => words.push(c.to_lowercase().collect()),
        }
    }
    // `1st`, `15 de diciembre`: what stands between the numbers of a date and means nothing.
    words.retain(|word| {
        !word.trim().is_empty() && !["de", "del", "of", "st", "nd", "rd", "th", "er", ","].contains(&word.as_str())
    });
    let month = |word: &str| {
        let matches = |name: &String| name == word || (word.chars().count() >= 3 && name.starts_with(word));
        months.iter().position(matches).and_then(|at| u32::try_from(at + 1).ok())
    };
    let small = |word: &String| if word.len() <= 2 { word.parse::<u32>().ok() } else { None };
    let year = |word: &String| if word.len() == 4 { word.parse::<u32>().ok() } else { None };
    let mut dates = Vec::new();
    let mut at = 0;
    while let Some(rest) = words.get(at..).filter(|rest| !rest.is_empty()) {
        let (day, used) = match rest {
            [y, a, m, b, d, ..]
                if a == "-" && b == "-" && year(y).is_some() && small(m).is_some() && small(d).is_some() =>
            {
                (Some((year(y), small(m), small(d))), 5)
            }
            [d, a, m, b, y, ..]
                if a == "." && b == "." && small(d).is_some() && small(m).is_some() && year(y).is_some() =>
            {
                (Some((year(y), small(m), small(d))), 5)
            }
            [a, s, b, t, y, ..]
                if s == t
                    && (s == "/" || s == "-")
                    && small(a).is_some()
                    && small(b).is_some()
                    && year(y).is_some() =>
            {
                (slashed(small(a), small(b), year(y)), 5)
            }
            [d, dot, m, y, ..] if dot == "." && small(d).is_some() && month(m).is_some() && year(y).is_some() => {
                (Some((year(y), month(m), small(d))), 4)
            }
            [d, m, y, ..] if small(d).is_some() && month(m).is_some() && year(y).is_some() => {
                (Some((year(y), month(m), small(d))), 3)
            }
            [m, d, y, ..] if small(d).is_some() && month(m).is_some() && year(y).is_some() => {
                (Some((year(y), month(m), small(d))), 3)
            }
            _ => (None, 1),
        };
        at += used;
        if let Some((Some(year), Some(month), Some(day))) = day {
            dates.push(Date::new(year, month, day).ok_or(Refusal::BadDate)?);
        }
    }
    Ok(dates)
}

type Parts = (Option<u32>, Option<u32>, Option<u32>);

/// Day and month between slashes: which is which differs between countries, so only what can be one thing is read.
fn slashed(a: Option<u32>, b: Option<u32>, year: Option<u32>) -> Option<Parts> {
    match (a?, b?) {
        (day, month) if day == month => Some((year, Some(month), Some(day))),
        (day, month) if day > 12 => Some((year, Some(month), Some(day))),
        (month, day) if day > 12 => Some((year, Some(month), Some(day))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Templates;

    fn read_dates(text: &str, language: usize) -> Result<Vec<String>, Refusal> {
        let templates = Templates::none();
        let language = templates.of_domain(None)[language];
        dates(text, &language.months).map(|dates| dates.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn dates_are_read_as_each_language_writes_them() {
        for (text, language) in [
            ("2026-12-15", 0),
            ("15 December 2026", 0),
            ("December 15, 2026", 0),
            ("Dec 15th, 2026.", 0),
            ("12/15/2026", 0),
            ("15/12/2026", 0),
            ("15.12.2026", 1),
            ("dem 15. Dezember 2026", 1),
            (": 15 décembre 2026", 2),
            ("15 de diciembre de 2026", 3),
        ] {
            assert_eq!(read_dates(text, language), Ok(vec!["2026-12-15".into()]), "{text}");
        }
        assert_eq!(read_dates("01.11.2026 - 30.11.2026", 1), Ok(vec!["2026-11-01".into(), "2026-11-30".into()]));
        assert_eq!(read_dates("05/06/2026", 0), Ok(vec![]), "May or June");
        assert_eq!(read_dates("31.02.2026", 1), Err(Refusal::BadDate));
        assert_eq!(read_dates("99 December 9999", 0), Err(Refusal::BadDate));
    }
}
