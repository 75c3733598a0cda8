//! Whether a world includes the contract: found in the publisher's WIT before the generator of bindings reads it, which
//! would complain of something else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The line that a world needs.
const LINE: &str = "include portcullis:gate/protected@0.1.0;";
/// What stands for it: the contract's world, or the interface without which nothing can be sealed.
const INCLUDED: [&str; 3] = ["portcullis:gate/protected@0.1.0", BILL_READER, "portcullis:gate/billing@0.1.0"];
/// The contract with records of bills.
const BILL_READER: &str = "portcullis:gate/bill-reader@0.1.0";
/// The interface of the records.
const BILLS: &str = "portcullis:gate/bills@0.1.0";

/// What a world has of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Included {
    /// Records of bills.
    pub(crate) bills: bool,
}

/// Looks for the contract in `world` of a folder of WIT. The error says what to add, and where. A folder or world that
/// is not there is the generator's to complain about.
pub(crate) fn check(folder: &Path, world: &str) -> Result<Included, String> {
    let mut text = String::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "wit") {
            text += &fs::read_to_string(entry.path()).unwrap_or_default();
            text.push('\n');
        }
    }
    in_text(&text, world)
}

fn in_text(text: &str, world: &str) -> Result<Included, String> {
    let text = without_comments(text);
    let mut wanted = vec![world.rsplit('/').next().unwrap_or(world).split('@').next().unwrap_or(world).to_owned()];
    let mut seen = BTreeSet::new();
    let (mut found, mut has_contract, mut included) = (false, false, Included::default());
    while let Some(name) = wanted.pop() {
        let Some(body) = body_of(&text, &name) else { continue };
        found = true;
        has_contract |= INCLUDED.iter().any(|contract| body.contains(contract));
        included.bills |= body.contains(BILL_READER) || body.contains(BILLS);
        for statement in body.split(';') {
            let included = statement.trim().strip_prefix("include ").and_then(|rest| rest.split([' ', '{']).next());
            if let Some(included) = included.filter(|included| seen.insert((*included).to_owned())) {
                wanted.push(included.rsplit('/').next().unwrap_or(included).to_owned());
            }
        }
    }
    if has_contract || !found {
        return Ok(included);
    }
    let another = text.contains("include portcullis:gate/protected") && !text.contains(INCLUDED[0]);
    let hint = if another { " (it names another version of the contract than this SDK has)" } else { "" };
    Err(format!(
        "the world `{world}` does not include the contract, so nothing made from it can be sealed{hint}; add this line \
         to the world:\n\n    {LINE}\n"
    ))
}

/// What stands between the braces of a world.
fn body_of<'t>(text: &'t str, world: &str) -> Option<&'t str> {
    let mut rest = text;
    while let Some(at) = rest.find("world ") {
        let after = rest[at + "world ".len()..].trim_start();
        let is_word = rest[..at].chars().next_back().is_none_or(char::is_whitespace);
        let named = after.strip_prefix('%').unwrap_or(after).strip_prefix(world);
        if let (true, Some(named)) = (is_word, named)
            && let Some(open) = named.trim_start().strip_prefix('{')
        {
            let mut depth = 1_u32;
            let end = open.find(|letter| {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth == 0
            });
            return Some(&open[..end.unwrap_or(open.len())]);
        }
        rest = &rest[at + "world ".len()..];
    }
    None
}

/// WIT without `// …` and `/* … */`.
fn without_comments(text: &str) -> String {
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("//").into_iter().chain(rest.find("/*")).min() {
        plain += &rest[..at];
        let (end, skip) = if rest[at..].starts_with("//") { ("\n", 0) } else { ("*/", 2) };
        rest = match rest[at + 2..].find(end) {
            Some(end) => &rest[at + 2 + end + skip..],
            None => "",
        };
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::{Included, in_text};

    #[test]
    fn a_world_without_the_contract_is_told_the_line() {
        let missing = "package a:b@0.1.0; // include portcullis:gate/protected@0.1.0;\nworld photo { export picture; }";
        let said = in_text(missing, "a:b/photo").expect_err("it is missing");
        assert!(said.contains("include portcullis:gate/protected@0.1.0;") && said.contains("a:b/photo"), "{said}");
        let old = "world photo { include portcullis:gate/protected@0.2.0; }";
        assert!(in_text(old, "a:b/photo").expect_err("another one").contains("another version"));
        let elsewhere = "world other { include portcullis:gate/protected@0.1.0; } world photo { export picture; }";
        assert!(in_text(elsewhere, "a:b/photo").is_err());
    }

    #[test]
    fn a_world_with_the_contract_passes() {
        for text in [
            "world photo {\n    include portcullis:gate/protected@0.1.0;\n    export picture;\n}",
            "world photo { import portcullis:gate/billing@0.1.0; }",
            "world base { include portcullis:gate/protected@0.1.0; } world photo { include base; export x: interface {} }",
            "/* none */ world %photo { /* here */ include portcullis:gate/protected@0.1.0; }",
            "interface no-world-of-this-name {}",
        ] {
            assert_eq!(in_text(text, "a:b/photo"), Ok(Included::default()), "{text}");
        }
        for text in [
            "world photo { include portcullis:gate/bill-reader@0.1.0; }",
            "world base { import portcullis:gate/bills@0.1.0; } world photo { include base; include portcullis:gate/protected@0.1.0; }",
        ] {
            assert_eq!(in_text(text, "a:b/photo"), Ok(Included { bills: true }), "{text}");
        }
    }
}
