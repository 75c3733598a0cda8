//! The key of a publisher, or of a merchant, in a file: a private JSON Web Key (RFC 8037 section 2), readable by its
//! owner alone.

use portcullis_protocol::SecretKey;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

use crate::failure::{Failure, OrFail as _, Outcome};
use crate::screen::shell::quoted;

/// Where the key is looked for: `--key`, this variable, then the home folder.
pub(crate) const VARIABLE: &str = "PORTCULLIS_PUBLISHER_KEY";
/// Its name in the home folder.
pub(crate) const FILE: &str = "publisher.jwk";
/// A key file is about 160 bytes; more is another file.
const MAX_FILE: u64 = 4096;

/// Whose key is meant: who has none is told how to make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// `portcullis keygen` makes it, and `--key` or [`VARIABLE`] names another one.
    Publisher,
    /// `portcullis merchant keygen` makes it, and `--key` names another one.
    Merchant,
}

impl Whose {
    const fn key(self) -> &'static str {
        match self {
            Self::Publisher => "publisher key",
            Self::Merchant => "merchant's key",
        }
    }

    const fn maker(self) -> &'static str {
        match self {
            Self::Publisher => "portcullis keygen",
            Self::Merchant => "portcullis merchant keygen",
        }
    }

    fn missing(self) -> String {
        let variable = match self {
            Self::Publisher => format!(" or {VARIABLE}"),
            Self::Merchant => String::new(),
        };
        format!("make one: `{}`; or name yours: `--key FILE`{variable}", self.maker())
    }
}

/// The file to use: the one asked for, else the one in `home`.
pub(crate) fn path(asked: Option<&Path>, home: &Path) -> PathBuf {
    asked.map_or_else(|| home.join(FILE), Path::to_path_buf)
}

/// Writes a new key, readable by its owner only. An existing file is never touched.
pub(crate) fn create(path: &Path) -> Outcome<SecretKey> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        // A folder that is made for a key is its owner's alone.
        #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(folder).or_fail(
            format_args!("create the folder `{}`", folder.display()),
            "choose another place: `--output FILE`",
        )?;
    }
    let key = SecretKey::generate(&mut crate::random::system());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::new(
            format!("`{}` exists already, and a key is never overwritten", path.display()),
            "use it as it is, choose another file with `--output FILE`, or move the old key to a safe place first",
        ),
        _ => {
            Failure::new(format!("cannot write `{}`: {error}", path.display()), "choose another file: `--output FILE`")
        }
    })?;
    let text = key.to_private_jwk();
    let written = file.write_all(&text).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    written.or_fail(format_args!("write `{}`", path.display()), "free some space, delete the file, and try again")?;
    Ok(key)
}

/// Reads a key. Refuses a file that others can read.
pub(crate) fn read(path: &Path, whose: Whose) -> Outcome<SecretKey> {
    let (shown, what) = (path.display(), whose.key());
    let file = File::open(path).or_fail(format_args!("open the {what} `{shown}`"), whose.missing())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map(|data| data.permissions().mode()).unwrap_or(0o777);
        if mode & 0o077 != 0 {
            return Err(Failure::new(
                format!("the {what} `{shown}` can be read by others (mode {:03o})", mode & 0o777),
                format!("chmod 600 {}", quoted(shown)),
            ));
        }
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(MAX_FILE).read_to_end(&mut text).or_fail(format_args!("read `{shown}`"), "check the file")?;
    SecretKey::from_private_jwk(&text).map_err(|error| {
        Failure::new(
            format!("`{shown}` is not a {what}: {error}"),
            format!("name the file that `{}` wrote: a private Ed25519 JWK (RFC 8037)", whose.maker()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_protocol::encoding::Octets;

    #[test]
    fn a_key_is_written_once_and_read_back() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("deep/key.jwk");
        let key = create(&path).expect("created");
        assert_eq!(read(&path, Whose::Publisher).expect("read").public(), key.public());
        let again = create(&path).expect_err("never overwritten");
        assert!(again.to_string().contains("never overwritten"));
        assert_eq!(read(&path, Whose::Publisher).expect("still there").public(), key.public());
    }

    #[test]
    fn who_has_no_key_is_told_how_to_make_the_one_that_is_meant() {
        let nowhere = Path::new("/nowhere/key.jwk");
        for (whose, key, maker, variable) in [
            (Whose::Publisher, "the publisher key", "`portcullis keygen`", true),
            (Whose::Merchant, "the merchant's key", "`portcullis merchant keygen`", false),
        ] {
            let failure = read(nowhere, whose).expect_err("there is none");
            assert!(failure.to_string().contains(key), "{failure}");
            assert!(failure.fix().contains(maker), "{}", failure.fix());
            assert_eq!(failure.fix().contains(VARIABLE), variable, "{}", failure.fix());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("key.jwk");
        create(&path).expect("created");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("mode");
        assert!(read(&path, Whose::Publisher).expect_err("refused").to_string().contains("mode 644"));
    }

    #[test]
    fn halves_of_two_keys_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let (one, two) = (folder.path().join("1"), folder.path().join("2"));
        create(&one).expect("created");
        let other = create(&two).expect("created");
        let mut jwk: serde_json::Value = serde_json::from_slice(&std::fs::read(&one).expect("bytes")).expect("json");
        jwk["x"] = Octets(other.public().to_bytes()).to_string().into();
        std::fs::write(&one, jwk.to_string()).expect("written");
        assert!(read(&one, Whose::Publisher).expect_err("refused").to_string().contains("do not belong together"));
    }
}
