//! Whether the words of a mail are those of bills, as counted in the mails that the extractor is tuned on.
//!
//! The rules of `text.rs` look for what is owed, and say why. They know what somebody thought of; a mail whose words are
//! nearly always those of bills is read although no rule calls it one, and what a rule takes from a mail whose words
//! never are those of bills is not shown as owed. What is owed is said by the rules alone.
//!
//! It is a logistic regression over words, pairs of words and parts of words, each hashed to one of [`BUCKETS`] weights
//! of a byte: those of the subject and those of the text for themselves. [`training`] makes the weights.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Weights of each kind of feature.
const BUCKETS: usize = 1 << 15;
/// Words and pairs of the text, parts of its words; the same of the subject.
const KINDS: usize = 4;
/// Letters of a part of a word, with a space before its first and behind its last one.
const PART: usize = 5;
/// Bytes of a text that are looked at. Bills have below 20,000.
const MAX_TEXT: usize = 64 * 1024;
/// As `cargo xtask test --all` trains them: the unit and the bias in little-endian single precision, then the weights in
/// that unit.
const TRAINED: &[u8] = include_bytes!("classifier.weights");
/// From here on it is a bill, whatever its words are.
const LIKELY: f32 = 0.9;
/// Up to here it is none.
const UNLIKELY: f32 = 0.2;

static CLASSIFIER: LazyLock<Classifier> = LazyLock::new(|| Classifier::read(TRAINED));

/// What the words of a mail are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    Bill,
    /// Nothing is said by them.
    Open,
    Other,
}

impl Likeness {
    /// What a subject and the texts below it are like.
    pub(super) fn of(subject: &str, texts: &[String]) -> Self {
        let likelihood = CLASSIFIER.likelihood(&features(subject, texts));
        if likelihood >= LIKELY {
            Self::Bill
        } else if likelihood <= UNLIKELY {
            Self::Other
        } else {
            Self::Open
        }
    }
}

/// The weights.
struct Classifier {
    bias: f32,
    weights: Vec<f32>,
}

impl Classifier {
    fn read(trained: &[u8]) -> Self {
        let number = |bytes: Option<&[u8]>| bytes.and_then(|b| b.try_into().ok()).map_or(0.0, f32::from_le_bytes);
        let (unit, bias) = (number(trained.get(..4)), number(trained.get(4..8)));
        let weights = trained.get(8..).unwrap_or_default();
        Self { bias, weights: weights.iter().map(|weight| f32::from(weight.cast_signed()) * unit).collect() }
    }

    /// From 0 to 1.
    fn likelihood(&self, features: &[(usize, f32)]) -> f32 {
        let weight = |at: &usize| self.weights.get(*at).copied().unwrap_or_default();
        let sum: f32 = self.bias + features.iter().map(|(at, share)| weight(at) * share).sum::<f32>();
        1.0 / (1.0 + (-sum).exp())
    }
}

/// The weights that count for a mail, and how much. Those of a kind together count as much in a short mail as in a long
/// one.
fn features(subject: &str, texts: &[String]) -> Vec<(usize, f32)> {
    let mut kinds: [BTreeSet<usize>; KINDS] = Default::default();
    let [words, parts, subject_words, subject_parts] = &mut kinds;
    collect(subject, subject_words, subject_parts);
    let mut left = MAX_TEXT;
    for text in texts {
        let end = (0..=left.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        collect(&text[..end], words, parts);
        left -= end;
    }
    let of_kind = |(kind, found): (usize, BTreeSet<usize>)| {
        #[expect(clippy::cast_precision_loss, reason = "there are at most 32,768 of them")]
        let share = 1.0 / (found.len().max(1) as f32).sqrt();
        found.into_iter().map(move |at| (kind * BUCKETS + at, share))
    };
    kinds.into_iter().enumerate().flat_map(of_kind).collect()
}

/// Adds the words, the pairs of words and the parts of words of a text.
fn collect(text: &str, words: &mut BTreeSet<usize>, parts: &mut BTreeSet<usize>) {
    let mut before = String::new();
    for word in text.split(char::is_whitespace).flat_map(simplified) {
        words.insert(bucket(word.as_bytes()));
        if !before.is_empty() {
            words.insert(bucket(format!("{before} {word}").as_bytes()));
        }
        if word.starts_with(char::is_alphabetic) {
            let padded: Vec<char> = std::iter::once(' ').chain(word.chars()).chain([' ']).collect();
            let part = |part: &[char]| bucket(part.iter().collect::<String>().as_bytes());
            parts.extend(padded.windows(PART.min(padded.len())).map(part));
        }
        before = word;
    }
}

/// The words in what stands between two spaces: letters in lower case and without accents, of numbers only whether they
/// have two decimals, and the signs of currencies.
fn simplified(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = |is_part: fn(char) -> bool| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let end = if first.is_alphabetic() {
            length(char::is_alphanumeric)
        } else if first.is_ascii_digit() {
            length(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '\''))
        } else {
            first.len_utf8()
        };
        let (word, behind) = rest.split_at(end);
        rest = behind;
        if first.is_alphabetic() {
            let folded = word.to_lowercase().nfd().filter(|c| !is_combining_mark(*c)).map(digit).collect::<String>();
            words.extend((folded.len() > 1).then_some(folded));
        } else if first.is_ascii_digit() {
            let number = word.trim_end_matches(['.', ',', '\'']);
            let has_decimals = number.len() > 3 && matches!(number.as_bytes()[number.len() - 3], b'.' | b',');
            words.push(if has_decimals { "0.00" } else { "0" }.to_owned());
        } else if matches!(first, '$' | '€' | '£' | '%') {
            words.push(first.to_string());
        }
    }
    words
}

/// Digits are all the same.
const fn digit(c: char) -> char {
    if c.is_ascii_digit() { '0' } else { c }
}

/// FNV-1a.
fn bucket(bytes: &[u8]) -> usize {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    // The upper bits, which all of the bytes had a part in.
    usize::try_from(hash >> 49).unwrap_or_default()
}

#[cfg(test)]
mod training;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(subject: &str, text: &str) -> Likeness {
        Likeness::of(subject, &[text.to_owned()])
    }

    #[test]
    fn words_of_bills_are_told_from_those_of_other_mail() {
        let bill =
            "Dear Kim,\nyour electricity bill for November is ready.\nAmount due: 23.10 EUR\nDue date: 14 December";
        assert_eq!(of("Your electricity bill", bill), Likeness::Bill);
        let offer = "Only this weekend: 20 % off everything in our shop.\nWas 40.00 EUR, now 32.00 EUR.\nShop now";
        assert_eq!(of("Black Friday: the sale is on", offer), Likeness::Other);
        assert_eq!(of("", ""), Likeness::Open);
    }

    #[test]
    fn letters_count_without_case_and_accents_and_numbers_without_digits() {
        assert_eq!(simplified("(Fällige:"), ["fallige"]);
        assert_eq!(simplified("1.234,50€"), ["0.00", "€"]);
        assert_eq!(simplified("R12/2026"), ["r00", "0"]);
        assert_eq!(features("", &["one TWO two".into()]), features("", &["One two, two".into()]));
    }

    #[test]
    fn a_long_text_is_looked_at_up_to_a_bound() {
        let (short, long) = ("ä".repeat(MAX_TEXT / 2), "ä".repeat(MAX_TEXT));
        assert_eq!(features("", &[long, "more".into()]), features("", &[short]));
    }
}
