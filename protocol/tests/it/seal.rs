//! Sealing: what comes out of an honest project, and what is refused with its cause and fix.

use crate::components::{PICTURE, component, module, module_of, plugged, stripped, unplugged, vault_only};
use crate::sealed::{bytes, name, publisher, server};
use crate::seeded::SeededRng;
use portcullis_protocol::seal::{
    Checked, Description, SealRefused, Sealer, SuggestedOffer, body, componentize, stub_of,
};
use portcullis_protocol::sealed::Sealed;
use portcullis_protocol::surface::{ImportRefused, Surface};
use portcullis_protocol::{Capabilities, OperationEntry, PublisherEntry, ResourceLimits, Rights, ServerEntry, Version};
use std::io::Cursor;
use wit_component::{DecodedWasm, WitPrinter, decode};

const VIEW: &str = "lumen:picture/picture@1.0.0#view";
const PREVIEW: &str = "lumen:picture/picture@1.0.0#preview";

fn operation(operation: &str, exports: &[&str], parts: &[&str]) -> OperationEntry {
    OperationEntry {
        name: operation.parse().unwrap(),
        title: operation.into(),
        exports: exports.iter().map(|export| export.parse().unwrap()).collect(),
        parts: parts.iter().map(|part| name(part)).collect(),
    }
}

fn description(operations: &[OperationEntry]) -> Description {
    let publisher = publisher();
    let server = |origin: &str| ServerEntry { origin: origin.parse().unwrap(), root: publisher.public().thumbprint() };
    Description {
        publisher: PublisherEntry { name: "lumen".parse().unwrap(), jwk: publisher.public().clone() },
        name: "alpine-lake".parse().unwrap(),
        version: Version::new(1, 0, 0),
        kind: "picture".into(),
        title: "Alpine lake".into(),
        description: String::new(),
        operations: operations.to_vec(),
        limits: ResourceLimits::default(),
        capabilities: Capabilities::default(),
        advisory_metering: false,
        servers: vec![server("https://store.example"), server("https://a.example")],
    }
}

fn offer(operation: &str, rights: Rights, price: &str) -> SuggestedOffer {
    SuggestedOffer { operation: operation.parse().unwrap(), rights, price: price.parse().unwrap() }
}

/// The usual shape: a small picture for free from its own parts, the full one for money.
fn operations() -> [OperationEntry; 2] {
    [operation("view", &[VIEW], &["full", "picture"]), operation("preview", &[PREVIEW], &["small", "thumbnail"])]
}

fn offers() -> [SuggestedOffer; 3] {
    [
        offer("view", Rights::Perpetual {}, "1.99 EUR"),
        offer("view", Rights::Perpetual {}, "2.49 USD"),
        offer("preview", Rights::Free {}, "0.00 EUR"),
    ]
}

fn picture<'a>(code: &'a [u8], picture: &'a [u8]) -> Sealer<'a> {
    Sealer::new(description(&operations()))
        .code(name("full"), false, code)
        .asset(name("picture"), false, "image/png", picture.len() as u64, picture)
        .code(name("small"), true, code)
        .asset(name("thumbnail"), true, "image/png", 9, &b"thumbnail"[..])
}

fn write(checked: Checked<'_>) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    checked.seal(&mut out, &publisher(), &[*server().recipient()], &mut SeededRng::new("seal")).unwrap();
    out.into_inner()
}

/// One code part under one operation without exports of its own to map.
fn refused(code: &[u8]) -> SealRefused {
    let operations = [operation("view", &["view"], &["code"])];
    Sealer::new(description(&operations)).code(name("code"), false, code).check().unwrap_err()
}

