//! Lines of a text, as they are and as labels are looked for in them.

use crate::extract::amount;
use crate::extract::dates::names_day;
use crate::extract::label::{Label, Labels, Pairs};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Lines of a text that are searched. Bills have below 300.
const MAX_SEARCHED: usize = 3_000;
/// Bytes of them. The totals of bills of forty pages stand on the first two.
const MAX_SEARCHED_TEXT: usize = 128 * 1024;
/// Bytes of a line; a longer one is searched in pieces.
const MAX_SEARCHED_LINE: usize = 500;

/// Bytes of a line of a paragraph that is wrapped.
const WRAPPED: usize = 60;
/// Words of a caption before its colon.
const MAX_CAPTION: usize = 6;
/// Words of a line that goes on in the next one.
const WRAPPED_WORDS: usize = 4;
/// Characters of a cell that is alone in its row.
const MAX_ALONE: usize = 20;
/// Characters that a cell may begin before its column.
const MARGIN: usize = 3;
/// Words of a value beside its caption.
const MAX_VALUE_WORDS: usize = 4;
/// Digits of a number beside its caption.
const MIN_NUMBER: usize = 6;
/// Points that lead from a caption to its amount: fewer end a sentence.
const MIN_LEADER: usize = 4;

/// Bars that a row of a table is drawn with.
const MIN_BARS: usize = 3;

/// Between the cells of a row: two amounts beside each other are not one.
pub(super) const GAP: char = '\t';

/// Only letters and digits count when a label is looked for: `Total T.T.C.` is `total ttc`, `A REGLER` is `à régler`,
/// and programs that take text from a PDF lose the spaces between words.
pub(super) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    text.chars().for_each(|c| push_folded(&mut folded, c));
    folded
}

fn push_folded(folded: &mut String, c: char) {
    if c.is_whitespace() || matches!(c, '.' | '-' | '\'' | '\u{2019}' | '(' | ')' | '\u{ad}') {
        return;
    }
    // Most text is made of these, and they decompose into nothing else.
    if c.is_ascii() {
        return folded.push(c.to_ascii_lowercase());
    }
    // Lower case first: some letters have one that decomposes.
    let parts = c.to_lowercase().flat_map(|c| std::iter::once(c).nfd());
    folded.extend(parts.filter(|c| !is_combining_mark(*c)));
}

/// A line: composed, white space as one space, and between cells as a tab.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) shown: String,
    /// If it is a row of a table: a tab or two spaces stand between its cells.
    cells: Vec<Cell>,
    folded: String,
    pairs: Pairs,
    /// For each byte of `folded`, where the character that it is of begins and ends in `shown`.
    places: Vec<(u16, u16)>,
}

/// A cell that is not empty.
#[derive(Debug, Clone)]
struct Cell {
    /// Where it begins in what is shown.
    start: u16,
    /// From where to where it goes from left to right, in characters.
    from: usize,
    to: usize,
}

impl Cell {
    /// Characters that a tab goes on by: more than a line has.
    const TAB: usize = 1_000;
}

/// The cell of a row, to find what stands below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    /// Which cell of how many.
    at: usize,
    count: usize,
    from: usize,
    to: usize,
}

/// Where a label stands in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Found {
    pub(super) const fn length(self) -> usize {
        self.end.saturating_sub(self.start)
    }
}

