//! Colours by name.

use std::fmt;

use crate::bindings::exports::hearth::pine_and_ember::theme::Error;

/// Red, green, blue. Printed as `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colour(pub(crate) [u8; 3]);

/// Colours in the order of their file.
#[derive(Debug)]
pub(crate) struct Palette(Vec<(String, Colour)>);

impl Palette {
    /// Reads lines of `name = "#rrggbb"`; a line may be empty or a comment.
    pub(crate) fn parse(file: &[u8]) -> Result<Self, Error> {
        let text = str::from_utf8(file).map_err(|_| Error::Unreadable("the palette is no text".into()))?;
        let mut colours = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let colour =
                line.split_once(" = ").and_then(|(name, value)| Some((name.to_owned(), Colour::parse(value)?)));
            colours.push(colour.ok_or_else(|| Error::Unreadable(format!("line {} is no colour", number + 1)))?);
        }
        Ok(Self(colours))
    }

    /// The colour of this name.
    pub(crate) fn get(&self, name: &str) -> Result<Colour, Error> {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map(|(_, colour)| *colour).ok_or_else(|| Error::Unreadable(format!("the palette has no `{name}`")))
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Colour)> {
        self.0.iter().map(|(name, colour)| (name.as_str(), *colour))
    }
}

impl Colour {
    /// `"#rrggbb"`, quotation marks included.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("\"#")?.strip_suffix('"')?;
        if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// The nearest of the colours 16 to 255 that terminals of 256 colours have: a cube of six levels, then greys.
    pub(crate) fn of_256(self) -> u8 {
        const LEVELS: [i32; 6] = [0, 95, 135, 175, 215, 255];
        let distance = |other: [i32; 3]| {
            self.0.iter().zip(other).map(|(own, other)| (i32::from(*own) - other).pow(2)).sum::<i32>()
        };
        let cube = (0..216_u8).map(|at| {
            let level = |by: u8| LEVELS[usize::from(at / by % 6)];
            (distance([level(36), level(6), level(1)]), 16 + at)
        });
        let greys = (0..24_u8).map(|at| (distance([8 + 10 * i32::from(at); 3]), 232 + at));
        cube.chain(greys).min().map_or(16, |(_, index)| index)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}
