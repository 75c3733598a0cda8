//! Files in the making. Each belongs to the process that writes it, for as long as that process lives; what one left
//! behind that was killed is found by that, and cleared.

use crate::random;
use portcullis_folders::{left_over, private_file};
use same_file::Handle;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Their names begin and end so.
const NAME: (&str, &str) = (".", ".new");
/// After so long a file that cannot be locked, on a file system without locks, belongs to nobody. Nothing takes an hour
/// to be written.
const ABANDONED: Duration = Duration::from_secs(3600);
/// How often another name is tried, while somebody who clears up looks at each.
const TRIES: u32 = 16;

/// A file in the making, readable by its owner alone. It is locked until it is closed; dropped before it is put in its
/// place, it is removed.
#[derive(Debug)]
pub(crate) struct TempFile {
    file: File,
    path: PathBuf,
}

impl TempFile {
    /// An empty one in a folder.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let path = folder.join(format!("{}{}{}", NAME.0, random::octets::<12>(), NAME.1));
            let file = private_file().read(true).write(true).create_new(true).open(&path)?;
            let temp = Self { file, path };
            match temp.file.try_lock() {
                // Between making and locking it somebody may have cleared it away.
                Ok(()) if temp.is_there() => return Ok(temp),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                // Nobody can lock it: then it is judged by its age.
                Err(TryLockError::Error(_)) => return Ok(temp),
            }
        }
        Err(io::Error::other("other processes clear up too eagerly; try again"))
    }

    fn is_there(&self) -> bool {
        let ours = self.file.try_clone().and_then(Handle::from_file);
        ours.is_ok_and(|ours| Handle::from_path(&self.path).is_ok_and(|there| there == ours))
    }

    /// The file, open for reading and writing.
    pub(crate) const fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts it in its place, over what is there. On unix it stays locked until the file is
    /// closed.
    pub(crate) fn place(mut self, to: &Path) -> io::Result<File> {
        // There a lock keeps others from reading, too.
        #[cfg(windows)]
        let _ = self.file.unlock();
        fs::rename(&self.path, to)?;
        self.path = PathBuf::new();
        self.file.try_clone()
    }

    /// Puts it in its place unless something is there. Returns whether it did.
    pub(crate) fn place_new(self, to: &Path) -> io::Result<bool> {
        // A link, unlike a rename, never replaces what another process put there meanwhile.
        match fs::hard_link(&self.path, to) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes from a folder what processes left there that ended.
pub(crate) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(NAME.0) && name.ends_with(NAME.1));
        if is_ours && let Some(_locked) = left_over(&entry, ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_nobody_owns_any_more_is_cleared_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for left in [".abc.new", ".journal.new"] {
            fs::write(path(left), "left behind").expect("written");
        }
        for other in ["pin.json", ".lock", "notes.new"] {
            fs::write(path(other), "somebody's").expect("written");
        }
        let mut owned = TempFile::new(folder.path()).expect("made");
        owned.file().write_all(b"under way").expect("written");
        sweep(folder.path());
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .expect("read")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .filter(|name| path(name) != owned.path)
            .collect();
        names.sort_unstable();
        assert_eq!(names, [".lock", "notes.new", "pin.json"]);
        owned.place(&path("record")).expect("placed");
        assert_eq!(fs::read(path("record")).expect("read"), b"under way");
        drop(TempFile::new(folder.path()).expect("made"));
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 4, "dropped, it is gone");
    }

    #[test]
    fn whoever_writes_loses_nothing_to_those_who_clear_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(std::sync::atomic::Ordering::Relaxed) {
                        sweep(folder.path());
                    }
                });
            }
            for number in 0..300 {
                let mut temp = TempFile::new(folder.path()).expect("made");
                temp.file().write_all(&[7; 100]).expect("written");
                let to = folder.path().join(format!("record-{number}"));
                temp.place(&to).expect("placed");
                assert_eq!(fs::read(to).expect("read").len(), 100);
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
