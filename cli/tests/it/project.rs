//! `new` makes projects that build and run outside the checkout. Slow: it compiles the SDK.

use crate::stage::Stage;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the projects of all tests are compiled: what they depend on is compiled once.
fn compiled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guest-projects")
}

#[test]
fn every_kind_builds_is_tested_and_sold() {
    let stage = Stage::new();
    let target = compiled();
    for kind in ["software", "picture", "command"] {
        let name = format!("my-{kind}");
        stage.succeed("publisher", &["new", &name, "--kind", kind, "--publisher", "tessera"]);
        let dev = stage.command("publisher").args(["--json", "dev", &name]).env("CARGO_TARGET_DIR", &target).output();
        let dev = dev.expect("dev runs");
        assert!(dev.status.success(), "{}", String::from_utf8_lossy(&dev.stderr));
        crate::json::check(&["--json", "dev"], &dev.stdout);
        let said: serde_json::Value = serde_json::from_slice(&dev.stdout).expect("one JSON value");
        let steps: Vec<&str> =
            said["steps"].as_array().expect("steps").iter().filter_map(|s| s["step"].as_str()).collect();
        assert_eq!(steps[..6], ["build", "store", "sign in", "seal", "publish", "install"], "{kind}");
        assert!(steps.ends_with(&["cycle", "buy", "cycle", "call"]), "{kind}: {steps:?}");
        let calls = said["steps"].as_array().expect("steps").iter().filter(|s| s["step"] == "call");
        let last = calls.collect::<Vec<_>>().pop().and_then(|s| s["outcome"].as_str()).expect("a call");
        let expected = match kind {
            "software" => "ok({words: 7, sentences: 3, minutes: 1})",
            "picture" => "view() → 1.",
            _ => "exit 0: MCMXCIV",
        };
        assert!(last.contains(expected), "{last}");
        let built =
            stage.command("publisher").args(["--json", "build", &name]).env("CARGO_TARGET_DIR", &target).output();
        crate::json::check(&["--json", "build"], &built.expect("build runs").stdout);
        let mut cargo = std::process::Command::new("cargo");
        cargo.args(["test", "--quiet"]).current_dir(stage.path(&name)).env("CARGO_TARGET_DIR", &target);
        let tested = cargo.output().expect("cargo runs");
        assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    }
    what_is_wrong_in_the_sources_is_told(&stage, &target);
}

/// What a project begins with keeps its author from the slips that he cannot take back, and leads on from the others.
#[test]
fn a_project_begins_safely_and_is_built_by_seal() {
    let stage = Stage::with_store();
    stage.login("publisher");
    stage.succeed("publisher", &["keygen"]);
    for kind in ["music", "theme", "video"] {
        let refused = stage.run("publisher", &["new", "tune", "--kind", kind]);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{text}");
        assert!(text.contains("--kind picture") && text.contains(&format!("kind = \"{kind}\"")), "{text}");
    }
    let unknown = stage.run("publisher", &["new", "tune", "--kind", "song"]);
    let text = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(
        unknown.status.code() == Some(2) && text.contains("[possible values: software, picture, command]"),
        "{text}"
    );

    stage.succeed("publisher", &["new", "tune", "--language", "wat", "--kind", "picture"]);
    let file = stage.path("tune/portcullis.toml");
    let picture = fs::read_to_string(&file).expect("the project");
    let music = picture.replace("kind = \"picture\"", "kind = \"music\"");
    assert_ne!(picture, music);
    fs::write(&file, music).expect("written");
    // As the page of commands has it, in the project: git does not see the secret key.
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").args(arguments).current_dir(stage.path("tune")).output();
        String::from_utf8_lossy(&output.expect("git runs").stdout).into_owned()
    };
    stage.succeed("publisher", &["keygen", "--output", "tune/new.jwk"]);
    git(&["init", "--quiet"]);
    let seen = git(&["status", "--porcelain", "--untracked-files=all"]);
    assert!(seen.contains("portcullis.toml") && !seen.contains("new.jwk"), "{seen}");
    // Nothing was built yet.
    let origin = stage.origin().to_owned();
    let seal = ["seal", "tune", "--server", &origin, "-o", "tune.sealed.wasm"];
    let refused = stage.run("publisher", &[&seal[..], &["--no-build"]].concat());
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("build it first"), "the control: {text}");
    let text = String::from_utf8_lossy(&stage.succeed("publisher", &seal).stderr).into_owned();
    assert!(text.contains("is not there yet: building first"), "{text}");
    // A server that is not where it is said to be.
    let dev = stage.command("publisher").args(["dev", "tune"]).env("PORTCULLIS_SERVER_BIN", "/nonexistent").output();
    let text = String::from_utf8_lossy(&dev.expect("dev runs").stderr).into_owned();
    assert!(text.contains("PORTCULLIS_SERVER_BIN names it"), "{text}");
}

