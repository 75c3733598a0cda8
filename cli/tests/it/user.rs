//! From a store to a result.

use crate::stage::{Stage, everything};
use crate::transcript::Transcript;

#[test]
fn install_refused_buy_run() {
    let mut stage = Stage::with_sketch();
    std::fs::write(stage.path("four.txt"), "four").expect("file");
    let mut said = Transcript::of(&stage, "user");
    said.login();
    said.run(&["search", "sketch"]);
    assert_eq!(said.run(&["inspect", "acme/sketch"]), 0, "before it is installed");
    assert_eq!(said.run(&["inspect", "acme/nothing"]), 1);
    said.run(&["install", "acme/sketch"]);
    said.run(&["list"]);
    said.run(&["run", "sketch"]);
    assert_eq!(said.run(&["run", "--invoke", "preview()", "sketch"]), 0);
    assert_eq!(said.run(&["run", "--invoke", "view()", "-o", "full.txt", "sketch"]), 20);
    assert!(!stage.path("full.txt").exists(), "a refusal writes nothing");
    assert_eq!(said.run(&["run", "--invoke", "refuse()", "sketch"]), 24);
    said.run(&["run", "--invoke", "vew()", "sketch"]);
    said.run(&["buy", "sketch"]);
    said.run(&["buy", "sketch", "--operation", "view"]);
    said.run(&["buy", "sketch", "--operation", "preview", "--yes"]);
    assert_eq!(said.run(&["buy", "sketch", "--operation", "view", "--yes", "--payment", "sandbx:ok"]), 20);
    said.run(&["buy", "sketch", "--operation", "view", "--yes", "--payment", "sandbox:decline"]);
    assert_eq!(said.run(&["run", "--invoke", "view()", "-o", "full.txt", "sketch"]), 20);
    assert_eq!(said.run(&["buy", "sketch", "--operation", "view", "--yes"]), 0);
    assert_eq!(said.run(&["run", "--invoke", "view()", "-o", "full.txt", "acme/sketch@1.0.0"]), 0);
    assert_eq!(std::fs::read(stage.path("full.txt")).expect("written"), b"everything");
    assert_eq!(said.run(&["buy", "sketch", "--operation", "count", "--yes"]), 0);
    said.run(&["run", "--invoke", "add(1)", "sketch"]);
    said.run(&["run", "--invoke", "add(1, 2)", "-o", "sum", "sketch"]);
    assert_eq!(said.run(&["run", "--invoke", "length(@missing)", "sketch"]), 1);
    assert_eq!(said.run(&["run", "--invoke", "length(@four.txt)", "sketch"]), 0);
    assert_eq!(said.run(&["run", "--invoke", "add(1, 2)", "sketch"]), 0);
    assert_eq!(said.run(&["run", "--invoke", "add(1, 2)", "sketch"]), 35, "both uses are used up");
    said.run(&["run", "--invoke", "view()", "sketch@2.0.0"]);
    said.run(&["grants", "sketch"]);
    said.run(&["receipts"]);
    said.run(&["whoami"]);
    said.run(&["update"]);
    stage.publish("1.1.0");
    said.run(&["update", "sketch"]);
    said.run(&["install", "acme/sketch@1.0.0"]);
    said.run(&["remove", "sketch"]);
    said.run(&["install", "./sketch-1.0.0.sealed.wasm"]);
    said.run(&["install", "acme/other"]);
    said.run(&["install", "acme/sketch"]);
    said.run(&["logout"]);
    assert_eq!(said.run(&["run", "--invoke", "preview()", "sketch"]), 24);
    said.login();
    said.check("user");
    stage.stop_store();
    let offline = stage.run("user", &["run", "--invoke", "preview()", "sketch"]);
    assert_eq!(offline.status.code(), Some(41), "{}", String::from_utf8_lossy(&offline.stderr));
}

