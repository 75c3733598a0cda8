//! Why a transaction's work stopped. It is rolled back then.

use crate::store::StoreError;

/// Why a transaction's work stopped.
#[derive(Debug)]
pub(crate) enum TxError {
    /// The database refused a statement, or failed. It holds no values of rows.
    Database(String),
    /// The disk of the database is full.
    Full,
    /// Another transaction was in the way: the same work may be run again.
    Conflict(String),
    /// There is no connection to the database any more.
    Lost(String),
    /// A column does not hold what this server writes.
    Unreadable,
    /// A row that belongs to another one is not there.
    Damaged,
    /// The master key was changed since this process opened the database.
    KeyChanged,
}

/// The result of a transaction's work.
pub(crate) type TxResult<T> = Result<T, TxError>;

impl TxError {
    /// As whoever asked for the work is told.
    pub(crate) fn into_store_error(self, what: &'static str) -> StoreError {
        match self {
            Self::Database(cause) | Self::Conflict(cause) | Self::Lost(cause) => StoreError::Backend { what, cause },
            Self::Full => StoreError::Full(what),
            Self::Unreadable => StoreError::Unreadable(what),
            Self::KeyChanged => StoreError::KeyChanged,
            Self::Damaged => StoreError::Backend { what, cause: "a row that must be there is missing".into() },
        }
    }
}
