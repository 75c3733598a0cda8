//! A lost machine is shut out, and everything is signed out, from the command line.

use crate::stage::{Stage, everything};
use serde_json::Value;

/// A stage with two machines of one account: `laptop`, and `user`.
fn two_machines() -> Stage {
    let stage = Stage::with_store();
    stage.login("user");
    std::fs::rename(stage.path("user"), stage.path("laptop")).expect("another home");
    stage.login("user");
    stage
}

fn listed(stage: &Stage, who: &str) -> Vec<Value> {
    let listed = stage.succeed(who, &["--json", "terminals"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    listed["terminals"].as_array().expect("a list").clone()
}

#[test]
fn a_lost_terminal_is_revoked_from_another_one() {
    let stage = two_machines();
    let terminals = listed(&stage, "user");
    let states: Vec<&str> = terminals.iter().filter_map(|line| line["state"].as_str()).collect();
    assert_eq!(states, ["signed-in", "signed-in"]);
    assert!(terminals[0]["current"] == true && terminals[1]["current"] == false);
    let text = everything(&stage.succeed("user", &["terminals", "list"]));
    assert!(text.contains("this one") && text.contains("browsers are signed in"), "{text}");

    let both = stage.run("user", &["terminals", "revoke", "desk", "--yes"]);
    assert!(both.status.code() == Some(1) && everything(&both).contains("several terminals"), "{}", everything(&both));
    let lost = terminals[1]["id"].as_str().expect("an identifier");
    let unasked = stage.run("user", &["terminals", "revoke", lost]);
    assert!(
        unasked.status.code() == Some(1) && everything(&unasked).contains("nobody can be asked"),
        "{}",
        everything(&unasked)
    );
    assert!(everything(&unasked).contains(&format!("terminals revoke {lost} --yes`")), "{}", everything(&unasked));
    let unasked = stage.run("user", &["terminals", "--server", stage.origin(), "revoke", lost]);
    let command = format!("portcullis terminals --server {} revoke {lost} --yes`", stage.origin());
    assert!(everything(&unasked).contains(&command), "{}", everything(&unasked));
    let none = stage.run("user", &["terminals", "revoke", "nonsense", "--yes"]);
    assert!(
        none.status.code() == Some(1) && everything(&none).contains("portcullis terminals"),
        "{}",
        everything(&none)
    );
    stage.succeed("laptop", &["whoami"]);

    stage.succeed("user", &["--json", "terminals", "revoke", lost, "--yes"]);
    let refused = stage.run("laptop", &["whoami"]);
    assert!(everything(&refused).contains("revoked"), "{}", everything(&refused));
    // Its keys are gone by now, and it still knows why.
    let sign_in = format!("`portcullis login {}`", stage.origin());
    for command in ["whoami", "grants", "receipts"] {
        let refused = stage.run("laptop", &[command]);
        let said = everything(&refused);
        assert_eq!(refused.status.code(), Some(23), "{command}: {said}");
        assert!(said.contains("terminal-revoked") && said.contains(&sign_in), "{command}: {said}");
    }
    let diagnosis = everything(&stage.run("laptop", &["doctor"]));
    assert!(diagnosis.contains("This terminal was revoked"), "{diagnosis}");
    assert!(diagnosis.contains(&format!("portcullis login {}", stage.origin())), "{diagnosis}");
    stage.login("laptop");
    stage.succeed("laptop", &["whoami"]);
    stage.succeed("user", &["whoami"]);
    let states: Vec<String> = listed(&stage, "user").iter().map(|line| line["state"].to_string()).collect();
    assert_eq!(states, ["\"signed-in\"", "\"revoked\""]);
    let again = stage.run("user", &["terminals", "revoke", lost, "--yes"]);
    assert!(again.status.code() == Some(1) && everything(&again).contains("before"), "{}", everything(&again));
    // Its name is that of one terminal again.
    let words = terminals[0]["words"].as_str().expect("words");
    let own = everything(&stage.succeed("user", &["terminals", "revoke", words, "--yes"]));
    assert!(own.contains("this very terminal") && own.contains("portcullis login"), "{own}");
    assert_eq!(stage.run("user", &["whoami"]).status.code(), Some(23));
}

#[test]
fn signed_out_everywhere_from_one_of_them() {
    let stage = two_machines();
    let out = everything(&stage.succeed("laptop", &["logout", "--everywhere"]));
    assert!(out.contains("signed out everywhere") && !out.contains("could not be told"), "{out}");
    for who in ["laptop", "user"] {
        let refused = stage.run(who, &["whoami"]);
        assert_eq!(refused.status.code(), Some(24), "{who}: {}", everything(&refused));
    }
    stage.login("user");
    let states: Vec<String> = listed(&stage, "user").iter().map(|line| line["state"].to_string()).collect();
    assert_eq!(states, ["\"signed-in\"", "\"signed-out\""], "both are enrolled still");
}
