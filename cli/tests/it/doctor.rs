//! `doctor`: each thing is broken for real, is found, and is mended by the very command that the finding names.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::stage::Stage;

/// What `doctor --json` says.
struct Diagnosis {
    exit: i32,
    said: Value,
}

impl Diagnosis {
    fn of(stage: &Stage, who: &str) -> Self {
        Self::read(&stage.run(who, &["--json", "doctor"]))
    }

    fn read(output: &Output) -> Self {
        let said = serde_json::from_slice(&output.stdout).expect("one JSON value");
        Self { exit: output.status.code().expect("an exit code"), said }
    }

    fn finding(&self, area: &str, check: &str) -> &Value {
        let findings = self.said["findings"].as_array().expect("findings");
        let found = findings.iter().find(|one| one["area"] == area && one["check"] == check);
        found.unwrap_or_else(|| panic!("no finding about {area}, {check}: {:#}", self.said))
    }

    /// It is wrong, and the exit code says that something is. Gives how to mend it.
    fn wrong(&self, area: &str, check: &str, because: &str) -> String {
        let finding = self.finding(area, check);
        assert_eq!((finding["state"].as_str(), self.exit), (Some("wrong"), 3), "{finding:#}");
        Self::says(finding, because)
    }

    /// It is a warning, which alone leaves the exit code at 0.
    fn warning(&self, area: &str, check: &str, because: &str) -> String {
        let finding = self.finding(area, check);
        assert_eq!(finding["state"], "warning", "{finding:#}");
        Self::says(finding, because)
    }

    fn says(finding: &Value, because: &str) -> String {
        assert!(finding["finding"].as_str().is_some_and(|text| text.contains(because)), "{because}: {finding:#}");
        finding["mend"].as_str().expect("how to mend it").to_owned()
    }

    /// Nothing is wrong, and nothing to look at but perhaps the compiler of guests.
    fn healthy(&self) {
        let findings = self.said["findings"].as_array().expect("findings");
        let ill: Vec<_> = findings.iter().filter(|one| one["state"] != "ok" && one["area"] != "guest").collect();
        assert!(ill.is_empty() && self.exit == 0, "{ill:#?}");
    }
}

