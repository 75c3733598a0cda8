//! Text that others wrote and that people read: on a screen, beside a price, before they say yes.
//!
//! Two sides use this. Whoever reads a document refuses one whose texts hold a character that [`disturbs`]
//! ([`check_json`]). Whoever shows a text writes each such character as an escape ([`shown`], [`json_escaped`]), so
//! that nothing reaches a terminal as more than letters, wherever it came from.

use crate::limits::MAX_TITLE;
use crate::span::UNITS;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character may change how what stands around it is read, or cannot be seen at all:
///
/// - control characters, which move a terminal's cursor; line and paragraph separators;
/// - characters that turn the direction of writing around (Unicode Standard Annex #9, sections 2.1–2.6), with which
///   `5.00 EUR` reads `00.5 EUR`;
/// - what has no width and no ink (`Default_Ignorable_Code_Point`), tag characters and noncharacters: two texts that
///   differ in them alone look the same.
///
/// Letters of every script are none of them, nor is what scripts and emoji need between letters: the joiner and the
/// non-joiner (U+200C, U+200D), variation selectors, and Mongolian's own selectors and separator.
#[must_use]
pub fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Separators and directions.
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{200e}' | '\u{200f}' | '\u{61c}'
            // Invisible.
            | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{200b}'
            | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e00ff}'
            | '\u{e01f0}'..='\u{e0fff}'
            // Noncharacters of the first plane; those of the others end alike.
            | '\u{fdd0}'..='\u{fdef}')
        || (u32::from(c) & 0xfffe) == 0xfffe
}

/// Whether a text can be a title: 1 to [`MAX_TITLE`] bytes, not blank, and no character that [`disturbs`].
#[must_use]
pub fn is_title(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_TITLE && !text.chars().any(disturbs)
}

/// Whether a text is a media type of at most [`MAX_TITLE`] bytes: `type/subtype` with restricted names (RFC 6838
/// section 4.2), and parameters of visible ASCII.
#[must_use]
pub fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let named = essence.trim_end().split_once('/').is_some_and(|(kind, name)| is_name(kind) && is_name(name));
    text.len() <= MAX_TITLE && named && parameters.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// A text as it may be shown: each character that [`disturbs`] is written as `\u{1b}`. Line feeds stay, and so do
/// tabulators: whoever shows one line only, uses [`shown_line`].
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |c| disturbs(c) && c != '\n' && c != '\t', |escape, c| write!(escape, "\\u{{{:x}}}", u32::from(c)))
}

/// As [`shown`], in one line: line feeds and tabulators are escaped as well.
#[must_use]
pub fn shown_line(text: &str) -> Cow<'_, str> {
    escaped(text, disturbs, |escape, c| write!(escape, "\\u{{{:x}}}", u32::from(c)))
}

/// JSON that means the same, in which each character that [`disturbs`] is an escape of JSON's own (RFC 8259 section 7).
/// The line feeds between its values stay.
#[must_use]
pub fn json_escaped(json: &str) -> Cow<'_, str> {
    let escape = |escape: &mut String, c: char| {
        c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(escape, "\\u{unit:04x}"))
    };
    // A serialiser writes control characters of ASCII as escapes already; a raw one stands between values.
    escaped(json, |c| disturbs(c) && (!c.is_ascii() || c == '\u{7f}'), escape)
}

fn escaped(
    text: &str,
    escapes: impl Fn(char) -> bool,
    write: impl Fn(&mut String, char) -> std::fmt::Result,
) -> Cow<'_, str> {
    if !text.chars().any(&escapes) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if escapes(c) {
            // Writing to a text does not fail.
            let _ = write(&mut shown, c);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Why a JSON document is not read further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not JSON at all.
    #[error("not JSON")]
    Form,
    /// One of its texts, or the name of a member, holds this character. The text is not repeated.
    #[error("a text in it holds U+{:04X}, which is a control, direction or invisible character", u32::from(*.0))]
    Disturbing(char),
}

/// Whether every text of a JSON document may be shown: each string, and the name of each member, known or not. To be
/// asked before the document is read as what it should be, whose errors repeat names. Line feeds may stand in the
/// members named in `paragraphs`, and nowhere else.
///
/// # Errors
/// [`TextError`].
pub fn check_json(json: &[u8], paragraphs: &[&str]) -> Result<(), TextError> {
    // Most documents are visible ASCII without an escape, and checked in one pass.
    if json.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\') {
        return Ok(());
    }
    check_value(&serde_json::from_slice(json).map_err(|_| TextError::Form)?, paragraphs)
}

