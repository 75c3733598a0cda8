//! How well a listing answers a query. Deterministic: the same texts and the same words always have the same score.

use super::Texts;
use super::fold::is_ideographic;
use super::query::Word;
use super::trigrams::{likeness, trigrams};

/// A name that is the whole query stands before everything else.
const WHOLE_NAME: u32 = 100_000;
/// Of 100: words that are at least so alike count as misspelt forms of each other.
const ALIKE: usize = 50;

/// The score of a listing, higher is better; `None` if a word of the query is not in it, nor anything like it.
pub(crate) fn score(words: &[Word], texts: &Texts) -> Option<u32> {
    let fields = [
        (texts.name.as_str(), 1_000, true),
        (texts.title.as_str(), 600, true),
        (texts.publisher.as_str(), 500, true),
        (texts.kind.as_str(), 400, true),
        (texts.operations.as_str(), 200, false),
        (texts.description.as_str(), 100, false),
    ];
    let mut total = 0;
    for word in words {
        let of_field =
            |(text, weight, misspelt): (&str, u32, bool)| found(word, text, misspelt).map(|per| weight * per / 100);
        total += fields.into_iter().filter_map(of_field).max()?;
    }
    let said = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    let whole = said == texts.name || said == format!("{} {}", texts.publisher, texts.name);
    Some(if whole { total + WHOLE_NAME } else { total })
}

/// How a word stands in a text, of 100: as it is, as the beginning of a word, inside one, or misspelt.
fn found(word: &Word, text: &str, misspelt: bool) -> Option<u32> {
    let mut best = None;
    if text.contains(word.text.as_str()) {
        let inside = word.text.chars().nth(2).is_some() || is_ideographic(&word.text);
        for other in text.split(' ') {
            if other == word.text {
                return Some(100);
            }
            let here = match other.find(word.text.as_str()) {
                Some(0) => Some(50),
                Some(_) if inside => Some(25),
                _ => None,
            };
            best = best.max(here);
        }
    }
    match best {
        None if misspelt => text.split(' ').any(|other| is_like(word, other)).then_some(20),
        best => best,
    }
}

/// Whether two words are one, misspelt: most trigrams are the same, or few letters differ. Letters that changed places
/// are one difference.
fn is_like(word: &Word, other: &str) -> bool {
    let (length, others) = (word.text.chars().count(), other.chars().count());
    let most = match length {
        0..=3 => 0,
        4..=6 => 1,
        _ => 2,
    };
    let close = most > 0 && length.abs_diff(others) <= most && strsim::osa_distance(&word.text, other) <= most;
    close || (length > 3 && likeness(&word.trigrams, &trigrams(other).into_iter().collect()) >= ALIKE)
}

#[cfg(test)]
mod tests {
    use super::super::{Query, Texts};
    use super::score;

    fn texts(name: &str, title: &str, description: &str) -> Texts {
        Texts {
            name: name.into(),
            title: title.into(),
            publisher: "lumen".into(),
            kind: "picture".into(),
            operations: "view to view it".into(),
            description: description.into(),
        }
    }

    fn of(typed: &str, texts: &Texts) -> Option<u32> {
        let Query::Words(words) = Query::parse(typed) else { panic!("words") };
        score(&words, texts)
    }

    #[test]
    fn a_name_counts_more_than_a_title_and_this_more_than_what_is_said_beside() {
        let (name, title) = (texts("dusk", "evening", "a sky"), texts("evening", "dusk at sea", "a sky"));
        let (said, beginning) = (texts("evening", "sea", "the sky at dusk"), texts("dusky", "sea", "a sky"));
        let scores = [&name, &title, &beginning, &said].map(|texts| of("Dusk", texts).expect("found"));
        assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
        assert!(of("lumen/dusk", &name) > of("lumen dusk", &title));
        assert!(of("picture view", &said).is_some(), "kinds and operations count");
    }

    #[test]
    fn every_word_has_to_be_there_or_something_like_it() {
        let lake = texts("alpine lake", "alpine lake", "a museum using classic light");
        for found in ["alpnie", "alpin lake", "apline", "alpinee", "LAKE alpine", "picutre", "lu"] {
            assert!(of(found, &lake).is_some(), "{found}");
        }
        for missed in ["lke", "desert", "alpine desert", "music", "xa", "useums"] {
            assert!(of(missed, &lake).is_none(), "{missed}");
        }
    }
}
