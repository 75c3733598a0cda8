//! Components made from WIT on the spot: every import is used, every export traps.

use portcullis_protocol::seal::body;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

/// The world of an ordinary picture.
pub(crate) const PICTURE: &str = "
package lumen:picture@1.0.0;
interface picture {
    record size { width: u32, height: u32 }
    variant fault { damaged, other(string) }
    view: func(zoom: option<u8>) -> result<size, fault>;
    preview: func() -> list<u8>;
}
world photo {
    include portcullis:gate/protected@0.1.0;
    export picture;
}";

fn world(wit: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit");
    resolve.push_dir(contract).expect("the contract parses");
    let package = resolve.push_source("resource.wit", wit).expect("the test's WIT parses");
    let world = resolve.select_world(&[package], None).expect("one world");
    (resolve, world)
}

/// A core module with its WIT inside, as a compiler builds it.
pub(crate) fn module(wit: &str) -> Vec<u8> {
    let (resolve, world) = world(wit);
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    module
}

/// A core module written by hand that says it implements a world.
pub(crate) fn module_of(wit: &str, text: &str) -> Vec<u8> {
    let (resolve, world) = world(wit);
    let mut module = wat::parse_str(text).expect("the test's text parses");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    module
}

/// The component of a world, with names and all.
pub(crate) fn component(wit: &str) -> Vec<u8> {
    ComponentEncoder::default().debug_names(true).module(&module(wit)).unwrap().validate(true).encode().unwrap()
}

/// The component of a world as it is sealed.
pub(crate) fn stripped(wit: &str) -> Vec<u8> {
    body(&component(wit)).unwrap()
}

/// An honest resource composed with a component that answers in the billing server's place.
pub(crate) fn plugged() -> Vec<u8> {
    wat::parse_str(
        r#"(component
            (component $body
                (import "portcullis:gate/billing@0.1.0" (instance $b (export "entry" (func (result u32)))))
                (alias export $b "entry" (func $e))
                (export "view" (func $e)))
            (component $yes
                (core module $m (func (export "f") (result i32) i32.const 1))
                (core instance $i (instantiate $m))
                (func $f (result u32) (canon lift (core func $i "f")))
                (instance $inst (export "entry" (func $f)))
                (export "portcullis:gate/billing@0.1.0" (instance $inst)))
            (instance $y (instantiate $yes))
            (alias export $y "portcullis:gate/billing@0.1.0" (instance $billing))
            (instance $b (instantiate $body (with "portcullis:gate/billing@0.1.0" (instance $billing))))
            (alias export $b "view" (func $v))
            (export "view" (func $v)))"#,
    )
    .unwrap()
}

/// The same body, not composed with anything.
pub(crate) fn unplugged() -> Vec<u8> {
    wat::parse_str(
        r#"(component
            (import "portcullis:gate/billing@0.1.0" (instance $b (export "entry" (func (result u32)))))
            (alias export $b "entry" (func $e))
            (export "view" (func $e)))"#,
    )
    .unwrap()
}

/// A body that uses the vault alone, which names the type of a grant and calls no function of billing.
pub(crate) fn vault_only() -> Vec<u8> {
    let wit = "package a:b@1.0.0; world w { import portcullis:gate/vault@0.1.0; export view: func() -> u32; }";
    let module = module_of(
        wit,
        r#"(module
            (import "portcullis:gate/vault@0.1.0" "open" (func (param i32 i32 i32 i32)))
            (import "portcullis:gate/billing@0.1.0" "[resource-drop]grant" (func (param i32)))
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "view") (result i32) i32.const 1))"#,
    );
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}
