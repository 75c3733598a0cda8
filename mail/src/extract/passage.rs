//! Sentences of a text, over the lines that they are wrapped over, and how they say the amounts in them.

use crate::extract::amount;
use crate::extract::assertion::{is_asserted, is_supposed, says_together, sentences};
use crate::extract::dates::is_month;
use crate::extract::label::{Label, Labels};
use crate::extract::line::{Found, GAP, Line, folded, goes_on, line};
use crate::extract::sentence::names_several;
use crate::extract::total::is_linked;
use crate::extract::{Template, Templates};

/// Letter words of a paragraph that is more than a label and its value.
const TOLD_WORDS: usize = 7;
/// Letter words of a sentence that is more than one of several captions on a line.
const SENTENCE_WORDS: usize = 5;
/// Lines that a paragraph is wrapped over.
const MAX_WRAPPED: usize = 12;
/// Words before the month from which a price will be another: `from 1 January 2027`.
const UNTIL_MONTH: usize = 4;

/// How a piece of a line says its amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As an entry of a bill, or in a sentence that says what is owed.
    Stated,
    /// In running text that does not say that they are owed.
    Told,
    /// As something else: a limit, another time, another choice, what would be if.
    Aside,
}

/// A piece of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) manner: Manner,
}

/// The pieces of a line that stands alone.
pub(super) fn pieces_of(line: &Line) -> Vec<Piece> {
    let end = line.shown.len();
    let all = Templates::any_language();
    // `Last month: 12.00 EUR`
    let is_apart = |found: Found| found.start == 0 && line.after(found).starts_with([':', GAP]);
    let mut apart = all.apart.iter().filter_map(|label| line.find(label));
    let informs = || line.has_any(&all.informs);
    let from = if apart.any(is_apart) || informs() { Some(0) } else { first_of(line, &all.aside) }.unwrap_or(end);
    let until = bracketed(&line.shown, from);
    let pieces = [
        Piece { start: 0, end: from, manner: Manner::Stated },
        Piece { start: from, end: until, manner: Manner::Aside },
        Piece { start: until, end, manner: Manner::Stated },
    ];
    pieces.into_iter().filter(|piece| piece.start < piece.end).collect()
}

/// The pieces of every line.
pub(super) fn pieces(lines: &[Line]) -> Vec<Vec<Piece>> {
    let mut all: Vec<Vec<Piece>> = Vec::with_capacity(lines.len());
    while let Some(rest) = lines.get(all.len()..).filter(|rest| !rest.is_empty()) {
        let wrapped = (1..rest.len().min(MAX_WRAPPED)).take_while(|at| goes_on(rest, at - 1)).count();
        let paragraph = rest.get(..=wrapped).unwrap_or(rest);
        all.extend(of_paragraph(paragraph));
    }
    all
}

fn of_paragraph(lines: &[Line]) -> Vec<Vec<Piece>> {
    let text = lines.iter().map(|line| line.shown.as_str()).collect::<Vec<_>>().join(" ");
    let is_told = letter_words(&text) >= TOLD_WORDS
        && sentences(&text).any(|sentence| letter_words(sentence) >= SENTENCE_WORDS)
        && !lines.iter().any(Line::is_row);
    if !is_told {
        return lines.iter().map(pieces_of).collect();
    }
    let (mut said, mut at, mut is_aside): (Vec<Piece>, usize, bool) = (Vec::new(), 0, false);
    for text in sentences(&text) {
        let end = at + text.len();
        let sentence = line(text);
        // What follows something else on its line is about it as well, if it does not say that it is owed.
        let manner = match manner(&sentence) {
            Manner::Told if is_aside => Manner::Aside,
            manner => manner,
        };
        let from = first_of(&sentence, &Templates::any_language().aside);
        let from = from.map_or(end, |from| at + text.len() - text.trim_start().len() + from).min(end);
        is_aside = (from < end && at + bracketed(text, from - at) == end) || manner == Manner::Aside;
        let until = at + bracketed(text, from - at);
        said.push(Piece { start: at, end: from, manner });
        said.push(Piece { start: from, end: until, manner: Manner::Aside });
        said.push(Piece { start: until, end, manner });
        at = end;
    }
    let mut start = 0;
    let of_line = |line: &Line| {
        let (from, end) = (start, start + line.shown.len());
        start = end + 1;
        let within = said.iter().filter(|piece| piece.start < end && piece.end > from && piece.start < piece.end);
        let cut = |piece: &Piece| Piece {
            start: piece.start.max(from) - from,
            end: piece.end.min(end) - from,
            manner: piece.manner,
        };
        within.map(cut).collect()
    };
    lines.iter().map(of_line).collect()
}

/// How a sentence says its amounts.
fn manner(sentence: &Line) -> Manner {
    let all = Templates::any_language();
    let says = |labels: &Labels| sentence.places_of(labels.iter()).any(|found| is_asserted(sentence, found));
    let asks =
        || says(&all.owed) || says(&all.demand) || all.demand_together.iter().any(|pair| says_together(sentence, pair));
    let is_apart = || {
        first_of(sentence, &all.apart).is_some()
            || all.apart_together.iter().any(|pair| says_together(sentence, pair))
            || is_later(sentence, all)
    };
    let is_supposed = || is_supposed(&sentence.shown);
    let is_linked_sum = |label: &Label| {
        sentence.may_have(label)
            && !all.instalment.iter().any(|other| other.folded == label.folded)
            && sentence.places(label).any(|found| is_asserted(sentence, found) && is_beside_amount(sentence, found))
    };
    let claims = || says(&all.total) || says(&all.bill) || all.total_if_largest.iter().any(is_linked_sum);
    if sentence.has_any(&all.informs) {
        Manner::Aside
    } else if asks() && !(first_of(sentence, &all.apart).is_some() && says(&all.settled)) {
        Manner::Stated
    } else if is_apart() || (is_supposed() && !claims()) {
        Manner::Aside
    } else if claims() && !names_several(sentence) {
        Manner::Stated
    } else {
        Manner::Told
    }
}

