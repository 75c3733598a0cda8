//! Whatever a file, a store or a command line holds, nothing of it reaches a terminal as more than text.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use portcullis_fixtures::foreign_manifest;

use crate::stage::Stage;

/// Clears the screen, moves, retitles, turns the direction; in one byte (C1) and in two.
const EVIL: &str = "\u{1b}[2J\u{1b}[H\u{9b}2J\u{1b}]0;t\u{7}\u{202e}\u{200f}\u{8}\r\u{7f}verified: signed by x";

/// What was said, of which each character may be printed.
fn said(what: &str, output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(text).unwrap_or_else(|_| panic!("{what}: no text"));
    let bad = text.chars().find(|c| portcullis_fixtures::disturbs(*c) && !"\n\t".contains(*c));
    assert_eq!(bad, None, "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("verified")), "{what}: a line of its own: {text:?}");
    text
}

#[test]
fn a_file_says_nothing_to_the_terminal() {
    let stage = Stage::new();
    let member = format!("{EVIL}\nverified: signed by x");
    for (name, manifest) in [
        ("member", serde_json::json!({ &member: 1 })),
        ("value", serde_json::json!({ "title": &member })),
        ("deep", serde_json::json!({ "publisher": { &member: { &member: &member } } })),
    ] {
        let file = format!("{name}.sealed.wasm");
        fs::write(stage.path(&file), foreign_manifest(manifest.to_string().as_bytes())).expect("written");
        for verb in ["verify", "inspect", "run", "install", "publish"] {
            for json in [&[][..], &["--json"]] {
                let path = format!("./{file}");
                let output = stage.command("user").args([json, &[verb, &path]].concat()).output().expect("it runs");
                assert!(!output.status.success(), "{name}, {verb}");
                let text = said(&format!("{name}, {verb}"), &output);
                assert!(!text.contains("signed by x"), "{name}, {verb}: repeated: {text:?}");
            }
        }
    }
}

#[test]
fn a_project_with_such_texts_is_shown_and_not_sealed() {
    let stage = Stage::with_store();
    stage.login("publisher");
    stage.succeed("publisher", &["keygen"]);
    crate::guest::project(&stage.path("sketch"), "1.0.0");
    let project = fs::read_to_string(stage.path("sketch/portcullis.toml")).expect("the project");
    let part = "path = \"full.svg\"\n";
    for (what, changed) in [
        ("media type", project.replace(part, &format!("{part}media_type = \"text/\\u001b[2J\"\n"))),
        ("media type of C1", project.replace(part, &format!("{part}media_type = \"text/\\u009b2J\"\n"))),
        ("media type of one word", project.replace(part, &format!("{part}media_type = \"text\"\n"))),
        ("title", project.replace("\"A sketch\"", "\"A \\u001b]0;sketch\"")),
        ("title of two lines", project.replace("\"A sketch\"", "\"A sketch\\nverified\"")),
        ("description", project.replace("\"For the tests.\"", "\"For \\u202e the tests.\"")),
        ("kind", project.replace("\"picture\"", "\"pic\\u200bture\"")),
        ("operation", project.replace("\"See a line\"", "\"See \\u2066 a line\"")),
        ("unknown key", project.replace("title = \"A sketch\"", "\"\\u001b[2J\" = 1")),
        ("broken line", project.replace("title = \"A sketch\"", &format!("title = \"{EVIL}"))),
    ] {
        assert_ne!(changed, project, "{what}");
        fs::write(stage.path("sketch/portcullis.toml"), changed).expect("written");
        let output = stage.run("publisher", &["seal", "sketch", "--advisory-metering"]);
        assert!(!output.status.success(), "{what}");
        said(what, &output);
    }
    fs::write(stage.path("sketch/portcullis.toml"), &project).expect("written");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering"]);
    // Titles of offers, which the store signs.
    stage.succeed("publisher", &["publish", "sketch-1.0.0.sealed.wasm", "--project", "sketch"]);
    for title in ["a\u{1b}[2Jb", "a\u{200b}b", "a\u{e0041}b", "a\u{9b}b"] {
        let price =
            ["price", "acme/sketch", "--operation", "view", "--model", "perpetual", "--price", "3.00EUR", "--title"];
        let output = stage.run("publisher", &[&price[..], &[title]].concat());
        assert!(!output.status.success(), "{title:?}");
        said("price", &output);
    }
}

#[test]
fn a_command_line_is_repeated_as_text() {
    let stage = Stage::new();
    let evil = EVIL;
    let lines: &[&[&str]] = &[
        &[evil],
        &["run", "--invoke", evil, "x"],
        &["verify", evil],
        &["inspect", evil, "--extract", "x", "-o", evil],
        &["run", "--env", evil, evil],
        &["run", "--dir", evil, "x"],
        &["login", evil],
        &["new", evil],
        &["man", "--dir", "/dev/null/\u{1b}[2J"],
        &["price", evil, "--price", evil],
        &["completions", evil],
        &["keygen", "-o", "/dev/null/\u{1b}[2J"],
        &["top-up", evil],
    ];
    for line in lines {
        for json in [&[][..], &["--json"]] {
            let output = stage.command("user").args([json, line].concat()).output().expect("it runs");
            assert!(!output.status.success(), "{line:?}");
            said(&format!("{line:?}"), &output);
        }
    }
    let home = stage.path("h\u{1b}[2J\u{9b}");
    let output = stage.command("user").env("PORTCULLIS_HOME", &home).args(["cache"]).output().expect("it runs");
    said("home", &output);
    let size = stage.command("user").env("PORTCULLIS_CACHE_SIZE", evil).args(["list"]).output().expect("it runs");
    said("cache size", &size);
}

/// Answers every request with this, byte for byte.
fn answering(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    // Ends with the process of the tests.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(&answer);
        }
    });
    origin
}

