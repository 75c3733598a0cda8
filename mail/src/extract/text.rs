//! Bills that only say in words what is due.

use crate::extract::{Bill, Extracted, Refusal, Template, Templates, amount, period};
use crate::iban::Iban;
use portcullis_protocol::Date;
use portcullis_protocol::{Currency, Money};
use unicode_normalization::UnicodeNormalization as _;

/// Lines of a mail that are searched. Bills have below 300.
const MAX_SEARCHED: usize = 5_000;
/// Bytes of a line that are searched.
const MAX_SEARCHED_LINE: usize = 500;

/// With which words texts are read.
pub(super) struct Reading<'r> {
    /// The sender's.
    pub(super) domain: Option<&'r str>,
    /// What a sign means that several currencies have.
    pub(super) hint: Option<Currency>,
    pub(super) templates: &'r Templates,
}

impl Reading<'_> {
    /// The bill that texts describe: those of a mail, or that of a document. If `has_pdf`, the mail need not say the
    /// amount.
    pub(super) fn bill(&self, subject: &str, texts: &[String], has_pdf: bool) -> Extracted {
        let texts: Vec<Vec<Line>> = texts.iter().map(|text| lines(text)).collect();
        bill(self, &searched(subject), &texts, has_pdf)
    }
}

fn bill(reading: &Reading<'_>, subject: &str, texts: &[Vec<Line>], has_pdf: bool) -> Extracted {
    let Reading { domain, hint, templates } = *reading;
    let mut found: Vec<Result<Bill, Refusal>> = Vec::new();
    let mut attached = false;
    for template in templates.of_domain(domain) {
        let words = Words { own: template, base: template.base() };
        for lines in texts {
            match words.read(subject, lines, hint) {
                Some(read) => found.push(read),
                None => attached |= has_pdf && words.announces(subject, lines),
            }
        }
    }
    if found.is_empty() {
        // Its amount is in the document.
        return attached.then_some(Err(Refusal::NoAmount));
    }
    // Read through the words of two languages, or in text and HTML, a bill must say the same.
    let good: Vec<&Bill> = found.iter().filter_map(|read| read.as_ref().ok()).collect();
    match good.first() {
        None => found.into_iter().next(),
        Some(first) if good.iter().any(|other| other.amount != first.amount) => Some(Err(Refusal::AmbiguousAmount)),
        Some(_) if found.iter().any(|read| matches!(read, Err(Refusal::BadDate | Refusal::AmountOutOfRange))) => {
            found.into_iter().find(Result::is_err)
        }
        Some(first) => {
            // The one that says the most.
            let says = |bill: &&&Bill| usize::from(bill.due.is_some()) + usize::from(bill.account.is_some());
            let best = good.iter().max_by_key(says).unwrap_or(first);
            Some(Ok((*best).clone()))
        }
    }
}

/// A line as it is, and as it is searched: composed, in lower case, white space as one space.
#[derive(Clone)]
struct Line {
    shown: String,
    searched: String,
}

fn lines(text: &str) -> Vec<Line> {
    let all = text.lines().map(|line| {
        let end = (0..=MAX_SEARCHED_LINE.min(line.len())).rev().find(|end| line.is_char_boundary(*end));
        let line = line.get(..end.unwrap_or_default()).unwrap_or_default();
        let shown: String = line.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect();
        Line { searched: shown.to_lowercase(), shown }
    });
    all.filter(|line| !line.shown.is_empty()).take(MAX_SEARCHED).collect()
}

fn searched(text: &str) -> String {
    text.chars().take(MAX_SEARCHED_LINE).nfc().collect::<String>().to_lowercase()
}

/// A template's labels, and those of its language where it has none.
struct Words<'t> {
    own: &'t Template,
    base: &'t Template,
}