/// What is not installed runs all the same, from the store; and what was not asked for is not installed.
#[test]
fn streamed_without_being_installed() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let run = |args: &[&str]| stage.run("user", args).status.code();
    assert_eq!(run(&["run", "--invoke", "preview()", "sketch"]), Some(1), "without its publisher nobody is asked");
    assert_eq!(run(&["run", "--invoke", "preview()", "acme/sketch"]), Some(0));
    let streamed = stage.run("user", &["run", "--invoke", "view()", "-o", "full.txt", "acme/sketch"]);
    assert_eq!(streamed.status.code(), Some(20), "the cycle is the same");
    let said = String::from_utf8_lossy(&streamed.stderr).into_owned();
    assert!(said.contains("is not installed: streaming it from"), "{said}");
    assert_eq!(run(&["run", "--invoke", "preview()", "acme/sketch@9.9.9"]), Some(1));
    assert_eq!(run(&["run", "--invoke", "preview()", "sketch"]), Some(1), "nothing was installed");
    assert_eq!(run(&["run", "--install", "--invoke", "preview()", "acme/sketch"]), Some(0));
    assert_eq!(run(&["run", "--invoke", "preview()", "sketch"]), Some(0));
    // Whoever meets the publisher so sees the key that is pinned.
    stage.login("reader");
    let installed = stage.succeed("reader", &["run", "--install", "--invoke", "preview()", "acme/sketch"]);
    let said = String::from_utf8_lossy(&installed.stderr).into_owned();
    assert!(said.contains("publisher key ") && said.contains("new: pinned from now on"), "{said}");
}

#[test]
fn for_programs() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let mut said = Transcript::of(&stage, "user");
    said.run(&["--json", "search"]);
    said.run(&["--json", "install", "acme/sketch"]);
    said.run(&["--json", "list"]);
    said.run(&["--json", "run", "--invoke", "view()", "-o", "full.txt", "sketch"]);
    said.run(&["--json", "buy", "sketch", "--operation", "view"]);
    said.run(&["--json", "buy", "sketch", "--operation", "view", "--yes"]);
    said.run(&["--json", "run", "--invoke", "view()", "-o", "full.txt", "sketch"]);
    said.run(&["--json", "run", "--invoke", "view()", "sketch"]);
    said.run(&["--json", "buy", "sketch", "--operation", "count", "--yes"]);
    said.run(&["--json", "run", "--invoke", "add(40, 2)", "sketch"]);
    said.run(&["--json", "inspect", "sketch"]);
    said.run(&["--json", "verify", "sketch-1.0.0.sealed.wasm"]);
    said.run(&["--json", "grants"]);
    said.run(&["--json", "receipts"]);
    said.run(&["--json", "whoami"]);
    said.run(&["--json", "update"]);
    said.run(&["--json", "remove", "sketch"]);
    said.run(&["--json", "logout"]);
    said.check("for-programs");
}

