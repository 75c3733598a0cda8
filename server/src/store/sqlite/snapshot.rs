//! A copy of a database as it is at one moment, beside whoever works on it.

use super::{backend, connect, make_private};
use crate::store::StoreError;
use rusqlite::OpenFlags;
use std::fs::File;
use std::path::Path;

/// Writes a copy of the database at `from` into the new file `to`, which is on the disk when this returns.
///
/// # Errors
/// [`StoreError`] if either file cannot be used.
pub(crate) fn snapshot(from: &Path, to: &Path) -> Result<(), StoreError> {
    if !from.is_file() {
        return Err(StoreError::Missing(from.display().to_string()));
    }
    let unwritten = |error: std::io::Error| StoreError::Backend { what: "copy", cause: error.to_string() };
    let path = to.to_str().ok_or_else(|| unwritten(std::io::ErrorKind::InvalidFilename.into()))?;
    // SQLite writes into an empty file, which is its owner's alone from its first byte on.
    make_private(to).map_err(unwritten)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = connect(from, flags)?;
    db.execute("VACUUM INTO ?1", [path]).map_err(|error| backend("copy", error))?;
    File::options().write(true).open(to).and_then(|file| file.sync_all()).map_err(unwritten)
}