/// In WebAssembly text: what the commands make of it, without any compiler.
#[test]
fn every_kind_in_webassembly_text_is_built_and_sold() {
    let stage = Stage::new();
    let digits = "crc32([49, 50, 51, 52, 53, 54, 55, 56, 57])";
    for (kind, call, expected) in [("software", digits, "→ 3421780262"), ("picture", "view()", "view() → 1.")] {
        let name = format!("text-{kind}");
        stage.succeed("publisher", &["new", &name, "--language", "wat", "--kind", kind, "--publisher", "tessera"]);
        let dev = stage.command("publisher").args(["--json", "dev", &name, "--invoke", call]).output();
        let dev = dev.expect("dev runs");
        assert!(dev.status.success(), "{}", String::from_utf8_lossy(&dev.stderr));
        let said: serde_json::Value = serde_json::from_slice(&dev.stdout).expect("one JSON value");
        let steps = said["steps"].as_array().expect("steps");
        let last = steps.last().and_then(|step| step["outcome"].as_str()).expect("a call");
        assert!(last.contains(expected), "{last}");
        let built = stage.command("publisher").args(["--json", "build", &name]).output().expect("build runs");
        crate::json::check(&["--json", "build"], &built.stdout);
    }
    // Every export at once, with made-up values.
    stage.succeed("publisher", &["dev", "text-picture"]);
    let source = stage.path("text-software").join("guest.wat");
    let text = fs::read_to_string(&source).expect("a source");
    let says = |changed: &str, said: &[&str]| {
        fs::write(&source, changed).expect("written");
        let output = stage.command("publisher").args(["build", "text-software"]).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{told}");
        said.iter().for_each(|said| assert!(told.contains(said), "{said}: {told}"));
    };
    says(&text.replacen("(module", "(modul", 1), &["guest.wat:", "correct the line"]);
    says(&text.replacen("#crc32", "#crc23", 1), &["crc32"]);
    let unknown =
        stage.command("publisher").args(["new", "a-command", "--language", "wat", "--kind", "command"]).output();
    let told = String::from_utf8_lossy(&unknown.expect("it runs").stderr).into_owned();
    assert!(told.contains("no project of the kind `command` in WebAssembly text"), "{told}");
}

/// With the projects and what was compiled for them.
fn what_is_wrong_in_the_sources_is_told(stage: &Stage, target: &Path) {
    let edited = |name: &str, file: &str, from: &str, to: &str, verb: &str| {
        let path = stage.path(name).join(file);
        let before = fs::read_to_string(&path).expect("a source");
        assert!(before.contains(from), "{from}");
        fs::write(&path, before.replace(from, to)).expect("written");
        let output = stage.command("publisher").args([verb, name]).env("CARGO_TARGET_DIR", target).output();
        fs::write(&path, before).expect("written");
        let output = output.expect("it runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success(), "{to}: {text}");
        text
    };
    let says = |text: &str, said: &[&str]| said.iter().for_each(|said| assert!(text.contains(said), "{said}: {text}"));
    let (lib, wit) = ("src/lib.rs", "wit/world.wit");
    let text =
        edited("my-software", lib, "#[paid(operation = \"measure\")]", "#[paid(operation = \"measur\")]", "build");
    says(&text, &["the operation `measur` (src/lib.rs:", "did you mean `measure`?"]);
    let text = edited("my-picture", lib, "grant.open(\"full\")", "grant.open(\"ful\")", "build");
    says(&text, &["the part `ful` (src/lib.rs:", "did you mean `full`?"]);
    let text = edited("my-picture", lib, "grant.open(\"full\")", "grant.open(\"sketch\")", "build");
    says(&text, &["the part `sketch` under the operation `view`"]);
    // Not written out where it is used: seen when it is used.
    let text = edited("my-picture", lib, "grant.open(\"full\")", "grant.open(&[\"fu\", \"l\"].concat())", "dev");
    says(&text, &["opens the part `ful`", "did you mean `full`?"]);
    let text =
        edited("my-software", lib, "let ends =", "assert!(text.is_empty(), \"only nothing\"); let ends =", "dev");
    says(&text, &["was granted and fails", "panicked at src/lib.rs:", "only nothing"]);
    let text = edited("my-software", wit, "    include portcullis:gate/protected@0.1.0;\n", "", "build");
    says(&text, &["does not include the contract", "include portcullis:gate/protected@0.1.0;"]);
}