#[test]
fn an_honest_resource_is_sealed_and_opens_as_what_it_was() {
    let (code, full) = (component(PICTURE), bytes(300_000));
    let sealer = offers().into_iter().fold(picture(&code, &full), Sealer::offer);
    let checked = sealer.check().unwrap();
    assert_eq!(checked.unmapped_exports().count(), 0);
    let sealed = Sealed::open(write(checked)).unwrap();
    sealed.verify_blocks().unwrap();
    let manifest = sealed.manifest();
    assert_eq!(manifest.servers[0].origin.as_str(), "https://a.example");
    let stub = Surface::of(sealed.stub()).unwrap();
    stub.check_stub(manifest).unwrap();
    for part in ["full", "small"] {
        let key = sealed.unwrap_key(&name(part), [&server()]).unwrap();
        let code = sealed.read_code(&name(part), &key).unwrap();
        Surface::check_body(&stub, &Surface::of(&code).unwrap(), manifest).unwrap();
    }
    let key = sealed.unwrap_key(&name("picture"), [&server()]).unwrap();
    let mut part = sealed.part(&name("picture"), &key).unwrap();
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut part, &mut read).unwrap();
    assert!(read == full);
}

#[test]
fn a_core_module_with_its_wit_inside_is_sealed_too() {
    let code = module(PICTURE);
    assert_eq!(&code[..8], b"\0asm\x01\0\0\0");
    write(picture(&code, b"").check().unwrap());
    assert_eq!(Surface::of(&componentize(&code).unwrap()).unwrap(), Surface::of(&component(PICTURE)).unwrap());
}

#[test]
fn foreign_tools_see_an_ordinary_component() {
    let file = write(picture(&component(PICTURE), b"a lake").check().unwrap());
    wasmparser::Validator::new().validate_all(&file).unwrap();
    let print = |bytes: &[u8]| {
        let decoded = decode(bytes).unwrap();
        let DecodedWasm::Component(resolve, world) = &decoded else { panic!("not a component") };
        let package = resolve.worlds[*world].package.unwrap();
        let mut printer = WitPrinter::default();
        printer.print(resolve, package, &[]).unwrap();
        printer.output.to_string()
    };
    let sealed = Sealed::open(file.as_slice()).unwrap();
    let seen = print(&file);
    assert_eq!(seen, print(sealed.stub()));
    assert!(seen.contains("import portcullis:gate/billing@0.1.0;"), "{seen}");
    assert!(seen.contains("export lumen:picture/picture@1.0.0;"), "{seen}");
}

#[test]
fn the_stub_holds_nothing_but_traps() {
    let stub = stub_of(&stripped(PICTURE)).unwrap();
    assert_eq!(Surface::of(&stub).unwrap(), Surface::of(&component(PICTURE)).unwrap());
    let mut bodies = 0;
    let mut adapters = 0;
    for payload in wasmparser::Parser::new(0).parse_all(&stub) {
        match payload.unwrap() {
            wasmparser::Payload::CodeSectionEntry(body) => {
                let operators: Vec<_> = body.get_operators_reader().unwrap().into_iter().map(Result::unwrap).collect();
                match operators.as_slice() {
                    [wasmparser::Operator::Unreachable, wasmparser::Operator::End] => bodies += 1,
                    // What runs after an export returned, which none does.
                    [wasmparser::Operator::End] => {}
                    // What the encoder adds so that imports reach the module; no export leads there.
                    other => {
                        assert!(
                            other.iter().any(|o| matches!(o, wasmparser::Operator::CallIndirect { .. })),
                            "{other:?}"
                        );
                        adapters += 1;
                    }
                }
            }
            wasmparser::Payload::CustomSection(section) => panic!("custom section `{}`", section.name()),
            wasmparser::Payload::DataSection(_) => panic!("data"),
            _ => {}
        }
    }
    assert!(bodies >= 2, "{bodies} traps, {adapters} adapters");
}

