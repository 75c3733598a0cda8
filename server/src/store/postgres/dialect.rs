//! What PostgreSQL writes and types differently.

use crate::store::database::{Cell, TxError, Value};
use bytes::BytesMut;
use postgres::error::SqlState;
use postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};
use std::error::Error;

/// The database's time in milliseconds. A shift of tests is added by whoever asks.
pub(super) const NOW: &str = "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)";

/// A statement with its parameters as PostgreSQL numbers them: `$1` for `?1`. Texts in it have no `?`.
pub(super) fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}

/// The types of parameters, so that none has to be guessed.
pub(super) fn types(values: &[Value<'_>]) -> Vec<Type> {
    let of = |value: &Value<'_>| match value {
        Value::Int(_) => Type::INT8,
        Value::Text(_) => Type::TEXT,
        Value::Blob(_) => Type::BYTEA,
    };
    values.iter().map(of).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Int(number) => number.to_sql(ty, out),
            Self::Text(text) => text.to_sql(ty, out),
            Self::Blob(bytes) => bytes.to_sql(ty, out),
        }
    }

    accepts!(INT8, TEXT, BYTEA);
    to_sql_checked!();
}

/// A column as it came.
pub(super) struct Found<'a>(pub(super) Cell<'a>);

impl<'a> FromSql<'a> for Found<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *ty {
            Type::BOOL => Cell::Int(i64::from(bool::from_sql(ty, raw)?)),
            Type::INT4 => Cell::Int(i64::from(i32::from_sql(ty, raw)?)),
            Type::INT8 => Cell::Int(i64::from_sql(ty, raw)?),
            Type::BYTEA => Cell::Blob(<&[u8]>::from_sql(ty, raw)?),
            _ => Cell::Text(<&str>::from_sql(ty, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Cell::Null))
    }

    // Not NUMERIC: a sum says which integer it is.
    accepts!(BOOL, INT4, INT8, TEXT, BYTEA);
}

/// An error of the database, without the values of rows, which are in its details.
pub(super) fn failed(error: &postgres::Error) -> TxError {
    let Some(said) = error.as_db_error() else {
        // A connection that broke says so in words of the system; anything else is this server's mistake.
        let cause = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let broke = error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>());
        return if broke { TxError::Lost(cause) } else { TxError::Database(cause) };
    };
    let cause = format!("{} ({})", said.message(), said.code().code());
    match *said.code() {
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED | SqlState::UNIQUE_VIOLATION => {
            TxError::Conflict(cause)
        }
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::TOO_MANY_CONNECTIONS
        // Another server was made the primary: the next connection may reach that one.
        | SqlState::READ_ONLY_SQL_TRANSACTION
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => TxError::Lost(cause),
        SqlState::DISK_FULL => TxError::Full,
        _ => TxError::Database(cause),
    }
}