fn check_value(value: &Value, paragraphs: &[&str]) -> Result<(), TextError> {
    let check = |text: &str, lines: bool| match text.chars().find(|c| disturbs(*c) && !(lines && *c == '\n')) {
        Some(c) => Err(TextError::Disturbing(c)),
        None => Ok(()),
    };
    match value {
        Value::String(text) => check(text, false),
        Value::Array(items) => items.iter().try_for_each(|item| check_value(item, paragraphs)),
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            check(name, false)?;
            match member {
                Value::String(text) => check(text, paragraphs.contains(&name.as_str())),
                other => check_value(other, paragraphs),
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// A count with what is counted, as people write it: `1 offer`, `2 offers`, `3 entries`. `what` is one of it.
#[must_use]
pub fn counted(count: impl TryInto<u64>, what: &str) -> String {
    // No count of anything is larger than this.
    let count = count.try_into().unwrap_or(u64::MAX);
    match what.strip_suffix('y') {
        _ if count == 1 => format!("{count} {what}"),
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{count} {stem}ies"),
        _ => format!("{count} {what}s"),
    }
}

/// A count of bytes as people read it, rounded to a tenth: `1023 bytes`, `58.1 KiB`, `4.2 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    // In tenths, so that no floating point rounds a size; what rounds up to a whole unit is one.
    let tenths = |unit: u64| (u128::from(bytes) * 10 + u128::from(unit) / 2) / u128::from(unit);
    let fits = |(unit, _): &&(u64, &str)| bytes >= 1 << 10 && tenths(*unit) >= 10;
    match UNITS.iter().find(fits) {
        Some((unit, name)) => format!("{}.{} {name}", tenths(*unit) / 10, tenths(*unit) % 10),
        None => counted(bytes, "byte"),
    }
}

/// A time in the one or two units that say it best: `5 minutes`, `1 hour 30 minutes`, `2 days`.
#[must_use]
pub fn lasting(seconds: u64) -> String {
    let first = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let (unit, name) = UNITS[first];
    let whole = counted(seconds / unit, name);
    match UNITS.get(first + 1) {
        Some((next, name)) if seconds % unit >= *next => format!("{whole} {}", counted(seconds % unit / next, name)),
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_and_times_read_as_people_write_them() {
        for (count, what, said) in [
            (0_usize, "order", "0 orders"),
            (1, "offer", "1 offer"),
            (2, "offer", "2 offers"),
            (1, "entry", "1 entry"),
            (3, "entry", "3 entries"),
            (2, "day", "2 days"),
        ] {
            assert_eq!(counted(count, what), said);
        }
        for (bytes, said) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (34_167, "33.4 KiB"),
            (59_500, "58.1 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (71 << 20, "71.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX / 16, "1073741824.0 GiB"),
        ] {
            assert_eq!(size(bytes), said, "{bytes}");
        }
        for (seconds, said) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (90, "1 minute 30 seconds"),
            (300, "5 minutes"),
            (3600, "1 hour"),
            (3601, "1 hour"),
            (5400, "1 hour 30 minutes"),
            (172_800, "2 days"),
            (176_400, "2 days 1 hour"),
            (999_999_999_999, "11574074 days 1 hour"),
        ] {
            assert_eq!(lasting(seconds), said, "{seconds}");
        }
    }

    #[test]
    fn what_turns_a_line_around_disturbs_and_what_is_written_from_the_right_does_not() {
        let turns = "\u{1b}[2J\u{202e}\u{2067}\u{2028}\n\r\u{9b}\u{200e}\u{200f}\u{61c}";
        assert_eq!(turns.chars().filter(|c| disturbs(*c)).count(), 10);
        for text in ["שקיעה מעל האגם", "غروب الشمس", "शुभ रात्रि", "日没", "👩‍🎨 à la carte", "☀️", "می‌خواهم", "ᠮᠣᠩᠭᠣᠯ"]
        {
            assert!(!text.chars().any(disturbs), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_seen_disturbs() {
        for c in "\u{200b}\u{2060}\u{feff}\u{ad}\u{3164}\u{e0041}\u{e007f}\u{fdd0}\u{ffff}\u{10fffe}\u{fff9}".chars() {
            assert!(disturbs(c), "U+{:04X}", u32::from(c));
        }
        assert!("\u{fffd}\u{200c}\u{200d}\u{fe0f}\u{e0100}".chars().all(|c| !disturbs(c)));
    }

    #[test]
    fn a_text_is_shown_with_escapes() {
        assert_eq!(shown("a\u{1b}[2Jb\nc\td\u{202e}\u{9b}"), "a\\u{1b}[2Jb\nc\td\\u{202e}\\u{9b}");
        assert_eq!(shown_line("a\nb"), "a\\u{a}b");
        assert!(matches!(shown("Grüße"), Cow::Borrowed("Grüße")));
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = json!({"a\u{9b}b": "\u{202e}x\u{e0041}\u{7f}\u{1b}\n"});
        let text = serde_json::to_string_pretty(&value).expect("JSON");
        let escaped = json_escaped(&text);
        assert!(!escaped.chars().any(|c| disturbs(c) && c != '\n'), "{escaped:?}");
        assert_eq!(serde_json::from_str::<Value>(&escaped).expect("JSON"), value);
    }

    #[test]
    fn every_text_and_every_name_is_checked() {
        let check = |value: &Value| check_json(value.to_string().as_bytes(), &["description"]);
        let fine = json!({"title": "Grüße", "description": "two\nlines", "list": ["a", {"b": "c"}], "n": 1});
        assert_eq!(check(&fine), Ok(()));
        for (bad, c) in [
            (json!({"title": "two\nlines"}), '\n'),
            (json!({"x": [{"description": ["a\nb"]}]}), '\n'),
            (json!({"deep": [[{"\u{1b}[2J": 1}]]}), '\u{1b}'),
            (json!(["\u{9b}"]), '\u{9b}'),
            (json!({"description": "\r"}), '\r'),
        ] {
            assert_eq!(check(&bad), Err(TextError::Disturbing(c)), "{bad}");
        }
        // The member that is wrong may stand before what is no JSON.
        assert_eq!(check_json(b"{\"\\u001b[2J\": 1, ", &[]), Err(TextError::Form));
    }
}
