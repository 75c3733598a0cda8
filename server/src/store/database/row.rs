//! Rows, and columns as types. A column that does not hold what this server writes is an error, never a default.

use super::{TxError, TxResult};
use crate::crypto::secrets::Sealed;
use crate::ops::clock::Timestamp;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{Currency, Money};
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// What a column of a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    /// Nothing.
    Null,
    /// An integer; a boolean is 0 or 1.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

/// A row as a database has it.
pub(crate) trait Columns {
    /// A column, from 0.
    fn cell(&self, column: usize) -> TxResult<Cell<'_>>;
}

/// A row that a statement found.
pub(crate) struct Row<'a>(&'a dyn Columns);

impl<'a> Row<'a> {
    /// As a database has it.
    pub(crate) const fn new(columns: &'a dyn Columns) -> Self {
        Self(columns)
    }

    /// A column, from 0.
    pub(crate) fn get<T: FromCell>(&self, column: usize) -> TxResult<T> {
        T::from_cell(self.0.cell(column)?).ok_or(TxError::Unreadable)
    }

    /// A column as it is.
    pub(crate) fn cell(&self, column: usize) -> TxResult<Cell<'_>> {
        self.0.cell(column)
    }

    fn str(&self, column: usize) -> TxResult<&str> {
        match self.0.cell(column)? {
            Cell::Text(text) => Ok(text),
            _ => Err(TxError::Unreadable),
        }
    }
}

/// What a column can be read as.
pub(crate) trait FromCell: Sized {
    /// `None` if it is something else.
    fn from_cell(cell: Cell<'_>) -> Option<Self>;
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl FromCell for $integer {
            fn from_cell(cell: Cell<'_>) -> Option<Self> {
                match cell {
                    Cell::Int(number) => Self::try_from(number).ok(),
                    _ => None,
                }
            }
        }
    )*};
}
integers!(i64, i32, u32, u8);

impl FromCell for bool {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Int(0) => Some(false),
            Cell::Int(1) => Some(true),
            _ => None,
        }
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Blob(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

impl<const N: usize> FromCell for [u8; N] {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Blob(bytes) => bytes.try_into().ok(),
            _ => None,
        }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

/// 16 or 32 bytes, made into what they name.
pub(crate) fn bytes<const N: usize, T>(row: &Row<'_>, column: usize, make: impl FnOnce([u8; N]) -> T) -> TxResult<T> {
    row.get(column).map(make)
}

/// The same, if it may be absent.
pub(crate) fn maybe_bytes<const N: usize, T>(
    row: &Row<'_>,
    column: usize,
    make: impl FnOnce([u8; N]) -> T,
) -> TxResult<Option<T>> {
    Ok(row.get::<Option<[u8; N]>>(column)?.map(make))
}

/// 16 bytes of a server-internal identifier.
pub(crate) fn octets<const N: usize>(row: &Row<'_>, column: usize) -> TxResult<Octets<N>> {
    bytes(row, column, Octets)
}

/// Bytes that may not be valid for what they should be.
pub(crate) fn checked<const N: usize, T, E>(
    row: &Row<'_>,
    column: usize,
    make: impl FnOnce([u8; N]) -> Result<T, E>,
) -> TxResult<T> {
    make(row.get(column)?).map_err(|_| TxError::Unreadable)
}

/// A text that is a name of something.
pub(crate) fn text<T: FromStr>(row: &Row<'_>, column: usize) -> TxResult<T> {
    row.str(column)?.parse().map_err(|_| TxError::Unreadable)
}

/// A document as JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> TxResult<T> {
    serde_json::from_str(row.str(column)?).map_err(|_| TxError::Unreadable)
}

/// A moment.
pub(crate) fn time(row: &Row<'_>, column: usize) -> TxResult<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// A moment, if it may be absent.
pub(crate) fn maybe_time(row: &Row<'_>, column: usize) -> TxResult<Option<Timestamp>> {
    Ok(row.get::<Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// A count.
pub(crate) fn count(row: &Row<'_>, column: usize) -> TxResult<u64> {
    u64::try_from(row.get::<i64>(column)?).map_err(|_| TxError::Unreadable)
}

/// A count, if it may be absent.
pub(crate) fn maybe_count(row: &Row<'_>, column: usize) -> TxResult<Option<u64>> {
    let count = row.get::<Option<i64>>(column)?;
    count.map(|count| u64::try_from(count).map_err(|_| TxError::Unreadable)).transpose()
}

/// A currency as it was recorded, which may have been withdrawn since.
pub(crate) fn currency(row: &Row<'_>, column: usize) -> TxResult<Currency> {
    Currency::recorded(row.str(column)?).map_err(|_| TxError::Unreadable)
}

/// An amount of money in two columns, if it may be absent.
pub(crate) fn maybe_money(row: &Row<'_>, amount: usize, currency: usize) -> TxResult<Option<Money>> {
    let Some(minor_units) = row.get::<Option<i64>>(amount)? else { return Ok(None) };
    Money::new(minor_units, self::currency(row, currency)?).map(Some).map_err(|_| TxError::Unreadable)
}

/// Sealed bytes.
pub(crate) fn sealed(row: &Row<'_>, column: usize) -> TxResult<Sealed> {
    row.get(column).map(Sealed::from_bytes)
}

/// One of a few numbers.
pub(crate) fn one_of<T: Copy>(row: &Row<'_>, column: usize, states: &[T]) -> TxResult<T> {
    let index: i64 = row.get(column)?;
    usize::try_from(index).ok().and_then(|index| states.get(index)).copied().ok_or(TxError::Unreadable)
}

/// One of a few numbers, if it may be absent.
pub(crate) fn maybe_one_of<T: Copy>(row: &Row<'_>, column: usize, states: &[T]) -> TxResult<Option<T>> {
    row.get::<Option<i64>>(column)?.map(|_| one_of(row, column, states)).transpose()
}

/// The number of one of a few, as [`one_of`] reads it.
pub(crate) fn number_of<T: PartialEq>(states: &[T], state: T) -> i64 {
    states.iter().position(|known| *known == state).and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)
}

/// A document as JSON, to be stored.
pub(crate) fn to_json(document: &impl serde::Serialize) -> TxResult<String> {
    serde_json::to_string(document).map_err(|error| TxError::Database(error.to_string()))
}
