//! The canonical surface: what it ignores, and what it must not.

use crate::components::{PICTURE, component, plugged, stripped, unplugged, vault_only};
use crate::sealed::{manifest, publisher};
use portcullis_protocol::Manifest;
use portcullis_protocol::surface::{ImportRefused, Surface, SurfaceError, check_import};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

fn of(wit: &str) -> Surface {
    Surface::of(&component(wit)).unwrap()
}

fn listing(surface: &Surface) -> Manifest {
    let mut manifest = manifest(&[("code", 10)], &publisher());
    manifest.imports = surface.imports().map(str::to_owned).collect();
    manifest.exports = surface.exports().map(str::to_owned).collect();
    manifest
}

#[test]
fn functions_are_named_by_interface_and_version() {
    let surface = of(PICTURE);
    let exports: Vec<_> = surface.exports().collect();
    assert_eq!(exports, ["lumen:picture/picture@1.0.0#preview", "lumen:picture/picture@1.0.0#view"]);
    assert_eq!(
        surface.export_type("lumen:picture/picture@1.0.0#view"),
        Some("(zoom: option<u8>) -> result<record{width: u32, height: u32}, variant{damaged, other: string}>")
    );
    let imports: Vec<_> = surface.imports().collect();
    assert!(imports.contains(&"portcullis:gate/billing@0.1.0#[static]status-code.verify"));
    assert!(imports.contains(&"portcullis:gate/vault@0.1.0#open"));
    assert!(imports.is_sorted());
    assert_eq!(
        surface.import_type("portcullis:gate/vault@0.1.0#open"),
        Some(
            "(grant: borrow<portcullis:gate/billing@0.1.0.grant>, name: string) -> \
             result<own<portcullis:gate/vault@0.1.0.part>, variant{no-such-part, not-granted, expired, damaged}>"
        ),
    );
    // Types alone are no import.
    let interfaces: Vec<_> = surface.imported_interfaces().collect();
    assert_eq!(interfaces, ["portcullis:gate/billing@0.1.0", "portcullis:gate/vault@0.1.0"]);
    surface.check_billing().unwrap();
}

#[test]
fn order_aliases_and_unused_types_do_not_matter() {
    let other = "
package lumen:picture@1.0.0;
interface sizes {
    type pixels = u32;
    record dimensions { width: pixels, height: pixels }
    record unused { a: u8 }
}
interface picture {
    use sizes.{dimensions};
    type bytes = list<u8>;
    type size = dimensions;
    variant fault { damaged, other(string) }
    preview: func() -> bytes;
    view: func(zoom: option<u8>) -> result<size, fault>;
}
world photo {
    import portcullis:gate/vault@0.1.0;
    export picture;
    import portcullis:gate/billing@0.1.0;
}";
    let (first, second) = (of(PICTURE), of(other));
    assert_eq!(first, second);
    Surface::check_body(&first, &second, &listing(&first)).unwrap();
}

#[test]
fn everything_else_matters() {
    let honest = of(PICTURE);
    let manifest = listing(&honest);
    let body = |from: &str, to: &str| {
        assert!(PICTURE.contains(from));
        Surface::check_body(&honest, &of(&PICTURE.replace(from, to)), &manifest)
    };
    body("", "").unwrap();
    for (from, to) in [
        ("width: u32,", "width: u64,"),
        ("width: u32, height: u32", "height: u32, width: u32"),
        ("zoom: option<u8>", "zoom: u8"),
        ("zoom: option<u8>", "scale: option<u8>"),
        ("other(string)", "other"),
        ("-> list<u8>", "-> list<s8>"),
        ("-> list<u8>", ""),
    ] {
        assert!(matches!(body(from, to), Err(SurfaceError::TypeDiffers { .. })), "{from} → {to}");
    }
    for (from, to) in [
        ("preview: func() -> list<u8>;", ""),
        ("preview:", "previews:"),
        ("picture@1.0.0;", "picture@1.1.0;"),
        ("export picture;", "export picture; export run: func();"),
    ] {
        assert!(matches!(body(from, to), Err(SurfaceError::ExportDiffers(_))), "{from} → {to}");
    }
}

/// A body that would ask for more than its stub shows.
#[test]
fn an_import_smuggled_into_the_body_is_refused() {
    let honest = of(PICTURE);
    let manifest = listing(&honest);
    let smuggling = PICTURE.replace("export picture;", "export picture; import spy: func(what: string);");
    let smuggled = of(&smuggling);
    let refused = Surface::check_body(&honest, &smuggled, &manifest);
    assert_eq!(refused, Err(SurfaceError::ImportAdded("spy".into())));
    // A resource alone is an import too, though no function names it.
    let resource = format!("{}\ninterface hidden {{ resource door; }}", PICTURE)
        .replace("export picture;", "export picture; import hidden;");
    let refused = Surface::check_body(&honest, &of(&resource), &manifest);
    assert_eq!(refused, Err(SurfaceError::ImportAdded("lumen:picture/hidden@1.0.0".into())));
    // In stub and manifest as well, it is what the publisher signed.
    Surface::check_body(&smuggled, &smuggled, &listing(&smuggled)).unwrap();
    // Fewer imports are no harm.
    Surface::check_body(&smuggled, &honest, &listing(&smuggled)).unwrap();
}

#[test]
fn stub_and_manifest_have_to_agree() {
    let surface = of(PICTURE);
    let manifest = listing(&surface);
    surface.check_stub(&manifest).unwrap();
    let mut fewer = manifest.clone();
    let hidden = fewer.imports.pop().unwrap();
    assert_eq!(surface.check_stub(&fewer), Err(SurfaceError::ImportDiffers(hidden)));
    let mut more = manifest.clone();
    more.exports.push("z".into());
    assert_eq!(surface.check_stub(&more), Err(SurfaceError::ExportDiffers("z".into())));
}

