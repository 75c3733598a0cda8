//! What is sold by the unit: paid in, asked about, drawn.

use crate::stage::Stage;
use crate::transcript::Transcript;

/// A store where `count` costs 0.02 EUR per unit and nothing else, and a user who installed it.
fn stage() -> Stage {
    let stage = Stage::with_sketch();
    let listed = stage.succeed("publisher", &["--json", "price", "acme/sketch"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let offers = listed["offers"].as_array().expect("offers");
    let uses = offers.iter().find(|offer| offer["model"] == "uses").expect("the offer of uses");
    stage.succeed("publisher", &["price", "acme/sketch", "--remove", uses["id"].as_str().expect("an identifier")]);
    let metered = ["price", "acme/sketch", "--operation", "count", "--model", "metered", "--price", "0.02EUR"];
    stage.succeed("publisher", &metered);
    stage
}

const RUN: &[&str] = &["run", "--invoke", "add(40, 2)", "sketch"];

fn run_up_to(cap: &str) -> Vec<&str> {
    ["run", "--max-spend", cap, "--invoke", "add(40, 2)", "sketch"].to_vec()
}

#[test]
fn paid_in_and_drawn() {
    let stage = stage();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    let mut said = Transcript::of(&stage, "user");
    said.run(&["balance"]);
    assert_eq!(said.run(RUN), 20, "nobody agreed");
    assert_eq!(said.run(&run_up_to("1.00EUR")), 33, "nothing was paid in");
    assert_eq!(said.run(&["buy", "sketch", "--operation", "count", "--yes"]), 1);
    assert_eq!(said.run(&["top-up", "0.00EUR"]), 2);
    assert_eq!(said.run(&["top-up", "5.00EUR"]), 1, "nobody agreed");
    assert_eq!(said.run(&["top-up", "5.00EUR", "--yes", "--payment", "sandbox:decline"]), 20);
    assert_eq!(said.run(&["top-up", "5.00EUR", "--yes", "--payment", "sandbox:pending"]), 0);
    assert_eq!(said.run(&["top-up", "10000000000.00EUR", "--yes"]), 20, "no room for it");
    assert_eq!(said.run(&["top-up", "0.03EUR", "--yes", "--payment", "sandbx:ok"]), 20);
    assert_eq!(said.run(&["top-up", "0.03EUR", "--yes"]), 0);
    assert_eq!(said.run(&run_up_to("0.01EUR")), 38, "beyond the cap nothing goes out");
    assert_eq!(said.run(&run_up_to("1.00USD")), 38, "and nothing in another currency");
    assert_eq!(said.run(&run_up_to("0.02EUR")), 0);
    assert_eq!(said.run(&run_up_to("0.02EUR")), 33, "one cent is left");
    said.run(&["balance"]);
    said.run(&["grants", "sketch"]);
    said.run(&["receipts"]);
    said.run(&["--json", "top-up", "1.00EUR", "--yes"]);
    said.run(&["--json", "balance"]);
    said.run(&["--json", "receipts"]);
    said.run(&["--json", "run", "--invoke", "add(40, 2)", "sketch"]);
    said.run(&["--json", "run", "--max-spend", "1.00EUR", "--invoke", "add(40, 2)", "sketch"]);
    said.check("metered");
}

/// What was refunded, and what is used up, does not keep anybody from paying by the unit; who may choose is told of
/// every way.
#[test]
fn what_was_taken_back_bars_no_other_way_to_pay() {
    let stage = Stage::with_sketch();
    let metered = ["price", "acme/sketch", "--operation", "count", "--model", "metered", "--price", "0.02EUR"];
    stage.succeed("publisher", &metered);
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    stage.succeed("user", &["top-up", "1.00EUR", "--yes"]);
    stage.succeed("user", &["buy", "sketch", "--operation", "count", "--yes"]);
    let receipts = stage.succeed("user", &["--json", "receipts"]);
    let receipts: serde_json::Value = serde_json::from_slice(&receipts.stdout).expect("JSON");
    stage.operator(&["order", "refund", receipts["receipts"][0]["order"].as_str().expect("an order")]);
    let refused = stage.run("user", RUN);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(36), "{said}");
    assert!(said.contains("--max-spend") && said.contains("portcullis buy acme/sketch --operation count"), "{said}");
    stage.succeed("user", &run_up_to("0.02EUR"));
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_it_asks_before_money_moves() {
    let stage = stage();
    stage.login("user");
    stage.succeed("user", &["install", "acme/sketch"]);
    stage.succeed("user", &["top-up", "1.00EUR", "--yes"]);
    let question = "Costs 0.02 EUR per unit; this run takes 1: 0.02 EUR. Spent so far 0.00 EUR. Go on?";
    let left = || {
        let balance = stage.succeed("user", &["--json", "balance"]).stdout;
        let balance: serde_json::Value = serde_json::from_slice(&balance).expect("JSON");
        balance["balances"][0]["balance"].as_str().expect("a balance").to_owned()
    };
    let (choices, amount) = ("Go on? [y/N/a(lways up to a cap)] ", "[amount] ");
    for (typed, code, after) in [
        (&[(choices, "n\n")][..], 20, "1.00 EUR"),
        (&[(choices, "\n")], 20, "1.00 EUR"),
        (&[(choices, "\u{4}")], 20, "1.00 EUR"),
        (&[(choices, "a\n"), (amount, "0.01EUR\n")], 20, "1.00 EUR"),
        (&[(choices, "a\n"), (amount, "no idea\n")], 20, "1.00 EUR"),
        (&[(choices, "y\n")], 0, "0.98 EUR"),
        (&[(choices, "a\n"), (amount, "0.50EUR\n")], 0, "0.96 EUR"),
    ] {
        let (ended, said) = crate::prompt::type_in(&stage, RUN, typed);
        assert!(said.contains(question), "{said}");
        assert_eq!((ended, left().as_str()), (Some(code), after), "{typed:?}: {said}");
    }
    let (ended, said) = crate::prompt::type_in(&stage, &["top-up", "2.00EUR"], &[("Pay 2.00 EUR? [y/N] ", "y\n")]);
    assert_eq!((ended, left().as_str()), (Some(0), "2.96 EUR"), "{said}");
}
