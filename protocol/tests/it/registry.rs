//! The registry of refusals agrees with WIT, and the documentation with both.

use portcullis_protocol::{Reason, ReasonOrigin};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

#[test]
fn wit_has_exactly_the_registry() {
    let wit = std::fs::read_to_string(root().join("wit/types.wit")).expect("wit/types.wit");
    let body = wit.split("variant refusal {").nth(1).expect("variant refusal").split('}').next().expect("end");
    let cases: BTreeSet<&str> = body
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("///"))
        .map(|line| line.trim_end_matches(',').split('(').next().expect("name"))
        .collect();
    let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(cases, codes);
}

#[test]
fn codes_and_exit_codes_are_unique_and_survive_json() {
    let mut exits = BTreeSet::new();
    for reason in Reason::ALL {
        assert!(exits.insert(reason.exit_code()), "{reason} shares its exit code");
        assert!(reason.exit_code() >= 20, "{reason} collides with an ordinary exit code");
        assert_eq!(reason.code().parse::<Reason>(), Ok(*reason));
        assert_eq!(serde_json::to_string(reason).expect("json"), format!("\"{}\"", reason.code()));
    }
    assert!("granted".parse::<Reason>().is_err());
}

#[test]
fn the_page_of_refusals_is_current() {
    let mut page = String::from(
        "# Refusals\n\nThe closed registry. A refusal is a signed answer with exactly one reason; the last three are made on the terminal,\n\
         and a server that sends one of them is not believed. A refusal never costs anything, and nothing is ever decrypted after one.\n\n\
         This page is written from the registry (`protocol/src/refusal.rs`) by a test: `PORTCULLIS_UPDATE=1 cargo test -p portcullis-protocol --test it registry`.\n\n\
         | reason | made by | HTTP | exit code | what happened | what to do now |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for reason in Reason::ALL {
        let by = match reason.origin() {
            ReasonOrigin::Server => "server",
            ReasonOrigin::Terminal => "terminal",
        };
        writeln!(
            page,
            "| `{}` | {by} | {} | {} | {} | {} |",
            reason.code(),
            reason.http_status(),
            reason.exit_code(),
            reason.title(),
            reason.advice()
        )
        .expect("write");
    }
    let path = root().join("docs/refusals.md");
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(&path, &page).expect("write docs/refusals.md");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), page, "docs/refusals.md is out of date");
}
