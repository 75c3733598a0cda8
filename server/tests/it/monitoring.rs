//! Health and figures: what a load balancer is told, what monitoring is told, and what strangers are not.

use crate::stage::Stage;
use crate::terminal::Draft;
use portcullis_protocol::wire::{AuthorisationAnswer, VerificationAnswer, VerificationRequest};
use portcullis_server::billing::orders;
use reqwest::StatusCode;
use std::net::SocketAddr;
use std::time::Duration;

async fn get(url: &str) -> (StatusCode, String) {
    let answer = reqwest::Client::new().get(url).send().await.expect("answers");
    (answer.status(), answer.text().await.expect("text"))
}

fn monitored() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

/// The value of a line of the figures.
fn value(figures: &str, line: &str) -> f64 {
    let found = figures.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no `{line}` in {figures}")).parse().expect("a number")
}

#[tokio::test]
async fn a_run_of_the_cycle_is_counted_without_a_name() {
    let stage = Stage::with(|config| config.metrics.listen = Some(monitored())).await;
    let metrics = format!("http://{}/metrics", stage.running.monitored().expect("listens"));
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    let draft = Draft::post("/v1/authorizations", &shop.request("view"));
    let refused = customer.get_no(&draft).await;
    shop.buy(&mut customer, "view").await;
    for _ in 0..2 {
        let request = shop.request("view");
        let code: AuthorisationAnswer = customer.get_yes(&Draft::post("/v1/authorizations", &request)).await;
        let verification = VerificationRequest { code: code.code, request };
        let _: VerificationAnswer = customer.get_yes(&Draft::post("/v1/verifications", &verification)).await;
    }

    let (status, figures) = get(&metrics).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(value(&figures, &format!("portcullis_refusals_total{{reason=\"{}\"}}", refused.reason)), 1.0);
    assert_eq!(value(&figures, "portcullis_grants_total{model=\"perpetual\"}"), 2.0);
    for (stage, least) in
        [("read-authorisation", 3.0), ("hold", 2.0), ("read-verification", 2.0), ("make-grant", 2.0), ("issue", 2.0)]
    {
        let count = value(&figures, &format!("portcullis_cycle_stage_seconds_count{{stage=\"{stage}\"}}"));
        assert!(count >= least, "{stage}: {count}");
    }
    let answered = "portcullis_requests_total{method=\"POST\",route=\"/v1/verifications\",status=\"200\"}";
    assert_eq!(value(&figures, answered), 2.0);
    for secret in ["ada@example.org", "lumen", customer.key.public().thumbprint().to_string().as_str()] {
        assert!(!figures.contains(secret), "{secret}: {figures}");
    }

    // Strangers are told nothing of it.
    let (status, text) = get(&format!("{}/metrics", stage.origin)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(!text.contains("portcullis_"), "{text}");
    stage.stop().await;
}

#[tokio::test]
async fn the_store_tells_its_work_and_its_sums_and_nothing_of_anybody() {
    let stage = Stage::with(|config| config.metrics.listen = Some(monitored())).await;
    let metrics = format!("http://{}/metrics", stage.running.monitored().expect("listens"));
    let shop = stage.shop().await;
    let mut customer = stage.customer("ada@example.org").await;
    shop.buy(&mut customer, "view").await;
    let _ = customer.send(&crate::stage::order(shop.offer("print").digest(), "decline")).await;
    let paid = shop.buy(&mut customer, "print").await.order;
    let core = &stage.running.app().core;
    orders::refund(core, &paid).await.expect("refunded");
    crate::audit::act(core).await;

    let figures = core.store.figures().await.expect("figures");
    let by_state: Vec<_> = figures.orders.iter().map(|(state, count)| (state.word(), *count)).collect();
    let expected = [("pending", 0), ("paid", 1), ("declined", 1), ("refunding", 0), ("refunded", 1)];
    assert_eq!(by_state, expected);
    // Transfers are added up when no earlier one can come any more.
    assert!(figures.books.is_empty() && figures.behind > 0, "{figures:?}");
    assert!(!core.store.fold_books().await.expect("folded"));
    assert!(core.store.figures().await.expect("figures").books.is_empty());
    stage.clock.advance(301);
    let second = stage.second().await;
    let (one, other) = tokio::join!(core.store.fold_books(), second.app().core.store.fold_books());
    assert!(one.is_ok() && other.is_ok(), "two processes at once add up once");
    let folded = core.store.figures().await.expect("figures");
    assert_eq!(folded.behind, 0);
    // What the ledger says, account by account, added up by class.
    let mut classes = std::collections::BTreeMap::new();
    for balance in core.store.balances().await.expect("balances") {
        let class = balance.account.as_str().split(':').next().expect("a class").to_owned();
        *classes.entry((class, balance.commodity)).or_insert(0) += balance.amount;
    }
    let books = folded.books.into_iter().map(|(class, commodity, amount)| ((class, commodity), amount));
    let books: std::collections::BTreeMap<_, i64> = books.collect();
    assert_eq!(books, classes);
    assert!(books.values().any(|amount| *amount == 199), "the control: there is money in them: {books:?}");
    second.stop().await.expect("stops");

    let (_, text) = get(&metrics).await;
    assert_eq!(value(&text, "portcullis_orders{state=\"paid\"}"), 1.0);
    assert_eq!(value(&text, "portcullis_orders{state=\"refunded\"}"), 1.0);
    assert_eq!(value(&text, "portcullis_books{account=\"publisher\",commodity=\"EUR\"}"), 199.0);
    assert_eq!((value(&text, "portcullis_audit_rows"), value(&text, "portcullis_audit_signed_rows")), (1.0, 1.0));
    assert_eq!(value(&text, "portcullis_store_queue{queue=\"write\"}"), 0.0);
    assert!(value(&text, "portcullis_store_commit_writes_count") > 10.0);
    assert!(value(&text, "portcullis_store_commit_writes_sum") >= value(&text, "portcullis_store_commit_writes_count"));
    for secret in ["lumen", "ada@", &shop.resource.to_string()] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    // Asked at once again it is answered from memory.
    shop.buy(&mut customer, "print").await;
    assert_eq!(value(&get(&metrics).await.1, "portcullis_orders{state=\"paid\"}"), 1.0);
    stage.stop().await;
}

#[tokio::test]
async fn readiness_follows_the_storage_and_says_why_in_private_only() {
    let stage = Stage::with(|config| config.metrics.listen = Some(monitored())).await;
    let private = format!("http://{}", stage.running.monitored().expect("listens"));
    let public = stage.origin.to_string();
    for base in [&private, &public] {
        assert_eq!(get(&format!("{base}/healthz")).await, (StatusCode::OK, "ok\n".into()));
        assert_eq!(get(&format!("{base}/readyz")).await.0, StatusCode::OK, "{base}");
    }

    // The folder of sealed files goes away, as when a volume is not mounted any more.
    let (files, aside) = (stage.folder.path().join("files"), stage.folder.path().join("aside"));
    std::fs::rename(&files, &aside).expect("moved");
    // What was found is believed for two seconds.
    let is = async |wanted: StatusCode| {
        for _ in 0..100 {
            if get(&format!("{public}/readyz")).await.0 == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("/readyz never answered {wanted}");
    };
    is(StatusCode::SERVICE_UNAVAILABLE).await;
    let (_, told) = get(&format!("{public}/readyz")).await;
    assert!(!told.contains("files") && told.contains("not ready"), "{told}");
    let (status, told) = get(&format!("{private}/readyz")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        (&told["ready"], &told["parts"]["database"], &told["parts"]["keys"]),
        (&false.into(), &"ok".into(), &"ok".into())
    );
    assert!(told["parts"]["storage"].as_str().is_some_and(|fault| fault.contains("files")), "{told}");
    assert_eq!(get(&format!("{public}/healthz")).await.0, StatusCode::OK, "it runs all the same");

    std::fs::rename(&aside, &files).expect("moved back");
    is(StatusCode::OK).await;
    stage.stop().await;
}
