//! Lists: columns with a heading on a terminal; on anything else a record a line, tab-separated, without a heading.

use std::fmt::{self, Display};
use std::io::IsTerminal as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::screen::style::{DIM, STRONG, isolated};

/// What stands between two columns.
const GAP: usize = 2;
/// A column is not made narrower than this: less of a text says nothing, and the column is left off.
const LEAST: usize = 12;
/// What stands before a cell that has a line of its own.
const INDENT: usize = 4;
/// The width of a terminal that does not tell its own.
const ORDINARY: u16 = 80;

/// Rows of cells; the first column is what a row is about.
#[derive(Debug)]
pub(crate) struct Table {
    headings: &'static [&'static str],
    /// The columns that are never cut and never left off: what has to be typed, or read to its end.
    whole: &'static [usize],
    rows: Vec<Vec<String>>,
}

/// How the columns share a line.
struct Layout {
    /// Those that stand side by side, with their widths.
    beside: Vec<(usize, usize)>,
    /// Those that have a line of their own below.
    below: Vec<usize>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) const fn new(headings: &'static [&'static str]) -> Self {
        Self { headings, whole: &[0], rows: Vec::new() }
    }

    /// These columns stand there whole, however narrow the terminal is; of others only the first does.
    pub(crate) const fn with_whole(mut self, columns: &'static [usize]) -> Self {
        self.whole = columns;
        self
    }

    /// Adds a row, with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As text, for a terminal of this width, or for a program that reads it.
    fn text(&self, terminal: Option<usize>) -> String {
        let Some(width) = terminal else {
            let record = |row: &Vec<String>| row.iter().map(|cell| field(cell)).collect::<Vec<_>>().join("\t") + "\n";
            return self.rows.iter().map(record).collect();
        };
        if self.rows.is_empty() {
            return String::new();
        }
        let layout = self.layout(width);
        let headings: Vec<String> = self.headings.iter().map(|heading| heading.to_uppercase()).collect();
        let mut text = format!("{DIM}{}{DIM:#}\n", line(&headings, &layout.beside, |_, cell| cell));
        for row in &self.rows {
            text += &line(row, &layout.beside, |column, cell| match column {
                0 => format!("{STRONG}{cell}{STRONG:#}"),
                _ => cell,
            });
            text.push('\n');
            for cell in layout.below.iter().filter_map(|column| row.get(*column)).filter(|cell| !cell.is_empty()) {
                text += &format!("{:INDENT$}{}\n", "", field(cell));
            }
        }
        text
    }

    /// A line has room for so much: the widest columns give way first, then the last ones are left off. What is whole
    /// goes on a line of its own before anything is left off.
    fn layout(&self, width: usize) -> Layout {
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| field(cell).width());
            cells.chain([self.headings[column].width()]).max().unwrap_or_default()
        };
        let mut beside: Vec<(usize, usize)> = (0..self.headings.len()).map(|column| (column, widest(column))).collect();
        let mut below = Vec::new();
        let is_whole = |column: usize| column == 0 || self.whole.contains(&column);
        let least = |(column, width): &(usize, usize)| if is_whole(*column) { *width } else { (*width).min(LEAST) };
        let gaps = |columns: usize| GAP * columns.saturating_sub(1);
        while beside.iter().map(least).sum::<usize>() + gaps(beside.len()) > width && beside.len() > 1 {
            let whole = beside.iter().rposition(|(column, _)| *column > 0 && is_whole(*column));
            let (column, _) = beside.remove(whole.unwrap_or(beside.len() - 1));
            if whole.is_some() {
                below.insert(0, column);
            }
        }
        while beside.iter().map(|(_, width)| width).sum::<usize>() + gaps(beside.len()) > width {
            let gives = beside.iter_mut().filter(|(column, width)| !is_whole(*column) && *width > LEAST);
            let Some((_, widest)) = gives.max_by_key(|(_, width)| *width) else { break };
            *widest -= 1;
        }
        Layout { beside, below }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = || terminal_size::terminal_size().map_or(ORDINARY, |(width, _)| width.0);
        f.write_str(&self.text(std::io::stdout().is_terminal().then(|| usize::from(width()))))
    }
}

