//! A resource's output on a terminal: what it writes is text with colours there, and nothing else.
//!
//! A terminal obeys what is written to it. It moves the cursor over what the host has said, hides it, changes the
//! window's title, types answers into standard input when asked for its state. So the bytes are parsed as a terminal
//! parses them, across writes, and only what is known to be harmless is written again: printable characters, line
//! feeds, tabulators, and colours. Whatever is not on that list is dropped, also what no terminal of today knows.

use anstyle_parse::{DefaultCharAccumulator, Params, Parser, Perform};
use portcullis_protocol::text::disturbs;
use unicode_width::UnicodeWidthChar as _;

/// Marks without a width of their own that one letter carries: scripts need four, and a hundred cover the lines around.
const MAX_MARKS: u32 = 6;
/// How far two colours have to be apart in one channel to be told apart.
const MIN_CONTRAST: u8 = 48;
const RESET: &[u8] = b"\x1b[0m";

/// Passes what a resource writes on to a terminal, without what moves, hides, retitles or asks.
///
/// - Kept: printable text, line feeds, tabulators; bold, dim, italic, underlined, struck through; colours.
/// - A carriage return begins a new line, so that nothing is written over.
/// - Dropped: every other control character and sequence; inverse video, which the host's own questions have; blinking
///   and concealed text, and a colour on itself; characters that turn the direction of writing or cannot be seen; more
///   than a few marks on one letter.
///
/// What is left can still lie. Colours can come close to inverse video, so that a text may look like a question of the
/// host's; whoever asks has to see to it that no answer to such a text counts as one to his own question.
#[derive(Debug, Default)]
pub struct ScreenFilter {
    parser: Parser<DefaultCharAccumulator>,
    pen: Pen,
}

impl ScreenFilter {
    /// A filter in front of a terminal whose colours are its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What may be written of these bytes. A sequence that is not complete is kept for the next ones.
    #[must_use]
    pub fn filter(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pen.out.reserve(bytes.len());
        for byte in bytes {
            self.parser.advance(&mut self.pen, *byte);
        }
        std::mem::take(&mut self.pen.out)
    }

    /// What has to be written before anybody else writes: the terminal's own colours. What was begun is forgotten.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        let coloured = self.pen.coloured;
        *self = Self::default();
        if coloured { RESET.to_vec() } else { Vec::new() }
    }
}

/// What was written so far, as far as the next thing depends on it.
#[derive(Debug, Default)]
struct Pen {
    out: Vec<u8>,
    /// A carriage return came last: a line feed may belong to it.
    returned: bool,
    /// Marks since the last letter.
    marks: u32,
    /// Something other than the terminal's own style is on.
    coloured: bool,
    foreground: Option<Colour>,
    background: Option<Colour>,
}

type Colour = [u8; 3];

impl Pen {
    fn line(&mut self) {
        self.out.push(b'\n');
        self.marks = 0;
    }

    /// The line that a carriage return has begun.
    fn returned(&mut self) {
        if std::mem::take(&mut self.returned) {
            self.line();
        }
    }

    fn sgr(&mut self, parameters: &str) {
        self.coloured = !matches!(parameters, "0");
        self.out.extend_from_slice(b"\x1b[");
        self.out.extend_from_slice(parameters.as_bytes());
        self.out.push(b'm');
    }

    /// Takes a colour, unless it would be written on itself.
    fn colour(&mut self, colour: Colour, is_background: bool, parameters: &str) {
        let other = if is_background { self.foreground } else { self.background };
        if other.is_some_and(|other| !differ(colour, other)) {
            return;
        }
        *(if is_background { &mut self.background } else { &mut self.foreground }) = Some(colour);
        self.sgr(parameters);
    }
}

