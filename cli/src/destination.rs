//! Whether a file can be written: found out before anything is paid for what would be in it.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use crate::failure::{Failure, OrFail as _, Outcome};

const FIX: &str = "choose another file: -o FILE";

/// Whether the file can be written, or made where there is none yet. Changes nothing.
pub(crate) fn check(path: &Path) -> Outcome {
    let cannot = format!("write `{}`", path.display());
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(Failure::new(format!("cannot {cannot}: it is a folder"), FIX)),
        Ok(found) if found.is_file() => OpenOptions::new().write(true).open(path).map(drop).or_fail(&cannot, FIX),
        // A pipe or a device: to open it may wait for somebody at its other end.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if !folder.is_dir() {
                let fix = format!("make the folder first, or {FIX}");
                return Err(Failure::new(format!("cannot {cannot}: there is no folder `{}`", folder.display()), fix));
            }
            tempfile::tempfile_in(folder).map(drop).or_fail(&cannot, FIX)
        }
        Err(error) => Err(error).or_fail(&cannot, FIX),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_cannot_be_written_is_found_and_nothing_is_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        check(&file).expect("it can be made");
        assert!(!file.exists() && folder.path().read_dir().expect("a folder").next().is_none(), "nothing was made");
        std::fs::write(&file, "before").expect("written");
        check(&file).expect("it can be written");
        assert_eq!(std::fs::read_to_string(&file).expect("read"), "before");
        let missing = check(&folder.path().join("missing/file")).expect_err("no such folder");
        assert!(missing.to_string().contains("there is no folder"), "{missing}");
        assert!(check(folder.path()).is_err() && check(&file.join("below")).is_err());
        #[cfg(unix)]
        check(std::path::Path::new("/dev/null")).expect("a device");
    }
}
