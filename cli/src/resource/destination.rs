//! A file that the user names for what a command makes.
//!
//! A regular file appears under its name when it is whole, with the permissions it had; a link is followed, and the
//! file that it leads to is the one that is written. A device, a pipe or a socket is written through.

use portcullis_folders::left_over;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::NamedTempFile;

use crate::failure::{Failure, OrFail as _, Outcome};

/// Links that are followed, as the system does.
const MAX_LINKS: usize = 40;

/// How the name of a file ends that is not whole yet.
const PARTIAL: &str = ".partial";
/// After so long a file that cannot be locked, on a file system without locks, belongs to nobody.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// How often another name is tried, while other processes clear up.
const TRIES: u32 = 16;

/// Where to write. Nothing is changed before [`Destination::finish`], unless it is written through.
#[derive(Debug)]
pub(crate) struct Destination {
    named: PathBuf,
    fix: &'static str,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// Written beside the target, then renamed.
    Whole { beside: NamedTempFile, target: PathBuf },
    /// Written as it comes. A regular file is emptied first.
    Through { file: File, regular: bool },
}

impl Destination {
    /// Prepares to write. `fix` says what to do if that cannot be.
    pub(crate) fn open(named: &Path, fix: &'static str) -> Outcome<Self> {
        let way = Way::to(named).map_err(|error| match named.parent() {
            Some(folder)
                if error.kind() == ErrorKind::NotFound && !folder.as_os_str().is_empty() && !folder.exists() =>
            {
                let what = format!("cannot write `{}`: there is no folder `{}`", named.display(), folder.display());
                Failure::new(what, format!("make the folder first, or {fix}"))
            }
            _ => cannot_write(named, &error, fix),
        })?;
        Ok(Self { named: named.to_path_buf(), fix, way })
    }

    /// Whether what is written is seen by a person at once.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(&self.way, Way::Through { file, .. } if io::IsTerminal::is_terminal(file))
    }

    /// Whether a writer may go back in it: not in what is written through.
    pub(crate) fn is_seekable(&self) -> bool {
        matches!(&self.way, Way::Whole { .. } | Way::Through { regular: true, .. })
    }

    /// The file to write to.
    pub(crate) fn file(&self) -> Outcome<File> {
        let file = match &self.way {
            Way::Whole { beside, .. } => beside.as_file().try_clone(),
            Way::Through { file, regular: true } => file.set_len(0).and_then(|()| file.try_clone()),
            Way::Through { file, regular: false } => file.try_clone(),
        };
        file.map_err(|error| self.failure(&error))
    }

    /// Writes all of it.
    pub(crate) fn write(self, bytes: &[u8]) -> Outcome<Option<u64>> {
        io::Write::write_all(&mut self.file()?, bytes).map_err(|error| self.failure(&error))?;
        self.finish()
    }

    /// All is written: it is on the disk under its name, or the error says why not. Returns how many bytes a regular
    /// file has.
    pub(crate) fn finish(self) -> Outcome<Option<u64>> {
        let failure = |error: &io::Error| cannot_write(&self.named, error, self.fix);
        match self.way {
            Way::Whole { beside, target } => {
                let file = beside.as_file();
                let bytes = file.sync_all().and_then(|()| Ok(file.metadata()?.len())).map_err(|e| failure(&e))?;
                if !is_still_there(&beside).map_err(|error| failure(&error))? {
                    return Err(failure(&io::Error::other("something else was put in the place of what was written")));
                }
                beside.persist(&target).map_err(|error| failure(&error.error))?;
                Ok(Some(bytes))
            }
            Way::Through { file, regular } => {
                match file.sync_all() {
                    // Devices and pipes have nothing to sync.
                    Err(error) if regular || !is_unsyncable(&error) => return Err(failure(&error)),
                    _ => {}
                }
                if !regular {
                    return Ok(None);
                }
                let bytes = file.metadata().or_fail(format_args!("read `{}`", self.named.display()), self.fix)?;
                Ok(Some(bytes.len()))
            }
        }
    }

    /// Why it could not be written.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        cannot_write(&self.named, error, self.fix)
    }
}

