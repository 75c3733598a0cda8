//! Where a program keeps its data.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// Where the program `name` keeps its data: what the environment variable says, unless it is empty, else a folder of
/// that name in the platform's place for the data of applications. A place of the platform that is not an absolute
/// path counts as none, as the XDG Base Directory Specification has it: keys do not land in whatever folder is the
/// current one. `None` if no place is known.
#[must_use]
pub fn data_folder(variable: &str, name: &str) -> Option<PathBuf> {
    chosen(variable, name, |name| env::var_os(name), env::home_dir)
}

fn chosen(
    variable: &str,
    name: &str,
    environment: impl Fn(&str) -> Option<OsString>,
    home: impl Fn() -> Option<PathBuf>,
) -> Option<PathBuf> {
    let of = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let absolute = |name: &str| of(name).filter(|path| path.is_absolute());
    let home = || home().filter(|home| home.is_absolute());
    let data = || {
        if cfg!(windows) {
            absolute("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            home().map(|home| home.join("Library/Application Support"))
        } else {
            absolute("XDG_DATA_HOME").or_else(|| home().map(|home| home.join(".local/share")))
        }
    };
    of(variable).or_else(|| data().map(|data| data.join(name)))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_variable_comes_first_and_the_platform_has_to_name_an_absolute_path() {
        let at = |variables: &[(&str, &str)], home: Option<&str>| {
            let environment =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(*value));
            chosen("OWN", "program", environment, || home.map(PathBuf::from))
        };
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(at(&[("OWN", "here"), ("XDG_DATA_HOME", "/data")], Some("/home/a")), path("here"));
        assert_eq!(at(&[("OWN", ""), ("XDG_DATA_HOME", "/data")], Some("/home/a")), path("/data/program"));
        assert_eq!(at(&[("XDG_DATA_HOME", "data")], Some("/home/a")), path("/home/a/.local/share/program"));
        assert_eq!(at(&[], Some("home")), None);
        assert_eq!(at(&[], None), None);
    }
}
