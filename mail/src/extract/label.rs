//! Labels: what stands beside a value in a bill, as data says it and as it is looked for.

use crate::extract::line::folded;
use serde::Deserialize;

/// A label as it is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Label {
    pub(super) folded: String,
    /// Written with a hyphen before it: it may be the end of a compound. `-rechnung` stands in `Stromrechnung`.
    pub(super) ends_compound: bool,
    /// Written with a hyphen behind it: it may begin one.
    pub(super) begins_compound: bool,
    /// The number of its words.
    pub(super) words: usize,
    /// Its last letter has an accent, without which it may be another word: `montant dû`, `montant du loyer`.
    pub(super) ends_accented: bool,
    /// It has a letter with an accent: without it, it may be a word of another language.
    pub(super) is_accented: bool,
    /// Which pairs of letters it has.
    pub(super) pairs: Pairs,
}

/// A set of pairs of bytes, some of which are taken for each other: what has not all of a label's has not the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pairs(u128);

impl Pairs {
    pub(super) fn of(folded: &str) -> Self {
        let pair = |pair: &[u8]| pair.iter().fold(0_u32, |hash, byte| (hash * 37 + u32::from(*byte)) % 128);
        Self(folded.as_bytes().windows(2).fold(0, |set, bytes| set | 1 << pair(bytes)))
    }

    pub(super) const fn has_all(self, of: Self) -> bool {
        of.0 & !self.0 == 0
    }
}

impl From<&str> for Label {
    fn from(written: &str) -> Self {
        let folded = folded(written);
        Self {
            pairs: Pairs::of(&folded),
            is_accented: written.chars().any(|c| !c.is_ascii() && c.is_alphabetic()),
            ends_accented: written.ends_with(|c: char| !c.is_ascii() && c.is_alphabetic()),
            folded,
            ends_compound: written.starts_with('-'),
            begins_compound: written.ends_with('-'),
            words: written.trim_matches('-').split([' ', '-']).count(),
        }
    }
}

/// Labels of one kind, the most certain first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<String>")]
pub(crate) struct Labels {
    pub(super) written: Vec<String>,
    all: Vec<Label>,
}

impl From<Vec<String>> for Labels {
    fn from(written: Vec<String>) -> Self {
        let all = written.iter().map(|label| Label::from(label.as_str())).collect();
        Self { written, all }
    }
}

impl Labels {
    pub(crate) const fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// The labels of several languages, the most certain of each first.
    pub(super) fn by_rank(languages: &[&Self]) -> Self {
        let longest = languages.iter().map(|labels| labels.all.len()).max().unwrap_or_default();
        let ranked = (0..longest).flat_map(|rank| languages.iter().filter_map(move |labels| labels.written.get(rank)));
        let mut written: Vec<String> = Vec::new();
        for label in ranked {
            if !written.contains(label) {
                written.push(label.clone());
            }
        }
        written.into()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyphens_say_what_a_label_may_be_a_part_of() {
        let label = Label::from("-rechnung");
        assert_eq!((label.folded.as_str(), label.ends_compound, label.begins_compound), ("rechnung", true, false));
        let label = Label::from("zu zahlen");
        assert_eq!((label.folded.as_str(), label.ends_compound, label.words), ("zuzahlen", false, 2));
    }

    #[test]
    fn the_most_certain_of_each_language_come_first() {
        let labels = |words: &[&str]| Labels::from(words.iter().map(ToString::to_string).collect::<Vec<_>>());
        let (first, second) = (labels(&["a", "b", "c"]), labels(&["d"]));
        let ranked = Labels::by_rank(&[&first, &second]);
        let ranked: Vec<&str> = ranked.iter().map(|label| label.folded.as_str()).collect();
        assert_eq!(ranked, ["a", "d", "b", "c"]);
    }
}
