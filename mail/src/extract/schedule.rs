//! Which of several instalments is to be paid, told from a list of them.

use crate::extract::Template;
use crate::extract::amount;
use crate::extract::dates::{dates, is_month};
use crate::extract::label::Labels;
use crate::extract::line::{Found, Line};
use crate::extract::sentence::{is_numbered, names_several};
use crate::extract::total::Totals;
use portcullis_protocol::{Date, Money};

/// Words of a line that is an entry of a list.
const ROW_WORDS: usize = 12;
/// Lines between two entries, or between the list and what it is called.
const GAP_LINES: usize = 1;
/// Instalments of a list: more are none.
const MAX_INSTALMENTS: usize = 60;

/// An entry of the list.
#[derive(Debug, Clone, Copy)]
struct Instalment {
    line: usize,
    money: Money,
    day: Option<Date>,
    is_paid: bool,
    /// Whether it calls itself one, by a word or by its number.
    is_named: bool,
}

/// What is to be paid of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheduled {
    /// This instalment, on this day if it is known which one it is.
    One(Money, Option<Date>),
    /// One of several that differ.
    Unclear,
}

impl Totals<'_> {
    /// What is to be paid of a list of instalments: the first that is not said to be paid if others are, the one that
    /// is called the next, or what each of them is.
    pub(super) fn scheduled(&self) -> Option<Scheduled> {
        *self.scheduled.get_or_init(|| self.read_schedule())
    }

    fn read_schedule(&self) -> Option<Scheduled> {
        let rows = self.instalments();
        let (first, last) = rows.first().zip(rows.last())?;
        if rows.len() < 2 || first.line == last.line {
            return None;
        }
        let heading = first.line.checked_sub(1).and_then(|at| self.lines.get(at));
        let is_next = heading.is_some_and(|line| line.has_any(&self.base.next));
        let is_list = heading.is_some_and(|line| line.has_any(&self.base.instalment));
        // `3 December 2026 | 12.00 EUR | next`, if something is paid in parts.
        let is_in_parts = rows.iter().any(|row| row.is_paid)
            && are_ascending(&rows)
            && (self.names_parts() || self.names_sum_of(&rows));
        if rows.iter().filter(|row| row.is_named || is_next || is_list || is_in_parts).count() < 2 {
            return None;
        }
        let open: Vec<&Instalment> = rows.iter().filter(|row| !row.is_paid).collect();
        let (next, others) = open.split_first()?;
        if open.len() < rows.len() || is_next {
            return Some(Scheduled::One(next.money, next.day));
        }
        let is_one = others.iter().all(|other| other.money == next.money);
        let is_dated = open.iter().all(|row| row.day.is_some());
        match (is_one, is_dated) {
            (true, _) => Some(Scheduled::One(next.money, None)),
            (false, true) => Some(Scheduled::Unclear),
            (false, false) => None,
        }
    }

    /// Whether the mail says that something is paid in parts: `instalment 2 of 3`, `in three instalments`.
    fn names_parts(&self) -> bool {
        let all = || std::iter::once(self.subject).chain(self.lines);
        all().any(|line| names_counted(line, self.base) || names_several(line))
    }

    /// Whether an amount outside the list is what its entries come to.
    fn names_sum_of(&self, rows: &[Instalment]) -> bool {
        let Some((first, last)) = rows.first().zip(rows.last()) else { return false };
        let sum = rows.iter().fold(0_i64, |sum, row| sum.saturating_add(row.money.minor_units()));
        let is_sum = |other: Money| other.minor_units() == sum && other.currency() == first.money.currency();
        self.amounts.iter().any(|(at, other)| !(first.line..=last.line).contains(at) && is_sum(*other))
    }

    /// The first list of several entries that each have a day of their own or a number.
    fn instalments(&self) -> Vec<Instalment> {
        let mut rows: Vec<Instalment> = Vec::new();
        for at in 0..self.lines.len() {
            let Some(row) = self.instalment_at(at) else { continue };
            if rows.last().is_some_and(|last| at > last.line + 1 + GAP_LINES) {
                if rows.len() > 1 {
                    break;
                }
                rows.clear();
            }
            rows.push(row);
        }
        if rows.len() > MAX_INSTALMENTS { Vec::new() } else { rows }
    }

    fn instalment_at(&self, at: usize) -> Option<Instalment> {
        let (line, marks) = (self.lines.get(at)?, self.marks.get(at)?);
        if line.words() > ROW_WORDS || marks.has_aside() {
            return None;
        }
        let amounts = amount::signed(&line.shown, self.currencies);
        let first = amounts.first().filter(|_| amounts.iter().all(|amount| !amount.is_negative))?;
        let day = match dates(&line.shown, self.order).ok()?.as_slice() {
            [] => None,
            [day, ..] => Some(*day),
        };
        // `2 | 30.09.2026 | 50.00 | 50.00`: what was paid stands beside it.
        let is_matched = matches!(amounts.as_slice(), [a, b] if a.money == b.money) && day.is_some();
        let is_paid = line.has_any(&self.base.settled) || is_matched;
        // `Payment 2`
        let counts = |found: Found| is_short_number(line.after(found).split_whitespace().next().unwrap_or_default());
        let is_counted_word = line.places_of(self.base.instalment_numbered.iter()).any(counts);
        let is_instalment = is_counted_word || line.has_any(&self.base.instalment);
        let is_listed = is_counted(&line.shown) && (day.is_some() || is_paid || is_instalment);
        let is_named = is_listed || (is_instalment && has_number(&line.shown));
        if !is_named && day.is_none() {
            return None;
        }
        Some(Instalment { line: at, money: first.money, day, is_paid, is_named })
    }
}

