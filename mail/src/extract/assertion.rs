//! Whether words are said, or denied or only supposed: `has been paid`, `has not been paid`, `if it has been paid`.

use crate::extract::Templates;
use crate::extract::label::Labels;
use crate::extract::line::{Found, Line, folded};

/// Words between a negation and what it denies.
const REACH: usize = 3;
/// Letters of a word that may be cut off by a point: `Invoice no. 4711`.
const MAX_ABBREVIATION: usize = 3;
/// Words between two that belong together.
const APART: usize = 12;

/// Whether the words at a place are said as a fact.
pub(super) fn is_asserted(line: &Line, found: Found) -> bool {
    let condition = &Templates::any_language().condition;
    !is_denied(line, found) && !words(last_sentence(line.before(found))).any(|word| is_one(condition, word))
}

/// Whether the words at a place are denied.
pub(super) fn is_denied(line: &Line, found: Found) -> bool {
    let words: Vec<&str> = words(last_sentence(line.before(found))).collect();
    let negation = &Templates::any_language().negation;
    let denies = |at: usize, word: &str| {
        // `Invoice no. 4711`
        let next = words.get(at + 1).copied().unwrap_or_else(|| line.shown.get(found.start..).unwrap_or_default());
        let is_number = word.eq_ignore_ascii_case("no") && next.starts_with(|c: char| c.is_ascii_digit());
        is_one(negation, word) && !is_number
    };
    let near = words.len().saturating_sub(REACH);
    words.iter().enumerate().skip(near).any(|(at, word)| denies(at, word))
}

fn is_one(labels: &Labels, word: &str) -> bool {
    let folded = folded(word);
    labels.iter().any(|label| label.folded == folded)
}

/// Whether a line says one of each as something that is over, in one sentence and in either order.
pub(super) fn says_of_past(line: &Line, pair: &[Labels; 2]) -> bool {
    let ahead = &Templates::any_language().ahead;
    says_in(line, pair, |first, second| {
        let before = last_sentence(line.before(first));
        let between = line.shown.get(first.end..second.start).unwrap_or_default();
        !words(before).chain(words(between)).any(|word| is_one(ahead, word))
    })
}

/// Whether a line says one of each as a fact, in one sentence and in either order.
pub(super) fn says_together(line: &Line, pair: &[Labels; 2]) -> bool {
    says_in(line, pair, |_, _| true)
}

fn says_in(line: &Line, [first, second]: &[Labels; 2], also: impl Fn(Found, Found) -> bool) -> bool {
    let places = |labels: &Labels| -> Vec<Found> { labels.iter().flat_map(|label| line.places(label)).collect() };
    let firsts = places(first);
    if firsts.is_empty() {
        return false;
    }
    let seconds = places(second);
    let is_one = |a: &Found, b: &Found| {
        let (before, after) = if a.start <= b.start { (a, b) } else { (b, a) };
        let between = line.shown.get(before.end..after.start);
        between.is_some_and(|between| last_sentence(between).len() == between.len() && words(between).count() <= APART)
            && is_asserted(line, *before)
            && is_asserted(line, *after)
            && also(*before, *after)
    };
    firsts.iter().any(|a| seconds.iter().any(|b| is_one(a, b)))
}

/// What stands behind the last end of a sentence. A point is one behind a word that is no abbreviation.
fn last_sentence(text: &str) -> &str {
    let ends = text.match_indices(['.', '!', '?', ';']).filter(|(at, sign)| {
        let before = text.get(..*at).unwrap_or_default();
        let letters = before.chars().rev().take_while(|c| c.is_alphabetic()).count();
        let after = text.get(at + 1..).unwrap_or_default();
        (*sign != "." || letters > MAX_ABBREVIATION) && (after.is_empty() || after.starts_with(' '))
    });
    ends.last().and_then(|(at, _)| text.get(at + 1..)).unwrap_or(text)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | ':' | '"')).filter(|word| !word.is_empty())
}
