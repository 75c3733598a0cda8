//! Whether the words of a mail are those of bills, as counted in the mails that the extractor is tuned on.
//!
//! The rules of `text.rs` look for what is owed, and say why. They know what somebody thought of; a mail whose words
//! are nearly always those of bills is read although no rule calls it one, and what a rule takes from a mail whose
//! words never are those of bills is not shown as owed.
//!
//! It is a logistic regression over the words of the text and those of the subject. `training.rs` makes its weights.

use crate::extract::features::{BUCKETS, Bag, Features, features, start};
use crate::extract::weights::Weights;

/// Bytes of a subject that are looked at.
const MAX_SUBJECT: usize = 500;
/// Bytes of a text that are looked at. Bills have below 20,000.
const MAX_TEXT: usize = 64 * 1024;
/// Sets of features: words and parts of words of the text, the same of the subject.
const SETS: usize = 4;
/// Weights: one of every mail is behind those of the features.
#[cfg(test)]
pub(super) const WEIGHTS: usize = SETS * BUCKETS + 1;
/// From here on it is a bill, whatever no rule knows.
pub(super) const LIKELY: f32 = 0.8;
/// Up to here it is none.
pub(super) const UNLIKELY: f32 = 0.2;

/// What was learned.
const LEARNED: &[u8] = include_bytes!("likeness.weights");

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
        let likelihood = likelihood(&Weights::read(LEARNED), &of_mail(subject, texts));
        if likelihood >= LIKELY {
            Self::Bill
        } else if likelihood <= UNLIKELY {
            Self::Other
        } else {
            Self::Open
        }
    }
}

/// From 0 to 1.
pub(super) fn likelihood(weights: &Weights<'_>, features: &[(usize, f32)]) -> f32 {
    1.0 / (1.0 + (-weights.sum(features)).exp())
}

/// The features of a mail.
pub(super) fn of_mail(subject: &str, texts: &[String]) -> Features {
    let (mut said, mut headed, mut left) = (Bag::default(), Bag::default(), MAX_TEXT);
    headed.add(start(subject, MAX_SUBJECT));
    for text in texts {
        let text = start(text, left);
        said.add(text);
        left -= text.len();
    }
    let mut features = features([said, headed]);
    features.push((SETS * BUCKETS, 1.0));
    features
}

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
    fn a_long_text_is_looked_at_up_to_a_bound() {
        let (short, long) = ("ä".repeat(MAX_TEXT / 2), "ä".repeat(MAX_TEXT));
        assert_eq!(of_mail("", &[long, "more".into()]), of_mail("", &[short]));
        let (short, long) = ("a".repeat(MAX_SUBJECT), "a".repeat(MAX_TEXT));
        assert_eq!(of_mail(&long, &[]), of_mail(&short, &[]));
    }
}