/// Types a line as `mend` has it. `portcullis` is the command under test.
fn type_in(stage: &Stage, who: &str, line: &str) {
    let command = stage.command(who);
    let line = format!("portcullis() {{ '{}' \"$@\"; }}\n{line}", Path::new(command.get_program()).display());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &line]).env("PORTCULLIS_HOME", stage.path(who)).current_dir(stage.path(""));
    let output = shell.output().expect("a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

fn only(folder: &Path, wanted: impl Fn(&str) -> bool) -> PathBuf {
    let entries = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    let mut found = entries.filter(|path| wanted(&path.file_name().expect("a name").to_string_lossy()));
    found.next().unwrap_or_else(|| panic!("not in {}", folder.display()))
}

#[test]
fn nothing_done_yet_is_nothing_wrong() {
    let stage = Stage::new();
    let diagnosis = Diagnosis::of(&stage, "user");
    assert_eq!(diagnosis.exit, 0);
    assert!(diagnosis.warning("terminal", "home", "does not exist").starts_with("portcullis login"));
    assert!(!stage.path("user").exists(), "looking makes nothing");
    fs::write(stage.path("user"), "a file where the folder should be").expect("written");
    Diagnosis::of(&stage, "user").wrong("terminal", "home", "not a folder");
    let output =
        stage.command("other").args(["--json", "doctor"]).env("PORTCULLIS_GUEST_TOOLCHAIN", "/nowhere").output();
    let diagnosis = Diagnosis::read(&output.expect("doctor runs"));
    assert_eq!(diagnosis.finding("guest", "target")["state"], "ok", "users need no compiler");
    stage.succeed("other", &["keygen"]);
    let output =
        stage.command("other").args(["--json", "doctor"]).env("PORTCULLIS_GUEST_TOOLCHAIN", "/nowhere").output();
    let diagnosis = Diagnosis::read(&output.expect("doctor runs"));
    assert_eq!(diagnosis.warning("guest", "target", "/nowhere/usr/bin/rustc"), "cargo xtask setup");
    assert_eq!(diagnosis.exit, 0, "who publishes in another language needs none");
    assert_eq!(diagnosis.finding("publisher", "key")["state"], "ok");
}

/// What is not sold any more does not run.
#[test]
fn what_was_withdrawn_is_told() {
    let stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    Diagnosis::of(&stage, "user").healthy();
    stage.succeed("publisher", &["withdraw", "acme/sketch@1.0.0", "--yes"]);
    let mend = Diagnosis::of(&stage, "user").wrong("resource", "sold", "1.0.0 was withdrawn");
    assert_eq!(mend, "portcullis remove acme/sketch");
    stage.publish("1.1.0");
    let mend = Diagnosis::of(&stage, "user").wrong("resource", "sold", "1.0.0 was withdrawn");
    assert_eq!(mend, "portcullis install acme/sketch@1.1.0");
    type_in(&stage, "user", &mend);
    Diagnosis::of(&stage, "user").healthy();
}

/// The key with which a publisher seals is looked at before he meets a store that does not take what it sealed.
#[test]
fn the_publishers_key_is_the_one_in_use() {
    let mut stage = Stage::with_sketch();
    let state = |because: &str| {
        let diagnosis = Diagnosis::of(&stage, "publisher");
        let finding = diagnosis.finding("publisher", "key");
        assert!(finding["finding"].as_str().is_some_and(|text| text.contains(because)), "{because}: {finding:#}");
        (finding["state"].as_str().expect("a state").to_owned(), diagnosis.exit)
    };
    assert_eq!(state("is "), ("ok".to_owned(), 0));
    stage.succeed("publisher", &["keygen", "--output", "new.jwk"]);
    stage.succeed("publisher", &["change-key", "acme", "new.jwk", "--yes"]);
    assert_eq!(state("and the key in use is"), ("warning".to_owned(), 0));
    let sealed = stage.succeed("publisher", &["seal", "sketch", "--advisory-metering", "-o", "other.sealed.wasm"]);
    let said = String::from_utf8_lossy(&sealed.stderr).into_owned();
    assert!(said.contains("will not take it") && said.contains("--key FILE"), "{said}");
    let next = String::from_utf8_lossy(&sealed.stdout).into_owned();
    assert!(!next.contains("portcullis publish"), "nobody is sent on with what is refused: {next}");
    let key = stage.path("publisher").join("publisher.jwk");
    let kept = fs::read(&key).expect("the key");
    fs::write(&key, "garbage").expect("written");
    assert_eq!(state("is not a publisher key"), ("wrong".to_owned(), 3));
    fs::write(&key, kept).expect("written");
    let aside = key.with_extension("aside");
    fs::rename(&key, &aside).expect("moved");
    assert_eq!(state("is not there"), ("warning".to_owned(), 0));
    fs::rename(&aside, &key).expect("moved back");
    // An old key comes into force again only if its owner says so.
    let old = key.display().to_string();
    let back = ["change-key", "acme", &old, "--key", "new.jwk"];
    let output = stage.run("publisher", &back);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("was in use before"), "{said}");
    stage.succeed("publisher", &[&back[..], &["--yes"]].concat());
    assert_eq!(state("is "), ("ok".to_owned(), 0));
    // Who cannot be asked has said nothing.
    stage.stop_store();
    let diagnosis = Diagnosis::of(&stage, "publisher");
    let finding = diagnosis.finding("publisher", "key")["finding"].as_str().expect("words");
    assert!(finding.contains("did not say") && finding.contains(stage.origin()), "{finding}");
}

