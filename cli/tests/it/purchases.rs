//! What is bought, and what is not bought twice, not sold, and not priced.

use crate::stage::{Stage, everything};
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
    // A page that there is not is no store that is down, and the first one is the plain search.
    for page in ["2", "4294967295"] {
        let page = stage.run("user", &["search", "--page", page]);
        let text = String::from_utf8_lossy(&page.stderr).into_owned();
        assert!(page.status.code() == Some(1) && text.contains("ends with page 1"), "{text}");
    }
    let plain = stage.succeed("user", &["search"]).stdout;
    assert_eq!(stage.succeed("user", &["search", "--page", "1"]).stdout, plain);
    assert!(String::from_utf8_lossy(&plain).contains("acme/sketch"));
    assert_eq!(stage.run("user", &["search", "--page", "0"]).status.code(), Some(2));
    // A kind that nothing has is a slip, or one that a publisher named.
    for (kind, says) in [("musik", "--kind music"), ("hologram", "software"), ("music", "nothing found")] {
        let found = stage.run("user", &["search", "--kind", kind]);
        let text = String::from_utf8_lossy(&found.stderr).into_owned();
        assert!(found.status.success() && text.contains("nothing found") && text.contains(says), "{text}");
    }
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

/// What ends by itself is used first, and who holds both is told so.
#[test]
fn a_rental_comes_before_uses_and_says_so() {
    let stage = Stage::with_sketch();
    stage.login("user");
    let buy = ["buy", "acme/sketch", "--operation", "count", "--yes"];
    assert!(!everything(&stage.succeed("user", &buy)).contains("begins"), "uses begin with nothing");
    let output = stage.succeed("publisher", &["--json", "price", "acme/sketch"]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let uses = listed["offers"].as_array().expect("offers").iter().find(|offer| offer["operation"] == "count");
    let uses = uses.and_then(|offer| offer["id"].as_str()).expect("an id").to_owned();
    let run = ["run", "--invoke", "add(1, 2)", "acme/sketch"];
    assert!(!everything(&stage.succeed("user", &run)).contains("rental"), "the control: a use is drawn");
    let rental = ["--model", "rental", "--start-within", "30d", "--use-within", "48h", "--price", "1.00 EUR"];
    stage.succeed(
        "publisher",
        &[&["price", "acme/sketch", "--operation", "count", "--revise", &uses], &rental[..]].concat(),
    );
    let bought = everything(&stage.succeed("user", &buy));
    assert!(bought.contains("its first use, which comes before uses"), "{bought}");
    let left = || everything(&stage.succeed("user", &["grants", "acme/sketch"]));
    let (before, ran) = (left(), everything(&stage.succeed("user", &run)));
    assert!(ran.contains("a rental pays for this") && ran.contains("`portcullis grants acme/sketch`"), "{ran}");
    let uses_in = |text: &str| text.lines().find(|line| line.contains("uses left")).map(str::to_owned);
    assert!(before.contains("start it before") && left().contains("until "), "{before}{}", left());
    assert!(uses_in(&before).is_some() && uses_in(&before) == uses_in(&left()), "{before}{}", left());
}

/// Slips in prices, and offers that nobody can take.
#[test]
fn a_price_list_says_what_does_not_fit() {
    let stage = Stage::with_sketch();
    let price =
        |arguments: &[&str]| stage.said("publisher", &[&["price", "acme/sketch", "--operation"], arguments].concat());
    let (code, text) = price(&["veiw", "--model", "perpetual", "--price", "3EUR"]);
    assert!(code != Some(0) && text.contains("did you mean `view`?"), "{text}");
    let (code, text) = price(&["view", "--model", "perpetual", "--price", "1.499 EUR"]);
    assert!(code == Some(2) && text.contains("write as many, as in `1.00 EUR`"), "{text}");
    // What is revised keeps its count; what is added has none.
    let (code, text) = price(&["count", "--model", "uses", "--price", "0.90 EUR"]);
    assert!(code == Some(0) && text.contains("no longer: "), "{text}");
    let (code, text) = price(&["count", "--model", "uses", "--price", "0.90 USD"]);
    assert!(code == Some(2) && text.contains("has no count"), "{text}");
    let (code, text) = price(&["count", "--model", "uses", "--price", "0.95 EUR", "--beside"]);
    assert!(code == Some(2) && text.contains("has no count"), "{text}");
    let (code, text) = price(&["preview", "--model", "perpetual", "--price", "3EUR"]);
    assert!(code == Some(0) && text.contains("preview is free, so nobody can buy it"), "{text}");
    let end = text.split('`').find(|piece| piece.starts_with("portcullis price")).expect("a command");
    let output = stage.succeed("publisher", &end.split(' ').skip(1).collect::<Vec<_>>());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("is free"), "{text}");
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
