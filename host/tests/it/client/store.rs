//! Buying.

use super::test_store::{TestStore, op, origin, publisher_name, resource_name, rng, run};
use portcullis_host::{ClientError, Exchanged, PurchaseReceipt, TransportError};
use portcullis_protocol::wire::{OrderState, PaymentMethod, Problem, Signed};
use portcullis_protocol::{Answer, Currency, Digest, Money, Reason, Receipt, Rights, SecretKey, Unverified, Verified};
use tempfile::TempDir;

pub(crate) fn payment(token: &str) -> PaymentMethod {
    PaymentMethod { provider: "sandbox".into(), token: token.into() }
}

/// What was sent and has no answer yet.
fn open_matters(home: &TempDir) -> usize {
    std::fs::read_dir(home.path().join("journal")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn what_is_bought_can_be_run_and_has_a_receipt() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let resource = store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    let offer = store.world().offer("view", Rights::Uses { count: 5 }, 199);
    let client = store.signed_in(home.path()).await;
    let front = client.store(&origin());
    let found = front.search("lake & more", Some("picture"), Some(1)).await.expect("found");
    assert_eq!(found.results[0].offers, vec![offer.clone()]);
    let listing = front.entry(&publisher_name(), &resource_name()).await.expect("listed");
    assert_eq!(listing.newest().expect("a version").digest, resource.digest());
    assert_eq!(run(&client, &resource, "view").await.expect_err("unpaid").reason, Reason::PaymentRequired);
    let order = front.order(&offer, payment("ok")).await.expect("ordered");
    let receipt = order.receipt.as_ref().and_then(PurchaseReceipt::rights).expect("paid").clone();
    assert_eq!((receipt.document().price, receipt.document().offer), (offer.document().price, offer.digest()));
    assert_eq!(front.receipts().await.expect("receipts").known, vec![receipt]);
    run(&client, &resource, "view").await.expect("paid");
}

#[tokio::test]
async fn a_lost_answer_never_buys_twice() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let offer = store.world().offer("view", Rights::Uses { count: 5 }, 199);
    store.after(|exchange, answer| {
        if exchange.path_and_query == "/v1/orders" && answer.status == 200 {
            Err(TransportError::Timeout)
        } else {
            Ok(answer)
        }
    });
    let error = client.store(&origin()).order(&offer, payment("ok")).await.expect_err("lost");
    assert_eq!((error.reason(), store.world().orders), (Some(Reason::Offline), 1));
    drop(client);
    store.honest();
    let client = store.client(home.path());
    let order = client.store(&origin()).order(&offer, payment("ok")).await.expect("answered");
    assert!(order.receipt.is_some());
    assert_eq!(store.world().orders, 1);
    // The control: who buys again after an answer buys again.
    client.store(&origin()).order(&offer, payment("ok")).await.expect("ordered");
    assert_eq!(store.world().orders, 2);
}

/// `--payment sandbx:ok`: the store's signed no ends the matter, also where it is heard only by the next command.
#[tokio::test]
async fn an_order_that_was_decided_against_is_not_in_the_way_of_the_next() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let offer = store.world().offer("view", Rights::Uses { count: 5 }, 199);
    let front = client.store(&origin());
    let typo = PaymentMethod { provider: "sandbx".into(), token: "ok".into() };
    let error = front.order(&offer, typo.clone()).await.expect_err("no such provider");
    assert_eq!(error.reason(), Some(Reason::PaymentRequired));
    assert_eq!(open_matters(&home), 0);

    store.after(
        |exchange, answer| {
            if exchange.path_and_query == "/v1/orders" { Err(TransportError::Timeout) } else { Ok(answer) }
        },
    );
    front.order(&offer, typo).await.expect_err("its no is lost");
    assert_eq!(open_matters(&home), 1);
    store.honest();
    let order = front.order(&offer, payment("ok")).await.expect("ordered");
    assert_eq!((order.state, store.world().orders, open_matters(&home)), (OrderState::Paid, 1, 0));
}

/// The control: whoever sits on the line can say an unsigned no too. It ends nothing.
#[tokio::test]
async fn an_unsigned_no_ends_no_order() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let offer = store.world().offer("view", Rights::Uses { count: 5 }, 199);
    let front = client.store(&origin());
    store.after(|exchange, answer| {
        if exchange.path_and_query != "/v1/orders" || answer.status != 200 {
            return Ok(answer);
        }
        let problem = Problem {
            instance: None,
            kind: "about:blank".into(),
            title: "Unprocessable Entity".into(),
            status: 422,
            detail: "no such payment provider".into(),
            reason: None,
            signed: None,
        };
        Ok(Exchanged { nonce: answer.nonce, ..super::test_store::plain(422, &problem) })
    });
    let error = front.order(&offer, payment("ok")).await.expect_err("forged");
    assert!(matches!(error, ClientError::Rejected { status: 422, .. }), "{error}");
    assert_eq!((store.world().orders, open_matters(&home)), (1, 1));
    store.honest();
    let order = front.order(&offer, payment("another")).await.expect("the one that was placed");
    assert_eq!((order.state, store.world().orders, open_matters(&home)), (OrderState::Paid, 1, 0));
}

