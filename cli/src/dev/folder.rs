//! The folder of one `dev`: a store, a home, a sealed file. Dropped, it is gone; what a killed one left goes with the
//! next.

use std::fs::{self, File};
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
    /// An empty one. Clears away what others left that were killed.
    pub(crate) fn new() -> io::Result<Self> {
        sweep(&std::env::temp_dir());
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        let lock = File::create_new(dir.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let is_over = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = entry.metadata().and_then(|data| data.modified());
                made.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > MAKING))
            }
            // Another user's.
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
    sweep(place.path());
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
