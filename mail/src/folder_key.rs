//! The key of a sealed folder: in a file beside what it seals, or wherever a command finds it, such as the keyring of
//! the system. Its libraries would each bring a bus, a second async runtime or a program in C; its commands are there.

use crate::sealed_folder::FolderError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_folders::private_file;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The file with the key.
const FILE: &str = "key";
/// The file that says that the key is somewhere else.
const ELSEWHERE: &str = "key-elsewhere";
/// Bytes that a command may print: the key has 44, and programs add an end of line.
const MAX_PRINTED: u64 = 256;

/// Bytes that seal everything in a folder.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// The key of the folder: what the command prints, if there is one, else that of its file, which is made if the folder
/// is new.
pub(crate) fn key(folder: &Path, command: Option<&str>) -> Result<Key, FolderError> {
    let Some(command) = command else {
        if folder.join(ELSEWHERE).exists() {
            return Err(FolderError::KeyElsewhere { path: folder.display().to_string() });
        }
        return load_or_make(&folder.join(FILE));
    };
    let printed = printed(command)?;
    match in_file(&folder.join(FILE))? {
        Some(key) if !bool::from(key.ct_eq(&*printed)) => Err(FolderError::OtherKey),
        Some(_) => Ok(printed),
        None => {
            mark_elsewhere(folder)?;
            Ok(printed)
        }
    }
}

/// Removes the file with the key, if the command prints the same.
pub(crate) fn forget(folder: &Path, command: &str) -> Result<(), FolderError> {
    let _ = key(folder, Some(command))?;
    mark_elsewhere(folder)?;
    let failed = |action, path: &Path, error: &io::Error| Err(FolderError::io(action, path, error));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return failed("read", folder, &error),
    };
    // A process that was killed while it made the key left a copy of it behind.
    let is_copy = |name: &str| name == FILE || (name.starts_with("key.") && name.ends_with(".tmp"));
    for entry in entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_copy)) {
        match fs::remove_file(entry.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return failed("remove", &entry.path(), &error),
            _ => {}
        }
    }
    Ok(())
}

/// A key as commands print it.
pub(crate) fn written(key: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(key))
}

fn mark_elsewhere(folder: &Path) -> Result<(), FolderError> {
    let path = folder.join(ELSEWHERE);
    let mark = || private_file().write(true).create(true).truncate(true).open(&path)?.sync_all();
    if path.exists() { Ok(()) } else { mark().map_err(|error| FolderError::io("write", &path, &error)) }
}

/// What the command prints. It reads nothing: standard input may belong to whoever asks for bills.
fn printed(command: &str) -> Result<Key, FolderError> {
    let failed = |cause: String| FolderError::KeyCommand { cause };
    let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    shell.args([if cfg!(windows) { "/C" } else { "-c" }, command]);
    let started = shell.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| failed(error.to_string()))?;
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_PRINTED).unwrap_or_default()));
    let read = child.stdout.take().map_or(Ok(0), |out| out.take(MAX_PRINTED).read_to_end(&mut text));
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    read.map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(format!("it ended with {status}")));
    }
    let bytes = Zeroizing::new(STANDARD.decode(text.trim_ascii()).unwrap_or_default());
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| failed("it printed something else".to_owned()))?;
    Ok(Zeroizing::new(key))
}

fn in_file(path: &Path) -> Result<Option<Key>, FolderError> {
    let stored = match fs::read(path) {
        Ok(stored) => Zeroizing::new(stored),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FolderError::io("read", path, &error)),
    };
    let key: [u8; 32] =
        stored.as_slice().try_into().map_err(|_| FolderError::Damaged { path: path.display().to_string() })?;
    Ok(Some(Zeroizing::new(key)))
}

/// The key of a file; a new one if there is none yet. What another process stored first wins.
fn load_or_make(path: &Path) -> Result<Key, FolderError> {
    let failed = |action| move |error: io::Error| FolderError::io(action, path, &error);
    let mut fresh = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *fresh).expect("the operating system gives random bytes");
    // Written whole under a name of its own, then linked: nobody ever reads half a key.
    let made = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = private_file().write(true).create(true).truncate(true).open(&made).map_err(failed("write"))?;
    file.write_all(&*fresh).and_then(|()| file.sync_all()).map_err(failed("write"))?;
    let linked = fs::hard_link(&made, path);
    fs::remove_file(&made).map_err(failed("remove"))?;
    match linked {
        Ok(()) => Ok(fresh),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            in_file(path)?.ok_or_else(|| FolderError::Damaged { path: path.display().to_string() })
        }
        Err(error) => Err(failed("write")(error)),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::SealedFolder;

    #[test]
    fn a_key_moves_to_where_a_command_finds_it_and_nothing_is_lost() {
        let home = tempfile::tempdir().expect("a folder");
        let root = home.path().join("mail");
        let folder = SealedFolder::open(&root).expect("open");
        folder.write("accounts", "main", b"hunter2").expect("write");
        let ring = home.path().join("ring");
        fs::write(&ring, format!("{}\n", *folder.key_as_printed())).expect("kept");
        let command = format!("cat '{}'", ring.display());
        let open = |command: Option<&str>| SealedFolder::open_with(&root, command);

        // Both places are fine as long as they agree; then the file goes.
        open(Some(&command)).expect("the same key");
        fs::copy(root.join(FILE), root.join("key.4711.tmp")).expect("left behind");
        open(Some(&command)).expect("open").forget_key_file(&command).expect("forgotten");
        assert!(!root.join(FILE).exists() && !root.join("key.4711.tmp").exists());
        let read = open(Some(&command)).expect("open").read("accounts", "main").expect("read").expect("there");
        assert_eq!(read.as_slice(), b"hunter2");

        // Without the command nothing is made anew, and the error says what is missing.
        let error = open(None).expect_err("no key").to_string();
        assert!(error.contains("PORTCULLIS_MAIL_KEY_COMMAND"), "{error}");
        assert!(!root.join(FILE).exists());
    }

    #[test]
    fn what_prints_no_key_or_another_one_opens_nothing() {
        let home = tempfile::tempdir().expect("a folder");
        let root = home.path().join("mail");
        SealedFolder::open(&root).expect("open");
        let other = format!("echo {}", *written(&[7; 32]));
        for (command, expected) in [
            (other.as_str(), FolderError::OtherKey),
            ("exit 3", FolderError::KeyCommand { cause: "it ended with exit status: 3".into() }),
            ("echo c2hvcnQ=", FolderError::KeyCommand { cause: "it printed something else".into() }),
            // It does not wait for whoever asks for bills.
            ("cat", FolderError::KeyCommand { cause: "it printed something else".into() }),
        ] {
            let refused = SealedFolder::open_with(&root, Some(command)).expect_err(command);
            assert_eq!(refused, expected, "{command}");
            assert!(SealedFolder::open(&root).is_ok_and(|folder| folder.forget_key_file(command).is_err()));
            assert!(root.join(FILE).exists(), "{command}: the key is not lost");
        }
        // What never ends is ended.
        assert!(matches!(SealedFolder::open_with(&root, Some("yes")), Err(FolderError::KeyCommand { .. })));
        // A new folder has no key of its own then.
        let fresh = home.path().join("fresh");
        SealedFolder::open_with(&fresh, Some(&other)).expect("open").write("a", "b", b"c").expect("write");
        assert!(!fresh.join(FILE).exists());
        assert!(SealedFolder::open(&fresh).is_err());
    }
}