#[test]
fn stubs_are_made_of_every_kind_of_world() {
    let exporting_resources = "
package acme:canvas@2.1.0;
interface shapes {
    resource shape { constructor(name: string); area: func() -> f64; join: static func(a: shape, b: borrow<shape>) -> shape; }
    flags edges { top, bottom }
    all: func(edges: edges) -> list<tuple<shape, option<char>>>;
}
interface events { resource listener { on: func(shape: string) -> result; } }
world w {
    include portcullis:gate/protected@0.1.0;
    import events;
    import log: interface { write: func(text: string); }
    export shapes;
    export inline: interface { use events.{listener}; listen: func(to: own<listener>); }
    export top: func(a: s64, b: f32) -> tuple<bool, string>;
}";
    let command = "
package acme:tool@1.0.0;
world w { include portcullis:gate/protected@0.1.0; import wasi:cli/stdout@0.2.6; export wasi:cli/run@0.2.6; }
package wasi:io@0.2.6 { interface streams { resource output-stream { flush: func() -> result; } } }
package wasi:cli@0.2.6 {
    interface stdout { use wasi:io/streams@0.2.6.{output-stream}; get-stdout: func() -> output-stream; }
    interface run { run: func() -> result; }
}";
    for wit in [exporting_resources, command, PICTURE] {
        let code = stripped(wit);
        let stub = stub_of(&code).unwrap();
        assert_eq!(Surface::of(&stub).unwrap(), Surface::of(&code).unwrap());
        assert!(stub.len() < 60_000, "{} bytes", stub.len());
        // A stub has a stub, and it is the same.
        assert!(stub_of(&stub).unwrap() == stub);
    }
    let exports = Surface::of(&stripped(exporting_resources)).unwrap();
    let exports: Vec<_> = exports.exports().collect();
    assert_eq!(
        exports,
        [
            "acme:canvas/shapes@2.1.0#[constructor]shape",
            "acme:canvas/shapes@2.1.0#[method]shape.area",
            "acme:canvas/shapes@2.1.0#[static]shape.join",
            "acme:canvas/shapes@2.1.0#all",
            "inline#listen",
            "top",
        ]
    );
    assert!(Surface::of(&stripped(command)).unwrap().export_type("wasi:cli/run@0.2.6#run").is_some());
}

#[test]
fn names_are_stripped_from_code() {
    let text = r#"(module $secret_module
        (import "portcullis:gate/billing@0.1.0" "entry" (func $secret_import (result i32)))
        (memory (export "memory") 1)
        (func $secret_function (export "view") (result i32) (local $secret_local i32) call $secret_import)
        (@custom "producers" "\00") (@custom ".debug_info" "secret_debug"))"#;
    let world = "package a:b@1.0.0; world w { import portcullis:gate/billing@0.1.0; export view: func() -> u32; }";
    let module = module_of(world, text);
    let built = componentize(&module).unwrap();
    let holds = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    assert!(holds(&built, b"secret_function") && holds(&built, b"secret_debug"));
    let stripped = body(&built).unwrap();
    assert!(!holds(&stripped, b"secret") && !holds(&stripped, b"producers"));
    assert_eq!(Surface::of(&stripped).unwrap(), Surface::of(&built).unwrap());
    // Once more changes nothing.
    assert!(body(&stripped).unwrap() == stripped);
}

#[test]
fn a_body_that_does_not_import_billing_is_refused() {
    let world = "package a:b@1.0.0; world w { include portcullis:gate/protected@0.1.0; export view: func() -> u32; }";
    let calling = r#"(module
        (import "portcullis:gate/billing@0.1.0" "entry" (func (result i32)))
        (func (export "view") (result i32) i32.const 1))"#;
    // The control: one import that stays.
    let operations = [operation("view", &["view"], &["code"])];
    let code = module_of(world, calling);
    Sealer::new(description(&operations)).code(name("code"), false, &code).check().unwrap();
    // The world says it, the code never calls it: the compiler dropped it.
    let dropped = module_of(world, r#"(module (func (export "view") (result i32) i32.const 1))"#);
    let error = refused(&dropped);
    assert_eq!(error, SealRefused::NoBilling { part: name("code") });
    assert!(error.to_string().contains("`#[used]` static"));
    // The vault alone brings the type of a grant, and no function.
    assert_eq!(refused(&vault_only()), SealRefused::NoBilling { part: name("code") });
    // Plugged with something that always says yes.
    assert_eq!(refused(&plugged()), SealRefused::NoBilling { part: name("code") });
    Sealer::new(description(&operations)).code(name("code"), false, &unplugged()).check().unwrap();
}

