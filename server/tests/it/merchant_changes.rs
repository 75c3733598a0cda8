//! What changes of a merchant while it sells: its key, its endpoint, whether it may sell at all. Orders that are
//! under way are never lost by it.

use crate::codes::{
    BOOKS, Shop, after, books, bought, found, misses, new_merchant, order, refusal, signed_request, state, wanted,
};
use crate::world::{World, count, reason};
use portcullis_protocol::codes::CodeState;
use portcullis_protocol::wire::{CodeOrderRequest, CodeSubmission, MerchantVouchRequest};
use portcullis_protocol::{
    CodeAccepted, MerchantClaim, MerchantVouch, PublicKey, Reason, ReleaseSecretKey, SealedCode, SecretKey, Unverified,
    Verified,
};
use portcullis_server::ServiceError;
use portcullis_server::crypto::secrets::rng;
use portcullis_server::merchants::{self, products, registration};
use portcullis_server::store::{CodeOrder, EndpointState, MerchantDecision, MerchantOutcome, Receiver};
use tokio::join;

fn key() -> ReleaseSecretKey {
    ReleaseSecretKey::generate(&mut rng())
}

/// Has a merchant's key name its successor.
async fn vouch(world: &World, shop: &mut Shop, seq: u64) -> Result<(), ServiceError> {
    let successor = SecretKey::generate(&mut rng());
    let vouch = MerchantVouch {
        merchant: shop.merchant.name.clone(),
        jwk: successor.public().clone(),
        seq,
        iat: world.core.clock.now().seconds(),
    };
    let claim = MerchantClaim {
        name: shop.merchant.name.clone(),
        title: shop.merchant.title.clone(),
        jwk: successor.public().clone(),
        origin: world.core.origin.clone(),
        webhook: shop.merchant.webhook.clone(),
        iat: world.core.clock.now().seconds(),
    };
    let claim = Verified::sign(claim, &successor).compact().to_owned();
    let asked = MerchantVouchRequest { vouch: shop.sign(vouch), claim };
    registration::vouch(&world.core, &shop.merchant, &asked).await?;
    shop.key = successor;
    shop.merchant = world.core.store.merchant(&shop.merchant.name).await?.expect("a merchant");
    Ok(())
}

