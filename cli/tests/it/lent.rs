//! What `run` lends a command: a directory, environment variables. It sees what was lent, and nothing beside it.

use serde_json::Value;
use std::fs;
use std::path::Path;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::stage::Stage;

const WIT: &str = "package acme:reader@1.0.0;

world reader {
    include portcullis:gate/protected@0.1.0;
    import wasi:cli/stdout@0.2.0;
    import wasi:cli/environment@0.2.0;
    import wasi:filesystem/preopens@0.2.0;
    export wasi:cli/run@0.2.0;
}

package wasi:io@0.2.0 {
    interface error { resource error; }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
    }
}

package wasi:filesystem@0.2.0 {
    interface types {
        flags path-flags { symlink-follow }
        flags open-flags { create, directory, exclusive, truncate }
        flags descriptor-flags {
            read, write, file-integrity-sync, data-integrity-sync, requested-write-sync, mutate-directory
        }
        enum error-code {
            access, would-block, already, bad-descriptor, busy, deadlock, quota, exist, file-too-large,
            illegal-byte-sequence, in-progress, interrupted, invalid, io, is-directory, loop, too-many-links,
            message-size, name-too-long, no-device, no-entry, no-lock, insufficient-memory, insufficient-space,
            not-directory, not-empty, not-recoverable, unsupported, no-tty, no-such-device, overflow, not-permitted,
            pipe, read-only, invalid-seek, text-file-busy, cross-device
        }
        resource descriptor {
            open-at: func(how: path-flags, path: string, open: open-flags, %flags: descriptor-flags)
                -> result<descriptor, error-code>;
            read: func(length: u64, offset: u64) -> result<tuple<list<u8>, bool>, error-code>;
            write: func(buffer: list<u8>, offset: u64) -> result<u64, error-code>;
            symlink-at: func(old-path: string, new-path: string) -> result<_, error-code>;
        }
    }
    interface preopens {
        use types.{descriptor};
        get-directories: func() -> list<tuple<descriptor, string>>;
    }
}

package wasi:cli@0.2.0 {
    interface run { run: func() -> result; }
    interface environment {
        get-environment: func() -> list<tuple<string, string>>;
        get-arguments: func() -> list<string>;
    }
    interface stdout {
        use wasi:io/streams@0.2.0.{output-stream};
        get-stdout: func() -> output-stream;
    }
}";

