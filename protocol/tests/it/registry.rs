//! The registry of refusals agrees with WIT, and the documentation with both.

use portcullis_protocol::{Reason, ReasonOrigin};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// The cases of WIT are settled: each is a reason of the registry, or `other`. A reason that was added later has no
/// case; it reaches guests as `other(code)`.
fn check_cases(cases: &BTreeSet<&str>, registry: &BTreeSet<&str>) -> Result<(), String> {
    if !cases.contains("other") {
        return Err("WIT has no `other`".into());
    }
    match cases.iter().find(|case| **case != "other" && !registry.contains(*case)) {
        Some(case) => Err(format!("WIT has `{case}`, which is no reason")),
        None => Ok(()),
    }
}

#[test]
fn wit_has_reasons_of_the_registry_and_other() {
    let wit = std::fs::read_to_string(root().join("wit/types.wit")).expect("wit/types.wit");
    let body = wit.split("variant refusal {").nth(1).expect("variant refusal").split('}').next().expect("end");
    let cases: BTreeSet<&str> = body
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("///"))
        .map(|line| line.trim_end_matches(',').split('(').next().expect("name"))
        .collect();
    let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(check_cases(&cases, &codes), Ok(()));
    assert_eq!(cases.len(), 25, "the cases of WIT are settled");
    // A row that a later version adds needs no case; a case without a row, or no `other`, is found.
    let more = codes.iter().copied().chain(["made-up"]).collect();
    assert_eq!(check_cases(&cases, &more), Ok(()));
    let too_many = cases.iter().copied().chain(["made-up"]).collect();
    assert!(check_cases(&too_many, &codes).is_err_and(|error| error.contains("made-up")));
    let closed = cases.iter().copied().filter(|case| *case != "other").collect();
    assert!(check_cases(&closed, &codes).is_err());
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
    assert!(exits.insert(Reason::OTHER_EXIT_CODE), "a reason that is not known shares its exit code");
}

#[test]
fn a_reason_that_is_not_known_is_a_no_by_its_code() {
    let later: Reason = serde_json::from_str("\"gift-card-needed\"").expect("a code");
    assert_eq!((later.code(), later.exit_code()), ("gift-card-needed", Reason::OTHER_EXIT_CODE));
    assert_eq!(later.origin(), ReasonOrigin::Server);
    assert_eq!(serde_json::to_string(&later).expect("json"), "\"gift-card-needed\"");
    assert_ne!(Some(later), Reason::from_code("gift-card-refused"));
    assert_eq!(Reason::from_code("offline"), Some(Reason::Offline), "one of the registry is that one");
    let longest = "a".repeat(32);
    assert_eq!(Reason::from_code(&longest).expect("it fits").code(), longest);
    for text in ["", "Gift", "-gift", "1st", "gift card", "gift\u{1b}[2J", "gift\0", &"a".repeat(33)] {
        assert_eq!(Reason::from_code(text), None, "{text:?}");
    }
}

#[test]
fn the_page_of_refusals_is_current() {
    let mut page = String::from(
        "# Refusals\n\nThe registry. A refusal is a signed answer with exactly one reason. The last three of the table are made on the\n\
         terminal alone, and a server that sends one of them is not believed. A refusal never costs anything, and nothing is ever\n\
         decrypted after one.\n\n\
         This page is written from the registry (`protocol/src/refusal.rs`) by a test:\n\
         `PORTCULLIS_UPDATE=1 cargo test -p portcullis-protocol --test it registry`.\n\n\
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
    page.push_str(
        "\nIf an order is concerned, `payment-required` says that nothing can be charged for it: the store does not have the\n\
         payment provider, does not take the amount or its currency, or the provider declined the payment. Then the detail says\n\
         which, and what helps is another means of payment or another amount.\n",
    );
    writeln!(
        page,
        "\nA later version of a server may send a reason that this version does not know. It is a no like every other: HTTP 403,\n\
         exit code {}, `other(code)` to a resource, and in the store's own words if it sends any. What to do then:\n{}",
        Reason::OTHER_EXIT_CODE,
        Reason::OTHER_ADVICE
    )
    .expect("write");
    let path = root().join("docs/refusals.md");
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(&path, &page).expect("write docs/refusals.md");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), page, "docs/refusals.md is out of date");
}
