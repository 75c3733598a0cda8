//! Trigrams as numbers that any database can hold: three characters of 21 bits.

use super::fold::is_ideographic;
use std::collections::BTreeSet;

/// What stands before and after a word: the beginning of a word counts more than its end, and a word of one letter has
/// trigrams too.
const EDGE: char = ' ';
/// What stands in place of a character that is not there.
const NONE: char = '\0';

/// Three characters.
pub(crate) type Trigram = i64;

/// The trigrams of a word, in order. Where one or two characters are a word, these are taken.
pub(super) fn trigrams(word: &str) -> Vec<Trigram> {
    if is_ideographic(word) {
        let pairs = word.chars().zip(word.chars().skip(1)).map(|(a, b)| packed(NONE, a, b));
        return pairs.chain(word.chars().map(|c| packed(NONE, NONE, c))).collect();
    }
    let padded: Vec<char> = [EDGE, EDGE].into_iter().chain(word.chars()).chain([EDGE]).collect();
    padded.windows(3).map(|three| packed(three[0], three[1], three[2])).collect()
}

/// How alike two words are, of 100: the share of trigrams that both have.
pub(super) fn likeness(one: &BTreeSet<Trigram>, other: &BTreeSet<Trigram>) -> usize {
    let both = one.intersection(other).count();
    200 * both / (one.len() + other.len()).max(1)
}

fn packed(a: char, b: char, c: char) -> Trigram {
    (i64::from(u32::from(a)) << 42) | (i64::from(u32::from(b)) << 21) | i64::from(u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::{likeness, trigrams};
    use std::collections::BTreeSet;

    #[test]
    fn short_words_have_trigrams_and_long_ones_more() {
        let set = |word: &str| trigrams(word).into_iter().collect::<BTreeSet<_>>();
        assert_eq!((set("a").len(), set("lake").len(), set("湖").len()), (2, 5, 1));
        assert!(set("美しい湖").is_superset(&set("湖")));
        assert!(set("\u{10ffff}\u{10ffff}\u{10ffff}").iter().all(|trigram| *trigram > 0));
        assert_eq!(likeness(&set("lake"), &set("lake")), 100);
        assert!(likeness(&set("neerest"), &set("nearest")) > 50);
        assert_eq!(likeness(&set("lake"), &set("film")), 0);
    }
}
