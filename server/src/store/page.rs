//! Pages of an account's lists, newest first.
//!
//! The rows of an account are counted as they are added, and a page is named by the last row of the page before it. So
//! it is found by an index, however long the list is, and rows that are added meanwhile neither move nor repeat
//! another. What only its owner adds to, once in a while, is counted through.

/// A page that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountPage {
    number: u32,
    size: usize,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub rows: Vec<T>,
    /// Names the next page, if there is one.
    pub next: Option<u32>,
}

impl AccountPage {
    /// The page that the page before it named; 0 is the first.
    #[must_use]
    pub const fn new(number: u32, size: usize) -> Self {
        Self { number, size }
    }

    /// The place of the row before the page, from above.
    pub(super) fn before(self) -> i64 {
        if self.number == 0 { i64::MAX } else { i64::from(self.number) }
    }

    /// How many rows to read: one more than the page has, to know whether there is another page.
    pub(super) fn limit(self) -> i64 {
        i64::try_from(self.size).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// The page that the rows make, each with its place.
    pub(super) fn of<T>(self, mut rows: Vec<(i64, T)>) -> Page<T> {
        let more = rows.len() > self.size;
        rows.truncate(self.size);
        let last = rows.last().map(|(place, _)| *place).filter(|_| more);
        let next = last.and_then(|place| u32::try_from(place).ok());
        Page { rows: rows.into_iter().map(|(_, row)| row).collect(), next }
    }
}

/// A page that is asked for of a list that its owner alone adds to: named by how many pages come before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedPage {
    number: u32,
    size: u32,
}

impl CountedPage {
    /// The page that the page before it named; 0 is the first.
    #[must_use]
    pub const fn new(number: u32, size: u32) -> Self {
        Self { number, size }
    }

    /// How many rows come before it.
    #[must_use]
    pub const fn skip(self) -> u32 {
        self.number.saturating_mul(self.size)
    }

    /// How many rows to read: one more than the page has, to know whether there is another page.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.size.saturating_add(1)
    }

    /// The page that the rows make.
    pub(crate) fn of<T>(self, mut rows: Vec<T>) -> Page<T> {
        let size = self.size as usize;
        let next = (rows.len() > size).then(|| self.number.saturating_add(1));
        rows.truncate(size);
        Page { rows, next }
    }
}
