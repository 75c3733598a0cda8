//! The publisher's key: there, readable, and the one in use at each store where this account publishes.

use portcullis_host::Client;
use portcullis_protocol::{Origin, PublisherName, SecretKey};
use std::path::{Path, PathBuf};

use super::Finding;
use super::store::Accounts;
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
pub(super) async fn examine(client: &Client, home: &Path, accounts: &Accounts) -> Vec<Finding> {
    let file = file(home);
    let key = match file.exists().then(|| publisher_key::read(&file, Whose::Publisher)).transpose() {
        Ok(key) => key,
        Err(failure) => return vec![Finding::failed(AREA, CHECK, &failure)],
    };
    let mut findings = Vec::new();
    for (server, publisher) in &accounts.publishers {
        let of = format!("{publisher} at {server}");
        findings.push(judge(client, (server, publisher), &file, key.as_ref()).await.of(of));
    }
    if let (true, Some(key)) = (findings.is_empty(), &key) {
        let used = match accounts.silent.as_slice() {
            [] => "none of your stores has it in use".to_owned(),
            silent => {
                let silent: Vec<String> = silent.iter().map(ToString::to_string).collect();
                format!("{} did not say whether it is in use there", silent.join(", "))
            }
        };
        let what = format!("`{}` is {}; {used}", file.display(), key.public().thumbprint().words());
        findings.push(Finding::ok(AREA, CHECK, what));
    }
    findings
}

async fn judge(
    client: &Client,
    (server, publisher): (&Origin, &PublisherName),
    file: &Path,
    key: Option<&SecretKey>,
) -> Finding {
    let shown = file.display();
    let Some(key) = key else {
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