impl Words<'_> {
    fn labels(&self, of: impl Fn(&Template) -> &Vec<String>) -> Vec<String> {
        let own = of(self.own);
        if own.is_empty() { of(self.base).clone() } else { own.clone() }
    }

    /// Whether the mail calls itself a bill and nothing that makes it none.
    fn announces(&self, subject: &str, lines: &[Line]) -> bool {
        let mentions = |label: &String| {
            after_label(subject, label).is_some()
                || lines.iter().any(|line| after_label(&line.searched, label).is_some())
        };
        self.labels(|words| &words.bill).iter().any(mentions)
            && !self.labels(|words| &words.not_bill).iter().any(mentions)
    }

    fn read(&self, subject: &str, lines: &[Line], hint: Option<Currency>) -> Option<Result<Bill, Refusal>> {
        if !self.announces(subject, lines) {
            return None;
        }
        Some(self.total(lines, hint)?.and_then(|amount| self.bill(lines, amount)))
    }

    fn bill(&self, lines: &[Line], amount: Money) -> Result<Bill, Refusal> {
        let months = &self.base.months;
        let mut due = None;
        for value in values(lines, &self.labels(|words| &words.due)) {
            if let Some(day) = dates(value, months)?.first() {
                due = Some(*day);
                break;
            }
        }
        let mut covered = None;
        for value in values(lines, &self.labels(|words| &words.period)) {
            if let [start, end, ..] = dates(value, months)?.as_slice() {
                covered = period(Some(*start), Some(*end))?;
                break;
            }
        }
        let account = values(lines, &self.labels(|words| &words.account)).find_map(number);
        Ok(Bill { amount, due, period: covered, account, iban: iban(lines) })
    }

    /// The amount behind the label that is believed the most.
    fn total(&self, lines: &[Line], hint: Option<Currency>) -> Option<Result<Money, Refusal>> {
        // Of every language: what is a part in one is not read as the total in another.
        let mut parts = self.own.part.clone();
        parts.extend(Templates::parts().cloned());
        let is_part = |line: &Line| parts.iter().any(|label| after_label(&line.searched, label).is_some());
        // It keeps its place: what follows is not the value of the line before.
        let nothing = || Line { shown: "—".into(), searched: "—".into() };
        let lines: Vec<Line> = lines.iter().map(|line| if is_part(line) { nothing() } else { line.clone() }).collect();
        for label in self.labels(|words| &words.total) {
            let mut found: Option<Result<Money, Refusal>> = None;
            for value in values(&lines, std::slice::from_ref(&label)) {
                match (amount::amount(value, hint), &found) {
                    (None, _) => {}
                    (Some(Ok(amount)), Some(Ok(first))) if amount != *first => {
                        return Some(Err(Refusal::AmbiguousAmount));
                    }
                    (Some(read), _) => found = Some(read),
                }
                if let Some(Err(_)) = found {
                    break;
                }
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// What stands behind the labels: the rest of the line, or the next line if that has no digit.
fn values<'l>(lines: &'l [Line], labels: &[String]) -> impl Iterator<Item = &'l str> {
    let labels = labels.to_vec();
    lines.iter().enumerate().flat_map(move |(at, line)| {
        let found: Vec<&'l str> = labels
            .iter()
            .filter_map(|label| {
                let end = after_label(&line.searched, label)?;
                // Lower case may be longer or shorter than what it was made of: then the line as it is searched has to
                // do.
                let same = line.searched.len() == line.shown.len();
                let text = if same { &line.shown } else { &line.searched };
                let rest = text.get(end..)?;
                if rest.contains(|c: char| c.is_ascii_digit()) {
                    return Some(rest);
                }
                let bare = rest.chars().all(|c| !c.is_alphanumeric());
                lines.get(at + 1).filter(|_| bare).map(|next| next.shown.as_str())
            })
            .collect();
        found
    })
}

/// The end of the label in the line, if it stands there as words of their own.
fn after_label(line: &str, label: &str) -> Option<usize> {
    line.match_indices(label).find_map(|(start, _)| {
        let end = start + label.len();
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let inside = word(line.get(..start)?.chars().next_back()) || word(line.get(end..)?.chars().next());
        (!inside).then_some(end)
    })
}

/// An account number: the first word behind the label, and further ones as long as they are digits.
fn number(value: &str) -> Option<String> {
    let value = value.trim_start_matches(|c: char| !c.is_alphanumeric());
    let mut number = String::new();
    for word in value.split_whitespace() {
        let word = word.trim_end_matches([',', '.', ';', ')']);
        let good = word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '.'));
        let digits = word.chars().any(|c| c.is_ascii_digit());
        if !good || !digits || number.len() + word.len() > 40 {
            break;
        }
        number.push_str(word);
    }
    (!number.is_empty()).then_some(number)
}

fn iban(lines: &[Line]) -> Option<Iban> {
    values(lines, &["iban".to_owned()]).find_map(|value| {
        let value = value.trim_start_matches(|c: char| !c.is_alphanumeric());
        let mut text: String = value
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == ' ')
            .filter(|c| *c != ' ')
            .take(34)
            .collect();
        // What follows on the line, such as a BIC, may look like more of it.
        while text.len() >= 15 {
            if let Ok(iban) = text.parse() {
                return Some(iban);
            }
            text.pop();
        }
        None
    })
}

/// The dates in a text, in order. A day and a month that may be exchanged are no date; one that no calendar has is
/// refused.
fn dates(text: &str, months: &[String]) -> Result<Vec<Date>, Refusal> {
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

    #[test]
    fn a_part_is_never_the_total() {
        let read = |text: &str| {
            let bill = crate::extract::words("Invoice, Rechnung, facture, factura", text);
            bill.and_then(Result::ok).map(|bill| bill.amount.to_string())
        };
        for text in [
            "Sub Total : EUR 10.00\nInvoice total: EUR 12.00",
            "Net Total EUR 10.00\nTotal EUR 12.00",
            "Total HT 10,00 €\nTotal TVA 2,00 €\nTotal TTC 12,00 €",
            "Gesamt netto 10,00 €\nGesamt: 12,00 €",
            "Total IVA 2,00 €\nTotal a pagar 12,00 €",
            // The total itself says that tax is in it.
            "Total incl. VAT: EUR 12.00",
        ] {
            assert_eq!(read(text).as_deref(), Some("12.00 EUR"), "{text}");
        }
        for text in
            ["Untaxed total €10.00", "Total TVA 2,00 €", "Net total:\n10.00 EUR", "Total:\nNet total:\n10.00 EUR"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_label_is_a_word_and_its_value_follows() {
        assert_eq!(after_label("subtotal: 1", "total"), None);
        assert_eq!(after_label("total: 1", "total"), Some(5));
        assert_eq!(number("# 12 34 5678 Mr"), Some("12345678".into()));
        assert_eq!(number("none"), None);
        let lines = lines("IBAN: DE89 3704 0044 0532 0130 00 BIC COBADEFF\nTotal:\n12,00 €");
        assert_eq!(iban(&lines).expect("found").to_string(), "DE89370400440532013000");
        assert_eq!(values(&lines, &["total".into()]).collect::<Vec<_>>(), ["12,00 €"]);
    }
}
