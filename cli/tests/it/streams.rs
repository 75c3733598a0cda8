//! Where output goes that is no ordinary file: closed pipes, full disks, devices, FIFOs, links.

#![cfg(target_os = "linux")]

use portcullis_fixtures::{Act, scripted_project};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::process::{Command, Output, Stdio};

use crate::stage::Stage;

/// Verbs of which each says something without a store.
const VERBS: &[&[&str]] = &[
    &["--help"],
    &["help", "run"],
    &["--version"],
    &["--json", "list"],
    &["cache"],
    &["man"],
    &["completions", "bash"],
    &["doctor"],
    &["--json", "run", "nothing"],
];

/// What a command says on standard error when its standard output leads there.
fn into(stage: &Stage, arguments: &[&str], stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    let child = stage.command("user").args(arguments).stdout(stdout).stderr(Stdio::piped()).spawn().expect("it runs");
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn a_closed_pipe_ends_every_verb_quietly() {
    let stage = Stage::new();
    for arguments in VERBS {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let (code, said) = into(&stage, arguments, writer);
        assert_eq!(code, Some(141), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("standard output"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_full_disk_is_an_error_of_every_verb() {
    let stage = Stage::new();
    for arguments in VERBS {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("the device");
        let (code, said) = into(&stage, arguments, full);
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        if !arguments.contains(&"--json") {
            assert!(said.contains("cannot write to standard output: No space left"), "{arguments:?}: {said}");
            assert!(said.contains("free some space"), "{arguments:?}: {said}");
        }
    }
}

/// A verb that writes to a file: its name, and what runs it.
type Writer<'a> = (&'a str, &'a dyn Fn(&str) -> Output);

#[test]
fn output_goes_where_the_path_leads() {
    let stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    stage.succeed("user", &["buy", "sketch", "--operation", "view", "--yes"]);
    scripted_project(&stage.path("speaker"), "acme", "speaker", &[Act::Say(b"spoken\n".to_vec())]);
    stage.succeed("publisher", &["seal", "speaker", "--output", "speaker.sealed.wasm"]);
    stage.succeed("publisher", &["publish", "speaker.sealed.wasm", "--project", "speaker"]);
    stage.succeed("user", &["install", "acme/speaker"]);
    let call = |to: &str| stage.run("user", &["run", "--invoke", "view()", "-o", to, "sketch"]);
    let command = |to: &str| stage.run("user", &["run", "-o", to, "speaker"]);
    let seal = |to: &str| stage.run("publisher", &["seal", "speaker", "-o", to]);
    let extract = |to: &str| stage.run("publisher", &["inspect", "speaker.sealed.wasm", "--extract", "drop", "-o", to]);
    let writers: [Writer<'_>; 4] = [("call", &call), ("command", &command), ("seal", &seal), ("extract", &extract)];
    for (name, write) in writers {
        let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

        // A device stays one, and a full one is an error.
        let null = write("/dev/null");
        assert!(null.status.success(), "{name}: {}", said(&null));
        assert!(fs::metadata("/dev/null").expect("device").file_type().is_char_device(), "{name}");
        let full = write("/dev/full");
        assert_eq!(full.status.code(), Some(1), "{name}: {}", said(&full));
        assert!(said(&full).contains("No space left"), "{name}: {}", said(&full));
        assert!(full.stdout.is_empty(), "{name}: nothing was written: {}", String::from_utf8_lossy(&full.stdout));

        // A link is followed.
        let (link, target) = (stage.path(&format!("{name}-link")), stage.path(&format!("{name}-target")));
        fs::write(&target, "before").expect("a file");
        symlink(&target, &link).expect("a link");
        let linked = write(&link.display().to_string());
        assert!(linked.status.success(), "{name}: {}", said(&linked));
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink(), "{name}");
        assert_ne!(fs::read(&target).expect("written"), b"before", "{name}");

        // A FIFO stays one, and its reader gets the bytes.
        let fifo = stage.path(&format!("{name}-fifo"));
        assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
        let reader = Command::new("cat").arg(&fifo).stdout(Stdio::piped()).spawn().expect("cat runs");
        let piped = write(&fifo.display().to_string());
        assert!(piped.status.success(), "{name}: {}", said(&piped));
        let read = reader.wait_with_output().expect("cat ends").stdout;
        assert!(!read.is_empty(), "{name}");
        assert!(fs::symlink_metadata(&fifo).expect("a FIFO").file_type().is_fifo(), "{name}");
        if name != "seal" {
            assert_eq!(read, fs::read(&target).expect("written"), "{name}");
        }
    }
    let left: Vec<String> = fs::read_dir(stage.path(""))
        .expect("the folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // Bytes straight to standard output, and a command's own: the same rules.
    for arguments in [&["run", "--invoke", "view()", "sketch"][..], &["run", "speaker"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("the device");
        let (code, said) = into(&stage, arguments, full);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains("No space left"), "{arguments:?}: {said}");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let (code, said) = into(&stage, arguments, writer);
        assert_eq!(code, Some(141), "{arguments:?}: {said}");
        assert!(!said.contains("error"), "{arguments:?}: {said}");
    }
    // What cannot be written is known before a use is paid for.
    let unwritable = stage.run("user", &["run", "--invoke", "view()", "-o", "no/such/folder", "sketch"]);
    assert_eq!(unwritable.status.code(), Some(1));
    let file = File::create(stage.path("out")).expect("a file");
    let (code, _) = into(&stage, &["run", "speaker"], file);
    assert_eq!((code, fs::read(stage.path("out")).expect("written")), (Some(0), b"spoken\n".to_vec()));
}

#[test]
fn lists_are_columns_on_a_terminal_and_fields_in_a_pipe() {
    let stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    stage.succeed("user", &["buy", "sketch", "--operation", "count", "--yes"]);
    for (arguments, heading, fields) in [
        (
            &["list"][..],
            "NAME         VERSION  KIND     TITLE     STORE",
            "acme/sketch\t1.0.0\tpicture\tA sketch\thttp://",
        ),
        (
            &["search"],
            "NAME         VERSION  KIND     TITLE     OFFERS",
            "acme/sketch\t1.0.0\tpicture\tA sketch\tcount 0.50 EUR for 2 uses, preview free, view 1.99 EUR",
        ),
        (&["grants"], "RESOURCE     OPERATION  WHAT   LEFT", "acme/sketch\tcount\tright\t2 of 2 uses left"),
    ] {
        let piped = String::from_utf8(stage.succeed("user", arguments).stdout).expect("text");
        assert!(piped.starts_with(fields), "{arguments:?}: {piped:?}");
        assert!(piped.lines().all(|line| line.contains('\t')), "a record a line, and nothing else: {piped:?}");
        let (code, said) = crate::prompt::type_in(&stage, arguments, &[]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(heading), "{said}");
        assert!(!said.contains('\t') && said.lines().all(|line| line.chars().count() <= 100), "{said}");
    }
}

#[test]
fn help_shows_verbs_in_groups_and_examples() {
    let stage = Stage::new();
    let said = |arguments: &[&str]| String::from_utf8(stage.succeed("user", arguments).stdout).expect("text");
    let help = said(&["--help"]);
    let at = |text: &str| help.find(text).unwrap_or_else(|| panic!("`{text}` is missing: {help}"));
    assert!(at("For users:") < at("  login ") && at("  login ") < at("For publishers:"), "{help}");
    assert!(at("For publishers:") < at("  seal ") && at("  seal ") < at("For this machine:"), "{help}");
    assert!(at("For this machine:") < at("  doctor ") && at("  doctor ") < at("Options:"), "{help}");
    assert!(help.lines().all(|line| line.chars().count() <= 130), "{help}");
    assert!(said(&["help", "run"]).contains("Examples:\n  portcullis run "));
    assert_eq!(said(&["help"]), help);
    let leak = stage.command("user").env("PORTCULLIS_HOME", "/nowhere/\u{1b}[2J").arg("--help").output().expect("help");
    assert!(!String::from_utf8_lossy(&leak.stdout).contains("nowhere"), "values of variables stay out of help");
}