#[tokio::test]
async fn what_an_old_key_signed_is_not_sold_under_a_new_one_and_orders_go_on() {
    let world = World::new().await;
    let (mut shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let core = &world.core;
    let (old, compact) = (shop.key.clone(), shop.product(core, "other-key", "5.00 EUR", 600));
    products::sell(core, &shop.merchant, &compact).await.expect("sold");
    let asked = signed_request(core, &shop, "15.00 EUR");
    products::request(core, &shop.merchant, asked.compact()).await.expect("taken");
    let paid_request = signed_request(core, &shop, "16.00 EUR");
    products::request(core, &shop.merchant, paid_request.compact()).await.expect("taken");
    let pay = |digest| CodeOrderRequest { request: Some(digest), ..wanted(shop.product, &key(), "ok") };
    order(&world, &machine, pay(paid_request.digest())).await.expect("paid");
    let under_way = bought(&world, &machine, &shop, &key()).await;
    let (sold, request) = (shop.product, pay(asked.digest()));

    // What was sealed before: accepted, and the answer lost; or not sent yet.
    let (sent, unsent) = (bought(&world, &machine, &shop, &key()).await, bought(&world, &machine, &shop, &key()).await);
    let sealed = async |order: &CodeOrder| {
        let verification = shop.verify(core, order).await.expect("verified");
        shop.seal(&verification, &["CODE"], Vec::new())
    };
    let (lost, kept) = (sealed(&sent).await, sealed(&unsent).await);
    let accepted = shop.submit(core, lost.clone()).await.expect("accepted");

    vouch(&world, &mut shop, 1).await.expect("vouched");
    assert_eq!(shop.submit(core, lost).await.expect("the same bytes again"), accepted);
    let refused = shop.submit(core, kept.clone()).await;
    assert!(matches!(refused, Err(ServiceError::Unacceptable(_))), "by a key that is not in use");
    let signed = Unverified::<SealedCode>::parse(&kept.code).expect("form").verify(old.public()).expect("signed");
    let anew = shop.sign(signed.into_document());
    shop.submit(core, CodeSubmission { code: anew, ..kept }).await.expect("the same ciphertext, signed anew");
    let entry = registration::show(core, &shop.merchant.name).await.expect("shown");
    assert_eq!(entry.products.len(), 0, "none that a new terminal could not verify");
    assert_eq!((entry.key, entry.former), (shop.key.public().clone(), vec![old.public().clone()]));
    assert_eq!(reason(order(&world, &machine, wanted(sold, &key(), "ok")).await), Reason::ProductUnknown);
    assert_eq!(reason(order(&world, &machine, request).await), Reason::RequestEnded);
    let ended = products::show_request(core, &asked.digest()).await;
    assert!(matches!(ended, Err(ServiceError::NotFound)), "{ended:?}");
    let shown = products::show_request(core, &paid_request.digest()).await.expect("what was paid stays");
    assert_eq!(shown.key, *old.public(), "by the key that signed it");
    shop.deliver(core, &under_way.id).await.expect("orders go on, under the new key");
    // The same products, signed anew: also one of which nothing but the signature changes.
    let payload = Unverified::parse(&compact).expect("form").verify(old.public()).expect("signed").into_document();
    let again: String = shop.sign::<portcullis_protocol::Product>(payload);
    products::sell(core, &shop.merchant, &again).await.expect("sold");
    let entry = registration::show(core, &shop.merchant.name).await.expect("shown");
    assert_eq!(entry.products, [again], "as the new key signed it");
    shop.product = shop.sell(core, "game-key", "21.00 EUR", 600).await;
    bought(&world, &machine, &shop, &key()).await;
    vouch(&world, &mut shop, 2).await.expect("vouched once more");
    let entry = registration::show(core, &shop.merchant.name).await.expect("shown");
    let former: Vec<PublicKey> = entry.former;
    assert_eq!((former.len(), former.first(), entry.vouches.len()), (2, Some(old.public()), 2));
}

/// A merchant may have a million of them, and has to change its key at once when it is stolen.
#[tokio::test]
async fn what_was_paid_is_not_written_again_when_a_key_changes() {
    let world = World::new().await;
    let (mut shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let mut asked = Vec::new();
    for _ in 0..3 {
        let request = signed_request(&world.core, &shop, "15.00 EUR");
        products::request(&world.core, &shop.merchant, request.compact()).await.expect("taken");
        asked.push(request.digest());
    }
    for request in &asked[1..] {
        let pay = CodeOrderRequest { request: Some(*request), ..wanted(shop.product, &key(), "ok") };
        order(&world, &machine, pay).await.expect("paid");
    }
    vouch(&world, &mut shop, 1).await.expect("vouched");
    assert_eq!(count(&world, "SELECT count(*) FROM payment_requests WHERE ended_at IS NOT NULL"), 1);
    // None of them leaves with those that nobody has paid.
    world.core.clock.advance(3 * 86_400);
    world.core.store.sweep().await.expect("swept");
    assert_eq!(count(&world, "SELECT count(*) FROM payment_requests"), 2);
}

/// The endpoints of a merchant: address and state.
async fn endpoints(world: &World, shop: &Shop) -> Vec<(String, EndpointState)> {
    let owner = Receiver::Merchant(shop.merchant.id.0);
    let endpoints = world.core.store.endpoints_of(&owner).await.expect("read");
    endpoints.into_iter().map(|endpoint| (endpoint.url, endpoint.state)).collect()
}

/// How often a merchant was told something about an order, at the endpoint that it has.
pub(crate) fn told(world: &World, order: &CodeOrder, kind: &str) -> i64 {
    let id: String = order.id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let sql = format!(
        "SELECT count(*) FROM webhook_messages m JOIN webhook_endpoints e ON e.id = m.endpoint
         WHERE e.state = 0 AND m.type = '{kind}' AND m.subject = x'{id}'"
    );
    count(world, &sql)
}

/// How many messages about an order are still to be delivered.
pub(crate) fn waits_to_be_told(world: &World, order: &CodeOrder) -> i64 {
    let id: String = order.id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let sql = format!(
        "SELECT count(*) FROM webhook_messages m JOIN effects e ON e.id = m.id WHERE e.state = 0 AND m.subject = x'{id}'"
    );
    count(world, &sql)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_takes_the_place_of_another_one_when_it_is_proven_and_hears_of_open_orders() {
    let world = World::new().await;
    let second = world.second().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let core = &world.core;
    let (open, done) = (bought(&world, &machine, &shop, &key()).await, bought(&world, &machine, &shop, &key()).await);
    shop.deliver(core, &done.id).await.expect("delivered");
    let claim = async |core: &portcullis_server::Core, url: &str| {
        let new = new_merchant(core, "games", &shop.key, shop.merchant.owner, url);
        match core.store.claim_merchant(new).await.expect("claimed") {
            MerchantOutcome::Claimed(merchant) => *merchant,
            refused => panic!("{refused:?}"),
        }
    };
    // Until the new one is proven the old one is told, and nothing new is sold.
    let merchant = claim(core, "https://new.example/hook").await;
    assert_eq!(
        endpoints(&world, &shop).await.iter().filter(|(_, state)| *state == EndpointState::Active).count(),
        1,
        "the one before is in use"
    );
    let refused = order(&world, &machine, wanted(shop.product, &key(), "ok")).await;
    assert_eq!(reason(refused), Reason::MerchantUnknown);
    assert_eq!(told(&world, &open, "order.paid"), 1);
    let status = registration::status(core, &merchant).await.expect("read");
    assert_eq!(status.keys.len(), 2, "what the old address is sent can be verified");
    let entry = registration::show(core, &merchant.name).await.expect("those who bought follow its keys");
    assert!(entry.products.is_empty() && !entry.suspended && entry.key == *shop.key.public());
    let shown = merchants::orders::show(core, &shop.merchant, &open.id).await.expect("shown");
    assert_eq!(shown.nonce, open.nonce, "whoever has heard nothing can ask");
    assert!(core.store.prove_merchant(&merchant.id, &merchant.webhook).await.expect("proven"));
    assert_eq!(endpoints(&world, &shop).await, [("https://new.example/hook".to_owned(), EndpointState::Active)]);
    assert_eq!(told(&world, &open, "order.paid"), 1, "at the new one");
    assert_eq!(told(&world, &done, "order.paid"), 0, "nothing is said of what has its code");
    shop.deliver(core, &open.id).await.expect("under the same nonce");
    // Proven again it is not told again.
    assert!(core.store.prove_merchant(&merchant.id, &merchant.webhook).await.expect("proven"));
    assert_eq!(told(&world, &open, "order.paid"), 1);

    let other_order = bought(&world, &machine, &shop, &key()).await;
    // Claims at once, over two processes: the merchant has the endpoint of its address, and none beside it is in use.
    for round in 0..6 {
        let (one, other) = (format!("https://a{round}.example/hook"), format!("https://b{round}.example/hook"));
        join!(claim(core, &one), claim(&second, &other));
        let merchant = core.store.merchant(&shop.merchant.name).await.expect("read").expect("a merchant");
        let (first, again) = join!(
            core.store.prove_merchant(&merchant.id, &merchant.webhook),
            second.store.prove_merchant(&merchant.id, &merchant.webhook)
        );
        assert!(first.expect("proven") && again.expect("proven"));
        let in_use = endpoints(&world, &shop).await;
        assert_eq!(in_use, [(merchant.webhook.as_str().to_owned(), EndpointState::Active)], "round {round}");
        assert_eq!(told(&world, &other_order, "order.paid"), 1, "once at each");
    }
}

#[tokio::test]
async fn orders_of_a_suspended_merchant_wait_for_a_person() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let (core, name) = (&world.core, &shop.merchant.name);
    let (waits, paid_back) =
        (bought(&world, &machine, &shop, &key()).await, bought(&world, &machine, &shop, &key()).await);
    core.store.decide_merchant(name, MerchantDecision::Suspend).await.expect("suspended");
    let entry = registration::show(core, name).await.expect("those who bought from it still see it");
    assert!(entry.suspended && entry.products.is_empty());
    after(&world, 3600).await;
    let held = found(&world, &waits.id).await;
    assert_eq!(held.state, Some(CodeState::Paid), "it does not fail by itself");
    assert!(held.next().is_some_and(|(who, _)| who == portcullis_protocol::codes::Party::Operator));
    portcullis_server::billing::orders::refund(core, &paid_back.id).await.expect("the person pays one back");
    core.store.decide_merchant(name, MerchantDecision::Restore).await.expect("restored");
    let resumed = found(&world, &waits.id).await;
    assert_ne!(resumed.nonce, held.nonce, "told anew");
    assert_eq!((told(&world, &resumed, "order.paid"), waits_to_be_told(&world, &resumed)), (2, 1), "by the new nonce");
    after(&world, 3600).await;
    shop.deliver(core, &waits.id).await.expect("it has a day");
    // The control: an order of a merchant that is not suspended fails, also one that was resumed.
    let late = bought(&world, &machine, &shop, &key()).await;
    core.store.decide_merchant(name, MerchantDecision::Suspend).await.expect("suspended");
    after(&world, 3600).await;
    core.store.decide_merchant(name, MerchantDecision::Restore).await.expect("restored");
    after(&world, 25 * 3600).await;
    assert_eq!(state(&world, &late.id).await, CodeState::Refunded);
    assert_eq!(books(&world, BOOKS).await, [-2000, 0, 2000, 0, 0]);
}

#[tokio::test]
async fn a_stolen_key_is_replaced_by_operator_and_owner_together_and_leads_nowhere() {
    let world = World::new().await;
    let (mut shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let (core, thief) = (&world.core, world.machine("mallory@example.org").await);
    let stolen = shop.key.clone();
    let waits = bought(&world, &machine, &shop, &key()).await;
    let sealed = bought(&world, &machine, &shop, &key()).await;
    let honest = shop.deliver(core, &sealed.id).await.expect("delivered before");
    // The thief has the key vouch for one of his.
    let name = shop.merchant.name.clone();
    vouch(&world, &mut shop, 1).await.expect("vouched");
    let replacement = SecretKey::generate(&mut rng());
    let claim = |owner, key: &SecretKey| new_merchant(core, "games", key, owner, "https://safe.example/hook");
    let owner = shop.merchant.owner;
    let claimed = async |new| core.store.claim_merchant(new).await.expect("answered");
    assert!(matches!(claimed(claim(owner, &replacement)).await, MerchantOutcome::Taken), "without the operator not");
    let rekey = MerchantDecision::Rekey(replacement.public().thumbprint());
    let (merchant, _) = core.store.decide_merchant(&name, rekey).await.expect("decided").expect("a merchant");
    assert_eq!(merchant.state.word(), "suspended", "the old key acts for nobody from now on");
    let stranger = SecretKey::generate(&mut rng());
    assert!(matches!(claimed(claim(owner, &stranger)).await, MerchantOutcome::Taken), "another key than was named");
    let by_thief = claimed(claim(thief.account, &replacement)).await;
    assert!(matches!(by_thief, MerchantOutcome::Taken), "nor another account");
    after(&world, 3600).await;
    assert_eq!(state(&world, &waits.id).await, CodeState::Paid, "orders wait meanwhile");

    let MerchantOutcome::Claimed(merchant) = claimed(claim(owner, &replacement)).await else { panic!("the control") };
    assert_eq!((&merchant.key, merchant.state.word()), (replacement.public(), "claimed"));
    for key in [stolen.public(), shop.key.public()] {
        assert!(core.store.merchant_of_key(key).await.expect("read").is_none(), "the stolen keys are nobody's");
    }
    assert!(core.store.merchant_vouches(&merchant.id).await.expect("read").is_empty(), "and vouch for nobody");
    assert_eq!(
        endpoints(&world, &shop).await,
        [("https://safe.example/hook".to_owned(), EndpointState::Disabled)],
        "with secrets that nobody has read"
    );
    let before = found(&world, &waits.id).await;
    assert!(core.store.prove_merchant(&merchant.id, &merchant.webhook).await.expect("proven"));
    assert_eq!(told(&world, &before, "order.paid"), 1);
    let shop = Shop { key: replacement, merchant: *merchant, product: shop.product };
    shop.deliver(core, &waits.id).await.expect("the orders go on under the new key");
    let shown = merchants::orders::show(core, &shop.merchant, &sealed.id).await.expect("shown");
    let document = shown.document.expect("a document");
    assert_eq!(crate::codes::read::<CodeAccepted>(core, &document).ciphertext, honest.ciphertext);
    let bought = order(&world, &machine, wanted(shop.product, &key(), "ok")).await;
    assert_eq!(reason(bought), Reason::ProductUnknown, "what the old key signed is not sold");
    let again = claim(owner, &stolen);
    assert!(matches!(claimed(again).await, MerchantOutcome::Taken), "the stolen key does not come back");
}

#[tokio::test]
async fn what_is_never_paid_takes_no_probe_of_a_merchant_that_fails() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let stranger = world.machine("mallory@example.org").await;
    misses(&world, &machine, &shop, 4).await;
    for token in ["pending", "decline"] {
        order(&world, &stranger, wanted(shop.product, &key(), token)).await.expect("opened");
    }
    let probe = bought(&world, &machine, &shop, &key()).await;
    world.core.clock.advance(20);
    let refused = order(&world, &machine, wanted(shop.product, &key(), "ok")).await;
    let Err(ServiceError::Refused(refused)) = refused else { panic!("the control: one a minute") };
    assert_eq!(refused.reason, Reason::MerchantUnavailable);
    assert!(refused.retry_after.is_some_and(|seconds| (35..=40).contains(&seconds)), "{:?}", refused.retry_after);
    assert_eq!(state(&world, &probe.id).await, CodeState::Paid);
    world.core.clock.advance(41);
    bought(&world, &machine, &shop, &key()).await;
    let (reason, _) = refusal(order(&world, &stranger, wanted(shop.product, &key(), "ok")).await);
    assert_eq!(reason, Reason::MerchantUnavailable);
}

/// A merchant that answers a webhook and declines the order at the same moment: neither transaction waits for what the
/// other one has.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answered_webhook_and_a_decline_at_once_lock_nothing_crosswise() {
    let world = World::new().await;
    let second = world.second().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let router = axum::Router::new().fallback(async || axum::http::StatusCode::NO_CONTENT);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let owner = crate::world::account(&world.core, "games@example.org").await;
    let shop = Shop::at(&world.core, "games", owner, &url).await;
    let machine = world.machine("ada@example.org").await;
    for _ in 0..20 {
        world.database().run("DELETE FROM merchant_health");
        let paid = bought(&world, &machine, &shop, &key()).await;
        let decline = merchants::orders::decline(&world.core, &shop.merchant, &paid.id, "");
        let (declined, round) = join!(decline, portcullis_server::effects::round(&second));
        declined.expect("declined");
        round.expect("a round");
    }
    if let crate::database::Place::Address(_) = world.database() {
        let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(count(&world, sql), 0, "deadlocks");
    }
    after(&world, 10).await;
    assert_eq!(books(&world, BOOKS).await, [0; 5], "each is paid back");
}

/// What a merchant can show is signed by the key in force, and is not older than that key.
#[tokio::test]
async fn what_a_merchant_can_show_is_believed_after_the_platform_has_changed_its_key() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let core = &world.core;
    let (sold, declined) =
        (bought(&world, &machine, &shop, &key()).await, bought(&world, &machine, &shop, &key()).await);
    shop.deliver(core, &sold.id).await.expect("delivered");
    merchants::orders::decline(core, &shop.merchant, &declined.id, "").await.expect("declined");
    core.clock.advance(100);
    let rotated = core.clock.now().seconds();
    let act = portcullis_server::audit::Act::of_server(core, "signing key add", "");
    let stolen = portcullis_server::crypto::keys::Rotation::Stolen;
    let rotation = portcullis_server::crypto::keys::rotate_signing_key(&*core.store, &core.secrets, stolen);
    act.scope(rotation).await.expect("rotated");
    core.keys.refresh(&*core.store, &core.secrets).await.expect("refreshed");
    let show = async |order: &CodeOrder| {
        let shown = merchants::orders::show(core, &shop.merchant, &order.id).await.expect("shown");
        shown.document.expect("a document")
    };
    let accepted: CodeAccepted = crate::codes::read(core, &show(&sold).await);
    assert!(accepted.iat >= rotated && accepted.at < rotated, "{accepted:?}");
    let refunded: portcullis_protocol::OrderRefunded = crate::codes::read(core, &show(&declined).await);
    assert!(refunded.iat >= rotated && refunded.at < rotated, "{refunded:?}");
}