#[test]
fn imports_that_nothing_provides_are_refused_by_name() {
    let importing = |package: &str, interface: &str| {
        let (path, version) = package.split_once('@').unwrap();
        component(&format!(
            "package a:b@1.0.0;
             world w {{
                 import {path}/{interface}@{version};
                 include portcullis:gate/protected@0.1.0;
                 export view: func();
             }}
             package {package} {{ interface {interface} {{ touch: func(); }} }}"
        ))
    };
    for (package, interface) in
        [("wasi:cli@0.2.6", "stdout"), ("wasi:filesystem@0.2.6", "preopens"), ("wasi:clocks@0.2.0", "wall-clock")]
    {
        let code = importing(package, interface);
        let operations = [operation("view", &["view"], &["code"])];
        Sealer::new(description(&operations)).code(name("code"), false, &code).check().unwrap();
    }
    let import = |package: &str, interface: &str| match refused(&importing(package, interface)) {
        SealRefused::Import { import, .. } => import,
        other => panic!("{other:?}"),
    };
    assert_eq!(import("wasi:sockets@0.2.6", "tcp"), ImportRefused::Sockets("wasi:sockets/tcp@0.2.6".into()));
    assert_eq!(import("wasi:http@0.2.6", "types"), ImportRefused::Http("wasi:http/types@0.2.6".into()));
    assert_eq!(import("wasi:cli@0.3.0", "stdout"), ImportRefused::WasiVersion("wasi:cli/stdout@0.3.0".into()));
    assert_eq!(import("acme:db@1.0.0", "query"), ImportRefused::Unknown("acme:db/query@1.0.0".into()));
}

