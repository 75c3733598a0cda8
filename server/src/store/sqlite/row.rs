//! Columns as types. A column that does not hold what this server writes is an error, never a default.

use crate::crypto::secrets::Sealed;
use crate::ops::clock::Timestamp;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{Currency, Money};
use rusqlite::types::Type;
use rusqlite::{Error, Row};
use serde::de::DeserializeOwned;
use std::str::FromStr;

fn unreadable(column: usize, kind: Type) -> Error {
    Error::FromSqlConversionFailure(column, kind, "not what this server writes".into())
}

/// 16 or 32 bytes, made into what they name.
pub(super) fn bytes<const N: usize, T>(
    row: &Row<'_>,
    column: usize,
    make: impl FnOnce([u8; N]) -> T,
) -> rusqlite::Result<T> {
    row.get(column).map(make)
}

/// The same, where it may be absent.
pub(super) fn maybe_bytes<const N: usize, T>(
    row: &Row<'_>,
    column: usize,
    make: impl FnOnce([u8; N]) -> T,
) -> rusqlite::Result<Option<T>> {
    Ok(row.get::<_, Option<[u8; N]>>(column)?.map(make))
}

/// 16 bytes of a server-internal identifier.
pub(super) fn octets<const N: usize>(row: &Row<'_>, column: usize) -> rusqlite::Result<Octets<N>> {
    bytes(row, column, Octets)
}

/// Bytes that may not be valid for what they should be.
pub(super) fn checked<const N: usize, T, E>(
    row: &Row<'_>,
    column: usize,
    make: impl FnOnce([u8; N]) -> Result<T, E>,
) -> rusqlite::Result<T> {
    make(row.get(column)?).map_err(|_| unreadable(column, Type::Blob))
}

/// A text that is a name of something.
pub(super) fn text<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get_ref(column)?.as_str()?.parse().map_err(|_| unreadable(column, Type::Text))
}

/// A document as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|_| unreadable(column, Type::Text))
}

/// A moment.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// A moment, where it may be absent.
pub(super) fn maybe_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// A count.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| unreadable(column, Type::Integer))
}

/// A count, where it may be absent.
pub(super) fn maybe_count(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let count = row.get::<_, Option<i64>>(column)?;
    count.map(|count| u64::try_from(count).map_err(|_| unreadable(column, Type::Integer))).transpose()
}

/// A currency as it was recorded, which may have been withdrawn since.
pub(super) fn currency(row: &Row<'_>, column: usize) -> rusqlite::Result<Currency> {
    Currency::recorded(row.get_ref(column)?.as_str()?).map_err(|_| unreadable(column, Type::Text))
}

/// An amount of money in two columns, where it may be absent.
pub(super) fn maybe_money(row: &Row<'_>, amount: usize, currency: usize) -> rusqlite::Result<Option<Money>> {
    let Some(minor_units) = row.get::<_, Option<i64>>(amount)? else { return Ok(None) };
    Money::new(minor_units, self::currency(row, currency)?).map(Some).map_err(|_| unreadable(amount, Type::Integer))
}

/// Sealed bytes.
pub(super) fn sealed(row: &Row<'_>, column: usize) -> rusqlite::Result<Sealed> {
    row.get(column).map(Sealed::from_bytes)
}

/// One of a few numbers.
pub(super) fn one_of<T: Copy>(row: &Row<'_>, column: usize, states: &[T]) -> rusqlite::Result<T> {
    let index: i64 = row.get(column)?;
    usize::try_from(index)
        .ok()
        .and_then(|index| states.get(index))
        .copied()
        .ok_or_else(|| unreadable(column, Type::Integer))
}

/// A document as JSON, to be stored.
pub(super) fn to_json(document: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(document).map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))
}
