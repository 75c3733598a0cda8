//! Folders and files that their owner alone can read.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// A folder could not be made, or not be kept from others.
#[derive(Debug)]
pub struct Unprotected {
    /// What was tried: `make`, `read` or `protect`.
    pub action: &'static str,
    /// What the operating system said.
    pub cause: io::Error,
}

/// Whether a folder is there that other users can look into.
#[must_use]
pub fn is_exposed(folder: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        false
    }
}

/// Makes a folder that its owner alone can look into (0700), with those above it that are missing; one that is there is
/// made so.
///
/// # Errors
/// [`Unprotected`].
pub fn make_private(folder: &Path) -> Result<(), Unprotected> {
    let failed = |action| move |cause| Unprotected { action, cause };
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder).map_err(failed("make"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(folder).map_err(failed("read"))?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed("protect"))?;
        }
    }
    Ok(())
}

/// How a file is opened that, if it is made, its owner alone can read (0600).
#[must_use]
pub fn private_file() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_made_is_its_owners_alone_and_what_is_there_becomes_so() {
        let place = tempfile::tempdir().expect("a folder");
        let deep = place.path().join("a/b");
        make_private(&deep).expect("made");
        assert!(!is_exposed(&deep) && !is_exposed(&place.path().join("a")));
        fs::set_permissions(&deep, fs::Permissions::from_mode(0o755)).expect("opened up");
        assert!(is_exposed(&deep));
        make_private(&deep).expect("made private again");
        assert!(!is_exposed(&deep) && !is_exposed(&place.path().join("missing")));
        let file = deep.join("file");
        private_file().write(true).create_new(true).open(&file).expect("made");
        assert_eq!(fs::metadata(file).expect("there").permissions().mode() & 0o777, 0o600);
        let in_the_way = make_private(&deep.join("file/below")).expect_err("a file is in the way");
        assert_eq!(in_the_way.action, "make");
    }
}
