//! What an author is told before a buyer is: `seal` and `dev` on resources that would take money and serve nobody.

use crate::guest;
use crate::stage::Stage;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, SystemTime};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = "
package acme:trial@1.0.0;
interface api {
    use portcullis:gate/types@0.1.0.{refusal};
    go: func() -> result<u32, refusal>;
}
world trial {
    include portcullis:gate/protected@0.1.0;
    import wasi:cli/stderr@0.2.0;
    export api;
}
package wasi:io@0.2.0 {
    interface error { resource error; }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
    }
}
package wasi:cli@0.2.0 {
    interface stderr {
        use wasi:io/streams@0.2.0.{output-stream};
        get-stderr: func() -> output-stream;
    }
}";

/// `go` has this body; `ok` lies at 1024 and `package-invalid` at 1040. Names lie at 512: `vieww` (5), `ful` (3),
/// `side` (4), each 16 bytes after the last; what it says to standard error at 600 (29).
fn module(go: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
    (import "portcullis:gate/billing@0.1.0" "request" (func $request (param i32 i32 i32 i32 i32 i32)))
    (import "portcullis:gate/billing@0.1.0" "entry" (func $entry (result i32)))
    (import "portcullis:gate/vault@0.1.0" "open" (func $open (param i32 i32 i32 i32)))
    (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
        (func $write (param i32 i32 i32 i32)))
    (memory (export "memory") 2)
    (data (i32.const 512) "vieww")
    (data (i32.const 528) "ful")
    (data (i32.const 544) "side")
    (data (i32.const 600) "panicked at src/lib.rs:7:9: x")
    (data (i32.const 1024) "\00\00\00\00\07\00\00\00")
    (data (i32.const 1040) "\01\00\00\00\17\00\00\00")
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 8192)
    (func (export "acme:trial/api@1.0.0#go") (result i32) {go}))"#
    );
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).expect("the contract parses");
    let package = resolve.push_source("trial.wit", WIT).expect("the WIT parses");
    let world = resolve.select_world(&[package], Some("trial")).expect("the world");
    let mut module = wat::parse_str(text).expect("the text parses");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    module
}

const PROJECT: &str = r#"[resource]
publisher = "acme"
name = "trial"
version = "1.0.0"
advisory_metering = true

[[operation]]
name = "view"
exports = ["acme:trial/api@1.0.0#go"]
parts = ["code", "full"]

[[operation]]
name = "side"
parts = ["more"]

[[part]]
name = "code"
path = "build/trial.wasm"
kind = "code"

[[part]]
name = "full"
path = "full.txt"

[[part]]
name = "more"
path = "full.txt"

[[offer]]
operation = "view"
model = "uses"
count = 2
price = "0.50 EUR"

[[offer]]
operation = "side"
model = "perpetual"
price = "0.25 EUR"
"#;

fn project(folder: &Path, module: &[u8], project: &str) {
    fs::create_dir_all(folder.join("build")).expect("folder");
    fs::write(folder.join("build/trial.wasm"), module).expect("module");
    fs::write(folder.join("full.txt"), "everything").expect("asset");
    fs::write(folder.join("portcullis.toml"), project).expect("project");
}

