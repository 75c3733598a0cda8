//! From what the command line names to a sealed file on this machine.

use portcullis_host::{Client, Installed};
use portcullis_protocol::sealed::Sealed;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, OrFail as _, Outcome};
use crate::target::{Name, Target};

/// The file of an installed resource, or the file named.
pub(crate) fn file(client: &Client, target: &Target) -> Outcome<PathBuf> {
    match target {
        Target::File(path) => Ok(path.clone()),
        Target::Name(name) => Ok(installed(client, name)?.path),
        Target::Url(url) => {
            Err(Failure::usage(format!("{url} is not on this machine"), format!("portcullis install {url}")))
        }
    }
}

/// An installed resource, of the version named.
pub(crate) fn installed(client: &Client, name: &Name) -> Outcome<Installed> {
    let hint = |name: &Name| match name.publisher {
        Some(_) => format!("portcullis install {name}"),
        None => format!("`portcullis list` shows what is installed; `portcullis search {}` finds it", name.name),
    };
    let found = client.library().find(&name.path()).map_err(|error| {
        let failure = Failure::from(error);
        if failure.to_string().starts_with("not found") { failure.with_fix(hint(name)) } else { failure }
    })?;
    match &name.version {
        Some(version) if *version != found.version => Err(Failure::new(
            format!("{}/{} {} is installed, not {version}", found.publisher, found.name, found.version),
            format!("portcullis install {}/{}@{version}", found.publisher, found.name),
        )),
        _ => Ok(found),
    }
}

/// Opens a sealed file: signatures, stub and block lists are verified.
pub(crate) fn open(path: &Path) -> Outcome<Sealed<File>> {
    let file = File::open(path).or_fail(
        format_args!("open `{}`", path.display()),
        "check the path; write publisher/name for what is installed",
    )?;
    Ok(Sealed::open(file)?)
}
