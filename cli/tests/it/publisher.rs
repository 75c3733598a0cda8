//! From a project to a store.

use crate::guest;
use crate::stage::Stage;
use crate::transcript::Transcript;

#[test]
fn seal_publish_price_withdraw() {
    let stage = Stage::with_store();
    guest::project(&stage.path("sketch"), "1.0.0");
    let mut said = Transcript::of(&stage, "publisher");
    said.run(&["login", stage.origin()]);
    said.run(&["login", stage.origin(), "--fingerprint", "some-other-words"]);
    said.login();
    said.run(&["keygen"]);
    said.run(&["whoami"]);
    said.run(&["seal", "sketch"]);
    said.run(&["seal", "sketch", "--advisory-metering"]);
    assert!(!stage.path("sketch-1.0.0.sealed.wasm.partial").exists(), "nothing half-done is left");
    said.run(&["verify", "sketch-1.0.0.sealed.wasm"]);
    said.run(&["inspect", "sketch-1.0.0.sealed.wasm"]);
    said.run(&["inspect", "sketch-1.0.0.sealed.wasm", "--extract", "full", "-o", "full.age"]);
    said.run(&["inspect", "sketch-1.0.0.sealed.wasm", "--extract", "ful", "-o", "ful.age"]);
    said.run(&["publish", "sketch-1.0.0.sealed.wasm", "--project", "sketch"]);
    said.run(&["publish", "sketch-1.0.0.sealed.wasm", "--server", "https://store.example"]);
    said.run(&["price", "acme/sketch"]);
    said.run(&[
        "price",
        "acme/sketch",
        "--operation",
        "count",
        "--model",
        "uses",
        "--count",
        "10",
        "--price",
        "4.99 EUR",
    ]);
    said.run(&["price", "acme/sketch", "--operation", "view", "--model", "uses"]);
    said.run(&["--json", "price", "acme/sketch", "--operation", "view", "--model", "perpetual", "--price", "2.99 EUR"]);
    said.run(&["price", "acme/nothing"]);
    said.run(&["withdraw", "acme/sketch@2.0.0"]);
    said.run(&["withdraw", "acme/sketch@1.0.0", "--reason", "a better one comes"]);
    said.run(&["withdraw", "acme/sketch@1.0.0", "--reason", "a better one comes", "--yes"]);
    said.run(&["search"]);
    said.run(&["whoami"]);
    said.check("publisher");
    let age = std::fs::read(stage.path("full.age")).expect("extracted");
    assert!(age.starts_with(b"age-encryption.org/v1\n"), "an age file");
    assert!(!stage.path("ful.age").exists(), "a part that does not exist leaves no file");
}

#[test]
fn a_changed_byte_is_found() {
    let stage = Stage::with_sketch();
    let file = stage.path("sketch-1.0.0.sealed.wasm");
    stage.succeed("publisher", &["verify", "sketch-1.0.0.sealed.wasm"]);
    let mut bytes = std::fs::read(&file).expect("sealed");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    let output = stage.run("publisher", &["--json", "verify", "sketch-1.0.0.sealed.wasm"]);
    assert_eq!(output.status.code(), Some(43));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    assert_eq!(said["error"]["reason"], "package-invalid");
}

