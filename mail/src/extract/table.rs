//! Tables as lines of text: the cells of a row on one line, whatever stands in them.

use crate::limits::MAX_TABLE_DEPTH;

/// A text that is made of blocks and of tables, which may stand inside each other.
#[derive(Debug, Default)]
pub(super) struct Layout {
    page: Block,
    open: Vec<Open>,
}

/// An element that is open.
#[derive(Debug)]
enum Open {
    Table,
    /// With the cells that are complete.
    Row(Vec<Block>),
    Cell(Block),
}

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
            self.lines.push(line.trim().to_owned());
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
            Open::Cell(block) => Some(block),
            Open::Table | Open::Row(_) => None,
        });
        cells.unwrap_or(&mut self.page)
    }

    /// A block begins or ends.
    pub(super) fn end_line(&mut self) {
        self.block().end_line();
    }

    /// The start tag of a table, row or cell. End tags before it may be left out.
    pub(super) fn start(&mut self, name: &str) {
        match name {
            "table" => self.push(Open::Table),
            "tr" => {
                self.close_until(|open| matches!(open, Open::Table));
                self.push(Open::Row(Vec::new()));
            }
            _ => {
                self.close_until(|open| !matches!(open, Open::Cell(_)));
                if matches!(self.open.last(), Some(Open::Table)) {
                    self.push(Open::Row(Vec::new()));
                }
                match self.open.last() {
                    Some(Open::Row(_)) => self.push(Open::Cell(Block::default())),
                    _ => self.text().push('\t'),
                }
            }
        }
    }

    /// The end tag of a table, row or cell.
    pub(super) fn end(&mut self, name: &str) {
        let is_named = |open: &Open| match name {
            "table" => matches!(open, Open::Table),
            "tr" => matches!(open, Open::Row(_)),
            _ => matches!(open, Open::Cell(_)),
        };
        let within = self.open.iter().rposition(|open| matches!(open, Open::Table)).unwrap_or_default();
        // An end tag of what is not open in this table says nothing.
        if self.open.get(within..).is_some_and(|open| open.iter().any(is_named)) {
            self.close_until(is_named);
            self.close();
        }
    }

    fn push(&mut self, open: Open) {
        if !matches!(open, Open::Cell(_)) {
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
            Some(Open::Cell(block)) => match self.open.last_mut() {
                Some(Open::Row(cells)) => return cells.push(block),
                _ => block.into_lines(),
            },
            Some(Open::Row(cells)) => row(cells),
            Some(Open::Table) | None => Vec::new(),
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

/// The lines of a row: one, with a tab between its cells; several, if each cell has as many; else those of each cell,
/// for a cell may hold a whole page. Empty cells keep the others in their columns.
fn row(cells: Vec<Block>) -> Vec<String> {
    let cells: Vec<Vec<String>> = cells.into_iter().map(Block::into_lines).collect();
    let mut filled = cells.iter().filter(|lines| !lines.is_empty());
    let count = filled.next().map_or(0, Vec::len);
    let others = filled.clone().count();
    if others > 0 && filled.all(|lines| lines.len() == count) {
        let cell = |lines: &Vec<String>, at: usize| lines.get(at).cloned().unwrap_or_default();
        let line = |at: usize| cells.iter().map(|lines| cell(lines, at)).collect::<Vec<_>>().join("\t");
        (0..count).map(line).collect()
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
