//! An operator finds what somebody writes about.

use crate::codes;
use crate::stage::Stage;
use portcullis_protocol::SecretKey;
use portcullis_server::crypto::secrets::rng;
use portcullis_server::store::{MerchantDecision, MerchantOutcome};
use serde_json::Value;
use std::process::Command;

/// Runs a task of the operator beside the running server.
pub(crate) fn operator(stage: &Stage, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-server"));
    command.args(["operator", "--dir"]).arg(stage.folder.path());
    command.args(arguments).env("PORTCULLIS_SERVER_ORIGIN", stage.origin.as_str());
    command.env("PORTCULLIS_SERVER_PAYMENT_SANDBOX", "true");
    if let Some(database) = &stage.running.app().config.database {
        command.env("PORTCULLIS_SERVER_DATABASE", database.to_string());
    }
    let output = command.output();
    let output = output.expect("runs");
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).expect("text")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Runs `operator find` beside the running server.
fn find(stage: &Stage, words: &str) -> Result<Value, String> {
    operator(stage, &["--json", "find", words]).map(|text| serde_json::from_str(&text).expect("JSON"))
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

/// Somebody writes about a shop, or about what it sells.
#[tokio::test]
async fn merchants_and_products_are_found() {
    let stage = Stage::open().await;
    let core = &stage.running.app().core;
    let games = codes::Shop::new(core, "games").await;
    for words in ["games", "games/game-key", "game-key", "A game"] {
        let found = find(&stage, words).expect(words);
        assert_eq!(found["products"][0]["product"], games.product.to_string(), "{words}");
        assert_eq!((&found["products"][0]["merchant"], &found["products"][0]["sold"]), (&"games".into(), &true.into()));
    }
    let found = find(&stage, "games").expect("a merchant");
    assert_eq!(found["merchants"][0]["email"], "games@example.org");
    let said = operator(&stage, &["find", "games"]).expect("a merchant");
    assert!(said.contains("merchant games  approved  no order in the last hour  https://shop.example/hook"), "{said}");
    assert!(said.contains("games/game-key  A game  20.00 EUR"), "{said}");
    // What nobody may buy is found as well: that is what somebody writes about.
    core.store.decide_merchant(&games.merchant.name, MerchantDecision::Suspend).await.expect("suspended");
    let said = operator(&stage, &["find", "games/game-key"]).expect("a product");
    assert!(said.contains("20.00 EUR  not sold: its merchant is suspended"), "{said}");
    for words in ["zyxw", "games/nothing", "nobody/game-key"] {
        let said = find(&stage, words).expect_err(words);
        assert!(said.contains("MERCHANT/PRODUCT"), "{said}");
    }
    stage.stop().await;
}

/// Who waits for the operator is said to.
#[tokio::test]
async fn the_list_of_merchants_says_who_waits() {
    let stage = Stage::open().await;
    let core = &stage.running.app().core;
    let games = codes::Shop::new(core, "games").await;
    let listed = || operator(&stage, &["merchant", "list"]).expect("a list");
    assert!(!listed().contains("waits"), "the control: {}", listed());
    let owner = games.merchant.owner;
    let key = SecretKey::generate(&mut rng());
    let new = codes::new_merchant(core, "books", &key, owner, "https://books.example/hook");
    let MerchantOutcome::Claimed(books) = core.store.claim_merchant(new).await.expect("claimed") else {
        panic!("the name is taken")
    };
    assert!(
        listed().contains("books  claimed, waits for proof of its endpoint  no order in the last hour"),
        "{}",
        listed()
    );
    assert!(core.store.prove_merchant(&books.id, &books.webhook).await.expect("proven"));
    assert!(listed().contains("books  proven, waits for approval  no order in the last hour"), "{}", listed());
    stage.stop().await;
}

/// One of 64 identifiers begins with a hyphen.
#[tokio::test]
async fn an_identifier_that_begins_with_a_hyphen_is_no_option() {
    let stage = Stage::open().await;
    let (order, digest) = ("-hL8yClTT2PVdCHnrjFzEg", "--WL8yClTT2PVdCHnrjFzER5YFRfEbIU9FxCFFLFY0A");
    for words in [&["find", order, "--all"][..], &["find", "--all", digest], &["find", digest, "--all", "--json"]] {
        let said = operator(&stage, words).expect_err("unknown");
        assert!(said.contains("nothing is known of `-") && !said.contains("--all"), "{words:?}: {said}");
    }
    for words in [
        &["order", "refund", order, "--json"][..],
        &["withdraw", digest, "--reason", "a mistake"],
        &["terminal", "revoke", "ada@example.org", order],
        &["invitation", "revoke", order],
    ] {
        let said = operator(&stage, words).expect_err("unknown");
        let option = said.contains("unexpected argument");
        assert!(!option, "{words:?}: {said}");
    }
    // The control: an option that there is not, beside one and alone.
    for words in [&["find", order, "--al"][..], &["order", "refund", "--jsno"]] {
        let said = operator(&stage, words).expect_err("no option");
        assert!(said.contains("unexpected argument '--"), "{words:?}: {said}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn an_order_stands_there_once_and_what_is_not_shown_is_said() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    let order = shop.buy(&mut customer, "print").await.order.to_string();
    let lines = |text: &str| text.lines().filter(|line| line.contains(&order)).count();
    let text = operator(&stage, &["find", &order]).expect("an order");
    assert_eq!(lines(&text), 1, "{text}");
    assert!(!text.contains("There are more"), "{text}");
    assert_eq!(find(&stage, &order).expect("an order")["more"], serde_json::json!([]));

    // The one that was found first is the oldest of more than are shown.
    for _ in 0..21 {
        shop.buy(&mut customer, "print").await;
    }
    let text = operator(&stage, &["find", "ada@example.org"]).expect("an account");
    assert_eq!((text.matches("order ").count(), lines(&text)), (20, 0), "{text}");
    assert!(text.ends_with("There are more orders than these 20: `find --all` shows them all.\n"), "{text}");
    let found = find(&stage, "ada@example.org").expect("an account");
    assert_eq!((found["orders"].as_array().map(Vec::len), &found["more"][0]), (Some(20), &"orders".into()));
    let text = operator(&stage, &["find", &order]).expect("an order");
    assert_eq!((text.matches("order ").count(), lines(&text)), (21, 1), "{text}");
    let text = operator(&stage, &["find", "--all", &order]).expect("an order");
    assert_eq!((text.matches("order ").count(), lines(&text)), (22, 1), "{text}");
    assert!(!text.contains("There are more"), "{text}");
    stage.stop().await;
}

#[tokio::test]
async fn a_withdrawal_is_undone_if_what_was_published_is_there() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    shop.buy(&mut customer, "view").await;
    let digest = shop.resource.to_string();
    let withdrawn = find(&stage, &digest).expect("a resource")["resources"][0]["withdrawn"].clone();
    assert_eq!(withdrawn, Value::Null);
    operator(&stage, &["withdraw", &digest, "--reason", "a mistake"]).expect("withdrawn");
    assert!(find(&stage, &digest).expect("a resource")["resources"][0]["withdrawn"].is_number());
    let request = crate::terminal::Draft::post("/v1/authorizations", &shop.request("view"));
    let refused = customer.get_no(&request).await;
    assert_eq!(refused.reason, portcullis_protocol::Reason::ResourceWithdrawn);
    assert_eq!(refused.detail.as_deref(), Some("The reason that was given: a mistake"), "whoever has it is told");

    // The sealed file is gone, as after a restoration without files.
    let file = stage.folder.path().join("files").join(format!("{digest}.wasm"));
    let aside = stage.folder.path().join("aside");
    std::fs::rename(&file, &aside).expect("moved");
    let said = operator(&stage, &["restore", &digest]).expect_err("refused");
    assert!(said.contains("sealed file is missing"), "{said}");
    assert_eq!(customer.get_no(&request).await.reason, portcullis_protocol::Reason::ResourceWithdrawn);
    std::fs::rename(&aside, &file).expect("moved back");
    operator(&stage, &["restore", &digest]).expect("restored");
    let _: portcullis_protocol::wire::AuthorisationAnswer = customer.get_yes(&request).await;
    stage.stop().await;
}
