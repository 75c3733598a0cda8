//! What a body is said to need, against what the engine takes for it.

use anyhow::{Result, anyhow, ensure};
use portcullis_fixtures::Heavy;
use portcullis_host::{Limits, engine_config};
use portcullis_protocol::census::{Census, Counted, Needs};
use portcullis_tests::checkout;
use std::fmt::Write as _;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};

/// Instantiates a component in a store that gives exactly so much.
fn instantiate(engine: &Engine, component: &Component, given: &Needs) -> Result<()> {
    let count = |count: u64| usize::try_from(count).expect("a small number");
    let limits = StoreLimitsBuilder::new()
        .instances(count(given.instances))
        .memories(count(given.memories))
        .tables(count(given.tables))
        .table_elements(count(given.table_elements))
        .trap_on_grow_failure(true)
        .build();
    let mut store: Store<StoreLimits> = Store::new(engine, limits);
    store.limiter(|limits| limits);
    store.set_epoch_deadline(1_000);
    let mut linker = Linker::new(engine);
    let failed = |error: wasmtime::Error| anyhow!("{error:#}");
    linker.define_unknown_imports_as_traps(component).map_err(failed)?;
    linker.instantiate(&mut store, component).map(drop).map_err(failed)
}

/// A body is instantiated with what it is said to need, and with nothing less.
fn exact(what: &str, body: &[u8]) -> Result<Needs> {
    let engine = Engine::new(&engine_config(&Limits::default(), None)).map_err(|error| anyhow!("{error:#}"))?;
    let component = Component::from_binary(&engine, body).map_err(|error| anyhow!("{what}: {error:#}"))?;
    let needs = *Census::of(body)?.needs();
    instantiate(&engine, &component, &needs).map_err(|error| anyhow!("{what} needs more than {needs:?}: {error}"))?;
    let less: [fn(&mut Needs) -> &mut u64; 4] =
        [|n| &mut n.instances, |n| &mut n.memories, |n| &mut n.tables, |n| &mut n.table_elements];
    for part in less {
        let mut given = needs;
        let one = part(&mut given);
        if *one > 0 {
            *one -= 1;
            ensure!(
                instantiate(&engine, &component, &given).is_err(),
                "{what} needs less than {needs:?}: {given:?} do"
            );
        }
    }
    Ok(needs)
}

/// A component that calls what it imports and exports something of the same kind: links of a chain.
fn link(name: &str) -> String {
    format!(
        r#"(component ${name}
  (import "f" (func $f (param "p" string) (result string)))
  (core module $libc (memory (export "m") 1)
    (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (core func $f' (canon lower (func $f) (memory (core memory $libc "m")) (realloc (core func $libc "r"))))
  (core module $main (import "i" "f" (func (param i32 i32 i32))) (import "i" "m" (memory 1)) (table 3 funcref)
    (func (export "g") (param i32 i32) (result i32) (i32.const 16)))
  (core instance $main (instantiate $main (with "i" (instance
    (export "f" (func $f')) (export "m" (memory $libc "m"))))))
  (func (export "f") (param "p" string) (result string)
    (canon lift (core func $main "g") (memory (core memory $libc "m")) (realloc (core func $libc "r")))))"#
    )
}

/// The end of a chain, which imports nothing.
const END: &str = r#"(component $end
  (core module $m (memory (export "m") 2) (table 7 funcref)
    (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "g") (param i32 i32) (result i32) (i32.const 16)))
  (core instance $m (instantiate $m))
  (func (export "f") (param "p" string) (result string)
    (canon lift (core func $m "g") (memory (core memory $m "m")) (realloc (core func $m "r")))))"#;

/// So many links, each given what the one before exports. Each link is instantiated `times` times.
fn chain(links: usize, times: usize) -> String {
    let mut text = format!("(component {END} {} (instance $i0 (instantiate $end))", link("link"));
    for number in 1..=links {
        for again in 0..times {
            let name = if again == 0 { format!("$i{number}") } else { String::new() };
            let _ = write!(text, r#"(instance {name} (instantiate $link (with "f" (func $i{} "f"))))"#, number - 1);
        }
    }
    text + ")"
}

#[test]
fn what_a_body_needs_is_what_the_engine_takes() -> Result<()> {
    let simple = |kind: Heavy, n| exact(&kind.name(), &kind.body(n));
    ensure!(simple(Heavy::Instances, 5)?.instances == 6);
    ensure!(simple(Heavy::Memories, 4)?.memories == 4);
    ensure!(simple(Heavy::Tables, 3)?.tables == 3);
    ensure!(simple(Heavy::TableElements, 99)?.table_elements == 99);
    ensure!(simple(Heavy::Pages, 7)?.memory == 7 * 65_536);
    // The component that is called, the one that calls it with its two instances, and an adapter between them.
    ensure!(simple(Heavy::Adapters, 12)?.instances == 5);
    for (links, times) in [(0, 1), (1, 1), (1, 3), (2, 1), (3, 2), (6, 1)] {
        exact(&format!("a chain of {links} × {times}"), &wat::parse_str(chain(links, times))?)?;
    }
    Ok(())
}

#[test]
fn components_that_are_passed_on_count_where_they_are_instantiated() -> Result<()> {
    let inner = "(component $inner (core module $m (memory 1)) (core instance (instantiate $m)) (core instance (instantiate $m)))";
    for (what, text, instances) in [
        (
            "as an argument",
            format!(
                r#"(component {inner}
              (component $outer (import "c" (component $c)) (instance (instantiate $c)) (instance (instantiate $c)))
              (instance (instantiate $outer (with "c" (component $inner)))))"#
            ),
            4,
        ),
        (
            "by an alias",
            format!(
                r#"(component {inner} (component $outer (alias outer 1 $inner (component $c)) (instance (instantiate $c)))
              (instance (instantiate $outer)) (instance (instantiate $outer)) (instance (instantiate $inner)))"#
            ),
            6,
        ),
        (
            "by an export",
            format!(
                r#"(component (component $outer {inner} (export "c" (component $inner))) (instance $o (instantiate $outer))
              (alias export $o "c" (component $c)) (instance (instantiate $c)))"#
            ),
            2,
        ),
        (
            "as a module",
            r#"(component
              (component $outer (import "m" (core module $m)) (core instance (instantiate $m)))
              (core module $own (memory 1) (memory 1) (table 5 funcref))
              (instance (instantiate $outer (with "m" (core module $own))))
              (instance (instantiate $outer (with "m" (core module $own)))))"#
                .to_owned(),
            2,
        ),
    ] {
        let needs = exact(what, &wat::parse_str(text)?)?;
        ensure!(needs.instances == instances, "{what}: {needs:?}");
    }
    Ok(())
}

/// A number as the page writes it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn the_page_lists_every_bound_on_a_body() -> Result<()> {
    let page = std::fs::read_to_string(checkout::root().join("docs/protocol.md"))?;
    let row = |what: Counted| format!("| {what} | {} |", grouped(what.most()));
    let missing: Vec<String> = Counted::ALL.into_iter().map(row).filter(|row| !page.contains(row)).collect();
    ensure!(missing.is_empty(), "docs/protocol.md lacks\n{}", missing.join("\n"));
    Ok(())
}
