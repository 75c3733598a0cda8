//! What does not fit is found before anything is asked of a server: no use is lost to a typing error.

use crate::stage::Stage;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = "
package acme:typed@1.0.0;
interface api {
    enum filter { nearest, bilinear, lanczos3 }
    record size { width: u16, height: u16 }
    flags mode { fast, exact }
    variant shape { circle(u8), nothing }
    do-filter: func(filter: filter) -> u32;
    resize: func(to: size, name: string, level: u8) -> u32;
    choose: func(mode: mode, shape: shape, letter: option<char>) -> u32;
    length: func(text: string) -> u32;
    count: func(bytes: list<u8>) -> u32;
    unsold: func() -> u32;
}
world typed {
    include portcullis:gate/protected@0.1.0;
    export api;
}";

const TEXT: &str = r#"(module
    (import "portcullis:gate/billing@0.1.0" "entry" (func (result i32)))
    (memory (export "memory") 2)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
    (func (export "acme:typed/api@1.0.0#do-filter") (param i32) (result i32) local.get 0)
    (func (export "acme:typed/api@1.0.0#resize") (param i32 i32 i32 i32 i32) (result i32) local.get 0)
    (func (export "acme:typed/api@1.0.0#choose") (param i32 i32 i32 i32 i32) (result i32) local.get 0)
    (func (export "acme:typed/api@1.0.0#length") (param i32 i32) (result i32) local.get 1)
    (func (export "acme:typed/api@1.0.0#count") (param i32 i32) (result i32) local.get 1)
    (func (export "acme:typed/api@1.0.0#unsold") (result i32) i32.const 1))"#;

const PROJECT: &str = r#"[resource]
publisher = "acme"
name = "typed"
version = "1.0.0"

[[operation]]
name = "use"
exports = [
    "acme:typed/api@1.0.0#do-filter", "acme:typed/api@1.0.0#resize", "acme:typed/api@1.0.0#choose",
    "acme:typed/api@1.0.0#length", "acme:typed/api@1.0.0#count",
]
parts = ["code"]

[[part]]
name = "code"
path = "typed.wasm"
kind = "code"

[[offer]]
operation = "use"
model = "uses"
count = 2
price = "0.50 EUR"

[limits]
memory = 1048576
"#;

fn project(stage: &Stage) {
    let folder = stage.path("typed");
    fs::create_dir_all(&folder).expect("folder");
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).expect("the contract parses");
    let package = resolve.push_source("typed.wit", WIT).expect("the WIT parses");
    let world = resolve.select_world(&[package], None).expect("one world");
    let mut module = wat::parse_str(TEXT).expect("the text parses");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    fs::write(folder.join("typed.wasm"), module).expect("module");
    fs::write(folder.join("portcullis.toml"), PROJECT).expect("project");
}

/// In the store's place: counts who asks, and answers nobody.
struct Counter {
    asked: Arc<AtomicU32>,
}

