//! Folding: what people type alike becomes the same text. Case, accents and compatibility forms go (`Über`, `uber`;
//! `ﬁlm`, `film`; `Ё`, `е`); scripts stay.

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;

static NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfkd();
static CLASS: CanonicalCombiningClassMapBorrowed<'static> = CanonicalCombiningClassMapBorrowed::new();

/// A text as it is compared.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let kept = NFKD.normalize_iter(text.chars()).filter(|c| !is_dropped(*c));
    for c in kept {
        match letters(c) {
            Some(letters) => folded.push_str(letters),
            // Up and down again: `ß` and `SS`, both forms of sigma, dotted and dotless `i` meet.
            None => {
                let cased = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
                folded.extend(cased.filter(|c| !is_dropped(*c)));
            }
        }
    }
    folded
}

/// The words of a folded text. Writing without spaces is one word as long as its script lasts.
pub(super) fn words(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|c: char| !is_of_word(c)).flat_map(scripts).filter(|word| !word.is_empty())
}

/// Whether a word is written in characters of which one or two are a word.
pub(super) fn is_ideographic(word: &str) -> bool {
    word.chars().next().is_some_and(ideographic)
}

fn ideographic(c: char) -> bool {
    matches!(
        u32::from(c),
        0x2e80..=0x2fdf
            | 0x3005..=0x3007
            | 0x3040..=0x30ff
            | 0x31f0..=0x31ff
            | 0x3400..=0x4dbf
            | 0x4e00..=0x9fff
            | 0xf900..=0xfaff
            | 0x2_0000..=0x3_ffff
    )
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || CLASS.get_u8(c) != 0
}

/// Cuts a run of letters between ideographic and other writing.
fn scripts(run: &str) -> impl Iterator<Item = &str> {
    let mut rest = run;
    std::iter::from_fn(move || {
        let first = ideographic(rest.chars().next()?);
        let end = rest.find(|c| ideographic(c) != first).unwrap_or(rest.len());
        let (word, others) = rest.split_at(end);
        rest = others;
        Some(word)
    })
}

/// Accents above, below and across letters; points of Hebrew and Arabic, which are seldom typed; and what is not seen.
/// Signs that make another letter (of Indic scripts, of kana) stay.
fn is_dropped(c: char) -> bool {
    matches!(CLASS.get_u8(c), 1 | 10..=36 | 202..=240)
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}')
}

/// Letters that Unicode does not take apart and that people type without their stroke or as two.
fn letters(c: char) -> Option<&'static str> {
    Some(match c {
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        'ø' | 'Ø' => "o",
        'ł' | 'Ł' => "l",
        'đ' | 'Đ' | 'ð' | 'Ð' => "d",
        'þ' | 'Þ' => "th",
        'ħ' | 'Ħ' => "h",
        'ŧ' | 'Ŧ' => "t",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{fold, words};

    #[test]
    fn what_people_type_alike_is_the_same() {
        for (one, other) in [
            ("über", "UBER"),
            ("U\u{308}ber", "über"),
            ("Straße", "STRASSE"),
            ("STRAẞE", "strasse"),
            ("İstanbul", "istanbul"),
            ("ISTANBUL", "ıstanbul"),
            ("Ёлка", "елка"),
            ("ГОРЫ", "горы"),
            ("ΟΔΥΣΣΕΎΣ", "οδυσσευς"),
            ("ﬁlm ②", "FILM 2"),
            ("Łódź", "lodz"),
            ("Ærø", "aero"),
            ("קָמָץ", "קמץ"),
            ("ﾃｽﾄ", "テスト"),
            ("co\u{ad}ope\u{200b}rate", "cooperate"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        for (one, other) in [("か", "が"), ("горы", "гору"), ("lake", "like")] {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn words_end_where_writing_does() {
        let cut = |text: &str| words(&fold(text)).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cut("Alpine-Lake/1.0 (4K)"), ["alpine", "lake", "1", "0", "4k"]);
        assert_eq!(cut("美しい湖photo"), ["美しい湖", "photo"]);
        assert_eq!(cut("संस्कृति"), ["संस्कृति"], "a sign inside a word does not end it");
        assert!(cut("% -- \u{301}").is_empty());
    }
}
