//! Files in the making that processes left behind which were killed.

use std::fs::{DirEntry, File, TryLockError};
use std::time::{Duration, SystemTime};

/// The file, locked, if nobody writes it any more: keep it until the file is removed, so that a process which has just
/// made it, and has yet to lock it, finds out. Whoever writes a file holds a lock on it for as long as it is in the
/// making. If the file system has no locks, a file counts as left over when it was last written `after` ago. Only
/// regular files are opened: a pipe would be waited for.
#[must_use]
pub fn left_over(entry: &DirEntry, after: Duration) -> Option<File> {
    if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
        return None;
    }
    let file = File::open(entry.path()).ok()?;
    let is_over = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let written = entry.metadata().and_then(|data| data.modified());
            written.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > after))
        }
    };
    is_over.then_some(file)
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
        let found = || {
            let entries = fs::read_dir(place.path()).expect("read").map(|entry| entry.expect("an entry"));
            let names =
                entries.filter(|entry| left_over(entry, Duration::ZERO).is_some()).map(|entry| entry.file_name());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        };
        assert_eq!(found(), ["left"]);
        drop(owned);
        assert_eq!(found(), ["left", "owned"]);
    }

    #[test]
    fn who_made_a_file_a_moment_ago_cannot_lock_it_while_it_is_taken_for_left_over() {
        let place = tempfile::tempdir().expect("a folder");
        let made = File::create(place.path().join("made")).expect("made");
        let entry = fs::read_dir(place.path()).expect("read").next().expect("one").expect("an entry");
        let held = left_over(&entry, Duration::ZERO).expect("not locked yet");
        assert!(matches!(made.try_lock(), Err(TryLockError::WouldBlock)), "its maker tries another name");
        drop(held);
        made.try_lock().expect("the control");
    }
}
