//! The few styles, and the one filter between what the command says and a screen.
//!
//! A text that is about to be printed holds words of stores, publishers, resources and files. Wherever such a word
//! comes from, it must not be able to do more than be read. So a style is not the escape sequence that a terminal
//! obeys, but a mark that only this process can make; [`render`] turns marks into sequences, and writes every other
//! control, direction and invisible character as an escape.

use anstyle::AnsiColor;
use portcullis_protocol::text::shown;
use std::borrow::Cow;
use std::fmt::{self, Display};
use std::sync::OnceLock;

/// Begins and ends a mark. Noncharacters (Unicode Standard 23.7) stand in no text; where one does, it is escaped.
const BEGIN: char = '\u{fdd0}';
const END: char = '\u{fdd1}';

/// `{style}` begins it and `{style:#}` ends it. They vanish if the output is not a terminal, or `NO_COLOR` is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style(char);

/// What went well.
pub(crate) const GOOD: Style = Style('g');
/// What did not.
pub(crate) const BAD: Style = Style('b');
/// What deserves a second look.
pub(crate) const WARN: Style = Style('w');
/// Names.
pub(crate) const STRONG: Style = Style('s');
/// Labels.
pub(crate) const DIM: Style = Style('d');

impl Style {
    fn sequence(kind: char) -> Option<String> {
        let style = match kind {
            'g' => AnsiColor::Green.on_default().bold(),
            'b' => AnsiColor::Red.on_default().bold(),
            'w' => AnsiColor::Yellow.on_default().bold(),
            's' => anstyle::Style::new().bold(),
            'd' => anstyle::Style::new().dimmed(),
            '.' => return Some(anstyle::Reset.to_string()),
            // First strong isolate, and its end (UAX #9).
            'i' => return Some('\u{2068}'.to_string()),
            'p' => return Some('\u{2069}'.to_string()),
            _ => return None,
        };
        Some(style.to_string())
    }
}

impl Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGIN}{}{}{END}", secret(), if f.alternate() { '.' } else { self.0 })
    }
}

/// A text that is written from right to left, in part at least, apart from what stands around it: on a terminal that
/// orders letters, a title moves no price beside it.
pub(crate) fn isolated(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_from_right) {
        Cow::Owned(format!("{}{text}{}", Style('i'), Style('p')))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether a letter is of a script that is written from right to left: the blocks that Unicode keeps for these
/// (DerivedBidiClass.txt, its defaults).
const fn is_from_right(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// What no text from elsewhere can know.
fn secret() -> &'static str {
    static SECRET: OnceLock<String> = OnceLock::new();
    SECRET.get_or_init(|| {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the operating system has randomness");
        format!("{:016x}", u64::from_ne_bytes(bytes))
    })
}

/// The text as a terminal may have it: styles as sequences, everything else readable.
pub(crate) fn render(text: &str) -> String {
    let mut rendered = String::with_capacity(text.len());
    let mut pieces = text.split(BEGIN);
    rendered += &shown(pieces.next().unwrap_or_default());
    for piece in pieces {
        let mark = piece.strip_prefix(secret()).and_then(|rest| {
            let mut letters = rest.chars();
            let sequence = Style::sequence(letters.next()?)?;
            Some((sequence, letters.as_str().strip_prefix(END)?))
        });
        match mark {
            Some((sequence, rest)) => {
                rendered += &sequence;
                rendered += &shown(rest);
            }
            None => {
                rendered += &shown(&BEGIN.to_string());
                rendered += &shown(piece);
            }
        }
    }
    rendered
}

/// The text without its styles.
#[cfg(test)]
pub(crate) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(&render(text)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_sequences_and_nothing_else_is() {
        let text = render(&format!("{GOOD}fine{GOOD:#} \u{1b}[32mforged\u{1b}[0m\u{9b}2J\u{202e}\n\tnext"));
        assert_eq!(text, "\u{1b}[1m\u{1b}[32mfine\u{1b}[0m \\u{1b}[32mforged\\u{1b}[0m\\u{9b}2J\\u{202e}\n\tnext");
    }

    #[test]
    fn a_mark_without_the_secret_is_text() {
        for forged in ["\u{fdd0}g\u{fdd1}", "\u{fdd0}0000000000000000g\u{fdd1}", "\u{fdd0}", "a\u{fdd1}"] {
            assert!(!render(forged).contains('\u{1b}'), "{forged:?}");
            assert!(!render(forged).contains(BEGIN), "{forged:?}");
        }
        // Nor can one be made of what the process writes by putting text into it.
        let cut = format!("{BEGIN}{}", secret());
        assert!(!render(&cut).contains('\u{1b}'));
    }

    #[test]
    fn plain_text_has_no_marks() {
        assert_eq!(plain(&format!("{STRONG}a{STRONG:#} b")), "a b");
    }
}
