//! Verbs that need no store, and what they say when something is wrong.

use crate::guest;
use crate::stage::Stage;
use crate::transcript::Transcript;

#[test]
fn keys_and_projects() {
    let stage = Stage::new();
    let mut said = Transcript::of(&stage, "publisher");
    said.run(&["keygen"]);
    said.run(&["keygen"]);
    said.run(&["--json", "keygen", "-o", "other.jwk"]);
    said.run(&["new", "night-sky", "--kind", "picture"]);
    said.run(&["new", "night-sky"]);
    said.run(&["new", "list"]);
    said.run(&["new", "Night"]);
    said.run(&["new", "sky-2"]);
    said.run(&["--json", "new", "list"]);
    said.run(&["build", "nowhere"]);
    said.run(&["dev", "nowhere"]);
    said.check("keys-and-projects");
}

#[test]
fn sealing_without_what_it_needs() {
    let stage = Stage::new();
    guest::project(&stage.path("sketch"), "1.0.0");
    let mut said = Transcript::of(&stage, "publisher");
    said.run(&["seal", "sketch"]);
    said.run(&["keygen"]);
    said.run(&["seal", "sketch"]);
    said.run(&["seal", "sketch", "--server", "https://store.example"]);
    said.run(&["seal", "sketch", "--server", "nothing.json"]);
    said.run(&["seal", "sketch", "--server", "https://store.example/shop"]);
    said.run(&["--json", "seal", "nowhere"]);
    said.check("sealing-without-what-it-needs");
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let stage = Stage::new();
    std::fs::write(stage.path("text.wasm"), "not wasm").expect("file");
    std::fs::write(stage.path("plain.wasm"), b"\0asm\x0d\0\x01\0").expect("file");
    let mut said = Transcript::of(&stage, "user");
    for file in ["missing.wasm", "text.wasm", "plain.wasm"] {
        said.run(&["verify", file]);
        said.run(&["inspect", file]);
        said.run(&["install", file]);
        said.run(&["run", file]);
    }
    // Names, where only files do.
    said.run(&["verify", "acme/sketch"]);
    said.run(&["publish", "acme/sketch"]);
    said.run(&["--json", "verify", "text.wasm"]);
    said.run(&["inspect", "acme/sketch"]);
    said.run(&["inspect", "text.wasm", "--extract", "full"]);
    said.check("files-that-are-not-what-they-should-be");
}

#[test]
fn nobody_is_signed_in() {
    let stage = Stage::new();
    let mut said = Transcript::of(&stage, "user");
    for arguments in [
        &["list"][..],
        &["whoami"],
        &["logout"],
        &["search"],
        &["install", "acme/sketch"],
        &["install", "sketch"],
        &["buy", "acme/sketch"],
        &["run", "sketch"],
        &["run", "acme/sketch"],
        &["update"],
        &["remove", "sketch"],
        &["grants"],
        &["receipts"],
        &["balance"],
        &["--json", "grants"],
        &["price", "acme/sketch"],
        &["withdraw", "acme/sketch"],
        &["withdraw", "acme/sketch@1.0.0"],
        &["--json", "whoami"],
        &["login", "http://store.example"],
        &["login", "http://127.0.0.1:9"],
    ] {
        said.run(arguments);
    }
    said.check("nobody-is-signed-in");
}

#[test]
fn command_lines_that_mean_nothing() {
    let stage = Stage::new();
    let mut said = Transcript::of(&stage, "user");
    said.run(&["frobnicate"]);
    said.run(&["--json", "frobnicate"]);
    said.run(&["run"]);
    said.run(&["run", "--invoke", "f(", "sketch"]);
    said.run(&["run", "--env", "=x", "sketch"]);
    said.run(&["run", "--dir", "nowhere::/", "sketch"]);
    said.run(&["buy", "acme/sketch", "--payment", "cash"]);
    said.run(&["price", "acme/sketch", "--operation", "view", "--model", "uses", "--price", "1,99 EUR"]);
    said.run(&["--version"]);
    said.check("command-lines-that-mean-nothing");
}

#[test]
fn nothing_is_coloured_where_no_terminal_is() {
    let stage = Stage::new();
    let output = stage.run("user", &["run", "sketch"]);
    assert!(!output.stderr.contains(&0x1b), "{}", String::from_utf8_lossy(&output.stderr));
}
