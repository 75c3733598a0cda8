//! The publisher's key: there, readable, and the one in use at each store where this account publishes.

use portcullis_host::Client;
use portcullis_protocol::{Origin, PublisherName, SecretKey};
use std::path::{Path, PathBuf};

use super::Finding;
use crate::failure::Outcome;
use crate::project::key_in_use;
use crate::project::publisher_key::{self, Whose};

const AREA: &str = "publisher";
const CHECK: &str = "key";

/// The file that is used without `--key`.
pub(super) fn file(home: &Path) -> PathBuf {
    let named = std::env::var_os(publisher_key::VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    publisher_key::path(named.as_deref(), home)
}

/// Nothing if there is neither a key here nor a publisher of the account.
pub(super) async fn examine(client: &Client, home: &Path) -> Vec<Finding> {
    let file = file(home);
    let key = file.exists().then(|| publisher_key::read(&file, Whose::Publisher));
    let mut findings = Vec::new();
    if let Some(Err(failure)) = &key {
        findings.push(Finding::failed(AREA, CHECK, failure));
        return findings;
    }
    for (server, publisher) in publishers(client).await {
        let of = format!("{publisher} at {server}");
        findings.push(judge(client, (&server, &publisher), &file, key.as_ref()).await.of(of));
    }
    if let (true, Some(Ok(key))) = (findings.is_empty(), &key) {
        let words = key.public().thumbprint().words();
        findings.push(Finding::ok(
            AREA,
            CHECK,
            format_args!("`{}` is {words}; no store has it in use", file.display()),
        ));
    }
    findings
}

/// The publishers of the account at each store that answers: of one that does not, its own finding tells.
async fn publishers(client: &Client) -> Vec<(Origin, PublisherName)> {
    let mut found = Vec::new();
    for pin in client.servers().unwrap_or_default() {
        if client.is_signed_in(&pin.origin).unwrap_or(false)
            && let Ok(account) = client.store(&pin.origin).account().await
        {
            found.extend(account.publishers.into_iter().map(|publisher| (pin.origin.clone(), publisher)));
        }
    }
    found
}

async fn judge(
    client: &Client,
    (server, publisher): (&Origin, &PublisherName),
    file: &Path,
    key: Option<&Outcome<SecretKey>>,
) -> Finding {
    let shown = file.display();
    let Some(Ok(key)) = key else {
        let what = format!("`{shown}` is not there, and nothing can be sealed or published without it");
        return Finding::warning(
            AREA,
            CHECK,
            what,
            "put it back from where you keep it; or name it each time: --key FILE",
        );
    };
    let words = key.public().thumbprint().words();
    match key_in_use::other_than(client, server, publisher, key.public()).await {
        None => Finding::ok(AREA, CHECK, format_args!("`{shown}` is {words}")),
        Some(other) => Finding::warning(
            AREA,
            CHECK,
            format!("`{shown}` is {words}, and the key in use is {}", other.thumbprint().words()),
            "seal with the key in use: --key FILE; or put it in this file's place",
        ),
    }
}