/// For each argument a line: of `=` the environment; of `+PATH` the outcome of writing a file; of `~PATH` that of making
/// a link to it, `planted`; of any other path what the file holds. An error is `!` and its number in `error-code`, two digits. Paths are those of the first directory.
const TEXT: &str = r#"(module
    (import "portcullis:gate/billing@0.1.0" "entry" (func $entry (result i32)))
    (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
        (func $write (param i32 i32 i32 i32)))
    (import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
    (import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))
    (import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $directories (param i32)))
    (import "wasi:filesystem/types@0.2.0" "[method]descriptor.open-at"
        (func $open (param i32 i32 i32 i32 i32 i32 i32)))
    (import "wasi:filesystem/types@0.2.0" "[method]descriptor.read" (func $read (param i32 i64 i64 i32)))
    (import "wasi:filesystem/types@0.2.0" "[method]descriptor.write" (func $fill (param i32 i32 i32 i64 i32)))
    (import "wasi:filesystem/types@0.2.0" "[method]descriptor.symlink-at"
        (func $link (param i32 i32 i32 i32 i32 i32)))
    (memory (export "memory") 2)
    (data (i32.const 512) "\n=!; nothing lent written")
    (data (i32.const 540) "planted")
    (global $free (mut i32) (i32.const 4096))
    (global $out (mut i32) (i32.const 0))
    (global $directory (mut i32) (i32.const -1))
    (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $at) (local.get $size)))
        (local.get $at))
    (func $say (param $text i32) (param $length i32)
        (call $write (global.get $out) (local.get $text) (local.get $length) (i32.const 0)))
    (func $line (call $say (i32.const 512) (i32.const 1)))
    (func $failed (param $code i32)
        (i32.store8 (i32.const 600) (i32.add (i32.const 48) (i32.div_u (local.get $code) (i32.const 10))))
        (i32.store8 (i32.const 601) (i32.add (i32.const 48) (i32.rem_u (local.get $code) (i32.const 10))))
        (call $say (i32.const 514) (i32.const 1))
        (call $say (i32.const 600) (i32.const 2)))
    (func $show_environment (local $at i32) (local $end i32)
        (call $environment (i32.const 32))
        (local.set $at (i32.load (i32.const 32)))
        (local.set $end (i32.add (local.get $at) (i32.mul (i32.load (i32.const 36)) (i32.const 16))))
        (block $done (loop $next
            (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
            (call $say (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
            (call $say (i32.const 513) (i32.const 1))
            (call $say (i32.load offset=8 (local.get $at)) (i32.load offset=12 (local.get $at)))
            (call $say (i32.const 515) (i32.const 1))
            (local.set $at (i32.add (local.get $at) (i32.const 16)))
            (br $next))))
    (func $make (param $path i32) (param $length i32)
        (call $open (global.get $directory) (i32.const 1) (local.get $path) (local.get $length)
            (i32.const 1) (i32.const 2) (i32.const 48))
        (if (i32.load8_u (i32.const 48)) (then (call $failed (i32.load8_u (i32.const 52))) return))
        (call $fill (i32.load (i32.const 52)) (i32.const 530) (i32.const 7) (i64.const 0) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then (call $failed (i32.load8_u (i32.const 72))) return))
        (call $say (i32.const 530) (i32.const 7)))
    (func $plant (param $path i32) (param $length i32)
        (call $link (global.get $directory) (local.get $path) (local.get $length)
            (i32.const 540) (i32.const 7) (i32.const 48))
        (if (i32.load8_u (i32.const 48)) (then (call $failed (i32.load8_u (i32.const 49))) return))
        (call $say (i32.const 540) (i32.const 7)))
    (func $show (param $path i32) (param $length i32)
        (call $open (global.get $directory) (i32.const 1) (local.get $path) (local.get $length)
            (i32.const 0) (i32.const 1) (i32.const 48))
        (if (i32.load8_u (i32.const 48)) (then (call $failed (i32.load8_u (i32.const 52))) return))
        (call $read (i32.load (i32.const 52)) (i64.const 1000) (i64.const 0) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then (call $failed (i32.load8_u (i32.const 68))) return))
        (call $say (i32.load (i32.const 68)) (i32.load (i32.const 72))))
    (func $do (param $text i32) (param $length i32)
        (if (i32.eq (i32.load8_u (local.get $text)) (i32.const 61)) (then (call $show_environment) return))
        (if (i32.lt_s (global.get $directory) (i32.const 0))
            (then (call $say (i32.const 517) (i32.const 12)) return))
        (if (i32.eq (i32.load8_u (local.get $text)) (i32.const 126))
            (then (call $plant (i32.add (local.get $text) (i32.const 1)) (i32.sub (local.get $length) (i32.const 1)))
                return))
        (if (i32.eq (i32.load8_u (local.get $text)) (i32.const 43))
            (then (call $make (i32.add (local.get $text) (i32.const 1)) (i32.sub (local.get $length) (i32.const 1))))
            (else (call $show (local.get $text) (local.get $length)))))
    (func (export "wasi:cli/run@0.2.0#run") (result i32) (local $at i32) (local $end i32)
        (drop (call $entry))
        (global.set $out (call $stdout))
        (call $directories (i32.const 16))
        (if (i32.load (i32.const 20)) (then (global.set $directory (i32.load (i32.load (i32.const 16))))))
        (call $arguments (i32.const 24))
        (local.set $at (i32.load (i32.const 24)))
        (local.set $end (i32.add (local.get $at) (i32.mul (i32.load (i32.const 28)) (i32.const 8))))
        (block $done (loop $next
            ;; The first is the command's own name.
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
            (call $do (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
            (call $line)
            (br $next)))
        (i32.const 0)))"#;

const PROJECT: &str = r#"[resource]
publisher = "acme"
name = "NAME"
version = "1.0.0"
kind = "software"
title = "Reads files"
description = "For the tests."

[[operation]]
name = "run"
title = "Run it"
exports = ["wasi:cli/run@0.2.0#run"]
parts = ["program"]

[[part]]
name = "program"
path = "reader.wasm"
kind = "code"
public = true

[[offer]]
operation = "run"
model = "free"
"#;

fn module() -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).expect("the contract parses");
    let package = resolve.push_source("reader.wit", WIT).expect("the WIT parses");
    let world = resolve.select_world(&[package], Some("reader")).expect("the world");
    let mut module = wat::parse_str(TEXT).expect("the text parses");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    module
}

