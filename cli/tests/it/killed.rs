//! The command is killed at any point. The next use takes up or clears whatever it left.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::stage::Stage;

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// What nobody owns: records in the making, own files of a download, a sealed file that no record names.
fn orphans(home: &Path) -> Vec<PathBuf> {
    let installed = |file: &Path| file.with_file_name("installed.json").is_file();
    let is_orphan = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let sealed = file.starts_with(home.join("resources")) && name.ends_with(".wasm");
        name.ends_with(".new") || name.ends_with(".own") || (sealed && !installed(file))
    };
    files(home).into_iter().filter(is_orphan).collect()
}

/// Kills the verbs that write most, after so many milliseconds each, and then uses the terminal as if nothing had been.
fn kill_at(moments: impl Iterator<Item = u64>) {
    let stage = Stage::with_sketch();
    stage.login("user");
    let home = stage.path("user");
    let mut left = 0;
    for moment in moments {
        for arguments in [
            &["install", "acme/sketch"][..],
            &["run", "acme/sketch", "--invoke", "preview()"],
            &["remove", "acme/sketch"],
            &["whoami"],
        ] {
            let mut child = stage
                .command("user")
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the command runs");
            std::thread::sleep(Duration::from_millis(moment));
            let _ = child.kill();
            child.wait().expect("ended");
        }
        left += orphans(&home).len();
        // The next use: nothing stands in the way, and nothing stays.
        stage.succeed("user", &["install", "acme/sketch"]);
        assert_eq!(orphans(&home), Vec::<PathBuf>::new(), "after {moment} ms");
        stage.succeed("user", &["remove", "acme/sketch"]);
        assert!(!home.join("resources/acme/sketch").exists(), "after {moment} ms");
        stage.succeed("user", &["whoami"]);
    }
    eprintln!("{left} files were left, and cleared");
}

#[test]
fn what_a_killed_command_leaves_is_cleared_at_the_next_use() {
    kill_at([1, 3, 6, 10, 15, 25, 40].into_iter());
}

#[test]
#[ignore = "slow: cargo xtask test --all"]
fn what_a_command_leaves_that_was_killed_at_any_moment_is_cleared() {
    kill_at((0..110).map(|step| step / 2));
}

/// What a killed process left, planted: the kinds that a kill leaves once in a thousand times.
#[test]
fn planted_leftovers_are_cleared() {
    let stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    let home = stage.path("user");
    let folder = home.join("resources/acme/sketch");
    let planted = [
        home.join("tmp/.abc.new"),
        folder.join(".old-version.new"),
        folder.join("0000000000000000000000000000000000000000000000000000000000000000.wasm"),
        home.join("downloads/abc.own"),
    ];
    for path in &planted {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, "left behind").expect("written");
    }
    stage.succeed("user", &["remove", "acme/sketch"]);
    assert!(!folder.exists(), "nothing stands in the way of removing it");
    stage.succeed("user", &["install", "acme/sketch"]);
    for path in &planted {
        assert!(!path.exists(), "{}", path.display());
    }
    // A record in the making whose process lives is its own.
    let owned = home.join("tmp/.owned.new");
    let file = std::fs::File::create(&owned).expect("made");
    file.lock().expect("locked");
    stage.succeed("user", &["list"]);
    assert!(owned.exists());
    drop(file);
    stage.succeed("user", &["list"]);
    assert!(!owned.exists());
}