#[cfg(unix)]
#[test]
fn each_thing_that_is_broken_is_found_and_mended() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    Diagnosis::of(&stage, "user").healthy();
    let text = String::from_utf8(stage.succeed("user", &["doctor"]).stdout).expect("text");
    assert!(text.contains("signed in as user@example.com") && text.contains("nothing is wrong"), "{text}");

    let home = stage.path("user");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    let keys = home.join("keys");
    // A secret that others can read.
    let terminal = only(&keys, |name| name.starts_with("terminal-"));
    mode(&terminal, 0o644);
    let mend = Diagnosis::of(&stage, "user").wrong("terminal", "permissions", "has mode 644 instead of 600");
    type_in(&stage, "user", &mend);
    Diagnosis::of(&stage, "user").healthy();
    // Something else that they can.
    mode(&home.join("resources"), 0o755);
    let diagnosis = Diagnosis::of(&stage, "user");
    assert_eq!(diagnosis.exit, 0);
    type_in(&stage, "user", &diagnosis.warning("terminal", "permissions", "mode 755 instead of 700"));
    Diagnosis::of(&stage, "user").healthy();

    // The installed file: cut off, changed, gone; then its record.
    let folder = home.join("resources/acme/sketch");
    let file = only(&folder, |name| name.ends_with(".wasm"));
    let bytes = fs::read(&file).expect("the sealed file");
    let mut changed = bytes.clone();
    *changed.last_mut().expect("bytes") ^= 1;
    for (broken, because) in [(Some(&bytes[..bytes.len() - 9]), ""), (Some(&changed), ""), (None, "cannot read")] {
        match broken {
            Some(bytes) => fs::write(&file, bytes).expect("written"),
            None => fs::remove_file(&file).expect("removed"),
        }
        let mend = Diagnosis::of(&stage, "user").wrong("resource", "file", because);
        assert_eq!(mend, "portcullis install acme/sketch@1.0.0");
        type_in(&stage, "user", &mend);
        Diagnosis::of(&stage, "user").healthy();
    }
    fs::write(folder.join("installed.json"), "{").expect("written");
    let listed = stage.succeed("user", &["list"]);
    let said = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert!(said.contains("acme/sketch") && said.contains("installed.json") && said.contains("doctor"), "{said}");
    let mend = Diagnosis::of(&stage, "user").wrong("resource", "file", "is damaged");
    type_in(&stage, "user", &mend);
    Diagnosis::of(&stage, "user").healthy();

    // The journal: a record that does not open; then the key that opened it.
    fs::create_dir_all(home.join("journal")).expect("folder");
    mode(&home.join("journal"), 0o700);
    let record = home.join("journal/000000000aaAAAAAAAAAAAAAAAA.order");
    fs::write(&record, "garbage").expect("written");
    mode(&record, 0o600);
    Diagnosis::of(&stage, "user").wrong("terminal", "journal", "do not open");
    fs::rename(keys.join("state"), home.join("kept")).expect("moved");
    let mend = Diagnosis::of(&stage, "user").wrong("terminal", "keys", "keys/state");
    assert!(!keys.join("state").exists(), "no new key is made over it");
    fs::rename(home.join("kept"), keys.join("state")).expect("moved back");
    assert!(mend.contains("restore it from a backup"), "{mend}");
    fs::remove_file(&record).expect("removed");
    Diagnosis::of(&stage, "user").healthy();

    // No place for compiled code.
    let _ = fs::remove_dir_all(home.join("cache"));
    fs::write(home.join("cache"), "a file").expect("written");
    mode(&home.join("cache"), 0o600);
    let diagnosis = Diagnosis::of(&stage, "user");
    assert_eq!(diagnosis.exit, 0, "it only starts more slowly");
    type_in(&stage, "user", &diagnosis.warning("cache", "size", "every start compiles"));
    Diagnosis::of(&stage, "user").healthy();

    // A damaged state key.
    let state = fs::read(keys.join("state")).expect("key");
    fs::write(keys.join("state"), "short").expect("written");
    Diagnosis::of(&stage, "user").wrong("terminal", "keys", "damaged");
    fs::write(keys.join("state"), state).expect("written");

    // The pin of the store.
    let pin = only(&home.join("servers"), |_| true).join("pin.json");
    let pinned = fs::read(&pin).expect("pin");
    fs::write(&pin, "{}").expect("written");
    let mend = Diagnosis::of(&stage, "user").wrong("store", "trusted", "is damaged");
    assert!(mend.contains("sign in again"), "{mend}");
    // Another root than the one that was trusted: somebody stands in between.
    let other = String::from_utf8(pinned.clone()).expect("text");
    let x = other.split("\"x\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("the root").to_owned();
    fs::write(&pin, other.replacen(&x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", 1)).expect("written");
    let mend = Diagnosis::of(&stage, "user").wrong("store", "keys", "another root key");
    assert!(mend.contains("do not use the store"), "{mend}");
    fs::write(&pin, pinned).expect("written");
    Diagnosis::of(&stage, "user").healthy();

    // The sign-in, ended elsewhere; then gone; then the terminal's keys gone too.
    let copied = std::process::Command::new("cp").arg("-a").arg(&home).arg(stage.path("copy")).status();
    assert!(copied.expect("cp runs").success());
    stage.succeed("copy", &["logout"]);
    let login = format!("portcullis login {}", stage.origin());
    assert_eq!(Diagnosis::of(&stage, "user").wrong("store", "signed-in", "ended"), login);
    fs::remove_file(only(&keys, |name| name.starts_with("sign-in-"))).expect("removed");
    assert_eq!(Diagnosis::of(&stage, "user").warning("store", "signed-in", "nobody"), login);
    fs::remove_file(&terminal).expect("removed");
    assert_eq!(Diagnosis::of(&stage, "user").wrong("store", "signed-in", "gone"), login);
    stage.login("user");
    Diagnosis::of(&stage, "user").healthy();

    // The store, and then the clock.
    stage.stop_store();
    let diagnosis = Diagnosis::of(&stage, "user");
    diagnosis.wrong("store", "reachable", "Connection refused");
    diagnosis.wrong("store", "signed-in", "reached");
    assert_eq!(diagnosis.finding("resource", "file")["state"], "ok", "the file is as good as before");
    stage.restart_store(3600);
    // Its clock has jumped: what it says is not believed before it is steady again, or somebody signs in anew.
    Diagnosis::of(&stage, "user").wrong("store", "signed-in", "minutes ahead");
    stage.restart_store(200);
    let diagnosis = Diagnosis::of(&stage, "user");
    diagnosis.warning("clock", "difference", "behind");
    assert_eq!(
        diagnosis.finding("store", "signed-in")["state"],
        "ok",
        "the store answers, within what clocks differ by"
    );
}
