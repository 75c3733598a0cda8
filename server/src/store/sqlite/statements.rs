//! Statements on an SQLite connection, each prepared once.

use crate::store::database::{Cell, Columns, Locks, Row, Statements, TxError, TxResult, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, ToSql, params_from_iter};

/// A connection with an open transaction.
pub(super) struct Prepared<'a>(pub(super) &'a Connection);

impl Prepared<'_> {
    /// Runs a statement that the connection keeps ready.
    fn run<T>(&self, sql: &str, run: impl FnOnce(&mut CachedStatement<'_>) -> TxResult<T>) -> TxResult<T> {
        let mut statement = self.0.prepare_cached(sql).map_err(failed)?;
        #[cfg(any(test, feature = "test-seams"))]
        super::watch::before(self.0, sql, &statement);
        let result = run(&mut statement);
        #[cfg(any(test, feature = "test-seams"))]
        super::watch::after(&statement);
        result
    }
}

impl Statements for Prepared<'_> {
    fn change(&self, sql: &str, values: &[Value<'_>]) -> TxResult<usize> {
        self.run(sql, |statement| statement.execute(params_from_iter(values)).map_err(failed))
    }

    fn rows(&self, sql: &str, values: &[Value<'_>], each: &mut dyn FnMut(&Row<'_>) -> TxResult<bool>) -> TxResult<()> {
        self.run(sql, |statement| {
            let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                if !each(&Row::new(&Found(row)))? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// There is one writer.
    fn locks(&self) -> Option<&dyn Locks> {
        None
    }
}

struct Found<'a>(&'a rusqlite::Row<'a>);

impl Columns for Found<'_> {
    fn cell(&self, column: usize) -> TxResult<Cell<'_>> {
        Ok(match self.0.get_ref(column).map_err(failed)? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Int(number),
            ValueRef::Text(text) => Cell::Text(str::from_utf8(text).map_err(|_| TxError::Unreadable)?),
            ValueRef::Blob(bytes) => Cell::Blob(bytes),
            ValueRef::Real(_) => return Err(TxError::Unreadable),
        })
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Int(Some(number)) => ValueRef::Integer(number),
            Value::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Value::Blob(Some(bytes)) => ValueRef::Blob(bytes),
            Value::Int(None) | Value::Text(None) | Value::Blob(None) => ValueRef::Null,
        }))
    }
}

/// An error of the database, without the values of rows.
fn failed(error: rusqlite::Error) -> TxError {
    if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        return TxError::Full;
    }
    TxError::Database(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Connection, Prepared, Statements as _, TxError, Value};

    /// A full disk, as SQLite sees one: no page more.
    #[test]
    fn a_full_disk_is_told_from_a_database_that_fails() {
        let db = Connection::open_in_memory().expect("opens");
        db.execute_batch("CREATE TABLE t (x TEXT NOT NULL); PRAGMA max_page_count = 4;").expect("made");
        let text = "x".repeat(64 * 1024);
        let insert = || Prepared(&db).change("INSERT INTO t VALUES (?1)", &[Value::Text(Some(&text))]);
        assert!(matches!(insert(), Err(TxError::Full)));
        db.execute_batch("PRAGMA max_page_count = 1000;").expect("there is room again");
        assert!(matches!(insert(), Ok(1)), "the control");
        let null = Prepared(&db).change("INSERT INTO t VALUES (NULL)", &[]);
        assert!(matches!(null, Err(TxError::Database(_))), "the control");
    }
}
