//! Lines of a text, as they are and as labels are looked for in them.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Lines of a mail that are searched. Bills have below 300.
const MAX_SEARCHED: usize = 5_000;
/// Bytes of a line that are searched.
const MAX_SEARCHED_LINE: usize = 500;

/// Only letters and digits count when a label is looked for: `Total T.T.C.` is `total ttc`, `A REGLER` is `à régler`,
/// and programs that take text from a PDF lose the spaces between words.
pub(super) fn folded(text: &str) -> String {
    text.chars().flat_map(folded_char).collect()
}

fn folded_char(c: char) -> impl Iterator<Item = char> {
    let counts = |c: &char| !is_combining_mark(*c);
    let skipped = c.is_whitespace() || matches!(c, '.' | '-' | '\'' | '\u{2019}' | '(' | ')' | '\u{ad}');
    // Lower case first: some letters have one that decomposes.
    let lower = c.to_lowercase().filter(move |_| !skipped);
    lower.flat_map(|c| std::iter::once(c).nfd()).filter(counts)
}

/// A line: composed, white space as one space.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) shown: String,
    /// Where its cells begin, if it is a row of a table: a tab or two spaces stand between them.
    cells: Vec<u16>,
    folded: String,
    /// For each byte of `folded`, where the character that it is of begins and ends in `shown`.
    places: Vec<(u16, u16)>,
}

/// Where a label stands in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Line {
    fn new(text: &str) -> Self {
        let end = (0..=MAX_SEARCHED_LINE.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        let text = text.get(..end.unwrap_or_default()).unwrap_or_default();
        let (mut shown, mut cells) = (String::new(), Vec::new());
        for cell in text.split('\t').flat_map(|part| part.split("  ")) {
            let words: Vec<&str> = cell.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            if !shown.is_empty() {
                shown.push(' ');
            }
            cells.extend(u16::try_from(shown.len()));
            shown.extend(words.join(" ").nfc());
        }
        let (mut folded, mut places) = (String::new(), Vec::new());
        for (at, c) in shown.char_indices() {
            for folded_char in folded_char(c) {
                folded.push(folded_char);
                let place =
                    (u16::try_from(at).unwrap_or(u16::MAX), u16::try_from(at + c.len_utf8()).unwrap_or(u16::MAX));
                places.extend(std::iter::repeat_n(place, folded_char.len_utf8()));
            }
        }
        Self { shown, cells, folded, places }
    }

    /// The first place at which a folded label stands as words of its own.
    pub(super) fn find(&self, label: &str) -> Option<Found> {
        self.places(label).next()
    }

    /// Every such place.
    pub(super) fn places<'l>(&'l self, label: &'l str) -> impl Iterator<Item = Found> + 'l {
        let matches = (!label.is_empty()).then(|| self.folded.match_indices(label)).into_iter().flatten();
        matches.filter_map(move |(at, _)| {
            let (start, _) = *self.places.get(at)?;
            let (_, end) = *self.places.get(at + label.len() - 1)?;
            let found = Found { start: start.into(), end: end.into() };
            let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
            let before = self.shown.get(..found.start)?.chars().next_back();
            let inside = letter(before) || letter(self.shown.get(found.end..)?.chars().next());
            (!inside).then_some(found)
        })
    }

    pub(super) fn has(&self, label: &str) -> bool {
        self.find(label).is_some()
    }

    pub(super) fn before(&self, found: Found) -> &str {
        self.shown.get(..found.start).unwrap_or_default()
    }

    pub(super) fn after(&self, found: Found) -> &str {
        self.shown.get(found.end..).unwrap_or_default()
    }

    /// The number of words.
    pub(super) fn words(&self) -> usize {
        self.shown.split(' ').count()
    }

    /// Which cell of how many a place belongs to.
    pub(super) fn cell_of(&self, found: Found) -> (usize, usize) {
        let before = self.cells.iter().filter(|start| usize::from(**start) <= found.start).count();
        (before.saturating_sub(1), self.cells.len())
    }

    /// A cell, if the line has exactly `count`.
    pub(super) fn cell(&self, at: usize, count: usize) -> Option<&str> {
        let start = usize::from(*self.cells.get(at).filter(|_| self.cells.len() == count)?);
        let end = self.cells.get(at + 1).map_or(self.shown.len(), |end| usize::from(*end));
        self.shown.get(start..end).map(str::trim)
    }
}

pub(super) fn lines(text: &str) -> Vec<Line> {
    text.lines().map(Line::new).filter(|line| !line.shown.is_empty()).take(MAX_SEARCHED).collect()
}

/// A text as one line.
pub(super) fn line(text: &str) -> Line {
    Line::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_found_however_it_is_set() {
        let after = |text: &str, label: &str| {
            let line = line(text);
            line.find(&folded(label)).map(|found| line.after(found).to_owned())
        };
        assert_eq!(after("subtotal: 1", "total"), None);
        assert_eq!(after("total: 1", "total").as_deref(), Some(": 1"));
        assert_eq!(after("GrandTotal304.84", "grand total").as_deref(), Some("304.84"));
        assert_eq!(after("Total T.T.C. 1", "total ttc").as_deref(), Some(". 1"));
        assert_eq!(after("MONTANT A REGLER 1", "montant à régler").as_deref(), Some(" 1"));
        assert_eq!(after("Fa\u{308}llig am 1", "fällig am").as_deref(), Some(" 1"));
        assert_eq!(after("Total (incl. VAT): 1", "total incl. vat").as_deref(), Some("): 1"));
        assert_eq!(after("totals 1", "total"), None);
        assert_eq!(after("ẞ İ total 1", "total").as_deref(), Some(" 1"), "letters whose lower case is longer");
        assert_eq!(after("x", ""), None);
    }

    #[test]
    fn cells_of_a_table_keep_their_places() {
        let header = line("Date\tAmount due   Due date");
        let found = header.find("amountdue").expect("a label");
        assert_eq!(header.cell_of(found), (1, 3));
        let row = line("01.11.2026\t12,00 €\t15.12.2026");
        assert_eq!((row.cell(1, 3), row.cell(1, 2), row.cell(3, 3)), (Some("12,00 €"), None, None));
        assert_eq!(row.shown, "01.11.2026 12,00 € 15.12.2026");
    }
}
