//! Words and parts of words as numbers, for what is learned from them (`likeness.rs`, `ranking.rs`).

use crate::extract::line::folded;

/// Numbers of a kind.
pub(super) const BUCKETS: usize = 1 << 15;
/// Letters of a part of a word, with a space before its first and behind its last one.
const PART: usize = 5;

/// Which weights count, and how much.
pub(super) type Features = Vec<(usize, f32)>;

/// The words of something, each hashed to one of [`BUCKETS`] numbers.
#[derive(Debug, Default)]
pub(super) struct Bag {
    /// Words and pairs of words.
    words: Vec<usize>,
    /// Parts of words, so that a compound and another ending are known.
    parts: Vec<usize>,
}

impl Bag {
    /// Adds what a text has.
    pub(super) fn add(&mut self, text: &str) {
        let (mut before, mut letters) = (None, Vec::new());
        for word in text.split(char::is_whitespace).flat_map(simplified) {
            let hash = Fnv::EMPTY.with(word.as_bytes());
            self.words.push(hash.bucket());
            self.words.extend(before.map(|before: Fnv| before.with(b" ").with(word.as_bytes()).bucket()));
            if word.starts_with(char::is_alphabetic) {
                letters.clear();
                letters.extend(std::iter::once(' ').chain(word.chars()).chain([' ']));
                self.parts.extend(letters.windows(PART.min(letters.len())).map(|part| Fnv::of_letters(part).bucket()));
            }
            before = Some(hash);
        }
    }

    /// Adds a name as it is.
    pub(super) fn add_name(&mut self, name: &str) {
        self.words.push(Fnv::EMPTY.with(name.as_bytes()).bucket());
    }
}

/// The features of several kinds of words. Those of a kind together count as much if there are few of them as if there
/// are many.
pub(super) fn features<const KINDS: usize>(kinds: [Bag; KINDS]) -> Features {
    let sets = kinds.into_iter().flat_map(|hashed| [hashed.words, hashed.parts]);
    let of_set = |(set, mut found): (usize, Vec<usize>)| {
        found.sort_unstable();
        found.dedup();
        #[expect(clippy::cast_precision_loss, reason = "there are at most 32,768 of them")]
        let share = 1.0 / (found.len().max(1) as f32).sqrt();
        found.into_iter().map(move |at| (set * BUCKETS + at, share))
    };
    sets.enumerate().flat_map(of_set).collect()
}

/// The beginning of a text, of so many bytes at most.
pub(super) fn start(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
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
            let word = folded(word).chars().map(digit).collect::<String>();
            words.extend((word.len() > 1).then_some(word));
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
#[derive(Debug, Clone, Copy)]
struct Fnv(u64);

impl Fnv {
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    fn with(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    fn of_letters(letters: &[char]) -> Self {
        letters.iter().fold(Self::EMPTY, |hash, letter| hash.with(letter.encode_utf8(&mut [0; 4]).as_bytes()))
    }

    /// The upper bits, which all of the bytes had a part in.
    fn bucket(self) -> usize {
        usize::try_from(self.0 >> 49).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Features {
        let mut hashed = Bag::default();
        hashed.add(text);
        features([hashed])
    }

    #[test]
    fn letters_count_without_case_and_accents_and_numbers_without_digits() {
        assert_eq!(simplified("(Fällige:"), ["fallige"]);
        assert_eq!(simplified("1.234,50€"), ["0.00", "€"]);
        assert_eq!(simplified("R12/2026"), ["r00", "0"]);
        assert_eq!(of("one TWO two"), of("One two, two"));
        assert_ne!(of("one two"), of("two one"), "pairs");
    }

    #[test]
    fn few_words_count_as_much_as_many() {
        for text in ["water", "a bill for the water of November"] {
            let sum: f32 = of(text).iter().filter(|(at, _)| *at < BUCKETS).map(|(_, share)| share * share).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{text}: {sum}");
        }
    }
}
