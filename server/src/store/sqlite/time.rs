//! The database's time.

use super::backend;
use crate::ops::clock::{Clock, Timestamp};
use crate::store::StoreError;
use rusqlite::Connection;

/// The moment, by the database's clock. Several processes on one file share it; a shift of tests is added.
pub(super) fn now(db: &Connection, clock: &Clock) -> Result<Timestamp, StoreError> {
    let millis: i64 = db
        .prepare_cached("SELECT CAST(round(unixepoch('now', 'subsec') * 1000) AS INTEGER)")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(|error| backend("time", error))?;
    Ok(Timestamp::from_millis(millis.saturating_add(clock.shift_millis())))
}
