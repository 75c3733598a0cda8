//! What the sources of the command may not do: import upward, or in a circle.

use portcullis_fixtures::sources::{circle, imports, sources, upward};
use std::path::Path;

/// The folders and files of `src/`, lowest first: what stands in one imports only what stands before it.
const ORDER: [&str; 27] = [
    "random.rs",
    "screen/shell.rs",
    "screen/hint.rs",
    "screen/style.rs",
    "screen/moment.rs",
    "payment/rights.rs",
    "payment/offer_line.rs",
    "failure.rs",
    "screen/tty.rs",
    "screen/table.rs",
    "screen/output.rs",
    "payment/metered.rs",
    "screen/",
    "context.rs",
    "guest/",
    "project/",
    "payment/",
    "advice.rs",
    "resource/",
    "doctor",
    "endpoint",
    "dev",
    "commands",
    "args.rs",
    "verbs.rs",
    "reference.rs",
    "main.rs",
];

/// Man pages and completions are made from the whole tree of commands, to which they belong.
const UPWARD: [(&str, &str); 2] =
    [("commands/machine/completions.rs", "verbs.rs"), ("commands/machine/man.rs", "verbs.rs")];

#[test]
fn files_import_only_what_stands_below_them_and_nothing_in_a_circle() {
    let found = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let imports = imports(&found);
    assert!(imports.iter().map(|(_, imports)| imports.len()).sum::<usize>() > 150, "the imports were found");
    assert_eq!(upward(&imports, &ORDER), UPWARD);
    assert_eq!(circle(&imports), [""; 0]);
}
