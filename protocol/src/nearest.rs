//! Did you mean …?

/// The longest word for which another one is looked for: longer than any name of the formats.
const LONGEST_WORD: usize = 512;

/// The word that was probably meant: the nearest of those of which at most a third of the letters differ, or two in a
/// short word.
#[must_use]
pub fn nearest<'w>(word: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let alike = |known: &'w str| {
        let distance = strsim::damerau_levenshtein(word, known);
        // Of a word of one or two letters not all may differ: it would be like any other.
        let most = (known.len() / 3).max(2).min(known.len().saturating_sub(1));
        (distance <= most).then_some((distance, known))
    };
    words.into_iter().filter_map(alike).min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_is_found_if_it_is_near() {
        let words = ["nearest", "bilinear", "lanczos3"];
        assert_eq!(nearest("neerest", words), Some("nearest"));
        assert_eq!(nearest("lanczos", words), Some("lanczos3"));
        assert_eq!(nearest("cubic", words), None);
        assert_eq!(nearest("x", ["a", "b"]), None);
        assert_eq!(nearest(&"x".repeat(100_000), words), None);
    }
}
