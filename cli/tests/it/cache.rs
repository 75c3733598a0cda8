//! Compiled code between runs, as its user sees it.

use crate::stage::Stage;
use crate::transcript::Transcript;
use std::fs;

#[test]
fn compiled_code_is_kept_shown_and_cleared() {
    let stage = Stage::with_sketch();
    stage.login("user");
    assert!(stage.run("user", &["install", "acme/sketch"]).status.success());
    let blobs = || {
        let entries = fs::read_dir(stage.path("user/cache")).into_iter().flatten();
        entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().len() == 32)).count()
    };
    let mut said = Transcript::of(&stage, "user");
    assert_eq!(said.run(&["cache"]), 0);
    assert_eq!(said.run(&["list", "--cache"]), 0);
    assert_eq!(said.run(&["run", "--invoke", "preview()", "sketch"]), 0);
    assert_eq!(blobs(), 1);
    assert_eq!(said.run(&["list", "--cache"]), 0);
    assert_eq!(said.run(&["--json", "list", "--cache"]), 0);
    assert_eq!(said.run(&["--json", "cache"]), 0);
    assert_eq!(said.run(&["run", "--invoke", "preview()", "sketch"]), 0);
    assert_eq!(blobs(), 1, "taken over, not kept twice");
    assert_eq!(said.run(&["cache", "clear"]), 0);
    assert_eq!(blobs(), 0);
    assert_eq!(said.run(&["--json", "cache", "clear"]), 0);
    assert_eq!(said.run(&["run", "--invoke", "preview()", "sketch"]), 0);
    assert_eq!(blobs(), 1);
    assert_eq!(said.run(&["remove", "sketch"]), 0);
    assert_eq!(blobs(), 0, "what is not installed leaves no code behind");
    // What is not installed is streamed, and what has arrived is kept.
    let streams = || fs::read_dir(stage.path("user/streams")).map_or(0, Iterator::count);
    assert_eq!(streams(), 0);
    assert_eq!(said.run(&["run", "--invoke", "preview()", "acme/sketch"]), 0);
    assert_eq!(streams(), 1);
    assert_eq!(said.run(&["cache"]), 0);
    assert_eq!(said.run(&["cache", "clear"]), 0);
    assert_eq!((blobs(), streams()), (0, 0));
    assert_eq!(said.run(&["run", "--invoke", "preview()", "acme/sketch"]), 0);
    assert_eq!(streams(), 1, "fetched again");
    said.check("compiled-code");
}

#[test]
fn the_size_of_the_cache_is_set_by_the_environment() {
    let stage = Stage::with_sketch();
    stage.login("user");
    assert!(stage.run("user", &["install", "acme/sketch"]).status.success());
    let run = |size: &str| {
        let mut command = stage.command("user");
        command.args(["run", "--invoke", "preview()", "sketch"]).env("PORTCULLIS_CACHE_SIZE", size);
        command.output().expect("the command runs")
    };
    let blobs = || fs::read_dir(stage.path("user/cache")).map_or(0, Iterator::count);
    assert!(run("0").status.success());
    assert_eq!(blobs(), 0, "none is kept");
    let wrong = run("much");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("PORTCULLIS_CACHE_SIZE"));
    assert!(run("64M").status.success());
    assert!(blobs() > 0, "the control: with room it is kept");
}
