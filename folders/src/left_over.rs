//! Files in the making that processes left behind which were killed.

use std::fs::{DirEntry, File, TryLockError};
use std::time::{Duration, SystemTime};

/// Whether nobody writes this file any more. Who writes one holds a lock on it for as long as it is in the making;
/// where the file system has no locks, it belongs to nobody when it was last written `after` ago. What is no regular
/// file is nobody's of ours, and a pipe would be waited for.
#[must_use]
pub fn is_left_over(entry: &DirEntry, after: Duration) -> bool {
    if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
        return false;
    }
    let Ok(file) = File::open(entry.path()) else { return false };
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let written = entry.metadata().and_then(|data| data.modified());
            written.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > after))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_is_locked_is_somebodys_and_a_folder_is_no_file() {
        let place = tempfile::tempdir().expect("a folder");
        fs::write(place.path().join("left"), "half").expect("written");
        fs::create_dir(place.path().join("folder")).expect("made");
        let owned = File::create(place.path().join("owned")).expect("made");
        owned.lock().expect("locked");
        let left_over = || {
            let entries = fs::read_dir(place.path()).expect("read").map(|entry| entry.expect("an entry"));
            let names = entries.filter(|entry| is_left_over(entry, Duration::ZERO)).map(|entry| entry.file_name());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        };
        assert_eq!(left_over(), ["left"]);
        drop(owned);
        assert_eq!(left_over(), ["left", "owned"]);
    }
}
