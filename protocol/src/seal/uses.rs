//! The operations and parts that a guest says it uses, compared with what the manifest has.
//!
//! The macros of an SDK write them into the custom section `portcullis:uses` of the built module, one line each: kind,
//! name, operation under which a part is opened, place; with tabs between them. The kinds are `operation` and `part`,
//! and `maybe-operation` and `maybe-part` for calls that may be those of another library: of these only a name that is
//! nearly one that there is counts. Sealing takes the section out.

use super::checks::near;
use super::refused::SealRefused;
use crate::documents::OperationEntry;
use crate::ids::PartName;
use std::collections::BTreeSet;
use wasmparser::{Parser, Payload};

/// The custom section.
pub(super) const SECTION_USES: &str = "portcullis:uses";

/// A name that a guest uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Operation { name: String, place: String, certain: bool },
    Part { name: String, operation: Option<String>, place: String, certain: bool },
}

/// Whether a module or component, as it was built, uses only operations and parts that there are, and opens no part
/// under an operation that does not release it.
///
/// # Errors
/// [`SealRefused::UsesOperation`], [`SealRefused::UsesPart`], [`SealRefused::UsesUnreleased`].
pub fn check_uses(
    code: &PartName,
    built: &[u8],
    operations: &[OperationEntry],
    parts: &[PartName],
) -> Result<(), SealRefused> {
    let operation_names = || operations.iter().map(|operation| operation.name.as_str());
    for used in read(built) {
        match used {
            Use::Operation { name, place, certain } if !operation_names().any(|known| known == name) => {
                let near = near(&name, operation_names());
                if !certain && near.is_empty() {
                    continue;
                }
                return Err(SealRefused::UsesOperation { code: code.clone(), operation: name, place, near });
            }
            Use::Part { name, place, certain, .. } if !parts.iter().any(|known| known.as_str() == name) => {
                let near = near(&name, parts.iter().map(|part| part.as_str()));
                if !certain && near.is_empty() {
                    continue;
                }
                return Err(SealRefused::UsesPart { code: code.clone(), part: name, place, near });
            }
            Use::Part { name, operation: Some(operation), place, .. } => {
                let entry = operations.iter().find(|entry| entry.name.as_str() == operation);
                if let Some(entry) = entry.filter(|entry| !entry.parts.iter().any(|part| part.as_str() == name)) {
                    let operation = entry.name.clone();
                    return Err(SealRefused::UsesUnreleased { code: code.clone(), part: name, operation, place });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The uses, each once. What cannot be read says nothing: it is an aid for the author, on which nothing rests.
fn read(built: &[u8]) -> BTreeSet<Use> {
    let mut uses = BTreeSet::new();
    for payload in Parser::new(0).parse_all(built) {
        let Ok(payload) = payload else { break };
        let Payload::CustomSection(section) = payload else { continue };
        if section.name() == SECTION_USES {
            uses.extend(String::from_utf8_lossy(section.data()).lines().filter_map(line));
        }
    }
    uses
}

fn line(line: &str) -> Option<Use> {
    let mut fields = line.split('\t').map(|field| field.trim_matches('\0').to_owned());
    let (kind, name, operation, place) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let certain = !kind.starts_with("maybe-");
    match kind.trim_start_matches("maybe-") {
        "operation" => Some(Use::Operation { name, place, certain }),
        "part" => Some(Use::Part { name, operation: Some(operation).filter(|name| !name.is_empty()), place, certain }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OperationName;

    fn module(lines: &str) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0\0".to_vec();
        let length = 1 + SECTION_USES.len() + lines.len();
        module.push(u8::try_from(length).expect("short"));
        module.push(u8::try_from(SECTION_USES.len()).expect("short"));
        module.extend(SECTION_USES.bytes());
        module.extend(lines.bytes());
        module
    }

    fn check(lines: &str) -> Result<(), String> {
        let part = |name: &str| PartName::new(name).expect("a name");
        let operation = |name: &str, parts: &[&str]| OperationEntry {
            name: OperationName::new(name).expect("a name"),
            title: "T".into(),
            exports: Vec::new(),
            parts: parts.iter().map(|name| part(name)).collect(),
        };
        let operations = [operation("view", &["code", "full"]), operation("preview", &["code"])];
        let parts = [part("code"), part("full")];
        check_uses(&part("code"), &module(lines), &operations, &parts).map_err(|error| error.to_string())
    }

    #[test]
    fn names_that_there_are_pass() {
        assert_eq!(check("operation\tview\t\ta.rs:1\npart\tfull\tview\ta.rs:2\npart\tfull\t\ta.rs:3\n"), Ok(()));
        assert_eq!(check("of-a-later-sdk\tx\ty\tz\nnonsense\n"), Ok(()));
        assert_eq!(
            check("maybe-part\tnotes\t\ta.rs:1\nmaybe-operation\tfetch\t\ta.rs:2\n"),
            Ok(()),
            "of another library"
        );
        assert_eq!(check(""), Ok(()));
    }

    #[test]
    fn a_name_that_there_is_not_is_told_with_its_place_and_what_is_near() {
        let said = check("operation\tview\t\ta.rs:1\noperation\tvieww\t\tsrc/lib.rs:25\n").expect_err("unknown");
        assert!(said.contains("`vieww` (src/lib.rs:25)") && said.contains("did you mean `view`?"), "{said}");
        let said = check("part\tful\t\tsrc/lib.rs:7\n").expect_err("unknown");
        assert!(said.contains("`ful` (src/lib.rs:7)") && said.contains("did you mean `full`?"), "{said}");
        assert!(check("maybe-part\tful\t\tsrc/lib.rs:7\n").is_err(), "nearly a name");
        let said = check("part\tfull\tpreview\tsrc/lib.rs:9\n").expect_err("not released");
        assert!(said.contains("`full`") && said.contains("`preview`") && said.contains("src/lib.rs:9"), "{said}");
    }
}
