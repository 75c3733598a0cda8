//! Tables that are read on any screen, and the way on in a list that has pages.

use maud::{Markup, Render, html};

/// A table. On a small screen each row is a card, in which every value has its column's name.
pub(in super::super) struct Table<'a> {
    /// What it lists, for those who do not see it.
    pub(in super::super) caption: &'a str,
    /// The names of the columns; those of amounts are set to the right.
    pub(in super::super) columns: &'a [Column],
    /// The rows, each with a value for every column.
    pub(in super::super) rows: Vec<Vec<Markup>>,
}

/// A column.
pub(in super::super) enum Column {
    /// Of words.
    Words(&'static str),
    /// Of amounts.
    Amounts(&'static str),
}

impl Column {
    const fn name(&self) -> &'static str {
        match self {
            Self::Words(name) | Self::Amounts(name) => name,
        }
    }

    const fn class(&self) -> Option<&'static str> {
        match self {
            Self::Words(_) => None,
            Self::Amounts(_) => Some("amount"),
        }
    }
}

impl Render for Table<'_> {
    /// With roles, since a table that is laid out as cards is none to some browsers.
    fn render(&self) -> Markup {
        html! {
            table role="table" {
                caption.sr { (self.caption) }
                thead role="rowgroup" {
                    tr role="row" {
                        @for column in self.columns { th scope="col" role="columnheader" class=[column.class()] { (column.name()) } }
                    }
                }
                tbody role="rowgroup" {
                    @for row in &self.rows {
                        tr role="row" {
                            @for (column, value) in self.columns.iter().zip(row) {
                                td role="cell" class=[column.class()] data-label=(column.name()) { span { (value) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The links below a page of a list. A page is named by the last row before it, so the way leads on and to the
/// beginning.
pub(in super::super) struct Pager<'a> {
    /// Where the list is; a query may have begun.
    pub(in super::super) path: &'a str,
    /// The page that is shown; 0 is the first.
    pub(in super::super) page: u32,
    /// The next one, if there is one.
    pub(in super::super) next: Option<u32>,
}

impl Render for Pager<'_> {
    fn render(&self) -> Markup {
        let and = if self.path.contains('?') { '&' } else { '?' };
        html! {
            @if self.page > 0 || self.next.is_some() {
                nav.pager aria-label="Pages" {
                    @if self.page > 0 { a.button.plain href=(self.path) { "Back to the first page" } }
                    @if let Some(next) = self.next { a.button.plain href={ (self.path) (and) "page=" (next) } { "Next page" } }
                }
            }
        }
    }
}
