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

#[test]
fn those_who_trust_the_old_key_follow_to_the_new_one() {
    let stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
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
    assert_ne!(said.run(&["change-key", "acme", "new.jwk"]), 0, "the old key is in use no longer");
    assert_eq!(said.run(&["publish", "sketch-1.1.0.sealed.wasm", "--key", "new.jwk"]), 0);
    said.check("change-key");
    let updated = stage.succeed("user", &["--json", "update", "sketch"]);
    let updated = String::from_utf8_lossy(&updated.stdout).into_owned();
    assert!(updated.contains("\"to\": \"1.1.0\""), "{updated}");
}
