//! Whether bills are handed over, on a real pseudo-terminal.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::prompt::type_in;
use crate::stage::Stage;

const WIT: &str = "package acme:reader@1.0.0;
interface api { read: func(mailbox: string) -> u32; }
world reader { include portcullis:gate/bill-reader@0.1.0; export api; }";
/// Reads a page of a mailbox: 1000 and the number of its bills, or the number of the error.
const READER: &str = r#"(module
    (import "portcullis:gate/billing@0.1.0" "entry" (func $entry (result i32)))
    (import "portcullis:gate/bills@0.1.0" "read" (func $read (param i32 i32 i32 i32 i32 i32 i32)))
    (memory (export "memory") 32)
    (global $free (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $at) (local.get $size)))
        (local.get $at))
    (func (export "acme:reader/api@1.0.0#read") (param $at i32) (param $length i32) (result i32)
        (drop (call $entry))
        (call $read (local.get $at) (local.get $length) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 64))
        (if (result i32) (i32.load8_u (i32.const 64))
            (then (i32.load8_u (i32.const 68)))
            (else (i32.add (i32.const 1000) (i32.load (i32.const 72)))))))"#;
const PROJECT: &str = r#"[resource]
publisher = "acme"
name = "bill-reader"
version = "1.0.0"
kind = "software"
title = "Reads bills"
description = "For the tests."

[[operation]]
name = "read"
title = "Read them"
exports = ["acme:reader/api@1.0.0#read"]
parts = ["program"]

[[part]]
name = "program"
path = "reader.wasm"
kind = "code"
public = true

[[offer]]
operation = "read"
model = "free"

[capabilities]
bills = true
"#;

fn module() -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).expect("the contract parses");
    let package = resolve.push_source("reader.wit", WIT).expect("the WIT parses");
    let world = resolve.select_world(&[package], Some("reader")).expect("the world");
    let mut module = wat::parse_str(READER).expect("the text parses");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    module
}

/// A mail program with the mailboxes `home` and `work`, each without a bill so far; how often it was asked for bills.
fn mail_program(socket: &Path) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(socket).expect("a socket");
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let mut answers = stream.try_clone().expect("a stream");
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { break };
                let answer = if line.contains("\"mailboxes\"") {
                    r#"{"mailboxes":["home","work"]}"#
                } else {
                    counter.fetch_add(1, Ordering::SeqCst);
                    r#"{"page":{"bills":[],"next":"1.0","more":false,"reset":false,"today":"2026-11-29"}}"#
                };
                if writeln!(answers, "{answer}").is_err() {
                    break;
                }
            }
        }
    });
    asked
}

#[test]
fn bills_are_handed_over_if_the_user_says_so_at_the_terminal() {
    let stage = Stage::with_store();
    stage.login("publisher");
    stage.login("user");
    stage.succeed("publisher", &["keygen"]);
    let folder = stage.path("bill-reader");
    fs::create_dir_all(&folder).expect("folder");
    fs::write(folder.join("reader.wasm"), module()).expect("module");
    fs::write(folder.join("portcullis.toml"), PROJECT).expect("project");
    let file = "bill-reader.sealed.wasm";
    stage.succeed("publisher", &["seal", "bill-reader", "--advisory-metering", "--output", file]);
    stage.succeed("publisher", &["publish", file, "--project", "bill-reader"]);
    stage.succeed("user", &["install", "acme/bill-reader"]);

    // A short path: sockets allow 107 bytes.
    let private = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().expect("a folder");
    let socket = private.path().join("m");
    let asked = mail_program(&socket);
    let socket = socket.display().to_string();
    let run = ["run", "--bills=home", "--mail-socket", &socket, "--invoke", "read(\"home\")", "bill-reader"];

    let question = "Hand them over? [y/N] ";
    let (code, said) = type_in(&stage, &run, &[(question, "n\n")]);
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Portcullis asks:",
        "acme/bill-reader asks for records of your bills",
        "mailboxes home",
        "the amount, the due date",
        "no mail, no password, no mail address of yours",
    ] {
        assert!(words.contains(part), "the question says `{part}`: {said}");
    }
    assert!(!words.contains("work"), "of the mailboxes only that which is lent: {said}");
    assert_ne!(code, Some(0), "no means no: {said}");
    assert_eq!(asked.load(Ordering::SeqCst), 0, "nothing was read for it: {said}");

    let (code, said) = type_in(&stage, &run, &[(question, "y\n")]);
    assert_eq!((code, asked.load(Ordering::SeqCst)), (Some(0), 1), "{said}");
    assert!(said.contains("1000"), "{said}");

    // Agreed beforehand, nobody is asked.
    let agreed = [&run[..2], &["--agree-bills"], &run[2..]].concat();
    let (code, said) = type_in(&stage, &agreed, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("Hand them over?"), "{said}");
}