/// A file stays as it was sealed when it is published. Who names it is told of the copy that works.
#[test]
fn a_published_file_is_not_called_unpublished() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let said = |who: &str, arguments: &[&str]| stage.said(who, arguments);
    let file = "./sketch-1.0.0.sealed.wasm";
    let run = |file: &'static str| ["run", file, "--invoke", "preview()", "-o", "line.txt"];
    for (who, arguments, exit) in
        [("publisher", &run(file)[..], 42), ("user", &run(file), 42), ("user", &["install", file], 1)]
    {
        let (code, text) = said(who, arguments);
        assert_eq!(code, Some(exit), "{arguments:?}: {text}");
        assert!(text.contains("as it was sealed") && !text.contains("ublish it"), "{arguments:?}: {text}");
        assert!(text.contains("`portcullis install acme/sketch@1.0.0`"), "{arguments:?}: {text}");
    }
    stage.succeed("user", &["install", "acme/sketch@1.0.0"]);
    stage.succeed("user", &run("acme/sketch"));
    let (_, text) = said("publisher", &["verify", file]);
    assert!(text.contains("countersigned the copy that you published"), "{text}");
    let (_, text) = said("publisher", &["inspect", file]);
    assert!(text.contains("sells a copy that it has countersigned"), "{text}");
    stage.succeed("publisher", &["--json", "verify", file]);
    // The controls: one that was not published, and one that is not sold any more.
    guest::project(&stage.path("sketch"), "1.1.0");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering"]);
    let (_, text) = said("publisher", &run("./sketch-1.1.0.sealed.wasm"));
    assert!(text.contains("Publish it: `portcullis publish ./sketch-1.1.0.sealed.wasm`"), "{text}");
    let (_, text) = said("publisher", &["verify", "./sketch-1.1.0.sealed.wasm"]);
    assert!(text.contains("has not countersigned it"), "{text}");
    stage.succeed("publisher", &["withdraw", "acme/sketch@1.0.0", "--yes"]);
    let (code, text) = said("publisher", &run(file));
    assert!(code == Some(42) && text.contains("`portcullis restore acme/sketch@1.0.0`"), "{text}");
    // The name is one account's alone: another one has to publish under its own.
    stage.succeed("user", &["keygen"]);
    let made = stage.succeed("user", &["new", "lake"]);
    assert!(String::from_utf8_lossy(&made.stdout).contains("acme/lake: at each store"));
    stage.succeed("user", &["seal", "sketch", "--advisory-metering", "-o", "theirs.sealed.wasm"]);
    let (code, text) = said("user", &["publish", "theirs.sealed.wasm"]);
    assert!(code == Some(1) && text.contains("`publisher` in portcullis.toml"), "{text}");
}

