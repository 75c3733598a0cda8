//! Tables as lines of text: the cells of a row on one line, whatever stands in them.

use crate::limits::MAX_TABLE_DEPTH;

/// A text that is made of blocks and of tables, which may stand inside each other.
#[derive(Debug, Default)]
pub(super) struct Layout {
    page: Block,
    open: Vec<Open>,
}

/// How many columns and rows a cell goes over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// An element that is open.
#[derive(Debug)]
enum Open {
    /// With the number of rows to come in which a cell from above stands, for each column.
    Table(Vec<usize>),
    /// With the cells that are complete.
    Row(Vec<(Block, Span)>),
    Cell(Block, Span),
}

/// Columns of a table in which cells may go over several rows.
const MAX_COLUMNS: usize = 100;
/// Lines of cells that stand beside each other though they are not as many.
const MAX_UNEVEN: usize = 3;

/// Lines, the last of which is being written.
#[derive(Debug, Default)]
struct Block {
    lines: Vec<String>,
    last: String,
}

impl Block {
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.last);
        if !line.trim().is_empty() {
            // What is set in columns keeps its places: more than one space is not of the page's own lines.
            let is_set = line.starts_with("  ");
            self.lines.push(if is_set { line.trim_end() } else { line.trim() }.to_owned());
        }
    }

    fn into_lines(mut self) -> Vec<String> {
        self.end_line();
        self.lines
    }
}

impl Layout {
    /// Where text goes: into the innermost cell.
    pub(super) fn text(&mut self) -> &mut String {
        &mut self.block().last
    }

    fn block(&mut self) -> &mut Block {
        let cells = self.open.iter_mut().rev().find_map(|open| match open {
            Open::Cell(block, _) => Some(block),
            Open::Table(_) | Open::Row(_) => None,
        });
        cells.unwrap_or(&mut self.page)
    }

    /// A block begins or ends.
    pub(super) fn end_line(&mut self) {
        self.block().end_line();
    }

    /// The start tag of a table, row or cell. End tags before it may be left out.
    pub(super) fn start(&mut self, name: &str, span: Span) {
        match name {
            "table" => self.push(Open::Table(Vec::new())),
            "tr" => {
                self.close_until(|open| matches!(open, Open::Table(_)));
                self.push(Open::Row(Vec::new()));
            }
            _ => {
                self.close_until(|open| !matches!(open, Open::Cell(..)));
                if matches!(self.open.last(), Some(Open::Table(_))) {
                    self.push(Open::Row(Vec::new()));
                }
                match self.open.last() {
                    Some(Open::Row(_)) => self.push(Open::Cell(Block::default(), span)),
                    _ => self.text().push('\t'),
                }
            }
        }
    }

    /// The end tag of a table, row or cell.
    pub(super) fn end(&mut self, name: &str) {
        let is_named = |open: &Open| match name {
            "table" => matches!(open, Open::Table(_)),
            "tr" => matches!(open, Open::Row(_)),
            _ => matches!(open, Open::Cell(..)),
        };
        let within = self.open.iter().rposition(|open| matches!(open, Open::Table(_))).unwrap_or_default();
        // An end tag of what is not open in this table says nothing.
        if self.open.get(within..).is_some_and(|open| open.iter().any(is_named)) {
            self.close_until(is_named);
            self.close();
        }
    }

    fn push(&mut self, open: Open) {
        if !matches!(open, Open::Cell(..)) {
            self.end_line();
        }
        if self.open.len() < MAX_TABLE_DEPTH {
            self.open.push(open);
        }
    }

    fn close_until(&mut self, is_last: impl Fn(&Open) -> bool) {
        while self.open.last().is_some_and(|open| !is_last(open)) {
            self.close();
        }
    }

    /// The innermost element is complete, and a part of what is around it.
    fn close(&mut self) {
        let lines = match self.open.pop() {
            Some(Open::Cell(block, span)) => match self.open.last_mut() {
                Some(Open::Row(cells)) => return cells.push((block, span)),
                _ => block.into_lines(),
            },
            Some(Open::Row(cells)) => match self.open.last_mut() {
                Some(Open::Table(held)) => row(in_columns(cells, held)),
                _ => row(in_columns(cells, &mut Vec::new())),
            },
            Some(Open::Table(_)) | None => Vec::new(),
        };
        let around = self.block();
        around.end_line();
        around.lines.extend(lines);
    }

    /// Everything, as lines.
    pub(super) fn into_text(mut self) -> String {
        self.close_until(|_| false);
        self.page.into_lines().join("\n")
    }
}