/// A new name for a terminal that is signed in is approved as a sign-in is, and that is said.
#[test]
fn another_name_has_to_be_approved() {
    let stage = Stage::with_store();
    stage.login("user");
    let login = |options: &[&str]| everything(&stage.succeed("user", &[&["login", stage.origin()], options].concat()));
    for same in [&[][..], &["--label", "desk"], &["--label", "de\u{200b}sk"]] {
        let text = login(same);
        assert!(text.contains("signed in already") && !text.contains("Open "), "{same:?}: {text}");
    }
    let text = login(&["--label", "laptop", "--no-wait"]);
    assert!(text.contains("signed in as user@example.com already, and the store calls it `desk`"), "{text}");
    assert!(text.contains("approve that in a browser") && text.contains("Open "), "{text}");
    let output = stage.succeed("user", &["whoami"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("desk") && !text.contains("laptop"), "{text}");
}

#[test]
fn a_sign_in_is_begun_now_and_completed_later() {
    let stage = Stage::with_store();
    let login = ["login", stage.origin(), "--fingerprint", stage.words(), "--label", "desk"];
    let none = stage.run("user", &["login", stage.origin(), "--resume"]);
    assert_eq!(none.status.code(), Some(1), "{}", String::from_utf8_lossy(&none.stderr));
    let untrusted = stage.run("user", &["login", stage.origin(), "--no-wait"]);
    assert_eq!(untrusted.status.code(), Some(1), "not without its fingerprint");
    assert!(!stage.path("user/sign-ins").exists(), "and nothing is kept");
    let begun = stage.succeed("user", &[&["--json"], &login[..], &["--no-wait"]].concat());
    let begun: serde_json::Value = serde_json::from_slice(&begun.stdout).expect("JSON");
    let text = |member: &str| begun[member].as_str().expect("a text").to_owned();
    let kept = std::fs::read_dir(stage.path("user/sign-ins")).expect("kept").flatten().next().expect("one").path();
    let sealed = std::fs::read(&kept).expect("a record");
    let code = text("user_code");
    assert!(!sealed.windows(code.len()).any(|window| window == code.as_bytes()), "sealed");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&kept).expect("a record").permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(stage.run("user", &["whoami"]).status.code(), Some(24), "not yet");
    // Somebody else's terminal makes nothing of it.
    stage.succeed("thief", &["list"]);
    std::fs::create_dir_all(stage.path("thief/sign-ins")).expect("folder");
    let name = kept.file_name().expect("a name").to_owned();
    std::fs::copy(&kept, stage.path("thief/sign-ins").join(name)).expect("copied");
    assert_eq!(stage.run("thief", &["login", stage.origin(), "--resume"]).status.code(), Some(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(crate::browser::approve(stage.origin(), "user@example.com", &code, &text("terminal_words")));
    // The fingerprint need not be given again; a wrong one is still wrong.
    let wrong = stage.run("user", &["login", stage.origin(), "--fingerprint", "some-other-words"]);
    assert_eq!(wrong.status.code(), Some(42), "{}", String::from_utf8_lossy(&wrong.stderr));
    stage.succeed("user", &["--json", "login", stage.origin()]);
    assert!(!kept.exists(), "it serves once");
    stage.succeed("user", &["--json", "whoami"]);
}

/// One resource whose store is not to be had keeps no other from being updated.
#[test]
fn update_goes_on_after_a_failure_and_says_so_at_its_end() {
    let stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    // A second one, of a store that this terminal does not know.
    let (one, other) = (stage.path("user/resources/acme/sketch"), stage.path("user/resources/acme/another"));
    std::fs::create_dir_all(&other).expect("folder");
    let record = std::fs::read_to_string(one.join("installed.json")).expect("a record");
    let record =
        record.replace("\"name\":\"sketch\"", "\"name\":\"another\"").replace(stage.origin(), "https://gone.example");
    std::fs::write(other.join("installed.json"), record).expect("written");
    stage.publish("1.1.0");
    let updated = stage.run("user", &["--json", "update"]);
    assert_eq!(updated.status.code(), Some(42), "the failure's own code: {updated:?}");
    let said: serde_json::Value = serde_json::from_slice(&updated.stdout).expect("one JSON value");
    let of = |name: &str| said["resources"].as_array().expect("a list").iter().find(|one| one["name"] == name).cloned();
    assert_eq!(of("acme/sketch").expect("the other")["to"], "1.1.0", "{said}");
    let failed = of("acme/another").expect("the first");
    assert!(failed["failed"]["message"].is_string() && failed["failed"]["fix"].is_string(), "{failed}");
    let text = stage.run("user", &["update"]);
    let said = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(said.contains("failed acme/another") && said.contains("acme/sketch 1.1.0 is the newest"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_can_read_is_neither_used_nor_changed() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new();
    let shared = stage.path("shared");
    std::fs::create_dir(&shared).expect("folder");
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    std::fs::write(shared.join("notes"), b"").expect("written");
    let refused = stage.run("user", &["--home", "shared", "list"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("shared") && said.contains("chmod 700"), "{said}");
    let mode = || std::fs::metadata(&shared).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o755, "it stays as it was");
    assert_eq!(std::fs::read_dir(&shared).expect("a folder").count(), 1);
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o700)).expect("chmod");
    stage.succeed("user", &["--home", "shared", "list"]);
    // An empty one is nobody's: it is made private, and the command says so.
    let empty = stage.path("empty");
    std::fs::create_dir(&empty).expect("folder");
    std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let said = stage.succeed("user", &["--home", "empty", "list"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("only you can look into it"), "{said:?}");
    assert_eq!(std::fs::metadata(&empty).expect("there").permissions().mode() & 0o777, 0o700);
    // One that is made is private from the beginning.
    stage.succeed("user", &["--home", "fresh", "list"]);
    assert_eq!(std::fs::metadata(stage.path("fresh")).expect("made").permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_was_paid_back_is_among_the_receipts() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let bought = stage.succeed("user", &["--json", "buy", "acme/sketch", "--operation", "view", "--yes"]);
    let bought: serde_json::Value = serde_json::from_slice(&bought.stdout).expect("JSON");
    let receipts = stage.succeed("user", &["--json", "receipts"]);
    let receipts: serde_json::Value = serde_json::from_slice(&receipts.stdout).expect("JSON");
    assert!(receipts.get("refunds").is_none());
    let order = receipts["receipts"][0]["order"].as_str().unwrap_or_else(|| panic!("{bought}")).to_owned();
    stage.operator(&["order", "refund", &order]);
    let listed = stage.operator(&["order", "list"]);
    assert!(listed.contains("user@example.com") && listed.contains("T") && listed.contains("Z  refunded"), "{listed}");
    let ledger = stage.operator(&["ledger"]);
    assert!(ledger.contains("0.00 EUR"), "{ledger}");
    let resources = stage.operator(&["resource", "list"]);
    assert!(resources.contains("acme/sketch 1.0.0"), "{resources}");
    assert!(stage.operator(&["check"]).contains("Every published file is there"));
    let receipts = stage.succeed("user", &["--json", "receipts"]);
    let receipts: serde_json::Value = serde_json::from_slice(&receipts.stdout).expect("JSON");
    assert_eq!(receipts["refunds"][0]["order"], order);
    assert_eq!(receipts["refunds"][0]["done"], true);
    assert_eq!(receipts["refunds"][0]["amount"], receipts["receipts"][0]["price"]);
    let text = stage.succeed("user", &["receipts"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("paid back"), "{text:?}");
    // The file of what is published goes: the operator is told which.
    let files: Vec<_> = std::fs::read_dir(stage.path("store/files")).expect("files").flatten().collect();
    std::fs::remove_file(files[0].path()).expect("removed");
    let missing = stage.operator_fails(&["check"]);
    assert!(missing.contains("is missing") && missing.contains("backup"), "{missing}");
}

/// What is mailed is judged by what was used before, and what is to be done about it works.
#[test]
fn a_file_from_elsewhere_is_run_unless_a_newer_version_was_used() {
    let stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    let folder = stage.path("user/resources/acme/sketch");
    let files = std::fs::read_dir(&folder).expect("installed").flatten().map(|entry| entry.path());
    let installed = files.into_iter().find(|file| file.extension().is_some_and(|end| end == "wasm")).expect("a file");
    std::fs::copy(installed, stage.path("mailed.wasm")).expect("copied");
    let run = |who: &str| stage.run(who, &["run", "mailed.wasm", "--invoke", "preview()", "-o", "line.txt"]);
    assert!(run("user").status.success(), "it is what is installed");
    stage.publish("1.1.0");
    stage.succeed("user", &["update"]);
    let refused = run("user");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("1.1.0 was used here before, and 1.0.0 is older"), "{said}");
    assert!(said.contains("`portcullis install acme/sketch@1.0.0`"), "{said}");
    stage.succeed("user", &["install", "acme/sketch@1.0.0"]);
    assert!(run("user").status.success(), "it was asked for");
    // Whoever knows nothing of the publisher runs it as the store grants it, and the store has heard of the grant.
    stage.login("stranger");
    assert!(run("stranger").status.success());
    assert!(!stage.path("stranger/publishers").exists(), "nothing is pinned by that");
    let left = std::fs::read_dir(stage.path("stranger/journal")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing is left to be said at the next start");
}

/// What the store has is named, whatever was asked for, and whether or not something is installed.
#[test]
fn a_version_that_there_is_not_is_answered_with_those_that_there_are() {
    let stage = Stage::with_sketch();
    stage.publish("1.1.0");
    stage.login("user");
    let missing = |arguments: &[&str]| {
        let output = stage.run("user", arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("does not have acme/sketch@9.9.9"), "{arguments:?}: {said}");
        assert!(said.contains("that are sold: 1.1.0, 1.0.0"), "{arguments:?}: {said}");
    };
    missing(&["install", "acme/sketch@9.9.9"]);
    missing(&["run", "acme/sketch@9.9.9", "--invoke", "preview()"]);
    stage.succeed("user", &["install", "acme/sketch"]);
    missing(&["install", "acme/sketch@9.9.9"]);
    missing(&["run", "acme/sketch@9.9.9", "--invoke", "preview()"]);
    missing(&["inspect", "sketch@9.9.9"]);
    let other = stage.run("user", &["run", "sketch@1.0.0", "--invoke", "preview()"]);
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        said.contains("is installed, not 1.0.0") && said.contains("portcullis install acme/sketch@1.0.0"),
        "{said}"
    );
}

#[test]
fn a_file_of_ones_own_is_answered_with_what_helps_its_owner() {
    let stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    let folder = std::fs::read_dir(stage.path("user/resources/acme/sketch")).expect("a folder").flatten();
    let installed = folder.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "wasm"));
    let mut bytes = std::fs::read(installed.expect("the installed file")).expect("read");
    std::fs::write(stage.path("old.wasm"), &bytes).expect("written");
    *bytes.last_mut().expect("bytes") ^= 1;
    std::fs::write(stage.path("flip.wasm"), &bytes).expect("written");
    std::fs::write(stage.path("text.toml"), "[resource]").expect("written");
    stage.publish("1.1.0");
    stage.succeed("user", &["update"]);

    for arguments in
        [["install", "./flip.wasm"], ["install", "./text.toml"], ["inspect", "text.toml"], ["run", "text.toml"]]
    {
        let output = stage.run("user", &arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(43), "{arguments:?}: {said}");
        assert!(said.contains(&format!("`{}`", arguments[1])), "{arguments:?}: {said}");
        assert!(!said.contains("tell the store"), "{arguments:?}: {said}");
    }
    let older = stage.run("user", &["install", "old.wasm"]);
    let said = String::from_utf8_lossy(&older.stderr).into_owned();
    assert!(said.contains("`portcullis install old.wasm --allow-older`"), "{said}");
    assert!(said.contains("`portcullis install acme/sketch@1.0.0`"), "{said}");
    stage.succeed("user", &["install", "old.wasm", "--allow-older"]);
}

/// What is held is asked of the store: without an answer, nothing looks like an answer.
#[test]
fn without_its_store_nothing_is_held_or_bought() {
    let mut stage = Stage::with_store();
    stage.login("user");
    stage.stop_store();
    for command in ["grants", "receipts", "balance"] {
        let output = stage.run("user", &["--json", command]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.code() == Some(41) && said.contains("\"offline\""), "{command}: {said}");
        assert!(output.stderr.is_empty(), "{command} says it once: {}", String::from_utf8_lossy(&output.stderr));
    }
}