/// What goes wrong first: each answer says what is wrong, and what whoever asked can do.
#[test]
fn slips_are_answered_with_what_to_do() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let refused = |who: &str, arguments: &[&str]| {
        let output = stage.run(who, &[&["--json"][..], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}");
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
        let text = |member: &str| said["error"][member].as_str().expect("a text").to_owned();
        (text("message"), text("fix"))
    };
    let prices = stage.succeed("publisher", &["--json", "price", "acme/sketch"]);
    let prices: serde_json::Value = serde_json::from_slice(&prices.stdout).expect("JSON");
    let offer = prices["offers"][0]["id"].as_str().expect("an offer").to_owned();
    // The last letter of 22 carries two bits, so few of them can stand there.
    let slip = format!("{}X", &offer[..21]);
    let file = "sketch-1.0.0.sealed.wasm";
    let mut bytes = std::fs::read(stage.path(file)).expect("sealed");
    std::fs::write(stage.path("cut.sealed.wasm"), &bytes[..bytes.len() - 9]).expect("written");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(stage.path("changed.sealed.wasm"), bytes).expect("written");
    crate::guest::project(&stage.path("older"), "0.9.0");
    let older = "my older ♥.sealed.wasm";
    let sealed = stage.succeed("publisher", &["seal", "older", "--advisory-metering", "-o", older]);
    let sealed = String::from_utf8_lossy(&sealed.stdout).into_owned();
    assert!(sealed.contains("portcullis publish 'my older ♥.sealed.wasm'"), "as a shell takes it: {sealed}");

    let near = format!("did you mean `{offer}`?");
    for (who, arguments, message, fix) in [
        (
            "publisher",
            &["price", "acme/sketch", "--remove", "nonsense"][..],
            "22 letters",
            "`portcullis price acme/sketch` lists",
        ),
        ("publisher", &["price", "acme/sketch", "--remove", &slip], "there is no offer", near.as_str()),
        ("publisher", &["gift", "acme/sketch", "--offer", &slip], "there is no offer", &near),
        ("user", &["buy", "acme/sketch", "--offer", &slip, "--yes"], "there is no offer", &near),
        (
            "user",
            &["buy", "acme/sketch", "--operation", "veiw", "--yes"],
            "no operation `veiw`",
            "did you mean `view`?",
        ),
        (
            "publisher",
            &["price", "acme/sketch", "--operation", "veiw", "--model", "perpetual", "--price", "1.00EUR"],
            "which no version on sale has",
            "did you mean `view`?",
        ),
        (
            "publisher",
            &["gift", "acme/sketch", "--void", "nonsense"],
            "22 letters",
            "`portcullis gift acme/sketch --list`",
        ),
        (
            "user",
            &["price", "acme/sketch", "--operation", "view", "--model", "perpetual", "--price", "0.01EUR"],
            "`acme` belongs to another account: you are signed in to",
            "portcullis login",
        ),
        ("user", &["gift", "acme/sketch", "--operation", "view"], "belongs to another account", "portcullis login"),
        ("user", &["gift", "acme/sketch", "--list"], "belongs to another account", "portcullis login"),
        ("user", &["withdraw", "acme/sketch@1.0.0", "--yes"], "as user@example.com", "portcullis login"),
        ("publisher", &["publish", "sketch/portcullis.toml"], "is not a sealed resource", "`portcullis seal`"),
        ("publisher", &["publish", "sketch/build/sketch.wasm"], "is not a sealed resource", "`portcullis seal`"),
        ("publisher", &["verify", "cut.sealed.wasm"], "is not as its publisher signed it", "copy or fetch it again"),
        ("publisher", &["publish", "changed.sealed.wasm"], "is damaged, moved or forged", "`portcullis seal`"),
        ("publisher", &["publish", older], "not newer than 1.0.0", "above 1.0.0"),
        ("publisher", &["publish", file, "--project", "nowhere"], "nowhere", "portcullis.toml"),
    ] {
        let said = refused(who, arguments);
        assert!(said.0.contains(message) && said.1.contains(fix), "{arguments:?}: {said:?}");
        assert!(!said.1.contains("nstall it again"), "{arguments:?}: {said:?}");
    }
    // What the store would refuse once it is there is not sent.
    let changed = stage.run("publisher", &["publish", "changed.sealed.wasm"]);
    assert!(!String::from_utf8_lossy(&changed.stderr).contains("uploading"), "found before");
    let listed = stage.succeed("publisher", &["gift", "acme/sketch", "--list"]);
    assert_eq!(String::from_utf8_lossy(&listed.stderr), "no codes were made for acme/sketch\n");
    // What was withdrawn is not unknown.
    stage.succeed("user", &["install", "acme/sketch"]);
    stage.succeed("publisher", &["withdraw", "acme/sketch@1.0.0", "--yes"]);
    let updated = stage.succeed("user", &["update"]);
    assert!(String::from_utf8_lossy(&updated.stdout).contains("was withdrawn, and there is no newer version"));
    stage.succeed("user", &["remove", "acme/sketch"]);
    for arguments in [&["run", "--invoke", "view()", "acme/sketch"][..], &["install", "acme/sketch"]] {
        let output = stage.run("user", arguments);
        assert_eq!(output.status.code(), Some(31), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // Nobody is signed in any more, and where is known.
    stage.succeed("user", &["logout"]);
    let (_, fix) = refused("user", &["receipts", "--server", stage.origin()]);
    assert!(fix.contains(&format!("portcullis login {}", stage.origin())), "{fix}");
}

#[test]
fn a_store_is_sealed_for_by_its_own_file() {
    let stage = Stage::with_store();
    guest::project(&stage.path("sketch"), "1.0.0");
    stage.succeed("publisher", &["keygen"]);
    let url = format!("{}/.well-known/portcullis", stage.origin());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let known = runtime.block_on(async { reqwest::get(url).await.expect("answer").bytes().await.expect("body") });
    std::fs::write(stage.path("store.json"), &known).expect("written");
    let sealed =
        stage.succeed("publisher", &["--json", "seal", "sketch", "--advisory-metering", "--server", "store.json"]);
    let sealed: serde_json::Value = serde_json::from_slice(&sealed.stdout).expect("JSON");
    assert_eq!(sealed["servers"][0], stage.origin());
    // The same file with a root that did not sign it is no store's.
    let mut forged: serde_json::Value = serde_json::from_slice(&known).expect("JSON");
    forged["root"]["x"] = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into();
    std::fs::write(stage.path("forged.json"), forged.to_string()).expect("written");
    let refused = stage.run("publisher", &["seal", "sketch", "--advisory-metering", "--server", "forged.json"]);
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
}

/// What `change-key` advises does what it says, each time.
#[cfg(unix)]
#[test]
fn the_key_that_is_used_without_being_named_follows_as_it_is_advised() {
    let stage = Stage::with_sketch();
    let usual = stage.path("publisher/publisher.jwk");
    let read = |path: &std::path::Path| std::fs::read(path).expect("a key");
    let first = read(&usual);
    for name in ["second.jwk", "third.jwk"] {
        stage.succeed("publisher", &["keygen", "--output", name]);
        let before = read(&usual);
        let changed = stage.succeed("publisher", &["change-key", "acme", name]);
        let text = String::from_utf8_lossy(&changed.stdout).into_owned();
        let advice = text.lines().find(|line| line.contains("Without `--key`")).expect("advice");
        let command = advice.split('`').nth(3).expect("a command");
        let done = std::process::Command::new("sh").args(["-c", command]).current_dir(stage.path("")).status();
        assert!(done.expect("sh").success(), "{command}");
        assert_eq!(read(&usual), read(&stage.path(name)), "{command}");
        assert_ne!(read(&usual), before);
        // It is said again that it is in use, and nothing is left to advise.
        let again = stage.succeed("publisher", &["change-key", "acme", name]);
        let text = String::from_utf8_lossy(&again.stdout).into_owned();
        assert!(text.contains("in use") && !text.contains("Without `--key`"), "{text}");
    }
    assert_eq!(read(&stage.path("publisher/publisher.1.jwk")), first, "no key is lost");
    assert_ne!(read(&stage.path("publisher/publisher.2.jwk")), first);
}

/// Nobody stands for what he mistyped, and nothing goes up that the store would refuse.
#[test]
fn what_is_left_out_is_there_and_what_another_key_sealed_does_not_go_up() {
    let stage = Stage::with_sketch();
    stage.succeed("publisher", &["keygen", "--output", "new.jwk"]);
    let change =
        |without: &str| stage.said("publisher", &["change-key", "acme", "new.jwk", "--yes", "--without", without]);
    for mistyped in ["acme/sketch@9.9.9", "acme/scetch", "nope"] {
        let (code, text) = change(mistyped);
        assert_eq!(code, Some(2), "{mistyped}: {text}");
        assert!(text.contains("acme/sketch@1.0.0"), "what there is: {text}");
    }
    let (code, text) = change("acme/sketch@1.0.0");
    assert!(code == Some(0) && text.contains("left out"), "{text}");
    stage.succeed("publisher", &["change-key", "acme", "new.jwk", "--yes"]);
    let (code, text) = change("sketch");
    assert!(code == Some(1) && text.contains("stands for") && text.contains("portcullis withdraw"), "{text}");
    // The old key is still the usual one.
    crate::guest::project(&stage.path("sketch"), "1.1.0");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering", "-o", "old.wasm"]);
    let refused = stage.run("publisher", &["publish", "old.wasm"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("in use") && text.contains("seal --key"), "{text}");
    assert!(!text.contains("uploading"), "{text}");
}

#[test]
fn those_who_trust_the_old_key_follow_to_the_new_one() {
    let stage = Stage::with_sketch();
    for who in ["user", "reader"] {
        stage.login(who);
        stage.succeed(who, &["install", "acme/sketch"]);
    }
    stage.login("viewer");
    let view = ["run", "--invoke", "preview()", "acme/sketch"];
    stage.succeed("viewer", &view);
    let mut said = Transcript::of(&stage, "publisher");
    said.run(&["change-key", "acme", "publisher-home-has-no-such.jwk"]);
    said.run(&["keygen", "--output", "new.jwk"]);
    crate::guest::project(&stage.path("sketch"), "1.1.0");
    let next = ["seal", "sketch", "--advisory-metering", "--key", "new.jwk"];
    said.run(&next);
    assert_ne!(said.run(&["publish", "sketch-1.1.0.sealed.wasm", "--key", "new.jwk"]), 0, "nobody vouches for it");
    said.run(&["change-key", "acme", "new.jwk", "--key", "new.jwk"]);
    said.run(&["change-key", "nobody", "new.jwk"]);
    assert_eq!(said.run(&["change-key", "acme", "new.jwk"]), 0);
    assert_eq!(said.run(&["change-key", "acme", "new.jwk"]), 0, "again, it stands for more");
    assert_eq!(said.run(&["publish", "sketch-1.1.0.sealed.wasm", "--key", "new.jwk"]), 0);
    said.check("change-key");
    let updated = stage.succeed("user", &["--json", "update", "sketch"]);
    let updated = String::from_utf8_lossy(&updated.stdout).into_owned();
    assert!(updated.contains("\"to\": \"1.1.0\"") && updated.contains("\"vouched\""), "{updated}");
    // The key that is followed to is shown, however the resource is taken; and once.
    let new = "a new key, for which the old one vouches";
    let updated = stage.succeed("reader", &["update"]);
    let said = String::from_utf8_lossy(&updated.stdout).into_owned();
    assert!(said.contains("publisher key ") && said.contains(new), "{said}");
    for is_new in [true, false] {
        let said = String::from_utf8_lossy(&stage.succeed("viewer", &view).stderr).into_owned();
        assert_eq!(said.contains(new), is_new, "{said}");
    }
}
