//! What the sources of the host may not do.

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

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).expect("a source")));
        }
    }
}

/// The sources of the host, by path.
fn host() -> Vec<(String, String)> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 20, "the sources are there");
    found.sort();
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