/// Whether an amount stands behind a label, with a few linking words between them: `the sum is 12.00 EUR`.
fn is_beside_amount(sentence: &Line, found: Found) -> bool {
    let after = sentence.after(found);
    let Some(digit) = after.find(|c: char| c.is_ascii_digit()) else { return false };
    let between = after.get(..digit).unwrap_or_default();
    amount::has_currency(after) && is_linked(between)
}

/// Whether it says from which month on something will be: `from 1 January 2027`, `ab Februar`. Periods say until when.
fn is_later(sentence: &Line, all: &Template) -> bool {
    let words: Vec<&str> = words(&sentence.shown).collect();
    let is_month_near =
        |at: usize| words.iter().skip(at + 1).take(UNTIL_MONTH).any(|word| is_month(&word.to_lowercase()));
    let months = words.iter().filter(|word| is_month(&word.to_lowercase())).count();
    months == 1 && words.iter().enumerate().any(|(at, word)| is_one(&all.from_then_on, word) && is_month_near(at))
}

/// Where the brackets end that a place is in, or the text.
fn bracketed(text: &str, place: usize) -> usize {
    let (before, after) = (text.get(..place).unwrap_or_default(), text.get(place..).unwrap_or_default());
    let is_within = before.matches('(').count() > before.matches(')').count();
    after.find(')').filter(|_| is_within).map_or(text.len(), |end| place + end)
}

fn first_of(line: &Line, labels: &Labels) -> Option<usize> {
    labels.iter().filter_map(|label| line.find(label)).map(|found| found.start).min()
}

fn letter_words(text: &str) -> usize {
    words(text).filter(|word| word.chars().count() > 1 && word.chars().all(char::is_alphabetic)).count()
}

fn is_one(labels: &Labels, word: &str) -> bool {
    let folded = folded(word);
    labels.iter().any(|label| label.folded == folded)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::extract::Refusal;
    use crate::extract::line::lines;
    use crate::extract::passage::{Manner, pieces};

    fn read(text: &str) -> Option<Result<String, Refusal>> {
        let bill = crate::extract::words("Your invoice", text);
        bill.map(|bill| bill.map(|bill| bill.amount.to_string()))
    }

    #[test]
    fn what_is_told_in_running_text_is_no_entry_of_the_bill() {
        for text in [
            "Total: 12.00 EUR\nOur new cinema was built for 48.00 EUR and opens its doors in spring.",
            "Total: 12.00 EUR\nIf you do not pay, you will lose the right to instalments\nand 48.00 EUR may be asked for at once.",
            "Total: 12.00 EUR\nFrom January 2027 on your plan costs 48.00 EUR a month for everyone.",
            "Total: 12.00 EUR\nLast month: 48.00 EUR",
            "Gesamt: 12,00 EUR\nIm Vorjahr zahlten Sie für dieselbe Leistung noch 48,00 EUR.",
            "Total : 12,00 EUR\nL'an dernier, votre facture était de 48,00 EUR pour la même période.",
            "Total: 12,00 EUR\nCon el plan anual ahorrarías 48,00 EUR en los próximos doce meses.",
        ] {
            assert_eq!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
        for text in [
            // An entry, and sentences that say that something is owed.
            "Total: 12.00 EUR\nContract value 48.00 EUR",
            "Total: 12.00 EUR\nFor all of this together we will collect 48.00 EUR from your account.",
            "Total: 12.00 EUR\nThe sum of all of these services together in this year is: total 48.00 EUR.",
        ] {
            assert_ne!(read(text), Some(Ok("12.00 EUR".into())), "{text}");
        }
    }

    #[test]
    fn sentences_are_followed_over_lines_and_end_in_them() {
        let manners = |text: &str| -> Vec<Vec<Manner>> {
            let lines = lines(text);
            pieces(&lines).into_iter().map(|line| line.into_iter().map(|piece| piece.manner).collect()).collect()
        };
        assert_eq!(manners("Total: 12.00 EUR"), [vec![Manner::Stated]]);
        assert_eq!(manners("Share capital 12.00 EUR"), [vec![Manner::Aside]]);
        assert_eq!(manners("Insured (share capital 12.00 EUR) 10.00 EUR").concat().len(), 3, "brackets end it");
        let wrapped = "If this were not done in time, then the whole of what is left of the\nsum, 12.00 EUR, is lost.";
        assert_eq!(manners(wrapped), [vec![Manner::Aside], vec![Manner::Aside]]);
        let two = "We tell you that the park was opened on Monday. Please pay 12.00 EUR by Friday.";
        assert_eq!(manners(two), [vec![Manner::Told, Manner::Stated]]);
        let many = format!("{} 12.00 EUR", "word ".repeat(20_000));
        assert!(manners(&many).len() > 100, "pieces of a long line");
    }
}