/// Whether each entry has a later day than the one before it.
fn are_ascending(rows: &[Instalment]) -> bool {
    rows.windows(2).all(|pair| matches!(pair, [a, b] if a.day.is_some() && a.day < b.day))
}

/// Whether a line names an instalment and says which one it is: `3rd instalment`, `rata 2 di 3`. What other things are
/// called as well has to say of how many.
pub(super) fn names_counted(line: &Line, base: &Template) -> bool {
    let is_other = |found: &Found| {
        let said = line.shown.get(found.start..found.end).unwrap_or_default().to_lowercase();
        ALSO_OTHERS.contains(&said.as_str())
    };
    let is_beside = |found: Found| ends_counted(line.before(found)) || is_count(line.after(found));
    let is_of_many = |found: Found| {
        let after: Vec<&str> = line.after(found).split_whitespace().take(3).collect();
        is_numbered(&after.join(" "))
    };
    let places = |labels: &Labels| line.places_of(labels.iter()).collect::<Vec<_>>();
    let places = [places(&base.instalment), places(&base.instalment_numbered)].concat();
    places.into_iter().any(|found| is_of_many(found) || (!is_other(&found) && is_beside(found)))
}

/// Whether a text ends with which one it is: `3rd`, `3^`, `2ª`, `second`.
fn ends_counted(text: &str) -> bool {
    let word = text.split_whitespace().next_back().unwrap_or_default().to_lowercase();
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let sign = word.get(digits..).unwrap_or_default();
    FIRST_WORDS.contains(&word.as_str()) || ((1..=2).contains(&digits) && ORDINALS.contains(&sign))
}

/// Whether a text begins with a number of one or two digits that is no day, no share and no amount.
fn is_count(text: &str) -> bool {
    let is_number = |word: &&str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '°' && c != 'º').to_lowercase();
        NUMBER_WORDS.contains(&word.as_str())
    };
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '-');
    let mut words = text.split_whitespace().skip_while(is_number);
    let (first, next) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_unit = is_month(&next.to_lowercase()) || next.starts_with(['%', '€', '$', '£']) || amount::is_code(next);
    is_short_number(first.trim_end_matches(':')) && !is_unit
}

/// Behind the number of one of several.
const ORDINALS: [&str; 14] = ["st", "nd", "rd", "th", ".", ".ª", "ª", "º", "°", "^", "e", "a", "ème", "er"];
/// Before a number.
const NUMBER_WORDS: [&str; 9] = ["no", "nr", "n", "n°", "nº", "num", "number", "numero", "número"];
/// Words for an instalment that other things are called by as well.
const ALSO_OTHERS: [&str; 8] = ["part", "payment", "zahlung", "teilbetrag", "deel", "betaling", "pago", "pagamento"];

/// Whether a line begins with which one it is: `1st`, `2)`, `3.ª`, `4 |`, `II`.
fn is_counted(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = text.get(digits..).unwrap_or_default();
    let is_short = (1..=2).contains(&digits);
    let ends =
        ["st", "nd", "rd", "th", ")", "\t", "^", ".ª", "ª", ".º", "º", "°", "e ", "er ", "ère", "ème", ". ", "a "];
    let roman = text.split(' ').next().unwrap_or_default();
    (is_short && ends.iter().any(|end| rest.starts_with(end)))
        || (!roman.is_empty() && roman.chars().all(|c| matches!(c, 'I' | 'V' | 'X')))
}

fn is_short_number(word: &str) -> bool {
    (1..=2).contains(&word.len()) && word.chars().all(|c| c.is_ascii_digit())
}

