//! An operator finds what somebody writes about.

use crate::stage::Stage;
use serde_json::Value;
use std::process::Command;

/// Runs `operator find` beside the running server.
fn find(stage: &Stage, words: &str) -> Result<Value, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-server"));
    command.args(["operator", "--json", "--dir"]).arg(stage.folder.path());
    command.args(["find", words]).env("PORTCULLIS_SERVER_ORIGIN", stage.origin.as_str());
    if let Some(database) = &stage.running.app().config.database {
        command.env("PORTCULLIS_SERVER_DATABASE", database.to_string());
    }
    let output = command.output();
    let output = output.expect("runs");
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[tokio::test]
async fn by_what_a_person_knows() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    stage.customer("bob@example.org").await;
    let order = shop.buy(&mut customer, "view").await;

    let by_address = find(&stage, "Ada@example.org").expect("an account");
    assert_eq!(by_address["accounts"][0]["email"], "ada@example.org");
    assert_eq!(by_address["orders"][0]["order"], order.order.to_string());
    assert_eq!(by_address["accounts"].as_array().map(Vec::len), Some(1), "nobody else");

    let by_order = find(&stage, &order.order.to_string()).expect("an order");
    assert_eq!((&by_order["orders"], &by_order["accounts"]), (&by_address["orders"], &by_address["accounts"]));
    let account = by_address["accounts"][0]["account"].as_str().expect("an identifier").to_owned();
    assert_eq!(find(&stage, &account).expect("an account")["accounts"], by_address["accounts"]);

    let digest = shop.resource.to_string();
    for words in [digest.as_str(), "lumen/alpine-lake", "lumen", "alpine lake", "Alpine"] {
        let found = find(&stage, words).expect(words);
        assert_eq!(found["resources"][0]["resource"], digest.as_str(), "{words}");
    }
    assert_eq!(find(&stage, "lumen").expect("a publisher")["publishers"][0]["owner"], "lumen@example.org");

    for words in ["nobody@example.org", "AAAAAAAAAAAAAAAAAAAAAA", "zyxw", "lumen/nothing"] {
        let said = find(&stage, words).expect_err(words);
        assert!(said.contains("nothing is known") && said.contains("e-mail address"), "{said}");
    }
    stage.stop().await;
}
