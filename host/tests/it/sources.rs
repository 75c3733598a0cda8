//! What the sources of the host may not do.

use portcullis_fixtures::sources::{circle, imports, sources, upward};
use std::path::Path;

/// Ways in which an engine takes code that nobody verified, or takes it from a place that can change.
const WAYS: [&str; 9] = [
    "Component::new",
    "Component::from_file",
    "Component::from_binary",
    "Module::new",
    "Module::from_file",
    "Module::from_binary",
    "::deserialize(",
    "deserialize_file",
    "deserialize_raw",
];

/// The sources of the host, by path.
fn host() -> Vec<(String, String)> {
    let found = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(found.len() > 20, "the sources are there");
    found
}

#[test]
fn code_is_compiled_in_one_place() {
    let found = host();
    let places: Vec<(&str, &str)> = found
        .iter()
        .flat_map(|(path, text)| {
            let ways = WAYS.iter().filter(|way| **way != "::deserialize(" || text.contains("wasmtime"));
            ways.flat_map(move |way| text.matches(way).map(move |_| (path.as_str(), *way)))
        })
        .collect();
    let [(takes_over, "::deserialize("), (compiles, "Component::from_binary")] = places[..] else {
        panic!("{places:?}")
    };
    assert!(compiles.ends_with("src/run/compile.rs"), "{compiles}");
    assert!(takes_over.ends_with("src/cache/deserialise.rs"), "{takes_over}");
}

/// Code that was compiled before is native code that nobody checks again: one place takes it over, from evidence that
/// this host sealed it, and makes that evidence nowhere else.
#[test]
fn compiled_code_is_taken_over_from_evidence_alone() {
    let found = host();
    let files = |text: &str| -> Vec<&str> {
        let with = found.iter().filter(|(_, source)| source.contains(text));
        with.map(|(path, _)| path.rsplit_once("src/").map_or(path.as_str(), |(_, name)| name)).collect()
    };
    assert_eq!(files("unsafe {"), ["cache/deserialise.rs"]);
    assert_eq!(files("expect(unsafe_code"), ["cache/deserialise.rs"]);
    assert_eq!(files("allow(unsafe_code"), [""; 0]);
    assert_eq!(files("Opened {"), ["cache/sealing.rs"]);
    assert_eq!(files(".map(Compiled)"), ["run/compile.rs"]);
    assert_eq!(files("Compiled("), ["run/compile.rs"]);
    assert_eq!(files(".serialize()"), ["run/compile.rs"], "compiled code leaves the engine in one place");
    let (_, one_call) = found.iter().find(|(path, _)| path.ends_with("deserialise.rs")).expect("there");
    assert_eq!((one_call.matches("unsafe {").count(), one_call.matches("// SAFETY:").count()), (1, 1));
    assert!(one_call.contains("opened: &Opened"), "bytes alone are not enough");
}

/// The folders and files of `src/`, lowest first: what stands in one imports only what stands before it.
const ORDER: [&str; 12] = [
    "random.rs",
    "state/",
    "ports/",
    "error.rs",
    "client_error.rs",
    "mail_program.rs",
    "cache/",
    "run/",
    "server/",
    "store/",
    "client/",
    "blocking.rs",
];

/// The imports that run the other way, each with its reason.
const UPWARD: [(&str, &str); 2] = [
    // A question shows what the session has cost so far, and an answer counts against it.
    ("ports/consent.rs", "run/spending.rs"),
    // Only code that was compiled here from a checked body is kept: the type is the evidence.
    ("cache/mod.rs", "run/compile.rs"),
];

/// The macro names the types of the gate's errors, and one of them holds a type that the macro makes.
const CIRCLE: [&str; 2] = ["run/bindings.rs", "run/gate/error.rs"];

#[test]
fn folders_import_only_what_stands_below_them() {
    let found = host();
    let upward = upward(&imports(&found), &ORDER);
    let mut allowed = UPWARD;
    allowed.sort_unstable();
    assert_eq!(upward, allowed);
    let server = imports(&found).into_iter().filter(|(file, _)| file.starts_with("server/"));
    let engines: Vec<_> =
        server.filter(|(_, imports)| imports.iter().any(|import| import.starts_with("run/"))).collect();
    assert!(engines.is_empty(), "what speaks to servers knows no engine: {engines:?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let found = host();
    let imports = imports(&found);
    assert!(imports.iter().map(|(_, imports)| imports.len()).sum::<usize>() > 150, "the imports were found");
    assert_eq!(circle(&imports), CIRCLE);
}
