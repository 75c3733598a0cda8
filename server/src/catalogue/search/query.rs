//! What somebody looks for.

use super::fold::{fold, words};
use super::trigrams::{Trigram, trigrams as trigrams_of};
use std::collections::BTreeSet;

/// Words of a query that count; a person types fewer.
const MAX_WORDS: usize = 8;
/// Characters of a word that count: as many as a name has.
const MAX_WORD: usize = 64;
/// Trigrams of a query that are looked up. Each word has its share, from its beginning on.
const MAX_TRIGRAMS: usize = 32;

/// A query. Parsed, it is bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Query {
    /// Nothing was said: everything is wanted.
    Everything,
    /// Words that a listing has to have, all of them; none if nothing was said that a word can be made of.
    Words(Vec<Word>),
}

/// A word of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(super) text: String,
    pub(super) trigrams: BTreeSet<Trigram>,
    /// Those of its trigrams that are looked up.
    asked: Vec<Trigram>,
}

impl Query {
    /// Reads what was typed.
    pub(crate) fn parse(typed: &str) -> Self {
        if typed.trim().is_empty() {
            return Self::Everything;
        }
        let folded = fold(typed);
        let texts: Vec<&str> = words(&folded).take(MAX_WORDS).collect();
        let share = MAX_TRIGRAMS / texts.len().max(1);
        Self::Words(texts.into_iter().map(|text| Word::new(text, share)).collect())
    }
}

impl Word {
    fn new(text: &str, share: usize) -> Self {
        let text: String = text.chars().take(MAX_WORD).collect();
        let mut trigrams = BTreeSet::new();
        let mut asked: Vec<Trigram> = trigrams_of(&text).into_iter().filter(|one| trigrams.insert(*one)).collect();
        asked.truncate(share);
        Self { text, trigrams, asked }
    }

    /// It, folded.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The trigrams to look up: a bounded number for all words of a query together.
    pub(crate) fn asked(&self) -> &[Trigram] {
        &self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn whatever_is_typed_few_trigrams_are_looked_up() {
        for typed in
            ["a b c d e f g h i j", "lake", &"x".repeat(200), &"\u{fdfa}".repeat(66), "abcdefgh ".repeat(20).as_str()]
        {
            let Query::Words(words) = Query::parse(typed) else { panic!("words: {typed}") };
            let asked: usize = words.iter().map(|word| word.asked().len()).sum();
            assert!(!words.is_empty() && words.len() <= 8 && (1..=32).contains(&asked), "{typed}: {asked}");
        }
        assert_eq!(Query::parse(" \t "), Query::Everything);
        assert_eq!(Query::parse("%"), Query::Words(Vec::new()), "nothing is not everything");
    }
}