/// The lines of each cell of a row in its column: empty if a cell from above goes over it, or one from the left.
fn in_columns(cells: Vec<(Block, Span)>, held: &mut Vec<usize>) -> Vec<Vec<String>> {
    let mut columns: Vec<Vec<String>> = Vec::new();
    for (block, span) in cells {
        while let Some(rows) = held.get_mut(columns.len()).filter(|rows| **rows > 0) {
            *rows -= 1;
            columns.push(Vec::new());
        }
        let lines = block.into_lines();
        // Beside several rows it is one line of the first.
        columns.push(if span.rows > 1 && lines.len() <= MAX_UNEVEN { joined(&lines) } else { lines });
        let first = columns.len() - 1;
        columns.extend(std::iter::repeat_n(Vec::new(), (span.columns - 1).min(MAX_COLUMNS.saturating_sub(first))));
        if span.rows > 1 && columns.len() <= MAX_COLUMNS {
            held.resize(held.len().max(columns.len()), 0);
            held.iter_mut().take(columns.len()).skip(first).for_each(|rows| *rows = span.rows - 1);
        }
    }
    held.iter_mut().skip(columns.len()).for_each(|rows| *rows = rows.saturating_sub(1));
    columns
}

fn joined(lines: &[String]) -> Vec<String> {
    if lines.is_empty() { Vec::new() } else { vec![lines.join(" ")] }
}

/// The lines of a row: one, with a tab between its cells; several, if each cell has as many or a few; else those of
/// each cell, for a cell may hold a whole page. Empty cells keep the others in their columns.
fn row(cells: Vec<Vec<String>>) -> Vec<String> {
    let filled = || cells.iter().filter(|lines| !lines.is_empty());
    let count = filled().map(Vec::len).max().unwrap_or_default();
    let has_rows = || filled().flatten().any(|line| line.contains('\t'));
    let are_even = filled().all(|lines| lines.len() == count);
    if count > 0 && filled().count() > 1 && (are_even || (count <= MAX_UNEVEN && !has_rows())) {
        let cell = |lines: &Vec<String>, at: usize| lines.get(at).cloned().unwrap_or_default();
        let line = |at: usize| cells.iter().map(|lines| cell(lines, at)).collect::<Vec<_>>().join("\t");
        (0..count).map(line).collect()
    } else if let ([lines], true) = (filled().collect::<Vec<_>>().as_slice(), count == 1) {
        // Alone in its row, in its column.
        let before = cells.iter().take_while(|lines| lines.is_empty()).count();
        lines.iter().map(|line| format!("{}{line}", "\t".repeat(before))).collect()
    } else {
        cells.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::html::visible;

    #[test]
    fn a_row_is_a_line_whatever_its_cells_are_made_of() {
        for (html, expected) in [
            ("<table><tr><td>a</td><td>1</td></tr></table>", "a\t1"),
            ("<table><tr><td><p>a</p></td><td><div><p>1</p></div></td></tr><tr><td>b<td>2</table>c", "a\t1\nb\t2\nc"),
            // Columns whose lines belong together.
            ("<table><tr><td>a<br>b</td><td>1<br>2</td></tr></table>", "a\t1\nb\t2"),
            // A page that is laid out by a table.
            (
                "<table><tr><td>x</td><td><table><tr><td>a</td><td>1</td></tr><tr><td>b</td><td>2</td></tr></table></td></tr></table>",
                "x\na\t1\nb\t2",
            ),
            (
                "<table><tr><td><table><tr><td>a</td></tr></table></td><td><table><tr><td>1</td></tr></table></td></tr></table>",
                "a\t1",
            ),
            ("<table><tr><td> </td><td>a</td><td>1</td></tr></table>", "\ta\t1"),
            // Cells that go over several columns or rows, and cells that have not as many lines.
            ("<table><tr><td colspan=2>a<td>1</tr><tr><td>b<td>c<td>2</table>", "a\t\t1\nb\tc\t2"),
            ("<table><tr><td>a<td rowspan='2'>b<br>c</tr><tr><td>1</table>", "a\tb c\n1"),
            ("<table><tr><td rowspan=2>b<td>a</tr><tr><td>1</tr><tr><td>2</table>", "b\ta\n\t1\n2"),
            ("<table><tr><td>a<br><small>b</small><td>1</table>", "a\t1\nb\t"),
            ("<table><thead><tr><th>a<th>b</thead><tbody><tr><td>1<td>2</tbody></table>", "a\tb\n1\t2"),
            // Tags that belong to nothing.
            ("a</td></tr></table>b<td>c", "ab\tc"),
            ("</table><tr>a<td>b</table>c", "a\nbc"),
        ] {
            assert_eq!(visible(html), expected, "{html}");
        }
    }

    #[test]
    fn tables_inside_each_other_end_somewhere() {
        let deep = format!("{}1{}", "<table><tr><td>".repeat(20_000), "</table>".repeat(20_000));
        assert_eq!(visible(&deep).trim(), "1");
        let flat = format!("<table><tr>{}</table>", "<td>1<br>2<td>3".repeat(20_000));
        assert_eq!(visible(&flat).matches('3').count(), 20_000);
    }
}
