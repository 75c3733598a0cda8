//! Commands that a person copies into a shell.

use std::fmt::Display;

/// A word of a command as sh takes it: as it is if nothing in it means something else, else in single quotes.
pub(crate) fn quoted(word: impl Display) -> String {
    let text = word.to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[test]
fn commands_survive_strange_words() {
    for (word, typed) in [
        ("/home/me/.local", "/home/me/.local"),
        ("acme/lake@1.0.0-rc.1+7", "acme/lake@1.0.0-rc.1+7"),
        ("https://store.example:8443/x", "https://store.example:8443/x"),
        ("/a b/it's", r"'/a b/it'\''s'"),
        ("my file ♥.sealed.wasm", "'my file ♥.sealed.wasm'"),
        ("$(reboot)", "'$(reboot)'"),
        ("~/x", "'~/x'"),
        ("x&y", "'x&y'"),
        ("", "''"),
    ] {
        assert_eq!(quoted(word), typed);
    }
}
