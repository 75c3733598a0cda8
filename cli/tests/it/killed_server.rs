//! The store is killed right after it has committed what was asked, and its answer never leaves. Whoever asked waits,
//! asks again under the same key, and gets the answer.

use crate::browser;
use crate::stage::Stage;
use serde_json::Value;
use std::process::Output;

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

/// Dies there, comes back, and the command ends as if nothing had been.
fn survives(stage: &mut Stage, who: &str, arguments: &[&str], point: &str) -> Value {
    let arguments = [&["--json"], arguments].concat();
    let output = stage.run_killing_the_store(who, &arguments, point);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{point}, {arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    if said.trim().is_empty() { Value::Null } else { json(&output) }
}

/// Begins a sign-in, which somebody approves, and leaves it to be completed.
fn approved(stage: &Stage, who: &str) {
    let begun =
        json(&stage.run(who, &["--json", "login", "--no-wait", stage.origin(), "--fingerprint", stage.words()]));
    let text = |member: &str| begun[member].as_str().expect("a text").to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let email = format!("{who}@example.com");
    runtime.block_on(browser::approve(stage.origin(), &email, &text("user_code"), &text("terminal_words")));
}

#[test]
fn every_publishing_verb_gets_its_answer() {
    let mut stage = Stage::with_store();
    stage.login("publisher");
    stage.succeed("publisher", &["keygen"]);
    crate::guest::project(&stage.path("sketch"), "1.0.0");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering", "--output", "one.wasm"]);
    let publish = ["publish", "one.wasm", "--project", "sketch"];
    survives(&mut stage, "publisher", &publish, "publisher.claim.after-commit");
    crate::guest::project(&stage.path("sketch"), "1.1.0");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering", "--output", "two.wasm"]);
    survives(&mut stage, "publisher", &["publish", "two.wasm"], "resource.publish.after-commit");
    // Another price each time: the one that there is would change nothing.
    for (price, point) in [("2.97 EUR", "offers.replace"), ("2.98 EUR", "answer.begin"), ("2.99 EUR", "answer.finish")]
    {
        let price = ["price", "acme/sketch", "--operation", "view", "--model", "perpetual", "--price", price];
        survives(&mut stage, "publisher", &price, &format!("{point}.after-commit"));
    }
    let listed =
        String::from_utf8_lossy(&stage.run("publisher", &["--json", "price", "acme/sketch"]).stdout).into_owned();
    assert!(listed.contains("2.99 EUR"), "{listed}");
    let withdraw = ["withdraw", "acme/sketch@1.0.0", "--reason", "a better one is there", "--yes"];
    survives(&mut stage, "publisher", &withdraw, "resource.withdraw.after-commit");
}

#[test]
fn every_buying_verb_gets_its_answer_and_pays_once() {
    let mut stage = Stage::with_sketch();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    let buy = ["buy", "sketch", "--operation", "count", "--yes"];
    survives(&mut stage, "user", &buy, "order.open.after-commit");
    survives(&mut stage, "user", &buy, "order.settle.after-commit");
    survives(&mut stage, "user", &["top-up", "5.00 EUR", "--yes"], "top-up.open.after-commit");
    let receipts = json(&stage.run("user", &["--json", "receipts"]));
    let count = |list: &str| receipts[list].as_array().map_or(0, Vec::len);
    assert_eq!((count("receipts"), count("top_ups")), (2, 1), "{receipts}");
}

#[test]
fn a_sign_in_survives_the_loss_of_each_answer() {
    let mut stage = Stage::with_store();
    for (who, point) in [("ada", "device.poll.after-commit"), ("bob", "terminal.enrol.after-commit")] {
        approved(&stage, who);
        let origin = stage.origin().to_owned();
        let signed_in = survives(&mut stage, who, &["login", &origin], point);
        assert_eq!(signed_in["account"], format!("{who}@example.com"), "{point}");
        let terminals = json(&stage.run(who, &["--json", "whoami"]));
        assert!(terminals.to_string().contains(&format!("{who}@example.com")), "{terminals}");
    }
    // The first answer of all.
    let origin = stage.origin().to_owned();
    let words = stage.words().to_owned();
    let begin = ["login", "--no-wait", &origin, "--fingerprint", &words];
    let begun = survives(&mut stage, "eve", &begin, "device.create.after-commit");
    assert_eq!(begun["pending"], true);
}