/// Whether it has a number that can be that of an instalment, or says which one it is in words.
fn has_number(text: &str) -> bool {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.take(ROW_WORDS).any(is_short_number) || {
        let first = text.split(' ').next().unwrap_or_default().to_lowercase();
        FIRST_WORDS.contains(&first.as_str())
    }
}

/// Ordinal words that entries begin with.
const FIRST_WORDS: [&str; 29] = [
    "first",
    "second",
    "third",
    "fourth",
    "erste",
    "zweite",
    "dritte",
    "vierte",
    "première",
    "premier",
    "deuxième",
    "troisième",
    "quatrième",
    "primera",
    "segunda",
    "tercera",
    "cuarta",
    "primer",
    "segundo",
    "tercer",
    "eerste",
    "tweede",
    "derde",
    "vierde",
    "prima",
    "seconda",
    "terza",
    "primeira",
    "terceira",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{Refusal, Templates};

    fn read(text: &str) -> Option<Result<String, Refusal>> {
        let bill = crate::extract::words("Your bill", text)?;
        Some(bill.map(|bill| format!("{} {}", bill.amount, bill.due.map_or("-".to_owned(), |due| due.to_string()))))
    }

    #[test]
    fn of_a_list_of_instalments_the_next_is_owed() {
        for text in [
            "Total 48.00 EUR\n1st\t31 March 2026\t12.00 EUR\tpaid\n2nd\t3 December 2026\t12.00 EUR\n3rd\t3 May 2027\t24.00 EUR",
            "Rate\tfällig\tBetrag\tbezahlt\n1\t30.06.2026\t12,00 EUR\t12,00 EUR\n2\t03.12.2026\t12,00 EUR\t0,00 EUR\nTotal\t24,00 EUR\t12,00 EUR",
            "Jahresbetrag 48,00 EUR\nNächste Zahlung\n03.12.2026\t12,00 EUR\n15.05.2027\t36,00 EUR",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR 2026-12-03".into())), "{text}");
        }
        // Alike, though nothing says which one it is.
        let alike = "Total 24.00 EUR\n1st instalment 3 December 2026 12.00 EUR\n2nd instalment 3 May 2027 12.00 EUR";
        assert!(read(alike).is_some_and(|read| read.is_ok_and(|read| read.starts_with("12.00 EUR"))));
        let unlike = "Total 36.00 EUR\n1st instalment 3 December 2026 12.00 EUR\n2nd instalment 3 May 2027 24.00 EUR";
        assert_eq!(read(unlike), Some(Err(Refusal::AmbiguousAmount)));
        // Neither a number nor a word for it, but the subject or a sentence says that it is paid in parts.
        let rows = "3 March 2026\t12.00 EUR\tpaid\n3 December 2026\t12.01 EUR\tnext\n3 May 2027\t12.01 EUR\tplanned";
        let parts = format!("Instalment 2 of 3 of what you bought\n{rows}\nTotal 36.02 EUR");
        assert_eq!(read(&parts), Some(Ok("12.01 EUR 2026-12-03".into())));
        let sum = format!("{rows}\nOrder total 36.02 EUR");
        assert_eq!(read(&sum), Some(Ok("12.01 EUR 2026-12-03".into())), "they come to it");
        assert_ne!(read(&format!("{rows}\nTotal 40.02 EUR")), Some(Ok("12.01 EUR 2026-12-03".into())));
        // Items are no instalments.
        let items = "1\tLamp\t10.00 EUR\n2\tCable\t2.00 EUR\nTotal\t12.00 EUR";
        assert_eq!(read(items), Some(Ok("12.00 EUR -".into())));
    }

    #[test]
    fn an_instalment_says_which_one_it_is() {
        let counts = |text: &str| names_counted(&crate::extract::line::line(text), Templates::any_language());
        for text in [
            "Rate Nr. 4 der Finanzierung",
            "3^ rata",
            "2ª cuota",
            "deuxième mensualité",
            "Payment 3 of 6",
            "Rate 4",
            "Parcela 3 do acordo",
        ] {
            assert!(counts(text), "{text}");
        }
        for text in ["Part 2: how to save", "Your first payment", "Rate 3 %", "Instalment", "Rate 3 Mai 2026"] {
            assert!(!counts(text), "{text}");
        }
    }

    #[test]
    fn entries_are_counted_in_many_ways() {
        for text in ["1st", "2) 12.00", "3.ª prestação", "4\t12.00", "II rata", "2e tranche", "1. Rate"] {
            assert!(is_counted(text), "{text}");
        }
        for text in ["12.00 EUR", "2026-12-03", "Rate", "123) x", ""] {
            assert!(!is_counted(text), "{text}");
        }
    }
}
