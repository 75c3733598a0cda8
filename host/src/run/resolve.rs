//! From what a caller writes to the export that is meant: the one place where short names are understood.

use crate::error::{Error, UnknownName};
use portcullis_protocol::Manifest;

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
}
