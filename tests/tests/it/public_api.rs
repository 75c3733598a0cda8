//! What the libraries export, as it is checked in: none changes unnoticed.

use portcullis_tests::checkout;
use std::fs;

const LISTING: &str = "docs/public-api.txt";
const CRATES: [(&str, &str); 3] = [
    ("portcullis-protocol", "protocol/src/lib.rs"),
    ("portcullis-host", "host/src/lib.rs"),
    ("portcullis-guest", "guest-sdk/rust/src/lib.rs"),
];

/// The exports of a `lib.rs`, one a line, sorted: `crate::item`. A `pub use` of several is several lines.
fn exports(name: &str, source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//") && !line.starts_with("#["))
        .fold(String::new(), |code, line| code + line + " ");
    let mut items = Vec::new();
    for item in code.split("pub ").skip(1).filter_map(|rest| rest.split(';').next()) {
        if let Some(path) = item.strip_prefix("use ") {
            match path.split_once("::{") {
                Some((_, several)) => {
                    let several = several.split('}').next().unwrap_or_default();
                    items.extend(several.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned));
                }
                None => items.push(path.rsplit([':', ' ']).next().unwrap_or(path).to_owned()),
            }
        } else if let Some(module) = item.strip_prefix("mod ") {
            items.push(format!("{}::*", module.split_whitespace().next().unwrap_or(module)));
        }
    }
    items.sort();
    items.into_iter().map(|item| format!("{name}::{item}")).collect()
}

#[test]
fn the_exports_are_those_of_the_listing() {
    let root = checkout::root();
    let mut found = Vec::new();
    for (name, file) in CRATES {
        let source = fs::read_to_string(root.join(file)).expect("a lib.rs");
        let exports = exports(name, &source);
        assert!(exports.len() > 8, "the exports of {name} are not found any more");
        found.extend(exports);
    }
    let found = found.join("\n") + "\n";
    let listing = root.join(LISTING);
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        fs::write(&listing, &found).expect("written");
    }
    let listed = fs::read_to_string(&listing).expect("the listing");
    for (text, other, what) in [(&found, &listed, "added"), (&listed, &found, "removed")] {
        let changed: Vec<&str> = text.lines().filter(|line| !other.lines().any(|known| known == *line)).collect();
        assert!(
            changed.is_empty(),
            "{what}, against {LISTING}: {changed:?}; see docs/compatibility.md, then PORTCULLIS_UPDATE=1"
        );
    }
}

#[test]
fn every_way_of_exporting_is_seen() {
    let source = "/// pub use no::Thing;\nmod a;\npub mod b;\npub use a::One;\npub use a::{\n    Two, Three,\n};\n#[cfg(x)]\npub use d as e;\n";
    assert_eq!(exports("c", source), ["c::One", "c::Three", "c::Two", "c::b::*", "c::e"]);
}