#[tokio::test]
async fn a_changed_price_is_refused_with_the_new_offer() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let old = store.world().offer("view", Rights::Perpetual {}, 199);
    store.world().offers.clear();
    let new = store.world().offer("view", Rights::Perpetual {}, 299);
    let error = client.store(&origin()).order(&old, payment("ok")).await.expect_err("changed");
    let portcullis_host::ClientError::Refused(refused) = error else { panic!("{error}") };
    assert_eq!((refused.reason, refused.offers), (Reason::PaymentRequired, vec![new]));
    assert_eq!(store.world().orders, 0);
}

#[tokio::test]
async fn a_receipt_for_something_else_is_not_believed() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let offer = store.world().offer("view", Rights::Perpetual {}, 199);
    let forgeries: [fn(&mut Receipt); 3] = [
        |receipt| receipt.price = Money::new(999, "EUR".parse::<Currency>().expect("EUR")).expect("price"),
        |receipt| receipt.offer = Digest::of(b"another"),
        |receipt| receipt.order = portcullis_protocol::OrderId::from_bytes([9; 16]),
    ];
    for forge in forgeries {
        let signing = store.world().signing.clone();
        store.after(move |exchange, answer| {
            if exchange.path_and_query != "/v1/orders" || answer.status != 200 {
                return Ok(answer);
            }
            let envelope: Signed = serde_json::from_slice(&answer.body).expect("signed");
            let document = Unverified::<Answer<portcullis_protocol::wire::OrderAnswer>>::parse(&envelope.signed);
            let mut document = document.expect("form").verify(signing.public()).expect("honest").into_document();
            let compact = document.body.receipt.take().expect("paid");
            let receipt = Unverified::<Receipt>::parse(&compact).expect("form").verify(signing.public());
            let mut receipt = receipt.expect("honest").into_document();
            forge(&mut receipt);
            document.body.receipt = Some(Verified::sign(receipt, &signing).compact().to_owned());
            let signed = Verified::sign(document, &signing).compact().to_owned();
            Ok(Exchanged { nonce: answer.nonce, ..super::test_store::plain(200, &Signed { signed }) })
        });
        let error = client.store(&origin()).order(&offer, payment("ok")).await.expect_err("forged");
        assert_eq!(error.reason(), Some(Reason::Offline));
        store.honest();
    }
    // What its user did not believe, he orders again: it is the same order each time.
    client.store(&origin()).order(&offer, payment("ok")).await.expect("the honest case works");
    assert_eq!((store.world().orders, open_matters(&home)), (1, 0));
}

#[tokio::test]
async fn a_declined_payment_is_no_purchase() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let offer = store.world().offer("view", Rights::Perpetual {}, 199);
    store.world().payment_state = OrderState::Declined;
    let order = client.store(&origin()).order(&offer, payment("decline")).await.expect("answered");
    assert!(order.state == OrderState::Declined && order.receipt.is_none());
    store.world().payment_state = OrderState::Paid;
    let order = client.store(&origin()).order(&offer, payment("ok")).await.expect("answered");
    assert_eq!(order.state, OrderState::Paid);
}

#[tokio::test]
async fn an_offer_for_another_resource_spoils_the_listing() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    let mut other = store.world().offer("view", Rights::Free {}, 0).into_document();
    other.name = "sea".parse().expect("name");
    let other = Verified::sign(other, &store.world().signing.clone());
    store.world().offers = vec![other];
    let error = client.store(&origin()).entry(&publisher_name(), &resource_name()).await.expect_err("spoilt");
    assert_eq!(error.reason(), Some(Reason::Offline));
    store.world().offers.clear();
    store.world().offer("view", Rights::Free {}, 0);
    let listing = client.store(&origin()).entry(&publisher_name(), &resource_name()).await.expect("listed");
    assert_eq!(listing.offers[0].document().operation, op("view"));
}

/// Whoever enrols a terminal, or runs the store, chooses texts that come to the user's screen.
/// It stands in a question beside a price.
#[tokio::test]
async fn an_offer_with_an_endless_title_is_not_believed() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    let front = client.store(&origin());
    let titled = |title: String| {
        let mut world = store.world();
        let mut offer = world.offer("view", Rights::Perpetual {}, 199).into_document();
        offer.title = title;
        world.offers = vec![Verified::sign(offer, &world.signing)];
    };
    for length in [121, 40_000] {
        titled("x".repeat(length));
        let error = front.entry(&publisher_name(), &resource_name()).await.expect_err("too long");
        assert_eq!(error.reason(), Some(Reason::Offline), "{error}");
    }
    titled("x".repeat(120));
    front.entry(&publisher_name(), &resource_name()).await.expect("the control");
}

#[tokio::test]
async fn what_an_account_and_its_terminals_are_called_disturbs_no_screen() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    store.world().account = "ada\u{1b}[2J\u{202e}".into();
    store.world().labels = vec!["Ada's Läptop".into(), "\u{1b}]0;not yours\u{7}laptop\r\n\u{9b}31m".into()];
    let account = client.store(&origin()).account().await.expect("answered");
    let labels: Vec<&str> = account.terminals.iter().map(|terminal| terminal.label.as_str()).collect();
    assert_eq!((account.account.as_str(), labels), ("ada[2J", vec!["Ada's Läptop", "]0;not yourslaptop31m"]));
    // Nor does what a grant is called after.
    let resource = store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    store.world().rights.insert("view".into(), None);
    store.world().forge_grant = Some(Box::new(|grant| grant.model = "\u{1b}[8mfree".into()));
    run(&client, &resource, "view").await.expect("granted");
    assert_eq!(client.grants().expect("grants")[0].model, "[8mfree");
}
