//! The folder of one `dev`: a store, a home, a sealed file. Dropped, it is gone; what a killed one left goes with the
//! next.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// The names of such folders begin so.
const PREFIX: &str = "portcullis-dev-";
/// The file in it that is locked as long as its process lives.
const LOCK: &str = "lock";
/// A folder without that file is one that is just being made, or was left in that moment.
const MAKING: Duration = Duration::from_secs(3600);

/// A folder for temporary files.
pub(crate) struct Folder {
    dir: TempDir,
    _lock: File,
}

impl Folder {
    /// An empty one. Clears away what others of the same user left that were killed.
    pub(crate) fn new() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        let own = fs::metadata(dir.path())?;
        sweep(&std::env::temp_dir(), |other| is_of_the_same_user(&own, other));
        let lock = File::create_new(dir.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

#[cfg(unix)]
fn is_of_the_same_user(own: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    own.uid() == other.uid()
}

#[cfg(not(unix))]
fn is_of_the_same_user(_own: &Metadata, _other: &Metadata) -> bool {
    true
}

/// Nothing in another user's folder is opened: a pipe with the name of the lock would be waited for.
fn sweep(folder: &Path, is_own: impl Fn(&Metadata) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let has_name = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !has_name || !entry.metadata().is_ok_and(|data| data.is_dir() && is_own(&data)) {
            continue;
        }
        let is_over = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = entry.metadata().and_then(|data| data.modified());
                made.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > MAKING))
            }
            Err(_) => false,
        };
        if is_over {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[test]
fn what_a_killed_one_left_is_cleared_and_what_one_that_runs_has_is_not() {
    let place = tempfile::tempdir().expect("a folder");
    let path = |name: &str| place.path().join(name);
    for name in ["portcullis-dev-left", "portcullis-dev-runs", "portcullis-dev-making", "another"] {
        fs::create_dir(path(name)).expect("made");
        fs::write(path(name).join("data"), "something").expect("written");
    }
    for name in ["portcullis-dev-left", "portcullis-dev-runs", "another"] {
        fs::write(path(name).join(LOCK), "").expect("written");
    }
    let runs = File::open(path("portcullis-dev-runs").join(LOCK)).expect("opened");
    runs.lock().expect("locked");
    sweep(place.path(), |_| false);
    assert!(path("portcullis-dev-left").exists(), "another user's");
    sweep(place.path(), |_| true);
    let left: Vec<bool> = ["portcullis-dev-left", "portcullis-dev-runs", "portcullis-dev-making", "another"]
        .map(|name| path(name).exists())
        .to_vec();
    assert_eq!(left, [false, true, true, true]);
    let own = Folder::new().expect("made");
    let at = own.path().to_owned();
    assert!(at.join(LOCK).is_file());
    drop(own);
    assert!(!at.exists());
}

#[test]
#[cfg(unix)]
fn a_pipe_in_the_folder_of_another_user_is_not_waited_for() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("portcullis-dev-trap");
    fs::create_dir(&folder).expect("made");
    let made = std::process::Command::new("mkfifo").arg(folder.join(LOCK)).status().expect("mkfifo");
    assert!(made.success());
    sweep(place.path(), |_| false);
    assert!(folder.exists());
}