/// Whether the name of a file that is being written still leads to it. What a resource was lent may be the folder that
/// it lies in.
#[cfg(unix)]
fn is_still_there(beside: &NamedTempFile) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let named = match std::fs::symlink_metadata(beside.path()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        named => named?,
    };
    let open = beside.as_file().metadata()?;
    Ok((named.dev(), named.ino()) == (open.dev(), open.ino()))
}

#[cfg(not(unix))]
fn is_still_there(_beside: &NamedTempFile) -> io::Result<bool> {
    Ok(true)
}

fn cannot_write(named: &Path, error: &io::Error, fix: &'static str) -> Failure {
    let fix = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space on that disk, or choose another file",
        _ => fix,
    };
    Failure::not_written(format_args!("write `{}`", named.display()), error, fix)
}

fn is_unsyncable(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

impl Way {
    fn to(named: &Path) -> io::Result<Self> {
        match std::fs::metadata(named) {
            Ok(there) if there.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Ok(there) if there.is_file() && !is_of_a_process(named) => {
                // Asked of the file itself: whoever may not write it may not replace it.
                let file = OpenOptions::new().write(true).open(named)?;
                Ok(Self::in_place_of(named, &there)?.unwrap_or(Self::Through { file, regular: true }))
            }
            Ok(there) => {
                // A file that is open already goes on where it ends.
                let file = OpenOptions::new().append(there.is_file()).write(true).open(named)?;
                Ok(Self::Through { file, regular: false })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let target = followed(named)?;
                Ok(Self::Whole { beside: beside(&target, None)?, target })
            }
            Err(error) => Err(error),
        }
    }

    /// A file that takes the place of one that is there: `None` if that one has to stay, for it has other names,
    /// belongs to somebody else, or its folder takes no new file.
    fn in_place_of(named: &Path, there: &Metadata) -> io::Result<Option<Self>> {
        let target = std::fs::canonicalize(named)?;
        let Ok(beside) = beside(&target, Some(there)) else { return Ok(None) };
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let new = beside.as_file().metadata()?;
            if there.nlink() > 1 || (new.uid(), new.gid()) != (there.uid(), there.gid()) {
                return Ok(None);
            }
        }
        Ok(Some(Self::Whole { beside, target }))
    }
}

/// A new file in the folder of `target`, with the permissions of what is there, else with those of any new file. It is
/// locked until it is closed; what processes that were killed left of earlier ones is removed.
fn beside(target: &Path, there: Option<&Metadata>) -> io::Result<NamedTempFile> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let name = target.file_name().ok_or(ErrorKind::InvalidFilename)?.to_string_lossy();
    let prefix = format!(".{}.", name.chars().take(40).collect::<String>());
    clear_up(folder, &prefix);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(PARTIAL);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    for _ in 0..TRIES {
        let file = builder.tempfile_in(folder)?;
        // Between making and locking it, another process may have cleared it away.
        if matches!(file.as_file().try_lock(), Err(TryLockError::WouldBlock)) || !file.path().exists() {
            continue;
        }
        if let Some(there) = there {
            file.as_file().set_permissions(there.permissions())?;
        }
        return Ok(file);
    }
    Err(io::Error::other("other processes write the same file; try again"))
}

/// Removes what processes that ended left of files that were to become this one. Nobody has them locked.
fn clear_up(folder: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        // Between prefix and ending there are only the letters and digits of a name drawn at random.
        let drawn = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_suffix(PARTIAL));
        let is_ours = drawn.is_some_and(|drawn| drawn.len() == 6 && drawn.bytes().all(|b| b.is_ascii_alphanumeric()));
        if is_ours && let Some(_locked) = left_over(&entry, ABANDONED) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Where a link leads that leads to nothing yet; any other path itself.