#[test]
fn billing_that_is_plugged_or_only_named_does_not_count() {
    Surface::of(&unplugged()).unwrap().check_billing().unwrap();
    let surface = Surface::of(&plugged()).unwrap();
    assert_eq!(surface.imports().count(), 0);
    assert_eq!(surface.check_billing(), Err(SurfaceError::NoBilling));
    // The vault alone names a type of billing, and no function of it.
    let vault = Surface::of(&vault_only()).unwrap();
    assert!(vault.imported_interfaces().any(|name| name == "portcullis:gate/billing@0.1.0"));
    assert!(vault.imports().all(|name| name.starts_with("portcullis:gate/vault@0.1.0#")));
    assert_eq!(vault.check_billing(), Err(SurfaceError::NoBilling));
    // Nor do names that only look alike.
    let alike = "
package acme:a@1.0.0;
world w { import portcullis-gate-billing: interface { entry: func(); } export run: func(); }";
    assert_eq!(of(alike).check_billing(), Err(SurfaceError::NoBilling));
}

#[test]
fn what_is_no_component_is_refused() {
    for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"(component)", &component(PICTURE)[..100]] {
        assert!(matches!(Surface::of(bytes), Err(SurfaceError::Unreadable(_))), "{} bytes", bytes.len());
    }
    let mut bytes = stripped(PICTURE);
    Surface::of(&bytes).unwrap();
    bytes.truncate(bytes.len() - 1);
    Surface::of(&bytes).unwrap_err();
}

/// Each type a record of sixteen of the one before: few bytes that stand for a long text.
#[test]
fn types_that_grow_without_end_are_refused() {
    let mut types = String::from("type t0 = u8;");
    for level in 1..5 {
        let fields: Vec<_> = (0..16)
            .map(|at| {
                format!(
                    "a-field-whose-name-is-so-long-that-sixteen-times-sixteen-of-them-fill-a-page-{at}: t{}",
                    level - 1
                )
            })
            .collect();
        types += &format!("record t{level} {{ {} }}", fields.join(", "));
    }
    let wit = |top: u32| {
        format!(
            "package a:b@1.0.0; interface i {{ {types} get: func(x: list<t{top}>); }} world w {{ import portcullis:gate/billing@0.1.0; export i; }}"
        )
    };
    Surface::of(&component(&wit(2))).unwrap();
    assert_eq!(Surface::of(&component(&wit(4))), Err(SurfaceError::TooLarge));
}

#[test]
fn imports_are_allowed_by_tier() {
    for allowed in [
        "portcullis:gate/billing@0.1.0#entry",
        "portcullis:gate/vault@0.1.3",
        "wasi:cli/environment@0.2.6#get-environment",
        "wasi:cli/terminal-stdout@0.2.0",
        "wasi:io/streams@0.2.6#[method]output-stream.check-write",
        "wasi:clocks/wall-clock@0.2.6",
        "wasi:random/insecure-seed@0.2.0",
        "wasi:filesystem/preopens@0.2.6#get-directories",
    ] {
        check_import(allowed).unwrap();
    }
    let kind = |name: &str| match check_import(name).unwrap_err() {
        ImportRefused::Sockets(_) => "sockets",
        ImportRefused::Http(_) => "http",
        ImportRefused::WasiVersion(_) => "version",
        ImportRefused::Preview1(_) => "preview 1",
        ImportRefused::Contract(_) => "contract",
        ImportRefused::Unknown(_) => "unknown",
        other => panic!("{other:?}"),
    };
    for (name, expected) in [
        ("wasi:sockets/tcp@0.2.6", "sockets"),
        ("wasi:http/outgoing-handler@0.2.6#handle", "http"),
        ("wasi:cli/stdout@0.3.0", "version"),
        ("wasi:cli/stdout", "version"),
        ("wasi:cli/stdout@0.20.0", "version"),
        ("wasi_snapshot_preview1", "preview 1"),
        ("portcullis:gate/billing@0.2.0", "contract"),
        ("portcullis:gate/admin@0.1.0", "contract"),
        ("portcullis:other/billing@0.1.0", "contract"),
        ("wasi:nn/graph@0.2.0", "unknown"),
        ("acme:db/query@1.0.0#run", "unknown"),
        ("portcullis-gate:billing/x@0.1.0", "unknown"),
        ("spy", "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(kind(name), expected, "{name}");
    }
}

/// Imports of one type under as many names as a component may import, each of them another name for the one that `of`
/// says, and a function that takes the last.
fn aliases(of: impl Fn(usize) -> usize) -> Vec<u8> {
    const NAMES: usize = 49_000;
    let mut text = String::from("(component (type (list u8))");
    for name in 0..NAMES {
        write!(text, "(import \"a{name}\" (type (eq {})))", of(name)).unwrap();
    }
    write!(text, "(import \"f\" (func (param \"x\" {NAMES}))))").unwrap();
    wat::parse_str(text).unwrap()
}

/// Nobody has paid for reading a stub: names of names were followed to their end, from each of them anew.
#[test]
fn a_chain_of_aliases_is_read_as_fast_as_as_many_names_of_one_type() {
    let read = |component: &[u8]| {
        let begun = Instant::now();
        let surface = Surface::of(component).unwrap();
        assert_eq!(surface.import_type("f"), Some("(x: list<u8>)"));
        begun.elapsed()
    };
    let (flat, chain) = (aliases(|_| 0), aliases(|name| name));
    let control = read(&flat);
    let took = read(&chain);
    assert!(took < 3 * control + Duration::from_secs(1), "{took:?} where as many names of one type take {control:?}");
}