impl Line {
    fn new(text: &str) -> Self {
        let (mut shown, mut cells) = (String::new(), Vec::new());
        let text = without_emphasis(text);
        for (at, part) in without_leaders(&without_bars(&text)).split('\t').enumerate() {
            let mut from = at * Cell::TAB;
            for cell in part.split("  ") {
                // What has no width is between no letters.
                let has_width = |c: &char| !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}');
                let visible: String = cell.chars().filter(has_width).collect();
                let words: Vec<&str> = visible.split_whitespace().collect();
                let to = from + cell.chars().count();
                let start = std::mem::replace(&mut from, to + 2);
                if words.is_empty() {
                    continue;
                }
                if !shown.is_empty() {
                    shown.push(GAP);
                }
                cells.extend(u16::try_from(shown.len()).ok().map(|shown| Cell { start: shown, from: start, to }));
                let words = words.join(" ");
                if words.is_ascii() { shown.push_str(&words) } else { shown.extend(words.nfc()) }
            }
        }
        let (mut folded, mut places) = (String::new(), Vec::new());
        for (at, c) in shown.char_indices() {
            let before = folded.len();
            push_folded(&mut folded, c);
            let place = (u16::try_from(at).unwrap_or(u16::MAX), u16::try_from(at + c.len_utf8()).unwrap_or(u16::MAX));
            places.extend(std::iter::repeat_n(place, folded.len() - before));
        }
        Self { pairs: Pairs::of(&folded), shown, cells, folded, places }
    }

    /// The first place at which a folded label stands as words of its own.
    pub(super) fn find(&self, label: &Label) -> Option<Found> {
        if self.may_have(label) { self.places(label).next() } else { None }
    }

    /// Whether its letters allow for a label: a cheap test of what few lines have.
    pub(super) const fn may_have(&self, label: &Label) -> bool {
        self.pairs.has_all(label.pairs)
    }

    /// Every place of any of these labels.
    pub(super) fn places_of<'l, 't: 'l>(
        &'l self,
        labels: impl Iterator<Item = &'t Label> + 'l,
    ) -> impl Iterator<Item = Found> + 'l {
        labels.filter(|label| self.may_have(label)).flat_map(|label| self.places(label))
    }

    /// Every such place.
    pub(super) fn places<'l>(&'l self, label: &'l Label) -> impl Iterator<Item = Found> + 'l {
        let folded = label.folded.as_str();
        let matches = (!folded.is_empty() && self.may_have(label))
            .then(|| self.folded.match_indices(folded))
            .into_iter()
            .flatten();
        matches.filter_map(move |(at, _)| {
            let (start, _) = *self.places.get(at)?;
            let (_, end) = *self.places.get(at + folded.len() - 1)?;
            let found = Found { start: start.into(), end: end.into() };
            // A label that is a part of a compound names all of it.
            let letters = |text: &str| text.len() - text.trim_start_matches(char::is_alphabetic).len();
            let before = self.before(found);
            let before = before.len() - before.trim_end_matches(char::is_alphabetic).len();
            let after = letters(self.after(found));
            // `AmountUSD12.00`: programs that take text from a PDF lose the spaces between words.
            let glued = self.after(found).get(..after).unwrap_or_default();
            let after = if amount::is_glued_currency(glued) { 0 } else { after };
            let is_other_word = || {
                let lacks_accent =
                    self.shown.get(..found.end).is_some_and(|text| text.ends_with(|c: char| c.is_ascii()));
                label.ends_accented && lacks_accent && self.after(found).trim_start().starts_with(char::is_alphabetic)
            };
            // `Don't` is not the `don` of French.
            let is_contracted = |sign: &char| self.after(found).strip_prefix(*sign).is_some_and(ends_in_t);
            if ['\'', '\u{2019}'].iter().any(is_contracted) {
                return None;
            }
            let fits = (before == 0 || label.ends_compound) && (after == 0 || label.begins_compound);
            (fits && !is_other_word()).then_some(Found { start: found.start - before, end: found.end + after })
        })
    }

    pub(super) fn has(&self, label: &Label) -> bool {
        self.find(label).is_some()
    }

    /// Whether it has one of the labels.
    pub(super) fn has_any(&self, labels: &Labels) -> bool {
        labels.iter().any(|label| self.has(label))
    }

    pub(super) fn before(&self, found: Found) -> &str {
        self.shown.get(..found.start).unwrap_or_default()
    }

    pub(super) fn after(&self, found: Found) -> &str {
        self.shown.get(found.end..).unwrap_or_default()
    }

    /// Whether a place is a part of an address: `invoice@power.example`, `power.example/bill`.
    pub(super) fn is_in_address(&self, found: Found) -> bool {
        self.before(found).ends_with(['.', '/', '@']) || self.after(found).starts_with('@')
    }

    /// Whether no letter stands between a place and another behind it.
    pub(super) fn is_followed_by(&self, first: Found, second: Found) -> bool {
        self.shown.get(first.end..second.start).is_some_and(|between| !between.contains(char::is_alphabetic))
    }

    /// Whether it is a row of a table.
    pub(super) const fn is_row(&self) -> bool {
        self.cells.len() > 1
    }

    /// Where the first digit behind a place stands.
    pub(super) fn first_digit(&self, from: usize) -> Option<usize> {
        Some(from + self.shown.get(from..)?.find(|c: char| c.is_ascii_digit())?)
    }

    /// Where the cell of a place ends.
    pub(super) fn cell_end(&self, found: Found) -> usize {
        let next = self.cells.iter().map(|cell| usize::from(cell.start)).find(|start| *start > found.start);
        next.unwrap_or(self.shown.len())
    }

    /// The number of words.
    pub(super) fn words(&self) -> usize {
        self.shown.split_whitespace().count()
    }

    /// Which cell a place belongs to.
    pub(super) fn cell_of(&self, found: Found) -> usize {
        let before = self.cells.iter().filter(|cell| usize::from(cell.start) <= found.start).count();
        before.saturating_sub(1)
    }

    /// The column that a place belongs to, if the line is a row of a table.
    pub(super) fn column_of(&self, found: Found) -> Option<Column> {
        let (at, count) = (self.cell_of(found), self.cells.len());
        let cell = self.cells.get(at).filter(|_| count > 1)?;
        Some(Column { at, count, from: cell.from, to: cell.to })
    }

    /// The entries of a row that has several beside each other, each a caption and its value: `Net | 10.00 EUR | Due |
    /// 3 December 2026`.
    fn entries(&self) -> Vec<Self> {
        if self.cells.len() < 4 || !self.cells.len().is_multiple_of(2) {
            return Vec::new();
        }
        let cells: Vec<&str> = self.shown.split(GAP).collect();
        let is_caption =
            |cell: &str| cell.contains(char::is_alphabetic) && !cell.contains(|c: char| c.is_ascii_digit());
        let is_value = |cell: &str| {
            let digits = cell.chars().filter(char::is_ascii_digit).count();
            cell.split(' ').count() <= MAX_VALUE_WORDS
                && (amount::has_currency(cell) || names_day(cell) || digits >= MIN_NUMBER)
        };
        let is_entry = |pair: &[&str]| matches!(pair, [name, value] if is_caption(name) && is_value(value));
        let mut pairs = cells.chunks(2);
        if pairs.len() * 2 != cells.len() || !pairs.all(is_entry) {
            return Vec::new();
        }
        cells.chunks(2).map(|pair| Self::new(&pair.join("\t"))).collect()
    }

    /// The one cell of a row that stands in a column: of as many cells that of the same number, else that below it.
    pub(super) fn cell_in(&self, column: Column) -> Option<&str> {
        let is_below = |cell: &Cell| cell.from < column.to && column.from < cell.to;
        let mut below = self.cells.iter().enumerate().filter(|(_, cell)| is_below(cell)).map(|(at, _)| at);
        let at = match self.cells.as_slice() {
            // A row of one cell is a sentence below the table unless it keeps to the column.
            [only] if only.to.saturating_sub(only.from) > MAX_ALONE || only.from + MARGIN < column.from => return None,
            cells if cells.len() == column.count => column.at,
            _ => below.next().filter(|_| below.next().is_none())?,
        };
        let cell = self.cells.get(at)?;
        let end = self.cells.get(at + 1).map_or(self.shown.len(), |next| usize::from(next.start));
        self.shown.get(usize::from(cell.start)..end).map(str::trim)
    }
}

pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut left = MAX_SEARCHED_TEXT;
    let pieces = text.lines().flat_map(pieces).take_while(|piece| {
        left = left.saturating_sub(piece.len());
        left > 0
    });
    let lines = pieces.map(Line::new).flat_map(|line| match line.entries() {
        entries if entries.is_empty() => vec![line],
        entries => entries,
    });
    lines.filter(|line| !line.shown.is_empty()).take(MAX_SEARCHED).collect()
}

/// A line without the pairs of asterisks that some programs write around what is bold: `**12.00 EUR**`. One alone is of
/// a number that is not shown whole: `**4471`.
fn without_emphasis(text: &str) -> Cow<'_, str> {
    let is_two = |at: usize| {
        let after = text.get(at + 2..).unwrap_or_default();
        !text.get(..at).unwrap_or_default().ends_with('*') && !after.starts_with('*')
    };
    let begins = |at: usize| text.get(at + 2..).is_some_and(|after| after.starts_with(|c: char| !c.is_whitespace()));
    let ends = |at: usize| text.get(..at).is_some_and(|before| before.ends_with(|c: char| !c.is_whitespace()));
    let (mut kept, mut from, mut open): (String, usize, Option<usize>) = (String::new(), 0, None);
    for (at, _) in text.match_indices("**").filter(|(at, _)| is_two(*at)) {
        match open {
            Some(start) if ends(at) => {
                kept.extend([text.get(from..start), text.get(start + 2..at)].into_iter().flatten());
                (from, open) = (at + 2, None);
            }
            _ => open = Some(at).filter(|at| begins(*at)),
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    kept.extend(text.get(from..));
    Cow::Owned(kept)
}

/// A row of a table that is drawn with bars, with tabs for them: `| Power | 12.00 EUR |`.
fn without_bars(text: &str) -> Cow<'_, str> {
    let row = text.trim();
    let is_drawn = row.starts_with('|') && row.ends_with('|') && row.matches('|').count() >= MIN_BARS;
    if is_drawn { Cow::Owned(text.replace('|', "\t")) } else { Cow::Borrowed(text) }
}

