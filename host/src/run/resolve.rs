//! From what a caller writes to the export that is meant: the one place where short names are understood.

use crate::error::Error;
use portcullis_protocol::{Manifest, nearest};
use std::fmt;

/// The export of this name. The name is whole, `namespace:package/interface@version#function`, or a shorter one that
/// fits one export alone: without the version, without the package, or the function by itself.
pub(crate) fn export<'m>(manifest: &'m Manifest, name: &str) -> Result<&'m str, Error> {
    let exports = || manifest.exports.iter().map(String::as_str);
    if let Some(whole) = exports().find(|export| *export == name) {
        return Ok(whole);
    }
    let fitting: Vec<&str> = exports().filter(|export| fits(export, name)).collect();
    match fitting.as_slice() {
        [export] => Ok(export),
        [] => Err(Error::UnknownExport(UnknownName::new(name, short_names(manifest)))),
        several => {
            let candidates = several.iter().map(|export| (*export).to_owned()).collect();
            Err(Error::AmbiguousExport { name: name.to_owned(), candidates })
        }
    }
}

/// The resource has no `wasi:cli/run`.
pub(crate) fn no_command(manifest: &Manifest) -> Error {
    Error::UnknownExport(UnknownName::new("wasi:cli/run", short_names(manifest)))
}

/// Whether a short name is one of an export.
fn fits(export: &str, name: &str) -> bool {
    let (interface, function) = apart(export);
    let (wanted, wanted_function) = apart(name);
    function == wanted_function
        && match (interface, wanted) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(interface), Some(wanted)) => {
                let unversioned = interface.split_once('@').map_or(interface, |(path, _)| path);
                let last = |path: &'_ str| path.rsplit_once('/').map_or(0, |(package, _)| package.len() + 1);
                [interface, unversioned, &interface[last(unversioned)..], &unversioned[last(unversioned)..]]
                    .contains(&wanted)
            }
        }
}

fn apart(export: &str) -> (Option<&str>, &str) {
    match export.rsplit_once('#') {
        Some((interface, function)) => (Some(interface), function),
        None => (None, export),
    }
}

/// The exports, each by its function alone if no other has it.
fn short_names(manifest: &Manifest) -> Vec<String> {
    let functions: Vec<&str> = manifest.exports.iter().map(|export| apart(export).1).collect();
    let short = |(export, function): (&String, &&str)| {
        let alone = functions.iter().filter(|other| *other == function).count() == 1;
        if alone { (*function).to_owned() } else { export.clone() }
    };
    manifest.exports.iter().zip(&functions).map(short).collect()
}

/// A name that nothing has, and those that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownName {
    /// The name.
    pub name: String,
    /// The names that would have been understood.
    pub known: Vec<String>,
}

impl UnknownName {
    pub(crate) fn new(name: &str, known: Vec<String>) -> Self {
        Self { name: name.to_owned(), known }
    }

    /// The one that was probably meant.
    #[must_use]
    pub fn nearest(&self) -> Option<&str> {
        nearest(&self.name, self.known.iter().map(String::as_str))
    }

    /// What to write instead: `did you mean …?`, or what there is.
    #[must_use]
    pub fn suggestion(&self) -> String {
        /// Names that one line has room for.
        const SHOWN: usize = 20;
        match self.nearest() {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.known.is_empty() => "it has none".to_owned(),
            None => {
                let more = if self.known.len() > SHOWN { ", …" } else { "" };
                let shown: Vec<&str> = self.known.iter().take(SHOWN).map(String::as_str).collect();
                format!("it has: {}{more}", shown.join(", "))
            }
        }
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`; {}", self.name, self.suggestion())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_those_of_one_export() {
        let export = "lumen:picos-de-europa/picture@1.0.0-rc.1#view";
        for name in [
            "view",
            "picture#view",
            "picture@1.0.0-rc.1#view",
            "lumen:picos-de-europa/picture#view",
            "lumen:picos-de-europa/picture@1.0.0-rc.1#view",
        ] {
            assert!(fits(export, name), "{name}");
        }
        for name in
            ["", "#view", "vie", "icture#view", "picture@2.0.0#view", "europa/picture#view", "picture#", "picture"]
        {
            assert!(!fits(export, name), "{name}");
        }
        assert!(fits("view", "view") && !fits("view", "picture#view"));
        assert!(fits("inline#view", "inline#view") && fits("inline#view", "view"));
    }

    #[test]
    fn an_unknown_name_says_what_there_is() {
        let known = || vec!["view".to_owned(), "preview".to_owned()];
        assert_eq!(UnknownName::new("vieww", known()).to_string(), "`vieww`; did you mean `view`?");
        assert_eq!(UnknownName::new("buy", known()).to_string(), "`buy`; it has: view, preview");
    }
}