#[test]
fn what_is_no_body_is_refused() {
    let reason = |code: &[u8]| match refused(code) {
        SealRefused::NotAComponent { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    reason(b"");
    reason(b"#!/bin/sh");
    reason(&component(PICTURE)[..500]);
    let preview1 =
        wat::parse_str(r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#).unwrap();
    assert!(reason(&preview1).contains("wasm32-wasip2"));
    let plain = wat::parse_str(r#"(module (import "env" "spy" (func)))"#).unwrap();
    assert!(reason(&plain).contains("WIT"));
    let sealed = write(picture(&component(PICTURE), b"").check().unwrap());
    assert_eq!(refused(&sealed), SealRefused::AlreadySealed { part: name("code") });
    // Shared memory is for threads.
    let threads = wat::parse_str("(component (core module (memory 1 1 shared)))").unwrap();
    assert!(matches!(refused(&threads), SealRefused::Invalid { .. }));
    // Values of the host are for garbage collection, which the runtime leaves out.
    let collected = wat::parse_str("(component (core module (table 1 externref)))").unwrap();
    assert!(matches!(refused(&collected), SealRefused::Invalid { .. }));
    assert_eq!(Sealer::new(description(&operations())).check().unwrap_err(), SealRefused::NoCode);
}

#[test]
fn code_shared_between_a_free_and_a_priced_operation_is_refused() {
    let code = component(PICTURE);
    let operations = [operation("view", &[VIEW], &["code"]), operation("preview", &[PREVIEW], &["code"])];
    let sealer = |public| {
        let sealer = Sealer::new(description(&operations)).code(name("code"), public, &code);
        offers().into_iter().fold(sealer, Sealer::offer).check()
    };
    assert_eq!(
        sealer(false).unwrap_err(),
        SealRefused::SharedCode {
            part: name("code"),
            free: "preview".parse().unwrap(),
            priced: "view".parse().unwrap(),
        }
    );
    let checked = sealer(true).unwrap();
    assert_eq!(checked.openings()[0].cheapest, [offers()[2].clone()]);
}

#[test]
fn a_part_that_a_free_operation_opens_has_to_be_declared_public() {
    let code = component(PICTURE);
    let sealer = |public| {
        let sealer = Sealer::new(description(&operations()))
            .code(name("full"), false, &code)
            .asset(name("picture"), false, "image/png", 1, &b"x"[..])
            .code(name("small"), true, &code)
            .asset(name("thumbnail"), public, "image/png", 1, &b"x"[..]);
        offers().into_iter().fold(sealer, Sealer::offer).check()
    };
    sealer(true).unwrap();
    let expected = SealRefused::PublicPart { part: name("thumbnail"), operation: "preview".parse().unwrap() };
    assert_eq!(sealer(false).unwrap_err(), expected);
    // An offer for nothing is a free one, whatever its model.
    let sealer = picture(&code, b"x").offer(offer("view", Rights::Perpetual {}, "0.00 EUR"));
    assert!(matches!(sealer.check(), Err(SealRefused::PublicPart { .. })));
}

#[test]
fn what_each_part_is_worth_is_told() {
    let code = component(PICTURE);
    let mut description = description(&operations());
    description.advisory_metering = true;
    description.operations.push(operation("frame", &[], &["picture"]));
    let sealer = Sealer::new(description)
        .code(name("full"), false, &code)
        .asset(name("picture"), false, "image/png", 1, &b"x"[..])
        .code(name("small"), true, &code)
        .asset(name("thumbnail"), true, "image/png", 1, &b"x"[..])
        .offer(offer("frame", Rights::Uses { count: 3 }, "0.50 EUR"));
    let checked = offers().into_iter().fold(sealer, Sealer::offer).check().unwrap();
    let [full, picture, small, thumbnail] = checked.openings() else { panic!("four parts") };
    let names = |opening: &portcullis_protocol::seal::Opening| {
        opening.operations.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(full), "view");
    assert_eq!(names(picture), "view frame");
    assert_eq!(full.cheapest, [offers()[0].clone(), offers()[1].clone()]);
    assert_eq!(picture.cheapest, [offer("frame", Rights::Uses { count: 3 }, "0.50 EUR"), offers()[1].clone()]);
    assert_eq!((small.cheapest.as_slice(), small.public), (&[offers()[2].clone()][..], true));
    assert_eq!(thumbnail.cheapest, small.cheapest);
}

#[test]
fn metering_has_to_be_declared_advisory() {
    let code = component(PICTURE);
    let sealer = |advisory| {
        let mut description = description(&operations());
        description.advisory_metering = advisory;
        let sealer = Sealer::new(description)
            .code(name("full"), false, &code)
            .asset(name("picture"), false, "image/png", 1, &b"x"[..])
            .code(name("small"), true, &code)
            .asset(name("thumbnail"), true, "image/png", 1, &b"x"[..])
            .offer(offer("view", Rights::Uses { count: 10 }, "1.99 EUR"));
        sealer.check()
    };
    let error = sealer(false).unwrap_err();
    assert_eq!(error, SealRefused::AdvisoryMetering { operation: "view".parse().unwrap() });
    assert!(error.to_string().contains("--advisory-metering"));
    assert!(Sealed::open(write(sealer(true).unwrap())).unwrap().manifest().advisory_metering);
}

#[test]
fn names_that_do_not_exist_are_refused_with_those_that_do() {
    let code = component(PICTURE);
    let near = |export: &str| {
        let operations = [operation("view", &[export], &["code"])];
        match Sealer::new(description(&operations)).code(name("code"), false, &code).check().unwrap_err() {
            SealRefused::NoSuchExport { near, .. } => near,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(near("view"), [VIEW]);
    assert_eq!(near("veiw"), [VIEW]);
    assert_eq!(near("lumen:picture/picture@1.0.1#preview")[0], PREVIEW);
    assert_eq!(near("erase-all"), [""; 0]);
    let sealer = picture(&code, b"").offer(offer("preveiw", Rights::Free {}, "0.00 EUR"));
    let error = sealer.check().unwrap_err();
    assert!(error.to_string().ends_with("did you mean `preview`?"), "{error}");
}

#[test]
fn exports_that_no_operation_maps_are_told() {
    let code = component(PICTURE);
    let operations = [operation("view", &[VIEW], &["code"])];
    let checked = Sealer::new(description(&operations)).code(name("code"), false, &code).check().unwrap();
    assert_eq!(checked.unmapped_exports().collect::<Vec<_>>(), [PREVIEW]);
}

#[test]
fn code_parts_have_one_surface() {
    let (code, none) = (component(PICTURE), []);
    let sealer = |small: &[u8]| {
        Sealer::new(description(&operations()))
            .code(name("full"), false, &code)
            .asset(name("picture"), false, "image/png", 0, &none[..])
            .code(name("small"), true, small)
            .asset(name("thumbnail"), true, "image/png", 0, &none[..])
            .check()
            .map(|checked| checked.stub().to_vec())
    };
    let other = component(&PICTURE.replace("preview: func() -> list<u8>", "preview: func() -> string"));
    assert!(matches!(sealer(&other), Err(SealRefused::SurfaceDiffers { .. })));
    // A preview that needs less of the contract is still served by one stub, the widest.
    let less = component(
        &PICTURE.replace("include portcullis:gate/protected@0.1.0;", "import portcullis:gate/billing@0.1.0;"),
    );
    assert_eq!(sealer(&less).unwrap(), sealer(&code).unwrap());
}

#[test]
fn sizes_over_the_limits_are_refused_before_anything_is_read() {
    let code = component(PICTURE);
    let sealer = |size: u64| {
        let operations = [operation("view", &[VIEW], &["code", "video"])];
        Sealer::new(description(&operations))
            .code(name("code"), false, &code)
            .asset(name("video"), false, "video/webm", size, std::io::empty())
            .check()
            .map(|_| ())
    };
    let SealRefused::TooLarge { most, .. } = sealer(4 << 30).unwrap_err() else { panic!("4 GiB fit") };
    sealer(most).unwrap();
    sealer(most + 65_536).unwrap_err();
    sealer(u64::MAX).unwrap_err();
}

#[test]
fn a_description_that_contradicts_itself_is_refused() {
    let code = component(PICTURE);
    let mut description = description(&[operation("view", &[VIEW], &["code", "nothing"])]);
    let sealer = |description: &Description| {
        Sealer::new(description.clone()).code(name("code"), false, &code).check().map(|_| ())
    };
    assert!(matches!(sealer(&description), Err(SealRefused::Manifest(_))));
    description.operations[0].parts.pop();
    sealer(&description).unwrap();
    description.title = "x".repeat(1000);
    assert!(matches!(sealer(&description), Err(SealRefused::Manifest(_))));
}

/// A world of so many functions.
fn large_world(functions: usize) -> String {
    let functions: String =
        (0..functions).map(|number| format!("export x{number}: func(a: string) -> string;")).collect();
    format!("package a:b@1.0.0; world w {{ include portcullis:gate/protected@0.1.0; {functions} }}")
}

#[test]
fn thousands_of_exports_are_refused_before_anything_is_built_from_them() {
    let (many, most) = (module(&large_world(2_000)), 256);
    let begun = std::time::Instant::now();
    let error = refused(&many);
    let took = begun.elapsed();
    assert_eq!(error, SealRefused::TooManyFunctions { part: name("code"), verb: "exports", count: 2_000 });
    assert!(error.to_string().contains("2000") && error.to_string().contains("256"), "{error}");
    // Seconds were burnt where a component, a stub and a validation came first.
    let begun = std::time::Instant::now();
    componentize(&many).unwrap();
    assert!(took < begun.elapsed() / 2, "{took:?}");
    // A component is counted before its stub is made.
    let over = component(&large_world(most + 1));
    let expected = SealRefused::TooManyFunctions { part: name("code"), verb: "exports", count: most + 1 };
    assert_eq!(refused(&over), expected);
    let at = component(&large_world(most));
    let operations = [operation("view", &["x0"], &["code"])];
    Sealer::new(description(&operations)).code(name("code"), false, &at).check().unwrap();
}