impl Counter {
    fn at(origin: &str) -> Self {
        let listener = TcpListener::bind(origin.trim_start_matches("http://")).expect("the store's port is free");
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { asked }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

#[test]
fn what_does_not_fit_costs_nothing_and_asks_nobody() {
    let mut stage = Stage::with_store();
    stage.login("publisher");
    stage.login("user");
    stage.succeed("publisher", &["keygen"]);
    project(&stage);
    stage.succeed("publisher", &["seal", "typed", "--advisory-metering", "-o", "typed.sealed.wasm"]);
    stage.succeed("publisher", &["publish", "typed.sealed.wasm", "--project", "typed"]);
    stage.succeed("user", &["install", "acme/typed"]);
    stage.succeed("user", &["buy", "typed", "--operation", "use", "--yes"]);
    fs::write(stage.path("broken.txt"), b"ab\xff").expect("file");
    fs::write(stage.path("large.bin"), vec![0; (1 << 20) + 1]).expect("file");
    stage.stop_store();
    let counter = Counter::at(stage.origin());

    for (call, options, code, said) in [
        ("do-filter(neerest)", &[][..], 2, "did you mean `nearest`?"),
        ("do-filter(\"nearest\")", &[], 2, "one of `nearest`, `bilinear`, `lanczos3`"),
        ("do-filter()", &[], 2, "0 given, 1 expected"),
        ("do-filter(nearest, nearest)", &[], 2, "2 given, 1 expected"),
        ("resize({width: 1}, \"a\", 1)", &[], 2, "the field `height` is missing"),
        ("resize({width: 1, heigth: 1}, \"a\", 1)", &[], 2, "did you mean `height`?"),
        ("resize({width: 70000, height: 1}, \"a\", 1)", &[], 2, "`to.width`: must be a whole number from 0 to 65535"),
        ("resize({width: 1, height: 1}, \"x\\q\", 1)", &[], 2, "escapes are"),
        ("resize({width: 1, height: 1}, a, 1)", &[], 2, "double quotes"),
        ("resize({width: 1, height: 1}, \"a\", 700)", &[], 2, "0 to 255 (u8), and is 700"),
        ("resize({width: 1, height: 1}, \"a\", -1)", &[], 2, "0 to 255"),
        ("resize({width: 1, height: 1}, \"a\", 1.5)", &[], 2, "and is 1.5"),
        ("choose({fsat}, nothing, none)", &[], 2, "did you mean `fast`?"),
        ("choose({}, square, none)", &[], 2, "there is no case `square`"),
        ("choose({}, circle, none)", &[], 2, "`circle` carries a value"),
        ("choose({}, circle(256), none)", &[], 2, "`shape.circle`: must be"),
        ("choose({}, nothing, some('ab'))", &[], 2, "cannot be read"),
        ("length(@broken.txt)", &[], 2, "not UTF-8"),
        ("length(@large.bin)", &[], 2, "larger than"),
        ("count(@large.bin)", &[], 2, "larger than"),
        ("count(@missing)", &[], 1, "cannot read `missing`"),
        ("count(@.)", &[], 1, "cannot read `.`"),
        ("count([1, 256])", &[], 2, "`bytes[1]`"),
        ("resize(@broken.txt, \"a\", 1)", &[], 2, "list<u8> and string only"),
        ("do-filtre(nearest)", &[], 2, "did you mean `do-filter`?"),
        ("unsold()", &[], 1, "belongs to no operation"),
        ("do-filter(nearest)", &["-o", "file"], 2, "returns no bytes"),
        ("count([1])", &["--dir", "nowhere"], 2, "is not a directory"),
        ("count([1])", &["--allow", "us"], 2, "did you mean `use`?"),
    ] {
        let arguments = [&["run", "--invoke", call], options, &["typed"]].concat();
        let output = stage.run("user", &arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{call}: {text}");
        assert!(text.contains(said), "{call}: {text}");
    }
    let both = stage.run("user", &["run", "--invoke", "count([1])", "typed", "--", "more"]);
    assert_eq!(both.status.code(), Some(2), "arguments of a command are none of a call");
    assert_eq!(counter.asked(), 0, "nobody was asked");

    // The control: what fits goes to the server, and that is counted.
    let asked = stage.run("user", &["run", "--invoke", "do-filter(nearest)", "typed"]);
    assert_eq!(asked.status.code(), Some(41), "{}", String::from_utf8_lossy(&asked.stderr));
    assert!(counter.asked() > 0);
    let _ = TcpStream::connect(stage.origin().trim_start_matches("http://"));
}

#[test]
fn where_the_result_cannot_go_is_found_before_it_is_paid_for() {
    let mut stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    stage.succeed("user", &["buy", "sketch", "--operation", "view", "--yes"]);
    fs::create_dir_all(stage.path("folder")).expect("folder");
    // What is compiled has nowhere to be kept: that is no reason not to run.
    let cache = stage.path("user/cache");
    let _ = fs::remove_dir_all(&cache);
    fs::write(&cache, "in the way").expect("file");
    let kept = stage.run("user", &["run", "--invoke", "view()", "-o", "full.txt", "sketch"]);
    assert_eq!(kept.status.code(), Some(0), "{}", String::from_utf8_lossy(&kept.stderr));
    stage.stop_store();
    let counter = Counter::at(stage.origin());
    for (file, said) in [("missing/full.txt", "there is no folder `missing`"), ("folder", "cannot write `folder`")] {
        let output = stage.run("user", &["run", "--invoke", "view()", "-o", file, "sketch"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{file}: {text}");
        assert!(text.contains(said), "{file}: {text}");
    }
    assert_eq!(counter.asked(), 0, "nobody was asked");
}
