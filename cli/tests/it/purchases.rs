//! What is bought, and what is not bought twice, not sold, and not priced.

use crate::stage::Stage;
use crate::transcript::Transcript;

#[test]
fn bought_once_unless_confirmed_and_not_at_all_when_withdrawn() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let mut said = Transcript::of(&stage, "user");
    let buy = ["buy", "acme/sketch", "--operation", "view", "--yes"];
    let pending = [&buy[..], &["--payment", "sandbox:pending"]].concat();
    assert_eq!(said.run(&pending), 0);
    assert_eq!(said.run(&pending), 0, "the same order");
    assert_eq!(said.run(&[&buy[..], &["--again"]].concat()), 0);
    assert_eq!(said.run(&buy), 0, "what is on order is not held yet");
    assert_eq!(said.run(&["top-up", "5.00EUR", "--yes", "--payment", "sandbox:pending"]), 0);
    assert_eq!(said.run(&["top-up", "5.00EUR", "--yes"]), 0, "the same order");
    assert_eq!(said.run(&["top-up", "5.00EUR", "--yes", "--again"]), 0);
    assert_eq!(said.run(&["top-up", "5.00EUE", "--yes"]), 2);
    assert_eq!(said.run(&["top-up", "5.00CLF", "--yes"]), 2, "four decimals");
    assert_eq!(said.run(&["top-up", "5.0000CLF", "--yes"]), 20, "not sold in");
    stage.succeed("publisher", &["withdraw", "acme/sketch@1.0.0", "--yes"]);
    assert_eq!(said.run(&buy), 31);
    said.check("purchases");
}

#[test]
fn more_of_what_is_counted_is_ordered_by_who_says_so_and_an_order_is_given_up() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let mut said = Transcript::of(&stage, "user");
    let buy = ["buy", "acme/sketch", "--operation", "count", "--yes"];
    let output = stage.succeed("user", &[&["--json"], &buy[..], &["--payment", "sandbox:redirect"]].concat());
    let ordered: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let order = ordered["order"].as_str().expect("an order");
    assert_eq!(said.run(&buy), 38, "one is not paid");
    assert_eq!(said.run(&[&buy[..], &["--again", "--payment", "sandbox:pending"]].concat()), 0);
    assert_eq!(said.run(&["cancel", order]), 0);
    assert_eq!(said.run(&["cancel", order]), 0, "it is given up");
    assert_eq!(said.run(&["cancel", "AAAAAAAAAAAAAAAAAAAAAA"]), 1, "there is none");
    assert_eq!(said.run(&["cancel", "it"]), 2);
    // A page that there is not is no store that is down.
    let page = stage.run("user", &["search", "--page", "2"]);
    let text = String::from_utf8_lossy(&page.stderr).into_owned();
    assert!(page.status.code() == Some(1) && text.contains("no such page"), "{text}");
    // The store names the other one, and what is paid stays.
    let refused = stage.run("user", &[&["--json"], &buy[..]].concat());
    let text = [refused.stdout, refused.stderr].concat();
    let refused: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let other = refused["error"]["more"]["order"].as_str().expect("an order");
    assert_ne!(other, order);
    stage.succeed("user", &["cancel", other]);
    assert_eq!(said.run(&buy), 0);
    let output = stage.succeed("user", &["--json", "receipts"]);
    let receipts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let paid = receipts["receipts"][0]["order"].as_str().expect("an order");
    assert_eq!(said.run(&["cancel", paid]), 1, "it is paid");
    said.check("given-up");
}

