//! The terminal's own folder: who can read it, whether it opens, what is under way.

use portcullis_host::{Client, PendingRequestKind, StateCheckup};
use portcullis_protocol::Origin;
use std::path::Path;

use super::Finding;
use crate::failure::Failure;
use crate::screen::output::date;
use crate::screen::shell::quoted;

const AREA: &str = "terminal";
/// A server answers within seconds. What is open for longer, in seconds, was cut off.
const UNDER_WAY: u64 = 60;

/// What can be seen before the folder is opened; and whether it is worth opening.
pub(super) fn examine(home: &Path) -> (Vec<Finding>, bool) {
    let found = StateCheckup::of(home);
    if let Some((path, cause)) = found.unusable.first() {
        let what = format!("{} of its files cannot be used, `{}` first: {cause}", found.unusable.len(), path.display());
        let mend = format!("sudo chown -R \"$(id -u)\" {0} && chmod -R u+rwX {0}", quoted(home.display()));
        return (vec![Finding::wrong(AREA, "home", what, mend)], false);
    }
    if !found.exists {
        let what = format!("`{}` does not exist: nothing was done here yet", home.display());
        return (vec![Finding::warning(AREA, "home", what, "portcullis login URL")], false);
    }
    if found.too_many {
        let what = format!("`{}` holds far more than a terminal keeps", home.display());
        return (
            vec![Finding::wrong(AREA, "home", what, "name the right folder: --home DIR or PORTCULLIS_HOME")],
            false,
        );
    }
    let mut findings = vec![Finding::ok(AREA, "home", format_args!("`{}` can be read and written", home.display()))];
    findings.push(permissions(home, &found));
    if found.key_lost {
        findings.push(Finding::wrong(
            AREA,
            "keys",
            "the key is gone under which this terminal sealed what it has under way (`keys/state`)",
            format!(
                "restore it from a backup; without one: rm -r {}, then `portcullis receipts` shows what was bought",
                quoted(home.join("journal").display())
            ),
        ));
    }
    (findings, !found.key_lost)
}

fn permissions(home: &Path, found: &StateCheckup) -> Finding {
    // Everything else in it is sealed, signed or public.
    let is_secret = |path: &Path| {
        path.parent() == Some(&home.join("keys")) || path.extension().is_some_and(|ending| ending == "jwk")
    };
    let mend = format!("chmod -R go-rwx {}", quoted(home.display()));
    let say = |one: &portcullis_host::Exposed| {
        format!("`{}` has mode {:03o} instead of {:03o}", one.path.display(), one.mode, one.wanted)
    };
    match (found.exposed.iter().find(|one| is_secret(&one.path)), found.exposed.first()) {
        (Some(secret), _) => {
            let what = format!("others can read a secret key: {}", say(secret));
            Finding::wrong(AREA, "permissions", what, mend)
        }
        (None, Some(first)) => {
            let what = format!("others can read the folder in {} places: {}", found.exposed.len(), say(first));
            Finding::warning(AREA, "permissions", what, mend)
        }
        (None, None) => Finding::ok(AREA, "permissions", "only you can read it"),
    }
}

/// The folder opened, so the keys that it needs were there.
pub(super) fn keys() -> Finding {
    Finding::ok(AREA, "keys", "the terminal's own key is there and good")
}

/// What was sent and is not done with.
pub(super) fn journal(client: &Client) -> Finding {
    let found = match client.check_journal() {
        Ok(found) => found,
        Err(error) => return Finding::failed(AREA, "journal", &Failure::from(error)),
    };
    if let Some(path) = found.unreadable.first() {
        let what = format!(
            "{} records of what is under way do not open: they are damaged, or another terminal's",
            found.unreadable.len()
        );
        let mend = format!("look at `portcullis receipts` for what was bought, then: rm {}", quoted(path.display()));
        return Finding::wrong(AREA, "journal", what, mend);
    }
    let is_over = |origin: &Origin, at: u64| at.saturating_add(UNDER_WAY) < client.server_clock(origin).now();
    let cut_off = |wanted: PendingRequestKind| {
        let mut found = found.open.iter().filter(|(matter, origin, at)| *matter == wanted && is_over(origin, *at));
        let first = found.next();
        first.map(|(_, origin, at)| (1 + found.count(), origin, *at))
    };
    if let Some((count, origin, at)) = cut_off(PendingRequestKind::Purchase) {
        let what = format!("{count} purchases have no answer; the oldest at {origin}, since {}", date(at));
        return Finding::warning(
            AREA,
            "journal",
            what,
            "portcullis receipts; what is not there: `portcullis buy NAME` again, which takes up the same order",
        );
    }
    if let Some((count, origin, at)) = cut_off(PendingRequestKind::TopUp) {
        let what = format!("{count} top-ups have no answer; the oldest at {origin}, since {}", date(at));
        return Finding::warning(
            AREA,
            "journal",
            what,
            "portcullis receipts; what is not there: `portcullis top-up` of the same amount again, which takes up the same order",
        );
    }
    if let Some((count, origin, at)) = cut_off(PendingRequestKind::Verification) {
        let what = format!("{count} verifications have no answer; the oldest at {origin}, since {}", date(at));
        return Finding::warning(
            AREA,
            "journal",
            what,
            "run the resource again: what was granted is fetched, and not paid for twice",
        );
    }
    Finding::ok(AREA, "journal", format_args!("readable; {} matters under way", found.open.len()))
}
