//! Codes that a publisher gives away, from the batch to the run.

use crate::stage::Stage;
use serde_json::Value;

fn json(stage: &Stage, who: &str, arguments: &[&str]) -> Value {
    let output = stage.succeed(who, &[&["--json"][..], arguments].concat());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn made_by_the_publisher_and_redeemed_by_a_user_who_runs_it() {
    let mut stage = Stage::with_sketch();
    stage.login("user");
    let gift = ["gift", "acme/sketch", "--operation", "view", "--count", "3", "--note", "press", "--expires", "90days"];
    let made = json(&stage, "publisher", &gift);
    let codes = made["codes"].as_array().expect("codes");
    assert_eq!(codes.len(), 3);
    let code = |at: usize| codes[at]["code"].as_str().expect("a code").to_owned();

    for never in ["0s", "9000years", "yesterday"] {
        let refused = stage.run("publisher", &["gift", "acme/sketch", "--operation", "view", "--expires", never]);
        assert_eq!(refused.status.code(), Some(2), "{never}");
    }
    stage.succeed("user", &["install", "acme/sketch"]);
    let run = ["run", "--invoke", "view()", "-o", "full.txt", "acme/sketch"];
    assert_eq!(stage.run("user", &run).status.code(), Some(20), "the control: nothing is held");
    let slip = stage.run("user", &["redeem", "00000-00000-00000-00000"]);
    assert_eq!(slip.status.code(), Some(2), "a slip is found before the store is asked");
    let redeemed = json(&stage, "user", &["redeem", &code(0).to_lowercase()]);
    assert_eq!((redeemed["name"].as_str(), redeemed["operation"].as_str()), (Some("acme/sketch"), Some("view")));
    stage.succeed("user", &run);
    assert_eq!(stage.run("user", &["redeem", &code(1)]).status.code(), Some(38), "it is held already");

    let batch = made["batch"].as_str().expect("a batch");
    let voided = json(&stage, "publisher", &["gift", "acme/sketch", "--void", batch]);
    assert_eq!(voided["void"], 2);
    assert_eq!(stage.run("publisher", &["redeem", &code(1)]).status.code(), Some(54), "taken back");
    let again = stage.succeed("publisher", &["gift", "acme/sketch", "--void", batch]);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(text.contains("nothing of batch") && text.contains("1 redeemed, 2 void before"), "{text}");
    let listed = json(&stage, "publisher", &["gift", "acme/sketch", "--list"]);
    let batch = &listed["batches"][0];
    assert_eq!((&batch["redeemed"], &batch["void"], &batch["note"]), (&1.into(), &2.into(), &"press".into()));
    assert_eq!(batch["gives"], "view: for good");
    // What each gives is said, and goes on to be when its offer has ended.
    let cheaper = ["price", "acme/sketch", "--operation", "view", "--model", "perpetual", "--price", "0.99 EUR"];
    stage.succeed("publisher", &cheaper);
    let output = stage.succeed("publisher", &["gift", "acme/sketch", "--list"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("view: for good") && table.contains("UTC"), "{table}");
    let codes = json(&stage, "user", &["codes"]);
    assert_eq!(codes["codes"].as_array().map(Vec::len), Some(0), "a gift is no order of codes");
    let strange = stage.run("user", &["pay", "https://store.example/pay/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]);
    assert_eq!(strange.status.code(), Some(1), "a store that nobody signed in to");
    let text = String::from_utf8_lossy(&strange.stderr).into_owned();
    assert!(text.contains("not a store that you have signed in to"), "{text}");

    // What gives nothing more says so, well within the time in which an answer may have got lost.
    stage.restart_store(20);
    let output = stage.succeed("user", &["redeem", &code(0)]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("redeemed before") && text.contains("gives nothing more"), "{text}");
    assert!(text.contains("portcullis inspect acme/sketch"), "it is installed: {text}");
}