/// A price that is set ends no other one unsaid.
#[test]
fn an_offer_that_is_revised_is_named_and_others_stand_beside_it() {
    let stage = Stage::with_sketch();
    let mut said = Transcript::of(&stage, "publisher");
    let price = |price: &'static str, count: &'static str| {
        ["price", "acme/sketch", "--operation", "count", "--model", "uses", "--count", count, "--price", price].to_vec()
    };
    assert_eq!(said.run(&price("0.80 EUR", "5")), 0, "revised");
    assert_eq!(said.run(&price("0.80 EUR", "5")), 0, "as it was");
    assert_eq!(said.run(&price("0.90 USD", "5")), 0, "another currency");
    assert_eq!(said.run(&[price("1.40 EUR", "10"), vec!["--beside"]].concat()), 0);
    assert_eq!(said.run(&price("0.70 EUR", "5")), 2, "which one?");
    let output = stage.succeed("publisher", &["--json", "price", "acme/sketch"]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let offers = listed["offers"].as_array().expect("offers");
    let id_of = |price: &str| {
        let found = offers.iter().find(|offer| offer["price"] == price).expect("an offer");
        found["id"].as_str().expect("an id").to_owned()
    };
    let (cheap, view) = (id_of("0.80 EUR"), id_of("1.99 EUR"));
    assert_eq!(said.run(&[price("0.70 EUR", "5"), vec!["--revise", &cheap]].concat()), 0);
    assert_eq!(said.run(&[price("0.70 EUR", "5"), vec!["--revise", &view]].concat()), 2, "of another operation");
    assert_eq!(said.run(&[price("0.70 EUR", "5"), vec!["--beside"]].concat()), 2, "there is that one");
    // Of another model, the title is another one.
    let rental = ["--model", "rental", "--start-within", "36h", "--use-within", "48h", "--price", "1.99 EUR"];
    assert_eq!(
        said.run(&[&["price", "acme/sketch", "--operation", "view"], &rental[..], &["--revise", &view]].concat()),
        0
    );
    assert_eq!(said.run(&["price", "acme/sketch", "--remove", &view]), 0, "ended, and how it is offered again");
    // What is said there is so.
    let again = ["--model", "rental", "--start-within", "1day 12h", "--use-within", "2days", "--price", "1.99 EUR"];
    let again = [&["price", "acme/sketch", "--operation", "view"], &again[..], &["--beside"]].concat();
    assert_eq!(said.run(&again), 0);
    said.check("prices");
}

#[test]
fn versions_and_prices_that_a_store_does_not_take() {
    let stage = Stage::with_sketch();
    let mut said = Transcript::of(&stage, "publisher");
    crate::guest::project(&stage.path("sketch"), "1.0.0+fix1");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering", "--output", "fix.sealed.wasm"]);
    assert_eq!(said.run(&["publish", "fix.sealed.wasm", "--project", "sketch"]), 1, "the same precedence");
    let price = |price: &'static str| {
        ["price", "acme/sketch", "--operation", "view", "--model", "perpetual", "--price", price].to_vec()
    };
    assert_eq!(said.run(&price("1.00 EUE")), 2);
    assert_eq!(said.run(&price("1.0000 CLF")), 1);
    assert_eq!(
        said.run(&["price", "acme/sketch", "--operation", "view", "--model", "free"]),
        1,
        "`full` is not public"
    );
    // A later version opens the same part by another operation, too.
    let project = std::fs::read_to_string(stage.path("sketch/portcullis.toml")).expect("the project");
    let count = project
        .replace("1.0.0+fix1", "1.1.0")
        .replace("parts = [\"viewer\"]\n\n[[part]]", "parts = [\"viewer\", \"full\"]\n\n[[part]]");
    std::fs::write(stage.path("sketch/portcullis.toml"), count).expect("written");
    stage.succeed("publisher", &["seal", "sketch", "--advisory-metering", "--output", "count.sealed.wasm"]);
    stage.succeed("publisher", &["publish", "count.sealed.wasm", "--project", "sketch"]);
    assert_eq!(said.run(&["inspect", "acme/sketch@1.0.0"]), 0, "1.1.0's part opens for less");
    assert_eq!(said.run(&["--json", "inspect", "acme/sketch"]), 0);
    said.check("versions-and-prices");
}