fn followed(named: &Path) -> io::Result<PathBuf> {
    let mut path = named.to_path_buf();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or_else(|| Path::new("")).join(to),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

/// `/dev/stdout` and the like: the file is open already, and not to be exchanged for another.
fn is_of_a_process(named: &Path) -> bool {
    ["/dev", "/proc"].iter().any(|folder| named.starts_with(folder))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};

    const FIX: &str = "choose another file";

    fn write(path: &Path, text: &str) -> Outcome<Option<u64>> {
        Destination::open(path, FIX)?.write(text.as_bytes())
    }

    #[test]
    fn what_was_put_in_the_place_of_the_file_is_not_given_its_name() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("out.svg");
        let destination = Destination::open(&target, FIX).expect("opened");
        let Way::Whole { beside, .. } = &destination.way else { panic!("a regular file") };
        let name = beside.path().to_owned();
        fs::remove_file(&name).expect("removed");
        symlink("../victim.sh", &name).expect("planted");
        assert!(destination.write(b"bytes").is_err());
        assert!(fs::symlink_metadata(&target).is_err(), "no link has the name");
    }

    #[test]
    fn links_are_followed_and_stay_links() {
        let folder = tempfile::tempdir().expect("folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("deep")).expect("folder");
        fs::write(path("deep/target"), "old").expect("file");
        fs::set_permissions(path("deep/target"), fs::Permissions::from_mode(0o640)).expect("mode");
        symlink("deep/target", path("link")).expect("link");
        symlink("deep/new", path("dangling")).expect("link");
        assert_eq!(write(&path("link"), "new").expect("written"), Some(3));
        write(&path("dangling"), "made").expect("written");
        assert_eq!(fs::read_to_string(path("deep/target")).expect("file"), "new");
        assert_eq!(fs::metadata(path("deep/target")).expect("file").mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(path("deep/new")).expect("file"), "made");
        for link in ["link", "dangling"] {
            assert!(fs::symlink_metadata(path(link)).expect("link").is_symlink());
        }
        symlink("circle", path("circle")).expect("link");
        assert!(write(&path("circle"), "x").is_err());
        assert_eq!(fs::read_dir(path("deep")).expect("folder").count(), 2, "nothing is left over");
    }

    #[test]
    fn what_killed_processes_left_is_cleared_and_nothing_else() {
        let folder = tempfile::tempdir().expect("folder");
        let path = |name: &str| folder.path().join(name);
        for name in [".file.Ab12Cd.partial", ".file.zzzzzz.partial", ".file.notes.partial", ".other.Ab12Cd.partial"] {
            fs::write(path(name), "half").expect("file");
        }
        let begun = Destination::open(&path("file"), FIX).expect("opened");
        assert!(!path(".file.Ab12Cd.partial").exists() && !path(".file.zzzzzz.partial").exists());
        assert!(path(".file.notes.partial").exists() && path(".other.Ab12Cd.partial").exists());
        let second = Destination::open(&path("file"), FIX).expect("opened");
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 4, "what is being written stays");
        begun.write(b"first").expect("written");
        second.write(b"second").expect("written");
        assert_eq!(fs::read_to_string(path("file")).expect("file"), "second");
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 3);
    }

    #[test]
    fn devices_are_written_through() {
        assert_eq!(write(Path::new("/dev/null"), "x").expect("written"), None);
        assert!(fs::metadata("/dev/null").expect("device").file_type().is_char_device());
        let full = write(Path::new("/dev/full"), "x").expect_err("full");
        assert!(full.to_string().contains("No space left") && full.fix().contains("free some space"), "{full}");
    }

    #[test]
    fn until_it_is_whole_nothing_changes() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("file");
        fs::write(&path, "old").expect("file");
        let begun = Destination::open(&path, FIX).expect("opened");
        io::Write::write_all(&mut begun.file().expect("file"), b"half").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("file"), "old");
        drop(begun);
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1);
        let other = folder.path().join("other-name");
        fs::hard_link(&path, &other).expect("linked");
        write(&path, "new").expect("written");
        assert_eq!(fs::read_to_string(&other).expect("file"), "new", "both names still mean one file");
        assert!(write(folder.path(), "x").is_err(), "a folder is no file");
        let missing = write(&folder.path().join("no/such/folder"), "x").expect_err("no such folder");
        assert!(missing.to_string().contains("there is no folder"), "{missing}");
    }
}