/// Seals, publishes and installs the reader under a name, with these capabilities in its manifest.
pub(crate) fn reader(stage: &Stage, name: &str, capabilities: &str) {
    let folder = stage.path(name);
    fs::create_dir_all(&folder).expect("folder");
    fs::write(folder.join("reader.wasm"), module()).expect("module");
    fs::write(folder.join("portcullis.toml"), PROJECT.replace("NAME", name) + capabilities).expect("project");
    let file = format!("{name}.sealed.wasm");
    stage.succeed("publisher", &["seal", name, "--advisory-metering", "--output", &file]);
    stage.succeed("publisher", &["publish", &file, "--project", name]);
    stage.succeed("user", &["install", &format!("acme/{name}")]);
}

/// What the reader says to each argument.
fn run(stage: &Stage, lent: &[&str], name: &str, arguments: &[&str]) -> Vec<String> {
    let command = [&["--json", "run"], lent, &[name, "--"], arguments].concat();
    let output = stage.succeed("user", &command);
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["exit"], 0, "{said:#}");
    said["stdout"].as_str().expect("text").lines().map(str::to_owned).collect()
}

const NOT_PERMITTED: &str = "!31";

#[cfg(unix)]
#[test]
fn a_command_sees_what_is_lent_and_nothing_else() {
    let stage = Stage::with_store();
    stage.login("publisher");
    stage.login("user");
    stage.succeed("publisher", &["keygen"]);
    reader(&stage, "asking", "\n[capabilities]\ndirectories = true\nenvironment = true\n");
    reader(&stage, "modest", "");
    let lent = stage.path("lent");
    fs::create_dir_all(lent.join("below")).expect("folder");
    fs::write(lent.join("a.txt"), "inside").expect("file");
    fs::write(lent.join("below/b.txt"), "further inside").expect("file");
    fs::write(stage.path("secret.txt"), "outside").expect("file");
    let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, lent.join(name)).expect("link");
    link(Path::new("a.txt"), "good");
    link(Path::new("../secret.txt"), "bad");
    link(&stage.path("secret.txt"), "worse");
    link(Path::new(".."), "up");
    let dir = ["--dir", "lent::/data"];

    // Honestly.
    let said = run(&stage, &dir, "asking", &["a.txt", "below/b.txt", "below/../a.txt", "good", "missing", "+new.txt"]);
    assert_eq!(said, ["inside", "further inside", "inside", "inside", "!20", "written"]);
    assert_eq!(fs::read_to_string(lent.join("new.txt")).expect("written by the guest"), "written");
    let said = run(&stage, &["--env", "COLOUR=blue", "--env", "EMPTY="], "asking", &["="]);
    assert_eq!(said, ["COLOUR=blue;EMPTY=;"]);

    // Out of the directory: by its parent, by a link, by an absolute path; to read and to write.
    let absolute = stage.path("secret.txt").display().to_string();
    let ways = ["../secret.txt", "below/../../secret.txt", "bad", "worse", "up/secret.txt", &absolute, "/etc/passwd"];
    for way in ways {
        assert_eq!(run(&stage, &dir, "asking", &[way]), [NOT_PERMITTED], "{way}");
    }
    for way in ["+../evil", "+up/evil", "+bad"] {
        assert_eq!(run(&stage, &dir, "asking", &[way]), [NOT_PERMITTED], "{way}");
    }
    assert!(!stage.path("evil").exists());
    // It leaves no link behind, which its user's own programs would follow: the terminal's next output among them.
    for target in ["a.txt", "../secret.txt", "below/../../secret.txt", "..", "/etc/passwd"] {
        assert_eq!(run(&stage, &dir, "asking", &[&format!("~{target}")]), [NOT_PERMITTED], "{target}");
        assert!(fs::symlink_metadata(lent.join("planted")).is_err(), "{target}");
    }
    assert_eq!(fs::read_to_string(stage.path("secret.txt")).expect("untouched"), "outside");

    // Not lent, or not asked for in the manifest: nothing is seen. Variables of this process never are.
    assert_eq!(run(&stage, &[], "asking", &["a.txt", "="]), ["nothing lent", ""]);
    assert_eq!(
        run(&stage, &["--dir", "lent::/data", "--env", "COLOUR=blue"], "modest", &["a.txt", "="]),
        ["nothing lent", ""]
    );
}
