//! Each trusted billing server: reachable, the one that was trusted, with keys in force; and whether somebody is
//! signed in.

use portcullis_host::{Client, Pin, ServerCheckup};
use portcullis_protocol::paths;
use portcullis_protocol::text::lasting;
use portcullis_protocol::{KeyDocument, Origin, PublisherName, Reason};

use super::Finding;
use crate::failure::Failure;
use crate::screen::output::date;

const AREA: &str = "store";

/// What stores say of the account.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// Its publishers, each at a store.
    pub(super) publishers: Vec<(Origin, PublisherName)>,
    /// The stores that did not say.
    pub(super) silent: Vec<Origin>,
}

/// All of them; beside the findings, what they say of the account.
pub(super) async fn examine(client: &Client) -> (Vec<Finding>, Accounts) {
    let (mut findings, mut accounts) = (Vec::new(), Accounts::default());
    let pins = match client.servers() {
        Ok(pins) => pins,
        Err(error) => {
            findings.push(Finding::failed(AREA, "trusted", &Failure::from(error)));
            return (findings, accounts);
        }
    };
    if pins.is_empty() {
        findings.push(Finding::warning(AREA, "trusted", "you trust no store yet", "portcullis login URL"));
    }
    for pin in &pins {
        let found = client.check_server(pin).await;
        if let Some(Ok(account)) = &found.account {
            let own = account.publishers.iter().cloned();
            accounts.publishers.extend(own.map(|publisher| (pin.origin.clone(), publisher)));
        } else {
            accounts.silent.push(pin.origin.clone());
        }
        findings.push(keys(client, pin, &found).of(&pin.origin));
        findings.push(signed_in(pin, found).of(&pin.origin));
    }
    (findings, accounts)
}

fn keys(client: &Client, pin: &Pin, found: &ServerCheckup) -> Finding {
    let origin = &pin.origin;
    let keys: &KeyDocument = match &found.keys {
        Ok(keys) => keys,
        Err(refused) if refused.reason == Reason::ClockSuspect => {
            return Finding::wrong(AREA, "clock", refused, super::clock::set());
        }
        Err(refused) if refused.reason == Reason::ServerUntrusted => {
            return Finding::wrong(
                AREA,
                "keys",
                refused,
                format!(
                    "if the clock is wrong, set it first; else do not use the store before it confirms its new key, then: portcullis logout --forget {origin} && portcullis login {origin}"
                ),
            );
        }
        Err(refused) => {
            return Finding::wrong(
                AREA,
                "reachable",
                refused,
                format!("check the connection; then: curl {origin}{}", paths::WELL_KNOWN),
            );
        }
    };
    let now = client.server_clock(origin).now();
    let in_force = keys.signing.iter().filter(|key| keys.signing_key(key.jwk.thumbprint(), now).is_some()).count();
    let left = keys.exp.saturating_sub(now);
    let what = format!(
        "reachable, and the one that you trusted; its keys (version {}, {in_force} signing) hold until {}",
        keys.version,
        date(keys.exp)
    );
    if in_force == 0 {
        return Finding::wrong(
            AREA,
            "keys",
            format!("{what}; none of them signs now"),
            format!("tell the store: {origin}"),
        );
    }
    // A server renews its key document long before its end.
    if left < keys.exp.saturating_sub(keys.iat) / 4 {
        let mend = format!("tell the store: in {} it cannot be used any more", lasting(left));
        return Finding::warning(AREA, "keys", format!("{what}, and are not renewed"), mend);
    }
    Finding::ok(AREA, "keys", what)
}

fn signed_in(pin: &Pin, found: ServerCheckup) -> Finding {
    const CHECK: &str = "signed-in";
    let login = format!("portcullis login {}", pin.origin);
    match (found.terminal, found.signed_in, found.account) {
        (_, _, Some(Err(error))) => {
            let failure = Failure::from(error);
            let mend = match failure.reason() {
                Some(Reason::NotSignedIn | Reason::TerminalUnknown | Reason::TerminalRevoked) => login,
                Some(Reason::Offline) => "see above: the store has to answer first".to_owned(),
                _ => failure.fix().to_owned(),
            };
            Finding::wrong(AREA, CHECK, &failure, mend)
        }
        (Err(error), ..) | (_, Err(error), _) => Finding::wrong(AREA, CHECK, error, login),
        (Ok(false), ..) => Finding::wrong(AREA, CHECK, "this terminal's keys for it are gone", login),
        (_, Ok(false), _) => Finding::warning(AREA, CHECK, "nobody is signed in", login),
        (_, _, Some(Ok(account))) => {
            Finding::ok(AREA, CHECK, format_args!("signed in as {}; the store signed that just now", account.account))
        }
        (Ok(true), Ok(true), None) => Finding::wrong(AREA, CHECK, "the sign-in cannot be used", login),
    }
}