impl Perform for Pen {
    fn print(&mut self, c: char) {
        if disturbs(c) {
            return;
        }
        self.returned();
        if c.width() == Some(0) {
            self.marks += 1;
            if self.marks > MAX_MARKS {
                return;
            }
        } else {
            self.marks = 0;
        }
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.returned = false;
                self.line();
            }
            b'\r' => {
                self.returned();
                self.returned = true;
            }
            b'\t' => {
                self.returned();
                self.out.push(b'\t');
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: u8) {
        if action != b'm' || !intermediates.is_empty() || ignore {
            return;
        }
        let mut params = params.iter();
        while let Some(param) = params.next() {
            match *param {
                [0] => {
                    (self.foreground, self.background) = (None, None);
                    self.sgr("0");
                }
                [code @ (1..=4 | 9 | 22..=24 | 29)] | [code @ 4, 0..=5] => self.sgr(&code.to_string()),
                [39] => {
                    self.foreground = None;
                    self.sgr("39");
                }
                [49] => {
                    self.background = None;
                    self.sgr("49");
                }
                [code @ (30..=37 | 40..=47 | 90..=97 | 100..=107)] => {
                    let (ten, index) = (code / 10, (code % 10) as u8);
                    let bright = if ten >= 9 { 8 } else { 0 };
                    self.colour(indexed(index + bright), matches!(ten, 4 | 10), &code.to_string());
                }
                // Both ways of writing it: parameters of their own, and parts of one (ITU-T T.416).
                [code @ (38 | 48)] => {
                    let mut next = || match params.next() {
                        Some([value]) => u8::try_from(*value).ok(),
                        _ => None,
                    };
                    let colour = match next() {
                        Some(5) => next().map(|index| (indexed(index), format!("{code};5;{index}"))),
                        Some(2) => match (next(), next(), next()) {
                            (Some(r), Some(g), Some(b)) => Some(([r, g, b], format!("{code};2;{r};{g};{b}"))),
                            _ => None,
                        },
                        _ => None,
                    };
                    // What comes after half a colour cannot be told from the rest of it.
                    let Some((colour, parameters)) = colour else { return };
                    self.colour(colour, code == 48, &parameters);
                }
                [code @ (38 | 48), 5, index] => {
                    if let Ok(index) = u8::try_from(index) {
                        self.colour(indexed(index), code == 48, &format!("{code};5;{index}"));
                    }
                }
                [code @ (38 | 48), 2, r, g, b] | [code @ (38 | 48), 2, _, r, g, b] => {
                    if let (Ok(r), Ok(g), Ok(b)) = (u8::try_from(r), u8::try_from(g), u8::try_from(b)) {
                        self.colour([r, g, b], code == 48, &format!("{code};2;{r};{g};{b}"));
                    }
                }
                _ => {}
            }
        }
    }
}

/// What an indexed colour is on most terminals (xterm's defaults), near enough to see whether two are the same.
fn indexed(index: u8) -> Colour {
    match index {
        0..=15 => {
            let on = if index >= 8 { 255 } else { 205 };
            let low = if index == 8 { 127 } else { 0 };
            let channel = |bit: u8| if index & bit == 0 { low } else { on };
            if index == 8 { [low; 3] } else { [channel(1), channel(2), channel(4)] }
        }
        16..=231 => {
            let (cube, level) = (index - 16, |step: u8| if step == 0 { 0 } else { 55 + step * 40 });
            [level(cube / 36), level(cube / 6 % 6), level(cube % 6)]
        }
        232..=255 => [8 + (index - 232) * 10; 3],
    }
}

