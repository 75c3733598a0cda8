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

#[test]
fn code_is_compiled_in_one_place() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 20, "the sources are there");
    let places: Vec<(&str, &str)> = found
        .iter()
        .flat_map(|(path, text)| {
            let ways = WAYS.iter().filter(|way| **way != "::deserialize(" || text.contains("wasmtime"));
            ways.flat_map(move |way| text.matches(way).map(move |_| (path.as_str(), *way)))
        })
        .collect();
    let [(path, "Component::from_binary")] = places[..] else { panic!("{places:?}") };
    assert!(path.ends_with("compile.rs"), "{path}");
}