/// A line with spaces for the points that lead from a caption to its amount: `Power ........ 12.00 EUR`.
fn without_leaders(text: &str) -> Cow<'_, str> {
    let is_point = |c: char| matches!(c, '.' | '…' | '·');
    if !text.contains("....") && !text.contains("……") && !text.contains("····") {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_point) {
        let (before, from) = rest.split_at(start);
        let points = from.chars().take_while(|c| is_point(*c)).count();
        let (leader, after) = from.split_at(from.find(|c: char| !is_point(c)).unwrap_or(from.len()));
        kept.push_str(before);
        if points >= MIN_LEADER {
            kept.extend(std::iter::repeat_n(' ', points))
        } else {
            kept.push_str(leader)
        }
        rest = after;
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// A line, in pieces if it is long: between words, if there are any.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let most = rest.floor_char_boundary(MAX_SEARCHED_LINE);
        let piece = rest.get(..most).filter(|piece| !piece.is_empty())?;
        let space = (most < rest.len()).then(|| piece.rfind(char::is_whitespace)).flatten().filter(|at| *at > 0);
        let (piece, after) = rest.split_at(space.unwrap_or(most));
        rest = after;
        Some(piece)
    })
}

/// Whether a text begins with a `t` that is alone, as behind the apostrophe of `don't`.
fn ends_in_t(text: &str) -> bool {
    text.strip_prefix(['t', 'T']).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// A line and the next one, if it is a sentence that goes on there.
pub(super) fn sentence(lines: &[Line], at: usize) -> Option<Line> {
    let (first, second) = (lines.get(at)?, lines.get(at + 1)?);
    (first.words() >= WRAPPED_WORDS && may_go_on(first, second))
        .then(|| line(&format!("{} {}", first.shown, second.shown)))
}

/// Whether a line is long and goes on in the next one.
pub(super) fn goes_on(lines: &[Line], at: usize) -> bool {
    let next = lines.get(at).zip(lines.get(at + 1));
    next.is_some_and(|(first, second)| first.shown.len() >= WRAPPED && may_go_on(first, second))
}

/// Whether nothing ends a sentence between two lines.
fn may_go_on(first: &Line, second: &Line) -> bool {
    !first.shown.ends_with(['.', '!', '?', ':']) && !first.is_row() && !second.is_row() && !is_caption(second)
}

/// Whether a line begins anew: `Power: 12.00 EUR`.
fn is_caption(line: &Line) -> bool {
    let words = line.shown.split(' ').take(MAX_CAPTION);
    line.shown.contains(": ") && words.clone().any(|word| word.ends_with(':'))
        || line.shown.split(|c: char| c.is_ascii_digit()).next().is_some_and(|words| words.contains(':'))
}

/// A text as one line.
pub(super) fn line(text: &str) -> Line {
    Line::new(pieces(text).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_found_however_it_is_set() {
        let after = |text: &str, label: &str| {
            let line = line(text);
            line.find(&Label::from(label)).map(|found| line.after(found).to_owned())
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
        assert_eq!(after("Zu\u{200b} zah\u{ad}len 1", "zu zahlen").as_deref(), Some(" 1"));
        assert_eq!(after("Ihre Stromrechnung 1", "rechnung"), None);
        assert_eq!(after("Ihre Stromrechnung 1", "-rechnung").as_deref(), Some(" 1"));
        assert_eq!(after("Nettorechnungsbetrag 1", "netto-").as_deref(), Some(" 1"), "all of the word");
        assert_eq!(after("Rechnungen 1", "-rechnung"), None);
        assert_eq!(after("Montant dû 1", "montant dû").as_deref(), Some(" 1"));
        assert_eq!(after("MONTANT DU : 1", "montant dû").as_deref(), Some(" : 1"));
        assert_eq!(after("Montant du loyer 1", "montant dû"), None);
        assert_eq!(after("AmountUSD1", "amount").as_deref(), Some("USD1"), "a currency is no part of the word");
        assert_eq!(after("APayerenEuro 1", "à payer").as_deref(), Some("enEuro 1"));
    }

    #[test]
    fn a_long_line_is_searched_in_pieces() {
        let long = format!("{} total 1", "word ".repeat(300));
        let lines = lines(&long);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.shown.len() <= MAX_SEARCHED_LINE), "{}", lines.len());
        assert!(lines.last().is_some_and(|line| line.shown.ends_with("total 1")));
        assert_eq!(super::lines(&"ä".repeat(600)).len(), 3, "no words");
    }

    #[test]
    fn cells_of_a_table_keep_their_places() {
        let below = |header: &str, label: &str, row: &str| {
            let header = line(header);
            let found = header.find(&Label::from(label)).expect("a label");
            header.column_of(found).and_then(|column| line(row).cell_in(column).map(str::to_owned))
        };
        let header = "Date\tAmount due   Due date";
        assert_eq!(below(header, "amount due", "01.11.2026\t12,00 €   15.12.2026").as_deref(), Some("12,00 €"));
        // Cells may be empty.
        assert_eq!(below("Net\tDiscount\tTotal", "total", "10.00\t\t12.00").as_deref(), Some("12.00"));
        assert_eq!(below("Net    Discount    Total", "total", "10.00              12.00").as_deref(), Some("12.00"));
        assert_eq!(below("Net    Discount    Total", "discount", "10.00              12.00"), None);
        assert_eq!(below("Amount due", "amount due", "12.00"), None, "no table");
        assert_eq!(line("01.11.2026   12,00 €\t15.12.2026").shown, "01.11.2026\t12,00 €\t15.12.2026");
    }

    #[test]
    fn points_lead_from_a_caption_to_its_amount() {
        assert_eq!(line("Power ........ 12.00 EUR").shown, "Power\t12.00 EUR");
        assert_eq!(line("Power........12.00 EUR").shown, "Power\t12.00 EUR");
        assert_eq!(line("And so on...").shown, "And so on...");
        assert_eq!(line(&".".repeat(400)).shown, "");
    }

    #[test]
    fn signs_of_plain_text_are_no_part_of_what_they_set_apart() {
        for (text, shown) in [
            ("**Total: 12.00 EUR** now", "Total: 12.00 EUR now"),
            ("Total: **12.00 EUR**, by **3 May**", "Total: 12.00 EUR, by 3 May"),
            ("Card **4471 and **4472", "Card **4471 and **4472"),
            ("IBAN **** **** 4471", "IBAN **** **** 4471"),
            ("2 ** 3", "2 ** 3"),
            ("| Power | 12.00 EUR |", "Power\t12.00 EUR"),
            ("| **Total** |  **12.00** |", "Total\t12.00"),
            ("Power | 12.00 EUR", "Power | 12.00 EUR"),
        ] {
            assert_eq!(line(text).shown, shown, "{text}");
        }
    }

    #[test]
    fn several_entries_of_a_row_are_a_line_each() {
        let shown = |text: &str| lines(text).into_iter().map(|line| line.shown).collect::<Vec<_>>();
        let row = "Net payable\t12.00 EUR\tDue date\t3 December 2026";
        assert_eq!(shown(row), ["Net payable\t12.00 EUR", "Due date\t3 December 2026"]);
        for row in ["Lamp\t1\tred\t12.00 EUR", "Net\tTax\tTotal\tDue", "Net\t10.00 EUR\t12.00 EUR\t2.00 EUR"] {
            assert_eq!(shown(row), [row]);
        }
    }

    #[test]
    fn a_part_of_an_address_is_no_word() {
        let is_in_address = |text: &str| {
            let line = line(text);
            line.find(&Label::from("invoice")).map(|found| line.is_in_address(found))
        };
        for text in ["invoice@power.example", "power.example/invoice", "pay@invoice.example"] {
            assert_eq!(is_in_address(text), Some(true), "{text}");
        }
        assert_eq!(is_in_address("Your invoice. Thank you"), Some(false));
    }
}
