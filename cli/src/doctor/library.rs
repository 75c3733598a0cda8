//! What is installed: each file there, and right to the last byte.

use portcullis_host::{Client, ClientError, Installed, StateError};
use portcullis_protocol::Origin;
use std::collections::HashSet;

use super::Finding;
use crate::failure::Failure;
use crate::resource::standing::{AtStore, Standing};
use crate::screen::output::size;
use crate::screen::shell::quoted;

const AREA: &str = "resource";
const CHECK: &str = "file";

/// All of them: whether each is whole, and whether its store still sells it.
pub(super) async fn examine(client: &Client) -> Vec<Finding> {
    let library = client.library();
    let entries = match library.entries() {
        Ok(entries) => entries,
        Err(error) => return vec![Finding::failed(AREA, "installed", &Failure::from(error))],
    };
    if entries.is_empty() {
        return vec![Finding::ok(AREA, "installed", "nothing is installed")];
    }
    let (mut findings, mut silent) = (Vec::new(), HashSet::new());
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
                findings.extend(withdrawn(client, &installed, &mut silent).await);
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

/// One that its store does not sell any more: it is not run, either. Stores that do not answer are not asked again.
async fn withdrawn(client: &Client, installed: &Installed, silent: &mut HashSet<Origin>) -> Option<Finding> {
    let Installed { publisher, name, version, digest, server, .. } = installed;
    if silent.contains(server) {
        return None;
    }
    let Ok(store) = AtStore::ask(client, server, (publisher, name, *digest)).await else {
        // It may be this listing alone that is damaged.
        if !answers(client, server).await {
            silent.insert(server.clone());
        }
        return None;
    };
    let finding = (store.standing == Standing::Withdrawn).then(|| {
        let what = format!("{version} was withdrawn at {server}: it does not run any more");
        match store.newest() {
            Some(newest) => {
                Finding::wrong(AREA, "sold", what, format_args!("portcullis install {publisher}/{name}@{newest}"))
            }
            None => {
                let what = format!("{what}, unless its publisher, {publisher}, sells it again");
                Finding::wrong(AREA, "sold", what, format_args!("portcullis remove {publisher}/{name}"))
            }
        }
    });
    finding.map(|finding| finding.of(format!("{publisher}/{name}")))
}

/// Whether a store that the user trusts can be asked at all.
async fn answers(client: &Client, server: &Origin) -> bool {
    let pins = client.servers().unwrap_or_default();
    match pins.iter().find(|pin| pin.origin == *server) {
        Some(pin) => client.check_server(pin).await.keys.is_ok(),
        None => false,
    }
}
