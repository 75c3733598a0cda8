//! A file that appears when it is whole. What a killed process leaves of it is in nobody's way, and nobody takes it
//! for the file.

use portcullis_folders::{make_private, private_file};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A file in the making, in a folder of its own beside its place.
#[derive(Debug)]
pub(crate) struct Making {
    place: PathBuf,
    folder: PathBuf,
    /// Whoever makes it holds this.
    _lock: File,
}

/// Why a file is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakingError {
    /// Something is there.
    #[error("{} exists already: name a new file", .0.display())]
    Exists(PathBuf),
    /// There is no folder that it could be in.
    #[error("there is no folder {}: make it first, or name a file in another one", .0.display())]
    NoFolder(PathBuf),
    /// Another process is making it.
    #[error("another process is making {}: wait for it, or name another file", .0.display())]
    Busy(PathBuf),
    /// It cannot be written.
    #[error("cannot make {}: {cause}. Check that its folder is there, and that you may write in it", .path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl Making {
    /// Begins to make a file that is not there yet. What an earlier process left is cleared.
    ///
    /// # Errors
    /// [`MakingError`].
    pub(crate) fn begin(place: &Path) -> Result<Self, MakingError> {
        let failed = |cause| MakingError::Unwritable { path: place.to_owned(), cause };
        // A link that leads nowhere is something, too.
        if fs::symlink_metadata(place).is_ok() {
            return Err(MakingError::Exists(place.to_owned()));
        }
        folder_of(place)?;
        let Some(name) = place.file_name() else {
            return Err(failed(io::Error::from(io::ErrorKind::InvalidInput)));
        };
        let mut making = name.to_owned();
        making.push(".making");
        let folder = place.with_file_name(making);
        make_private(&folder).map_err(|unprotected| failed(unprotected.cause))?;
        let lock = private_file().write(true).create(true).truncate(false).open(folder.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(MakingError::Busy(place.to_owned())),
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        let made = Self { place: place.to_owned(), folder, _lock: lock };
        for left in fs::read_dir(&made.folder).map_err(failed)? {
            let left = left.map_err(failed)?;
            if left.file_name() != "lock" {
                fs::remove_file(left.path()).map_err(failed)?;
            }
        }
        Ok(made)
    }

    /// Where it is written.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("whole")
    }

    /// It is whole, on the disk and closed: from now on it is there.
    ///
    /// # Errors
    /// [`MakingError`]; then it is not there.
    pub(crate) fn finish(self) -> Result<(), MakingError> {
        let failed = |cause| MakingError::Unwritable { path: self.place.clone(), cause };
        if fs::symlink_metadata(&self.place).is_ok() {
            return Err(MakingError::Exists(self.place.clone()));
        }
        fs::rename(self.path(), &self.place).map_err(failed)?;
        #[cfg(unix)]
        {
            let synced = File::open(folder_of(&self.place)?).and_then(|above| above.sync_all());
            synced.map_err(failed)?;
        }
        Ok(())
    }
}

/// The folder that a file is to be made in. It has to be there: a mistyped one is not made.
///
/// # Errors
/// [`MakingError::NoFolder`].
pub(crate) fn folder_of(place: &Path) -> Result<&Path, MakingError> {
    let above = place.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if above.is_dir() { Ok(above) } else { Err(MakingError::NoFolder(above.to_owned())) }
}

impl Drop for Making {
    fn drop(&mut self) {
        // Whatever is left is cleared by whoever makes the file next.
        fs::remove_dir_all(&self.folder).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_whole_and_never_in_the_place_of_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("log.jsonl");
        // What a killed process left: no file, and in nobody's way.
        let left = folder.path().join("log.jsonl.making");
        fs::create_dir(&left).expect("made");
        fs::write(left.join("whole"), "half").expect("written");
        fs::write(left.join("whole-wal"), "half").expect("written");

        let making = Making::begin(&place).expect("begun");
        assert!(!making.path().exists(), "what was left is cleared");
        assert!(matches!(Making::begin(&place), Err(MakingError::Busy(_))), "two at once");
        fs::write(making.path(), "all of it").expect("written");
        assert!(!place.exists());
        making.finish().expect("finished");
        assert_eq!(fs::read_to_string(&place).expect("there"), "all of it");
        assert!(!left.exists());

        assert!(matches!(Making::begin(&place), Err(MakingError::Exists(_))));
        fs::remove_file(&place).expect("removed");
        let making = Making::begin(&place).expect("begun");
        fs::write(making.path(), "mine").expect("written");
        fs::write(&place, "another's").expect("written");
        assert!(matches!(making.finish(), Err(MakingError::Exists(_))));
        assert_eq!(fs::read_to_string(&place).expect("there"), "another's");
        // A folder that is not there is not made.
        let mistyped = folder.path().join("lgos").join("log.jsonl");
        assert!(matches!(Making::begin(&mistyped), Err(MakingError::NoFolder(_))));
        assert!(!folder.path().join("lgos").exists());
        // Given up, nothing is left.
        fs::remove_file(&place).expect("removed");
        drop(Making::begin(&place).expect("begun"));
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 0);
    }
}