/// What `dev` says of a guest that does this.
fn dev(stage: &Stage, go: &str, toml: &str) -> (bool, String) {
    project(&stage.path("trial"), &module(go), toml);
    let Output { status, stdout, stderr } = stage.run("publisher", &["dev", "trial", "--no-build"]);
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn dev_works_only_where_a_buyer_would_be_served() {
    let stage = Stage::new();
    let fails = |go: &str, toml: &str, said: &[&str]| {
        let (works, text) = dev(&stage, go, toml);
        assert!(!works && !text.contains("works"), "{text}");
        for said in said {
            assert!(text.contains(said), "{said}: {text}");
        }
    };
    // An operation and a part that portcullis.toml does not have, even where the guest makes light of it.
    let request = |at: u32, length: u32| {
        format!(
            "(call $request (i32.const {at}) (i32.const {length}) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64))"
        )
    };
    fails(
        &format!("{} (i32.const 1024)", request(512, 5)),
        PROJECT,
        &["requests the operation `vieww`", "did you mean `view`?"],
    );
    let open = "(call $open (call $entry) (i32.const 528) (i32.const 3) (i32.const 64))";
    fails(&format!("{open} (i32.const 1024)"), PROJECT, &["opens the part `ful`", "did you mean `full`?"]);
    // A refusal after paying.
    fails("(i32.const 1040)", PROJECT, &["was granted and is refused all the same", "package-invalid"]);
    // A trap, with what the guest said before.
    let panic = "(call $write (call $stderr) (i32.const 600) (i32.const 29) (i32.const 64)) unreachable";
    fails(panic, PROJECT, &["was granted and fails", "panicked at src/lib.rs:7:9: x"]);
    // What `seal` would refuse.
    let unaware = PROJECT.replace("advisory_metering = true\n", "");
    fails("(i32.const 1024)", &unaware, &["--advisory-metering"]);
    // The control; and what is requested from inside is bought too.
    let (works, text) = dev(&stage, "(i32.const 1024)", PROJECT);
    assert!(works && text.contains("acme/trial 1.0.0 works"), "{text}");
    let inside = format!(
        "{} (i32.load8_u (i32.const 64)) (if (result i32) (then (i32.const 1040)) (else (i32.const 1024)))",
        request(544, 4)
    );
    let (works, text) = dev(&stage, &inside, PROJECT);
    assert!(works && text.contains("which it requests from inside"), "{text}");
}

/// What `dev` sells is no publication: the user's home hears nothing of it, and need not be there.
#[test]
fn dev_touches_nothing_outside_the_project() {
    let stage = Stage::new();
    let (works, text) = dev(&stage, "(i32.const 1024)", PROJECT);
    assert!(works && !text.contains("warning"), "{text}");
    assert!(!stage.path("publisher").exists(), "no home is made");
    stage.succeed("publisher", &["keygen"]);
    let home = || {
        let entries = fs::read_dir(stage.path("publisher")).expect("a home").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let before = home();
    let (works, text) = dev(&stage, "(i32.const 1024)", PROJECT);
    assert!(works, "{text}");
    assert_eq!(home(), before);
}

/// The throw-away store sells in what the project asks for: nobody could tell it otherwise.
#[test]
fn dev_sells_in_the_currencies_of_the_project() {
    let stage = Stage::new();
    let (works, text) = dev(&stage, "(i32.const 1024)", &PROJECT.replace("0.50 EUR", "0.99 ZAR"));
    assert!(works && text.contains("0.99 ZAR"), "{text}");
    // One that does not exist is the project's mistake.
    let (works, text) = dev(&stage, "(i32.const 1024)", &PROJECT.replace("0.50 EUR", "0.99 ZZZ"));
    assert!(!works && text.contains("portcullis.toml"), "{text}");
}

/// A module with a custom section that an SDK would have written.
fn with_uses(mut module: Vec<u8>, lines: &str) -> Vec<u8> {
    let name = "portcullis:uses";
    let content = [&[name.len() as u8], name.as_bytes(), lines.as_bytes()].concat();
    assert!(content.len() < 128, "one byte of length");
    module.extend([0, content.len() as u8]);
    module.extend(content);
    module
}

#[test]
fn seal_refuses_names_that_the_manifest_does_not_have_and_stale_builds() {
    let stage = Stage::with_store();
    stage.login("publisher");
    stage.succeed("publisher", &["keygen"]);
    let seal = |lines: &str| {
        project(&stage.path("trial"), &with_uses(module("(i32.const 1024)"), lines), PROJECT);
        let output = stage.run("publisher", &["seal", "trial", "-o", "trial.sealed.wasm"]);
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (lines, said) in [
        (
            "operation\tvieww\t\tsrc/lib.rs:7\n",
            "`vieww` (src/lib.rs:7), which the resource does not have; did you mean `view`?",
        ),
        ("part\tful\t\tsrc/lib.rs:9\n", "`ful` (src/lib.rs:9), which the resource does not have; did you mean `full`?"),
        ("part\tmore\tview\tsrc/lib.rs:9\n", "opens the part `more` under the operation `view`"),
    ] {
        let (sealed, text) = seal(lines);
        assert!(!sealed && text.contains(said), "{text}");
    }
    let (sealed, text) = seal("operation\tview\t\tsrc/lib.rs:7\npart\tfull\tview\tsrc/lib.rs:9\n");
    assert!(sealed, "{text}");
    let file = fs::read(stage.path("trial.sealed.wasm")).expect("sealed");
    assert!(!file.windows(15).any(|bytes| bytes == b"portcullis:uses"), "none of it is sold");

    // A source that is newer than what was built from it.
    fs::create_dir_all(stage.path("trial/src")).expect("folder");
    let source = fs::File::create(stage.path("trial/src/main.js")).expect("file");
    source.set_modified(SystemTime::now() + Duration::from_secs(60)).expect("later");
    let stale = stage.run("publisher", &["seal", "trial", "-o", "trial.sealed.wasm"]);
    let text = String::from_utf8_lossy(&stale.stderr);
    assert!(!stale.status.success() && text.contains("main.js") && text.contains("--no-build"), "{text}");
    stage.succeed("publisher", &["seal", "trial", "-o", "trial.sealed.wasm", "--no-build"]);
    source.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("earlier");
    stage.succeed("publisher", &["seal", "trial", "-o", "trial.sealed.wasm"]);
}

#[test]
fn a_title_follows_the_count_and_a_version_is_withdrawn_and_restored() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let said = |who: &str, arguments: &[&str]| stage.said(who, arguments);
    let price = ["price", "acme/sketch", "--operation", "count", "--model", "uses", "--price", "4.00 EUR"];
    let (code, text) = said("publisher", &[&price[..], &["--count", "20"]].concat());
    assert_eq!(code, Some(0), "{text}");
    let offers: Vec<&str> = text.lines().filter(|line| line.contains("count: ")).collect();
    assert_eq!(offers.len(), 2, "{text}");
    assert!(offers[0].contains("no longer: ") && offers[0].contains("Two counts"), "{text}");
    assert!(offers[1].contains("20 counts") && !offers[1].contains("Two counts"), "{text}");
    let (code, text) = said("publisher", &[&price[..], &["--count", "20", "--title", " "]].concat());
    assert_eq!(code, Some(2), "{text}");

    let run = ["run", "--invoke", "preview()", "acme/sketch"];
    stage.succeed("user", &["install", "acme/sketch"]);
    let withdraw = ["withdraw", "acme/sketch@1.0.0", "--reason", "the wrong lake"];
    let (code, text) = said("publisher", &withdraw);
    assert_eq!(code, Some(1), "{text}");
    let again = "withdraw acme/sketch@1.0.0 --reason='the wrong lake' --yes";
    assert!(text.contains("nobody can be asked") && text.contains(again), "{text}");
    assert_eq!(said("user", &run).0, Some(0), "nothing was withdrawn");
    let (code, text) = said("publisher", &[&withdraw[..], &["--yes"]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("portcullis restore acme/sketch@1.0.0"), "{text}");
    let (code, text) = said("user", &run);
    assert_ne!(code, Some(0), "it is withdrawn");
    assert!(text.contains("the wrong lake") && text.contains("ask its publisher, acme"), "{text}");
    assert!(!text.contains("portcullis install"), "nothing is there to install: {text}");
    let (_, text) = said("user", &["inspect", "acme/sketch"]);
    assert!(text.contains("it was withdrawn") && !text.contains("  sells it"), "{text}");
    let (_, text) = said("publisher", &["price", "acme/sketch"]);
    assert!(text.contains("every version was withdrawn") && text.contains("portcullis restore"), "{text}");
    assert!(!text.contains("no offers"), "{text}");
    stage.succeed("user", &["--json", "inspect", "acme/sketch"]);
    stage.succeed("publisher", &["--json", "price", "acme/sketch"]);
    assert_eq!(said("publisher", &[&withdraw[..], &["--yes"]].concat()).0, Some(1), "it is already");
    let (code, text) = said("publisher", &["restore", "acme/sketch@1.0.0"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(said("user", &run).0, Some(0), "as before");
    assert_eq!(said("publisher", &["restore", "acme/sketch@1.0.0"]).0, Some(1));
    let (_, text) = said("user", &["inspect", "acme/sketch"]);
    assert!(text.contains("  sells it"), "{text}");
    // Of a version that is not sold any more, the one that is.
    stage.publish("1.1.0");
    stage.succeed("publisher", &[&withdraw[..], &["--yes"]].concat());
    for arguments in [&run[..], &["install", "acme/sketch@1.0.0"]] {
        let (code, text) = said("user", arguments);
        assert!(code == Some(31) && text.contains("`portcullis install acme/sketch@1.1.0`"), "{arguments:?}: {text}");
    }
}

#[test]
fn advice_works_as_it_is_printed() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let said = |who: &str, arguments: &[&str]| {
        let output = stage.run(who, arguments);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let second = ["--operation", "view", "--model", "uses", "--count", "3", "--price", "0.20 EUR"];
    stage.succeed("publisher", &[&["price", "acme/sketch"], &second[..]].concat());
    let (code, text) = said("user", &["run", "--invoke", "view()", "-o", "full.txt", "acme/sketch"]);
    assert_eq!(code, Some(20), "{text}");
    let commands: Vec<&str> = text.split('`').filter(|piece| piece.starts_with("portcullis buy")).collect();
    assert_eq!(commands.len(), 2, "one for each offer: {text}");
    let words: Vec<&str> = commands[1].split(' ').skip(1).chain(["--yes"]).collect();
    stage.succeed("user", &words);
    assert_eq!(said("user", &["run", "--invoke", "view()", "-o", "full.txt", "acme/sketch"]).0, Some(0));
    // `buy` itself names them too.
    let (code, text) = said("user", &["buy", "acme/sketch", "--operation", "view", "--yes"]);
    assert!(code == Some(2) && text.matches("--offer").count() == 2, "{text}");

    // One's own file that no store has countersigned; and other bytes under a version that is out.
    fs::write(stage.path("sketch/full.svg"), "<svg>more</svg>").expect("asset");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering", "-o", "changed.sealed.wasm"]);
    let (_, text) = said("publisher", &["install", "changed.sealed.wasm"]);
    assert!(
        text.contains("no store has countersigned") && text.contains("portcullis publish changed.sealed.wasm"),
        "{text}"
    );
    let (code, text) = said("publisher", &["publish", "changed.sealed.wasm", "--project", "sketch"]);
    assert!(code == Some(1) && text.contains("raise the `version`") && !text.contains("uploading"), "{text}");
    guest::project(&stage.path("sketch"), "1.0.1");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering", "-o", "next.sealed.wasm"]);
    stage.succeed("publisher", &["publish", "next.sealed.wasm", "--project", "sketch"]);
    stage.succeed("publisher", &["install", "acme/sketch"]);
}

#[test]
fn what_a_function_writes_to_standard_error_is_shown() {
    let stage = Stage::with_store();
    stage.login("publisher");
    stage.succeed("publisher", &["keygen"]);
    let says = "(call $write (call $stderr) (i32.const 600) (i32.const 29) (i32.const 64)) (i32.const 1024)";
    let free = PROJECT.replace("model = \"uses\"\ncount = 2\nprice = \"0.50 EUR\"", "model = \"free\"");
    let free = free.replace("kind = \"code\"\n", "kind = \"code\"\npublic = true\n");
    let free = free.replace("name = \"full\"\npath", "name = \"full\"\npublic = true\npath");
    project(&stage.path("trial"), &module(says), &free);
    stage.succeed("publisher", &["seal", "trial", "-o", "trial.sealed.wasm"]);
    stage.succeed("publisher", &["publish", "trial.sealed.wasm", "--project", "trial"]);
    let run = stage.succeed("publisher", &["run", "--invoke", "go", "acme/trial"]);
    assert!(String::from_utf8_lossy(&run.stderr).contains("panicked at src/lib.rs:7:9: x"));
    let run = stage.succeed("publisher", &["--json", "run", "--invoke", "api#go()", "acme/trial"]);
    let said: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!((&said["stderr"], &said["results"][0]), (&"panicked at src/lib.rs:7:9: x".into(), &"ok(7)".into()));
    assert!(!String::from_utf8_lossy(&run.stderr).contains("panicked"), "a program reads it in the JSON");
}
