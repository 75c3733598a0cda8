//! What is installed: each file there, and right to the last byte.

use portcullis_host::{Client, ClientError, StateError};

use super::Finding;
use crate::failure::Failure;
use crate::screen::output::size;
use crate::screen::shell::quoted;

const AREA: &str = "resource";
const CHECK: &str = "file";

/// All of them.
pub(super) async fn examine(client: &Client) -> Vec<Finding> {
    let library = client.library();
    let entries = match library.entries() {
        Ok(entries) => entries,
        Err(error) => return vec![Finding::failed(AREA, "installed", &Failure::from(error))],
    };
    if entries.is_empty() {
        return vec![Finding::ok(AREA, "installed", "nothing is installed")];
    }
    let mut findings = Vec::new();
    for portcullis_host::LibraryEntry { name, installed, .. } in entries {
        let finding = match installed {
            Err(StateError::Damaged { path }) => Finding::wrong(
                AREA,
                CHECK,
                format_args!("its record `{path}` is damaged"),
                format!("rm {} && portcullis install {name}", quoted(&path)),
            ),
            Err(error) => Finding::failed(AREA, CHECK, &Failure::from(error)),
            Ok(installed) => {
                let again = format!("portcullis install {name}@{}", installed.version);
                match library.check(&installed).await {
                    Ok(()) => {
                        let bytes = std::fs::metadata(&installed.path).map_or(0, |file| file.len());
                        let (version, bytes) = (&installed.version, size(bytes));
                        Finding::ok(AREA, CHECK, format_args!("{version}, {bytes}: every signature and byte is right"))
                    }
                    Err(ClientError::State(error)) => Finding::wrong(AREA, CHECK, error, again),
                    Err(error) => Finding::wrong(AREA, CHECK, Failure::from(error), again),
                }
            }
        };
        findings.push(finding.of(name));
    }
    findings
}
