//! Text that others wrote and that people read: on a screen, beside a price, before they say yes.

/// Whether a character may change how what stands around it is read: control characters, which move a terminal's cursor;
/// line and paragraph separators; and the characters that turn the direction of writing around (Unicode Standard
/// Annex #9, sections 2.1–2.5), with which `5.00 EUR` reads `00.5 EUR`. Letters of every script are none of them.
#[must_use]
pub fn disturbs(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::disturbs;

    #[test]
    fn what_turns_a_line_around_disturbs_and_what_is_written_from_the_right_does_not() {
        assert!("\u{1b}[2J\u{202e}\u{2067}\u{2028}\n\r\u{9b}".chars().filter(|c| disturbs(*c)).count() == 7);
        for text in ["שקיעה מעל האגם", "غروب الشمس", "शुभ रात्रि", "日没", "👩‍🎨 à la carte"]
        {
            assert!(!text.chars().any(disturbs), "{text}");
        }
    }
}