fn differ(one: Colour, other: Colour) -> bool {
    one.iter().zip(other).any(|(a, b)| a.abs_diff(b) >= MIN_CONTRAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &str) -> String {
        String::from_utf8(ScreenFilter::new().filter(text.as_bytes())).expect("text")
    }

    #[test]
    fn text_and_colours_stay() {
        for text in [
            "plain\n",
            "\tGrüße, 日本語, مرحبا, 👩‍🎨\n",
            "\u{1b}[31mred\u{1b}[0m",
            "\u{1b}[38;5;208morange\u{1b}[48;2;0;0;90mon blue\u{1b}[0m",
            "e\u{301} a\u{302}\u{301}",
        ] {
            assert_eq!(through(text), text);
        }
        assert_eq!(through("\u{1b}[1;4;31mx\u{1b}[m"), "\u{1b}[1m\u{1b}[4m\u{1b}[31mx\u{1b}[0m");
        assert_eq!(through("\u{1b}[38:2::1:2:3mx"), "\u{1b}[38;2;1;2;3mx");
    }

    #[test]
    fn what_moves_hides_retitles_or_asks_goes() {
        for (text, left) in [
            ("a\u{1b}[2J\u{1b}[H\u{1b}[1A\u{1b}[10;10H\u{1b}[Kb", "ab"),
            ("a\u{1b}[?1049h\u{1b}[?25l\u{1b}[?2004h\u{1b}[?1000h\u{1b}[>1u\u{1b}[3;9rb", "ab"),
            ("a\u{1b}]0;title\u{7}\u{1b}]52;c;eQo=\u{1b}\\\u{1b}]8;;http://x\u{1b}\\b\u{1b}]8;;\u{1b}\\", "ab"),
            ("a\u{1b}P$q\"p\u{1b}\\\u{1b}_G\u{1b}\\\u{1b}^pm\u{1b}\\\u{1b}Xsos\u{1b}\\b", "ab"),
            ("a\u{1b}[6n\u{1b}[c\u{1b}[>c\u{1b}[5n\u{1b}[21t\u{5}b", "ab"),
            ("a\u{1b}c\u{1b}7\u{1b}8\u{1b}#8\u{1b}(0\u{1b}M\u{e}\u{f}b", "ab"),
            ("a\u{9b}2J\u{9d}0;t\u{9c}\u{90}x\u{85}b", "a2J0;txb"),
            ("a\u{8}\u{8}\u{7}\u{7}\u{b}\u{c}\u{0}\u{7f}b", "ab"),
            ("a\u{202e}\u{2066}\u{200f}\u{200b}\u{e0041}b", "ab"),
            ("a\u{1b}[7minverse\u{1b}[8mhidden\u{1b}[5mb", "ainversehiddenb"),
            ("one\rtwo\r\nthree\r", "one\ntwo\nthree"),
        ] {
            assert_eq!(through(text), left, "{text:?}");
        }
    }

    #[test]
    fn bytes_of_eight_bits_are_no_controls() {
        let left = ScreenFilter::new().filter(b"a\x9b2Jb\x9d0;t\x07c\x90\x9f\xc2\x9b3Jd");
        let left = String::from_utf8_lossy(&left).into_owned();
        assert!(!left.chars().any(disturbs), "{left:?}");
        assert!(left.starts_with('a') && left.ends_with('d'), "{left:?}");
    }

    #[test]
    fn sequences_may_be_split_anywhere() {
        let text = "a\u{1b}[2J\u{1b}]0;t\u{7}\u{1b}[31mé\u{1b}P1\u{1b}\\\u{9b}\r\nb".as_bytes();
        let whole = ScreenFilter::new().filter(text);
        let mut filter = ScreenFilter::new();
        let split: Vec<u8> = text.iter().flat_map(|byte| filter.filter(&[*byte])).collect();
        assert_eq!(split, whole);
        assert_eq!(String::from_utf8(whole).expect("text"), "a\u{1b}[31mé\nb");
    }

    #[test]
    fn a_colour_on_itself_is_not_taken() {
        for text in
            ["\u{1b}[30;40mx", "\u{1b}[38;5;16;48;2;0;0;0mx", "\u{1b}[41m\u{1b}[38;2;205;0;10mx", "\u{1b}[97;107mx"]
        {
            let left = through(text);
            assert_eq!(left.matches('\u{1b}').count(), 1, "{text:?}: {left:?}");
        }
        assert_eq!(through("\u{1b}[30m\u{1b}[0;40mx").matches('\u{1b}').count(), 3);
    }

    /// Colours are worth more to resources than a look that none of them could have would be to the host.
    #[test]
    fn colours_can_come_close_to_inverse_video() {
        let heading = through("\u{1b}[30;107m Portcullis asks: \u{1b}[0m");
        assert_eq!(heading, "\u{1b}[30m\u{1b}[107m Portcullis asks: \u{1b}[0m");
        assert_eq!(through("\u{1b}[48;2;208;208;208mx"), "\u{1b}[48;2;208;208;208mx");
    }

    #[test]
    fn marks_do_not_pile_up() {
        let text = format!("a{}b", "\u{301}".repeat(100));
        assert_eq!(through(&text).chars().count(), 2 + MAX_MARKS as usize);
    }

    #[test]
    fn at_the_end_the_terminal_has_its_own_colours_again() {
        let mut filter = ScreenFilter::new();
        let _ = filter.filter(b"\x1b[31mred\x1b[");
        assert_eq!(filter.finish(), RESET);
        assert_eq!(filter.filter(b"2J"), b"2J", "what was begun is forgotten");
        assert_eq!(filter.finish(), b"");
    }

    #[test]
    fn a_string_without_an_end_takes_no_memory() {
        let mut filter = ScreenFilter::new();
        let _ = filter.filter(b"\x1b]0;");
        for _ in 0..1000 {
            assert_eq!(filter.filter(&[b'x'; 4096]), b"");
        }
        assert!(size_of::<ScreenFilter>() < 8192);
    }
}
