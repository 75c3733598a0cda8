//! Lists: columns with a heading on a terminal; on anything else a record a line, tab-separated, without a heading.

use std::fmt::{self, Display};
use std::io::IsTerminal as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::screen::style::{DIM, STRONG};

/// What stands between two columns.
const GAP: usize = 2;
/// A column is not made narrower than this.
const LEAST: usize = 8;
/// The width of a terminal that does not tell its own.
const ORDINARY: u16 = 80;

/// Rows of cells; the first column is what a row is about.
#[derive(Debug)]
pub(crate) struct Table {
    headings: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) const fn new(headings: &'static [&'static str]) -> Self {
        Self { headings, rows: Vec::new() }
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
        let widths = self.widths(width);
        let headings: Vec<String> = self.headings.iter().map(|heading| heading.to_uppercase()).collect();
        let mut text = format!("{DIM}{}{DIM:#}\n", line(&headings, &widths, |_, cell| cell));
        for row in &self.rows {
            text += &line(row, &widths, |column, cell| match column {
                0 => format!("{STRONG}{cell}{STRONG:#}"),
                _ => cell,
            });
            text.push('\n');
        }
        text
    }

    /// How wide the columns are, so that a line fits: the widest ones give way first.
    fn widths(&self, width: usize) -> Vec<usize> {
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| field(cell).width());
            cells.chain([self.headings[column].width()]).max().unwrap_or_default()
        };
        let mut widths: Vec<usize> = (0..self.headings.len()).map(widest).collect();
        let room = width.saturating_sub(GAP * widths.len().saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            let Some(widest) = widths.iter_mut().filter(|width| **width > LEAST).max() else { break };
            *widest -= 1;
        }
        widths
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

fn line(cells: &[String], widths: &[usize], styled: impl Fn(usize, String) -> String) -> String {
    let mut text = String::new();
    let mut gap = 0;
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cut(&field(cell), *width);
        text += &" ".repeat(gap);
        gap = width.saturating_sub(cell.width()) + GAP;
        text += &styled(column, cell);
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
    fn for_a_program_each_record_is_a_line_of_fields() {
        let text = table().text(None);
        assert_eq!(text, "acme/sketch\t1.0.0\tA sketch\nlumen/日本\t10.2.0-beta\tThe longest title of all of them\n");
        assert_eq!(Table::new(&["name"]).text(None), "");
    }
}
