//! What an operator decides about a merchant with many orders, and what is counted of those that wait for him.

use crate::codes::{Shop, after, bought, found, new_merchant, order, signed_request, state, wanted};
use crate::merchant_changes::{told, waits_to_be_told};
use crate::world::{World, account, count, reason};
use axum::Router;
use axum::http::StatusCode;
use portcullis_protocol::codes::CodeState;
use portcullis_protocol::wire::CodeOrderRequest;
use portcullis_protocol::{OrderId, PublicKey, Reason, ReleaseSecretKey, SecretKey, Unverified};
use portcullis_server::crypto::secrets::rng;
use portcullis_server::effects;
use portcullis_server::merchants::{self, products, registration};
use portcullis_server::ops::faults::{Phase, Write};
use portcullis_server::store::{
    CodeOrder, MerchantDecision, MerchantOutcome, ProductOutcome, ProductRevision, RequestOutcome,
};
use tokio::net::TcpListener;

/// More orders than one transaction tells of: three steps.
const MANY: usize = 105;

fn key() -> ReleaseSecretKey {
    ReleaseSecretKey::generate(&mut rng())
}

/// A merchant whose endpoint answers.
async fn answering(world: &World, name: &str) -> Shop {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(async || StatusCode::NO_CONTENT);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let owner = account(&world.core, &format!("{name}@example.org")).await;
    Shop::at(&world.core, name, owner, &url).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_waited_go_on_some_at_a_time_and_none_twice_wherever_that_is_stopped() {
    let world = World::new().await;
    let (shop, machine) = (answering(&world, "games").await, world.machine("ada@example.org").await);
    let (core, name) = (&world.core, &shop.merchant.name);
    let mut before: Vec<CodeOrder> = Vec::new();
    for _ in 0..MANY {
        before.push(bought(&world, &machine, &shop, &key()).await);
    }
    core.store.decide_merchant(name, MerchantDecision::Suspend).await.expect("suspended");
    core.clock.advance(3600);
    let figures = core.store.figures().await.expect("figures");
    assert_eq!(figures.held_up, MANY as u64, "somebody is told that they wait");
    assert!((2990..4000).contains(&figures.held_up_seconds), "{}", figures.held_up_seconds);

    core.store.decide_merchant(name, MerchantDecision::Restore).await.expect("restored");
    let changed = async || {
        let mut ids: Vec<OrderId> = Vec::new();
        for order in &before {
            if found(&world, &order.id).await.nonce != order.nonce {
                ids.push(order.id);
            }
        }
        ids
    };
    assert_eq!(changed().await.len(), 50, "the first ones in the same transaction");
    // The others are held up until their turn comes, though their deadlines are long over.
    let last = before.last().expect("many");
    let shown = merchants::orders::show(core, &shop.merchant, &last.id).await.expect("shown");
    assert_eq!((found(&world, &last.id).await.is_held_up, shown.nonce), (true, None), "there is nothing to ask with");
    assert_eq!(reason(shop.verify(core, last).await), Reason::OrderUnknown);
    assert_eq!(state(&world, &last.id).await, CodeState::Paid, "nothing fails meanwhile");
    for phase in Phase::ALL {
        world.faults.arm(&format!("{}.{}", Write::CodeCatchUp.name(), phase.name()), false);
        for _ in 0..20 {
            effects::round(core).await.expect("a round");
            if world.faults.have_struck() {
                break;
            }
            core.clock.advance(5);
        }
        assert!(world.faults.have_struck(), "{phase:?}: the point was not passed");
    }
    for _ in 0..3 {
        core.clock.advance(70);
        while effects::round(core).await.expect("a round") > 0 {}
    }
    assert_eq!(changed().await.len(), MANY);
    for order in &before {
        let order = found(&world, &order.id).await;
        assert_eq!(told(&world, &order, "order.paid"), 2, "once before, and once anew");
        assert!(!order.is_held_up && order.deadline.expect("paid") > core.clock.now().plus(20 * 3600));
    }
    assert_eq!(count(&world, "SELECT count(*) FROM merchants WHERE caught_up IS NOT NULL OR resumes = 1"), 0);
    assert_eq!(core.store.figures().await.expect("figures").held_up, 0);
    shop.deliver(core, &last.id).await.expect("under the new nonce");
    // The control: they do fail when the day is over.
    let first = before.first().expect("many");
    core.clock.advance(25 * 3600);
    merchants::orders::show(core, &shop.merchant, &first.id).await.expect("shown");
    assert!(matches!(state(&world, &first.id).await, CodeState::Refunding | CodeState::Refunded));
}

#[tokio::test]
async fn a_merchant_that_is_suspended_while_its_orders_go_on_begins_anew_when_it_is_restored() {
    let world = World::new().await;
    let (shop, machine) = (answering(&world, "games").await, world.machine("ada@example.org").await);
    let (core, name) = (&world.core, &shop.merchant.name);
    let mut orders: Vec<CodeOrder> = Vec::new();
    for _ in 0..55 {
        orders.push(bought(&world, &machine, &shop, &key()).await);
    }
    for decision in [MerchantDecision::Suspend, MerchantDecision::Restore, MerchantDecision::Suspend] {
        core.store.decide_merchant(name, decision).await.expect("decided");
    }
    after(&world, 3600).await;
    let last = orders.last().expect("some");
    assert_eq!(found(&world, &last.id).await.nonce, last.nonce, "a suspended merchant is told nothing");
    core.store.decide_merchant(name, MerchantDecision::Restore).await.expect("restored");
    after(&world, 5).await;
    for order in &orders {
        let order = found(&world, &order.id).await;
        assert!(!order.is_held_up && matches!(order.state, Some(CodeState::Paid | CodeState::Notified)), "{order:?}");
        assert!(order.deadline.expect("paid") > core.clock.now().plus(20 * 3600));
    }
    assert_ne!(found(&world, &last.id).await.nonce, last.nonce);
}

/// The operator suspends an account, and thinks of none of its merchants.
#[tokio::test]
async fn a_merchant_of_a_suspended_account_sells_nothing_and_is_credited_nothing() {
    let world = World::new().await;
    let (shop, machine) = (answering(&world, "games").await, world.machine("ada@example.org").await);
    let (core, store, name) = (&world.core, &world.core.store, &shop.merchant.name);
    let asked = signed_request(core, &shop, "15.00 EUR");
    products::request(core, &shop.merchant, asked.compact()).await.expect("taken");
    let (waits, sealed) =
        (bought(&world, &machine, &shop, &key()).await, bought(&world, &machine, &shop, &key()).await);
    let verification = shop.verify(core, &sealed).await.expect("verified");
    let submission = shop.seal(&verification, &["CODE"], Vec::new());
    let books = async || crate::codes::books(&world, crate::codes::BOOKS).await;
    let before = books().await;

    assert!(store.set_suspended(&shop.merchant.owner, true).await.expect("suspended"));
    let merchant = store.merchant(name).await.expect("read").expect("a merchant");
    assert_eq!(merchant.state.word(), "suspended");
    let entry = registration::show(core, name).await.expect("shown");
    assert!(entry.suspended && entry.products.is_empty());
    assert_eq!(reason(order(&world, &machine, wanted(shop.product, &key(), "ok")).await), Reason::MerchantUnknown);
    let pay = CodeOrderRequest { request: Some(asked.digest()), ..wanted(shop.product, &key(), "ok") };
    assert_eq!(reason(order(&world, &machine, pay.clone()).await), Reason::MerchantUnknown);
    assert_eq!(reason(shop.verify(core, &waits).await), Reason::OrderUnknown, "the second interface");
    assert_eq!(reason(shop.submit(core, submission.clone()).await), Reason::OrderUnknown, "no code, no credit");
    let new = shop.product(core, "new-key", "5.00 EUR", 600);
    assert_eq!(reason(products::sell(core, &shop.merchant, &new).await), Reason::MerchantUnknown);
    let more = signed_request(core, &shop, "16.00 EUR");
    let more = products::request(core, &shop.merchant, more.compact()).await;
    assert_eq!(reason(more), Reason::MerchantUnknown);
    let declined = merchants::orders::decline(core, &shop.merchant, &waits.id, "").await;
    assert_eq!(reason(declined), Reason::OrderUnknown);
    after(&world, 1800).await;
    for id in [&waits.id, &sealed.id] {
        let order = found(&world, id).await;
        assert!(order.is_held_up && order.state.is_some_and(CodeState::waits_for_code), "they wait for a person");
    }
    assert_eq!(books().await, before);

    // The control: with the account its merchant is back, and goes on.
    assert!(store.set_suspended(&shop.merchant.owner, false).await.expect("restored"));
    let resumed = found(&world, &waits.id).await;
    assert_ne!(resumed.nonce, waits.nonce, "told anew");
    shop.deliver(core, &waits.id).await.expect("delivered");
    shop.submit(core, submission).await.expect("accepted: it was sealed before, and has a day");
    order(&world, &machine, pay).await.expect("paid");
    products::sell(core, &shop.merchant, &new).await.expect("sold");
    // Restored once more it is told nothing more.
    let open = bought(&world, &machine, &shop, &key()).await;
    assert!(!store.set_suspended(&shop.merchant.owner, false).await.expect("restored"), "it is so already");
    assert_eq!(found(&world, &open.id).await.nonce, open.nonce);
    // A merchant that was suspended by itself is not let go on by that.
    store.decide_merchant(name, MerchantDecision::Suspend).await.expect("suspended");
    for suspended in [true, false] {
        assert!(store.set_suspended(&shop.merchant.owner, suspended).await.expect("decided"));
    }
    assert_eq!(store.merchant(name).await.expect("read").expect("a merchant").state.word(), "suspended");
    assert_eq!(found(&world, &open.id).await.nonce, open.nonce);
    // Nor is one of a suspended account by its own restoration.
    store.set_suspended(&shop.merchant.owner, true).await.expect("suspended");
    store.decide_merchant(name, MerchantDecision::Restore).await.expect("restored");
    assert_eq!(store.merchant(name).await.expect("read").expect("a merchant").state.word(), "suspended");
    assert_eq!(found(&world, &open.id).await.nonce, open.nonce);
    store.set_suspended(&shop.merchant.owner, false).await.expect("restored");
    assert_ne!(found(&world, &open.id).await.nonce, open.nonce, "now it goes on");
}

/// A request that had come in before the operator decided is committed after it.
#[tokio::test]
async fn what_a_suspended_merchant_or_its_former_key_had_under_way_is_not_sold() {
    let world = World::new().await;
    let (core, store) = (&world.core, &world.core.store);
    let shop = Shop::new(core, "games").await;
    let product = |name: &str| {
        let compact = shop.product(core, name, "5.00 EUR", 600);
        let signed = Unverified::<portcullis_protocol::Product>::parse(&compact).expect("form");
        let signed = signed.verify(shop.key.public()).expect("signed");
        let (digest, product) = (signed.digest(), signed.into_document());
        ProductRevision { product, compact, digest, is_sold: true, merchant: shop.merchant.id }
    };
    let asked = signed_request(core, &shop, "15.00 EUR");
    let ask = async |by: &PublicKey| {
        let (digest, request) = (asked.digest(), asked.document());
        store.store_request(&shop.merchant.id, by, &digest, request, asked.compact()).await.expect("answered")
    };
    let (own, other) = (shop.key.public(), SecretKey::generate(&mut rng()));
    let sold = async |name: &str, by: &PublicKey| store.sell_product(product(name), by).await.expect("answered");
    store.decide_merchant(&shop.merchant.name, MerchantDecision::Suspend).await.expect("suspended");
    assert_eq!(sold("late-key", own).await, ProductOutcome::NotSigned);
    assert_eq!(ask(own).await, RequestOutcome::NotSigned);
    store.decide_merchant(&shop.merchant.name, MerchantDecision::Restore).await.expect("restored");
    assert_eq!(sold("late-key", other.public()).await, ProductOutcome::NotSigned, "a key that is not its own");
    assert_eq!(ask(other.public()).await, RequestOutcome::NotSigned);
    let names: Vec<String> = store
        .products(&shop.merchant.id)
        .await
        .expect("read")
        .iter()
        .map(|revision| revision.product.name.to_string())
        .collect();
    assert_eq!(names, ["game-key"], "nothing of it is there after the restoration");
    // The control.
    assert_eq!(sold("late-key", own).await, ProductOutcome::Sold);
    assert_eq!(ask(own).await, RequestOutcome::Stored);
}

/// What became of orders waits at an address that does not answer, and the merchant moves to another one.
#[tokio::test]
async fn what_a_merchant_has_not_heard_of_the_end_of_orders_it_hears_at_its_new_address() {
    let world = World::new().await;
    let core = &world.core;
    let (shop, machine) = (Shop::new(core, "games").await, world.machine("ada@example.org").await);
    let (ended, other) = (bought(&world, &machine, &shop, &key()).await, bought(&world, &machine, &shop, &key()).await);
    merchants::orders::decline(core, &shop.merchant, &ended.id, "").await.expect("declined");
    assert_eq!(waits_to_be_told(&world, &ended), 1, "order.closed");
    let new = new_merchant(core, "games", &shop.key, shop.merchant.owner, "https://new.example/hook");
    let MerchantOutcome::Claimed(merchant) = core.store.claim_merchant(new).await.expect("claimed") else {
        panic!("taken")
    };
    assert!(core.store.prove_merchant(&merchant.id, &merchant.webhook).await.expect("proven"));
    assert_eq!((told(&world, &ended, "order.closed"), waits_to_be_told(&world, &ended)), (1, 1));
    assert_eq!((told(&world, &ended, "order.paid"), told(&world, &other, "order.paid")), (0, 1));
    // Proven again, it is not said again.
    assert!(core.store.prove_merchant(&merchant.id, &merchant.webhook).await.expect("proven"));
    assert_eq!(told(&world, &ended, "order.closed"), 1);
}