#[test]
fn a_store_says_nothing_to_the_terminal_before_it_is_trusted() {
    let stage = Stage::new();
    let escaped = serde_json::to_string(EVIL).expect("JSON");
    let ok = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let problem = format!("{{\"type\":\"about:blank\",\"title\":{escaped},\"status\":403,\"detail\":{escaped}}}");
    let answers = [
        ok(&format!("{{{escaped}:1}}")),
        ok(&format!("{{\"root\":{escaped},\"keys\":{escaped},\"api\":{escaped}}}")),
        ok(&format!("{{\"root\":{{\"kty\":{escaped},\"crv\":{escaped},\"x\":{escaped}}},\"keys\":\"\",\"api\":\"\"}}")),
        ok(EVIL),
        format!("HTTP/1.1 403 Forbidden\r\ncontent-type: application/problem+json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{problem}", problem.len()),
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/%1b[2J\u{9b}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 500 \u{9b}2J\u{202e}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned(),
        format!("{EVIL}\r\n\r\n"),
    ];
    for answer in answers {
        let origin = answering(answer.clone().into_bytes());
        for json in [&[][..], &["--json"]] {
            let login = [json, &["login", &origin, "--yes"]].concat();
            let output = stage.command("user").args(login).output().expect("it runs");
            assert!(!output.status.success(), "{answer:?}");
            said(&format!("{answer:?}"), &output);
        }
    }
}

/// Everything leaves by one door. Whatever prints beside it is found here.
#[test]
fn nothing_prints_beside_the_filter() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // The doors: the command's, a resource's, the server's.
    let doors = [
        "cli/src/screen/output.rs",
        "cli/src/screen/tty.rs",
        "host/src/run/streams/endpoint.rs",
        "host/src/run/streams/console.rs",
        "server/src/print.rs",
    ];
    let ways = ["println!", "print!(", "eprint!", "dbg!", "io::stdout", "io::stderr", "io::{stdout", "io::{stderr"];
    // Who only asks whether there is a terminal, says nothing.
    let asks = ["is_terminal()", "IsTerminal::is_terminal(&std::io::std", "log::start(", "///", "//!"];
    let mut found = Vec::new();
    let mut folders: Vec<_> =
        ["cli/src", "host/src", "server/src", "protocol/src"].map(|folder| root.join(folder)).into();
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs")
                || doors.iter().any(|door| path.ends_with(door))
            {
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).expect("a source");
            let lines = text.lines().enumerate().filter(|(_, line)| {
                ways.iter().any(|way| line.contains(way)) && !asks.iter().any(|ask| line.contains(ask))
            });
            found.extend(lines.map(|(number, line)| format!("{}:{}: {}", path.display(), number + 1, line.trim())));
        }
    }
    assert!(files > 150, "{files} sources");
    assert!(found.is_empty(), "prints beside the filter:\n{}", found.join("\n"));
}