/// A cell is one line, and holds nothing that separates fields.
fn field(cell: &str) -> String {
    cell.replace(['\t', '\n'], " ")
}

fn line(cells: &[String], columns: &[(usize, usize)], styled: impl Fn(usize, String) -> String) -> String {
    let mut text = String::new();
    let mut gap = 0;
    for (column, width) in columns {
        let cell = cut(&field(cells.get(*column).map_or("", String::as_str)), *width);
        text += &" ".repeat(gap);
        gap = width.saturating_sub(cell.width()) + GAP;
        text += &styled(*column, isolated(&cell).into_owned());
    }
    text
}

/// The beginning of a text that is too wide, with `…` at its end.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut room = width.saturating_sub(1);
    for letter in text.chars() {
        let Some(left) = room.checked_sub(letter.width().unwrap_or(0)) else { break };
        room = left;
        cut.push(letter);
    }
    cut + "…"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::style::plain;

    fn table() -> Table {
        let mut table = Table::new(&["name", "version", "title"]);
        table.row(["acme/sketch".to_owned(), "1.0.0".to_owned(), "A sketch".to_owned()]);
        table.row(["lumen/日本".to_owned(), "10.2.0-beta".to_owned(), "The longest\ttitle of\nall of them".to_owned()]);
        table
    }

    #[test]
    fn on_a_terminal_columns_are_aligned_and_fit() {
        let wide = "NAME         VERSION      TITLE\n\
                    acme/sketch  1.0.0        A sketch\n\
                    lumen/日本   10.2.0-beta  The longest title of all of them\n";
        assert_eq!(plain(&table().text(Some(100))), wide);
        let narrow = plain(&table().text(Some(40)));
        assert!(narrow.lines().all(|line| line.width() <= 40), "{narrow}");
        assert!(narrow.contains('…'), "{narrow}");
        assert_eq!(plain(&table().text(Some(5))).lines().count(), 3, "not narrower than can be read");
    }

    #[test]
    fn what_has_to_be_typed_is_never_cut() {
        let mut table = Table::new(&["order", "state", "merchant", "paid", "next"]).with_whole(&[0, 4]);
        let (order, next) = ("AaIpVF9W86DoTpGWcEelrQ", "portcullis codes AaIpVF9W86DoTpGWcEelrQ");
        table.row([order, "code-received", "toys", "20.00 EUR", next].map(str::to_owned));
        table.row([order, "refunded", "toys", "20.00 EUR", ""].map(str::to_owned));
        for (width, lines) in [(120, 3), (80, 4), (40, 4), (10, 4)] {
            let text = plain(&table.text(Some(width)));
            assert_eq!(text.lines().count(), lines, "{width}: {text}");
            assert_eq!(text.matches(next).count(), 1, "{width}: {text}");
            assert_eq!(text.matches(order).count(), 3, "{width}: {text}");
            assert_eq!(text.contains("20.00 EUR"), width > 40, "the last columns are left off first: {text}");
            assert!(width < 40 || text.lines().all(|line| line.width() <= width.max(INDENT + next.len())), "{text}");
        }
    }

    #[test]
    fn a_title_that_is_written_from_the_right_moves_no_price_beside_it() {
        let mut table = Table::new(&["name", "title", "price"]);
        table.row(["games/key".to_owned(), "Game \u{5c0} 5.00".to_owned(), "2000.00 EUR".to_owned()]);
        let text = plain(&table.text(Some(80)));
        assert!(text.contains("\u{2068}Game \u{5c0} 5.00\u{2069}  2000.00 EUR"), "{text}");
        assert!(!plain(&self::table().text(Some(100))).contains('\u{2068}'), "the control");
        assert!(!table.text(None).contains('\u{2068}'), "a program gets the letters alone");
    }

    #[test]
    fn for_a_program_each_record_is_a_line_of_fields() {
        let text = table().text(None);
        assert_eq!(text, "acme/sketch\t1.0.0\tA sketch\nlumen/日本\t10.2.0-beta\tThe longest title of all of them\n");
        assert_eq!(Table::new(&["name"]).text(None), "");
    }
}
