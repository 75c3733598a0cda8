//! A small picture as a core module with its WIT inside, written by hand, and a project around it.

use std::path::Path;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = "
package acme:sketch@1.0.0;
interface picture {
    use portcullis:gate/types@0.1.0.{refusal};
    /// Free.
    preview: func() -> list<u8>;
    /// Bought for good.
    view: func() -> result<list<u8>, refusal>;
    /// Sold by use.
    add: func(a: u32, b: u32) -> u32;
    length: func(bytes: list<u8>) -> u32;
    /// Free: answers as if the billing server had said no.
    refuse: func() -> result<list<u8>, refusal>;
}
world photo {
    include portcullis:gate/protected@0.1.0;
    export picture;
}";

/// Results lie in memory: a list is address and length, a result begins with its case. A refusal's case 4 is
/// `not-signed-in`.
const TEXT: &str = r#"(module
    (import "portcullis:gate/billing@0.1.0" "entry" (func (result i32)))
    (memory (export "memory") 2)
    (data (i32.const 0) "\40\00\00\00\06\00\00\00")
    (data (i32.const 16) "\00\00\00\00\50\00\00\00\0a\00\00\00")
    (data (i32.const 32) "\01\00\00\00\04\00\00\00")
    (data (i32.const 64) "a line")
    (data (i32.const 80) "everything")
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
    (func (export "acme:sketch/picture@1.0.0#preview") (result i32) i32.const 0)
    (func (export "acme:sketch/picture@1.0.0#view") (result i32) i32.const 16)
    (func (export "acme:sketch/picture@1.0.0#refuse") (result i32) i32.const 32)
    (func (export "acme:sketch/picture@1.0.0#add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
    (func (export "acme:sketch/picture@1.0.0#length") (param i32 i32) (result i32) local.get 1))"#;

const PROJECT: &str = r#"[resource]
publisher = "acme"
name = "sketch"
version = "VERSION"
kind = "picture"
title = "A sketch"
description = "For the tests."

[[operation]]
name = "preview"
title = "See a line"
exports = ["acme:sketch/picture@1.0.0#preview", "acme:sketch/picture@1.0.0#refuse"]
parts = ["viewer"]

[[operation]]
name = "view"
title = "See everything"
exports = ["acme:sketch/picture@1.0.0#view"]
parts = ["viewer", "full"]

[[operation]]
name = "count"
title = "Count"
exports = ["acme:sketch/picture@1.0.0#add", "acme:sketch/picture@1.0.0#length"]
parts = ["viewer"]

[[part]]
name = "viewer"
path = "build/sketch.wasm"
kind = "code"
public = true

[[part]]
name = "full"
path = "full.svg"

[[offer]]
operation = "preview"
model = "free"

[[offer]]
operation = "view"
title = "Everything, for good"
model = "perpetual"
price = "1.99 EUR"

[[offer]]
operation = "count"
title = "Two counts"
model = "uses"
count = 2
price = "0.50 EUR"
"#;

/// The core module.
pub(crate) fn module() -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).expect("the contract parses");
    let package = resolve.push_source("sketch.wit", WIT).expect("the WIT parses");
    let world = resolve.select_world(&[package], None).expect("one world");
    let mut module = wat::parse_str(TEXT).expect("the text parses");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    module
}

/// A project, built.
pub(crate) fn project(folder: &Path, version: &str) {
    std::fs::create_dir_all(folder.join("build")).expect("folder");
    std::fs::write(folder.join("build/sketch.wasm"), module()).expect("module");
    std::fs::write(folder.join("full.svg"), "<svg>everything</svg>").expect("asset");
    std::fs::write(folder.join("portcullis.toml"), PROJECT.replace("VERSION", version)).expect("project");
}
