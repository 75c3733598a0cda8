//! A merchant from its registration to a delivered code, over HTTP, against a whole server: with an endpoint that
//! answers, one that only repeats what it hears, and one that answers for somebody else.

use crate::browser::Browser;
use crate::database::Of;
use crate::stage::Stage;
use crate::terminal::{Draft, Terminal, now, rng};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use portcullis_protocol::codes::{CodeState, Codes, Quantity, ReportedState, TimeToDeliver, open};
use portcullis_protocol::encoding::{Octets, from_base64url};
use portcullis_protocol::wire::{
    CodeAckAnswer, CodeAckRequest, CodeOrderAnswer, CodeOrderRequest, CodeOrdersAnswer, CodeSubmission,
    CodeSubmissionAnswer, Done, MerchantAnswer, MerchantEntry, MerchantOrder, MerchantOrdersAnswer, MerchantRequest,
    MerchantStatus, MerchantVouchRequest, OrderAnswer, OrderVerificationAnswer, OrderVerificationRequest,
    OwnershipRequest, PaymentMethod, PaymentRequestAnswer, PaymentRequestRequest, ProductAnswer, ProductRequest,
};
use portcullis_protocol::{
    CodeAccepted, Digest, Document, MerchantClaim, MerchantName, MerchantVouch, OrderId, Ownership, PaymentRequest,
    Product, PublicKey, Reason, ReleaseSecretKey, SealedCode, SecretKey, Unverified, Verification, Verified,
    WebhookUrl, paths,
};
use portcullis_server::store::{MerchantDecision, RequestOutcome};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

/// How an endpoint answers a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Honest,
    /// It repeats what it hears.
    Echo,
    /// It signs for another address.
    Elsewhere,
    /// It signs a challenge that it made up.
    Replay,
    /// Its answer never ends.
    Endless,
}

#[derive(Clone)]
struct Endpoint {
    url: WebhookUrl,
    key: SecretKey,
    manner: Arc<Mutex<Manner>>,
    heard: Arc<Mutex<Vec<Value>>>,
}

async fn answer(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) -> Response {
    assert!(headers.contains_key("webhook-id") && headers.contains_key("webhook-signature"));
    let said: Value = serde_json::from_slice(&body).expect("JSON");
    endpoint.heard.lock().expect("a lock").push(said.clone());
    if said["type"] != "endpoint.challenge" {
        return axum::http::StatusCode::NO_CONTENT.into_response();
    }
    let manner = *endpoint.manner.lock().expect("a lock");
    let mut ownership = Ownership {
        merchant: "games".parse().expect("a name"),
        challenge: serde_json::from_value(said["data"]["challenge"].clone()).expect("a challenge"),
        url: endpoint.url.clone(),
        platform: serde_json::from_value(said["iss"].clone()).expect("an origin"),
        iat: now(),
    };
    match manner {
        Manner::Honest => {}
        Manner::Echo => return Json(said).into_response(),
        Manner::Elsewhere => ownership.url = "https://bank.example/hook".parse().expect("an address"),
        Manner::Replay => ownership.challenge = Octets([7; 32]),
        Manner::Endless => return "x".repeat(64 * 1024).into_response(),
    }
    let signed = Verified::sign(ownership, &endpoint.key);
    Json(json!({ "ownership": signed.compact() })).into_response()
}

impl Endpoint {
    async fn open(key: &SecretKey) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let url = WebhookUrl::new(url).expect("an address");
        let endpoint =
            Self { url, key: key.clone(), manner: Arc::new(Mutex::new(Manner::Honest)), heard: Arc::default() };
        let router = Router::new().fallback(answer).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    /// Waits for a webhook of a type, about an order.
    async fn told(&self, kind: &str, order: &OrderId) -> Value {
        let is_it = |said: &&Value| said["type"] == kind && said["data"]["order"] == order.to_string();
        for _ in 0..600 {
            if let Some(said) = self.heard.lock().expect("a lock").iter().find(is_it) {
                return said.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no {kind} in 30 s: {:?}", self.heard.lock().expect("a lock"))
    }
}

fn sign<D: Document>(document: D, key: &SecretKey) -> String {
    Verified::sign(document, key).compact().to_owned()
}

/// A server that may reach this machine, a merchant's terminal key, and its endpoint.
pub(crate) async fn stage() -> Stage {
    Stage::open().await
}

async fn by(stage: &Stage, key: &SecretKey) -> Terminal {
    let mut merchant = Terminal::new(&stage.origin).await;
    merchant.key = key.clone();
    merchant
}

fn claim(stage: &Stage, endpoint: &Endpoint, key: &SecretKey) -> MerchantRequest {
    let claim = MerchantClaim {
        name: "games".parse().expect("a name"),
        title: "The Games Shop".parse().expect("a title"),
        jwk: key.public().clone(),
        origin: stage.origin.clone(),
        webhook: endpoint.url.clone(),
        iat: now(),
    };
    MerchantRequest { claim: sign(claim, key) }
}

fn reason(refusal: &portcullis_protocol::RefusalAnswer) -> Reason {
    refusal.reason
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_registers_proves_its_endpoint_sells_and_delivers() {
    let stage = stage().await;
    let (mut owner, key) = (stage.customer("owner@example.org").await, SecretKey::generate(&mut rng()));
    let endpoint = Endpoint::open(&key).await;
    let mut merchant = by(&stage, &key).await;
    let prove = || Draft::post(paths::OWNERSHIP, &OwnershipRequest {});

    assert_eq!(reason(&merchant.get_no(&prove()).await), Reason::MerchantUnknown, "a key that is nobody's");
    let claimed: MerchantAnswer = owner.get_yes(&Draft::post(paths::MERCHANTS, &claim(&stage, &endpoint, &key))).await;
    assert_eq!(claimed.state, "claimed");
    let mut other = stage.customer("other@example.org").await;
    let taken = other.send(&Draft::post(paths::MERCHANTS, &claim(&stage, &endpoint, &key))).await;
    assert_eq!(taken.status, 422, "another account's");

    // Ownership: what only the merchant's key can sign.
    for manner in [Manner::Echo, Manner::Elsewhere, Manner::Replay, Manner::Endless] {
        *endpoint.manner.lock().expect("a lock") = manner;
        let refused = merchant.send(&prove()).await;
        assert_eq!(refused.status, 422, "{manner:?}");
    }
    *endpoint.manner.lock().expect("a lock") = Manner::Honest;
    let proven: MerchantAnswer = merchant.get_yes(&prove()).await;
    assert_eq!(proven.state, "proven", "the control");
    let name: MerchantName = "games".parse().expect("a name");
    let path = paths::fill(paths::MERCHANT, &[&name]);
    assert_eq!(owner.send(&Draft { with_token: false, ..Draft::get(path.clone()) }).await.status, 404, "not approved");
    let store = &stage.running.app().core.store;
    store.decide_merchant(&name, MerchantDecision::Approve).await.expect("approved");
    let status: MerchantStatus = merchant.get_yes(&Draft::get(paths::OWN_MERCHANT)).await;
    assert_eq!((status.state.as_str(), status.keys.len()), ("approved", 1));
    assert!(status.keys[0].v1.starts_with("whsec_") && status.keys[0].v1a.starts_with("whpk_"));

    // A request by the merchant's key with somebody's token is neither's.
    let mut confused = by(&stage, &key).await;
    confused.token = owner.token.clone();
    assert_eq!(confused.send(&Draft::get(paths::OWN_MERCHANT)).await.status, 400);

    let product = Product {
        merchant: name.clone(),
        aud: stage.origin.clone(),
        name: "game-key".parse().expect("a name"),
        title: "A game".parse().expect("a title"),
        description: "For one player.".parse().expect("a text"),
        price: "20.00 EUR".parse().expect("a price"),
        deadline: TimeToDeliver::new(600).expect("seconds"),
        iat: now(),
    };
    let body = ProductRequest { product: sign(product, &key) };
    let sold: ProductAnswer = merchant.get_yes(&Draft::json(Method::PUT, paths::PRODUCTS, &body)).await;
    let listed = owner.send(&Draft { with_token: false, ..Draft::get(path) }).await;
    let entry: MerchantEntry = serde_json::from_slice(&listed.body).expect("an entry");
    assert_eq!((entry.key, entry.products.len()), (key.public().clone(), 1));

    // What people see of it.
    let request = PaymentRequest {
        merchant: name.clone(),
        aud: stage.origin.clone(),
        jti: Octets([1; 16]),
        product: sold.product,
        quantity: Quantity::ONE,
        amount: "18.00 EUR".parse().expect("an amount"),
        iat: now(),
        exp: now() + 600,
    };
    let body = PaymentRequestRequest { request: sign(request, &key) };
    let asked: PaymentRequestAnswer = merchant.get_yes(&Draft::post(paths::MERCHANT_REQUESTS, &body)).await;
    let mut visitor = Browser::new(&stage.origin);
    let page = visitor.get("/merchants/games").await.text;
    assert!(page.contains("The Games Shop") && page.contains("20.00 EUR") && page.contains("games/game-key"), "{page}");
    let path = asked.url.strip_prefix(stage.origin.as_str()).expect("a page of this server");
    let page = visitor.get(path).await.text;
    assert!(page.contains("18.00 EUR") && page.contains("It can be paid once"), "{page}");
    let unknown = format!("/pay/{}", "A".repeat(asked.request.to_string().len()));
    assert_eq!(visitor.get(&unknown).await.status, 404, "the control");

    // A customer orders; the merchant is told, asks, and delivers.
    let mut buyer = stage.customer("ada@example.org").await;
    let order_key = ReleaseSecretKey::generate(&mut rng());
    let wanted = CodeOrderRequest {
        product: sold.product,
        quantity: Quantity::ONE,
        recipient: Octets(*order_key.public().as_bytes()),
        request: None,
        payment: PaymentMethod { provider: "sandbox".into(), token: "ok".into() },
        again: false,
    };
    let ordered: OrderAnswer = buyer.get_yes(&Draft::post(paths::CODES, &wanted)).await;
    let told = endpoint.told("order.paid", &ordered.order).await;
    assert_eq!(
        (told["iss"].as_str(), told["aud"].as_str()),
        (Some(stage.origin.as_str()), Some(endpoint.url.as_str()))
    );
    assert_eq!(told["data"].as_object().expect("an object").len(), 2, "order and nonce, and nothing else: {told}");
    // 204 was answered: the order is notified, in the transaction that writes that down.
    let shown = paths::fill(paths::MERCHANT_ORDER, &[&ordered.order]);
    let mut state = None;
    for _ in 0..600 {
        let order: MerchantOrder = merchant.get_yes(&Draft::get(shown.clone())).await;
        state = order.state.known();
        if state == Some(CodeState::Notified) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(state, Some(CodeState::Notified), "in 30 s");
    let asked = OrderVerificationRequest {
        order: ordered.order,
        nonce: serde_json::from_value(told["data"]["nonce"].clone()).expect("a nonce"),
        request: None,
    };
    let answered: OrderVerificationAnswer = merchant.get_yes(&Draft::post(paths::ORDER_VERIFICATIONS, &asked)).await;
    let signer = |kid| merchant.keys.signing_key(kid, now()).cloned().expect("a key of the server");
    let verification = Unverified::<Verification>::parse(&answered.verification).expect("form");
    let verification = verification.clone().verify(&signer(verification.kid())).expect("signed");
    let submission = sealed(&verification, &key, "ALPINE-RACER-1");
    let accepted: CodeSubmissionAnswer = merchant.get_yes(&Draft::post(paths::SUBMISSIONS, &submission)).await;
    let said = Unverified::<CodeAccepted>::parse(&accepted.accepted).expect("form");
    let server = merchant.keys.signing_key(said.kid(), now()).cloned().expect("a key of the server");
    let said = said.verify(&server).expect("signed").into_document();
    assert_eq!((said.order, said.reversed), (ordered.order, false));
    let open_orders: MerchantOrdersAnswer = merchant.get_yes(&Draft::get(paths::MERCHANT_OPEN)).await;
    assert_eq!((open_orders.orders.len(), open_orders.next), (1, None));
    let after = Draft::get(paths::fill(paths::MERCHANT_OPEN_PAGE, &[&ordered.order]));
    let none: MerchantOrdersAnswer = merchant.get_yes(&after).await;
    assert!(none.orders.is_empty(), "pages go on after an order");
    // What the webhook said can be pulled, too.
    let said = |event: &Value| {
        let payload = event.as_str().and_then(|compact| compact.split('.').nth(1)).expect("a signed event");
        String::from_utf8(from_base64url(payload).expect("base64url")).expect("text")
    };
    let pulled: Value = merchant.get_yes(&Draft::get(paths::MERCHANT_EVENTS)).await;
    let events: Vec<String> = pulled["events"].as_array().expect("events").iter().map(said).collect();
    let nonce = told["data"]["nonce"].as_str().expect("a nonce");
    assert!(events.iter().any(|event| event.contains("order.paid") && event.contains(nonce)), "{events:?}");
    let cursor = (pulled["epoch"].as_str().expect("an epoch"), pulled["last"].as_u64().expect("a number"));
    let path = paths::fill(paths::MERCHANT_EVENTS_AFTER, &[&cursor.0, &cursor.1]);
    let rest: Value = merchant.get_yes(&Draft::get(path)).await;
    assert_eq!(rest["events"].as_array().map(Vec::len), Some(0), "after the cursor");

    // The terminal hears of it as an event, fetches and acknowledges.
    let events: Value = buyer.get_yes(&Draft::get(paths::EVENTS)).await;
    let events: Vec<String> = events["events"].as_array().expect("events").iter().map(said).collect();
    let received = events.iter().find(|event| event.contains("code.received")).expect("the terminal was told");
    assert!(received.contains(&ordered.order.to_string()) && !received.contains("ALPINE"), "{received}");
    let path = paths::fill(paths::CODE, &[&ordered.order]);
    let fetched: CodeOrderAnswer = buyer.get_yes(&Draft::get(path.clone())).await;
    let delivery = fetched.delivery.expect("a delivery");
    assert_eq!(opened(&delivery, &order_key, key.public()), "ALPINE-RACER-1");
    let strange = stage.customer("bob@example.org").await.send(&Draft::get(path)).await;
    assert_eq!(strange.status, 404, "somebody else's");
    let code: SealedCode =
        Unverified::parse(&delivery.code).expect("form").verify(key.public()).expect("signed").into_document();
    let ack = CodeAckRequest { generation: code.generation, ciphertext: code.ciphertext, readable: true };
    let path = paths::fill(paths::CODE_ACK, &[&ordered.order]);
    let said: CodeAckAnswer = buyer.get_yes(&Draft::post(path, &ack)).await;
    assert_eq!(said.state, ReportedState::Known(CodeState::Acknowledged));
    let codes: CodeOrdersAnswer = buyer.get_yes(&Draft::get(paths::ACCOUNT_CODES)).await;
    assert_eq!(codes.codes.len(), 1);

    // The merchant changes its key: the old one is nobody's from then on.
    let successor = SecretKey::generate(&mut rng());
    let vouch = MerchantVouch { merchant: name, jwk: successor.public().clone(), seq: 1, iat: now() };
    let body = MerchantVouchRequest { vouch: sign(vouch, &key), claim: claim(&stage, &endpoint, &successor).claim };
    let Done {} = merchant.get_yes(&Draft::post(paths::MERCHANT_VOUCHES, &body)).await;
    assert_eq!(reason(&merchant.get_no(&Draft::get(paths::OWN_MERCHANT)).await), Reason::MerchantUnknown);
    let mut renewed = by(&stage, &successor).await;
    let status: MerchantStatus = renewed.get_yes(&Draft::get(paths::OWN_MERCHANT)).await;
    assert_eq!(status.state, "approved");

    // One that is suspended reads what becomes of its orders, and does nothing.
    store.decide_merchant(&status.merchant, MerchantDecision::Suspend).await.expect("suspended");
    let order: MerchantOrder = renewed.get_yes(&Draft::get(shown)).await;
    assert!(order.document.is_some(), "whether the code may be sold again");
    assert_eq!(reason(&renewed.get_no(&prove()).await), Reason::MerchantUnknown);
    stage.stop().await;
}

/// Seals a code as the verification says, and signs for it.
fn sealed(verification: &Verified<Verification>, key: &SecretKey, code: &str) -> CodeSubmission {
    let (said, digest) = (verification.document(), verification.digest());
    let plain = Codes::new(vec![Zeroizing::new(code.to_owned())]).expect("a code");
    CodeSubmission::seal(said, digest, &plain, Vec::new(), said.iat, key, &mut rng()).expect("sealed")
}

/// What a terminal makes of a delivery.
fn opened(delivery: &portcullis_protocol::wire::Delivery, key: &ReleaseSecretKey, merchant: &PublicKey) -> String {
    let code: SealedCode =
        Unverified::parse(&delivery.code).expect("form").verify(merchant).expect("signed").into_document();
    let codes = open(key, &code.context(), Quantity::ONE, &delivery.sealed()).expect("it opens");
    codes.iter().next().expect("a code").to_owned()
}

/// A flood of orders does not lock the merchant out of delivering them: it is counted by itself, and as generously as
/// its work needs. One that nobody has approved is counted as anybody is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_merchant_has_a_share_of_requests_of_its_own() {
    let stage = Stage::with(|config| {
        (config.limits.terminal_rate, config.limits.terminal_burst) = (1, 40);
        (config.limits.address_rate, config.limits.address_burst) = (1, 200);
        (config.limits.merchant_rate, config.limits.merchant_burst) = (1, 260);
    })
    .await;
    let (mut owner, key) = (stage.customer("owner@example.org").await, SecretKey::generate(&mut rng()));
    let endpoint = Endpoint::open(&key).await;
    let mut merchant = by(&stage, &key).await;
    let _: MerchantAnswer = owner.get_yes(&Draft::post(paths::MERCHANTS, &claim(&stage, &endpoint, &key))).await;
    let looks = async |merchant: &mut Terminal, most: usize| {
        let mut looks = 0;
        while looks < most && merchant.send(&Draft::get(paths::OWN_MERCHANT)).await.status == 200 {
            looks += 1;
        }
        looks
    };
    let claimed = looks(&mut merchant, 300).await;
    assert!((30..=60).contains(&claimed), "as a terminal: {claimed}");
    let store = &stage.running.app().core.store;
    let name: MerchantName = "games".parse().expect("a name");
    let known = store.merchant(&name).await.expect("read").expect("a merchant");
    assert!(store.prove_merchant(&known.id, &known.webhook).await.expect("proven"));
    store.decide_merchant(&name, MerchantDecision::Approve).await.expect("approved");
    let approved = looks(&mut merchant, 400).await;
    assert!((255..=330).contains(&approved), "more than its address may: {approved}");
    stage.stop().await;
}

/// Whoever has an account has the store send requests to an address that he makes up: a few, and no more.
#[tokio::test]
async fn challenges_are_sent_a_few_times_and_not_to_a_third_party_all_the_time() {
    let stage = stage().await;
    let (mut owner, key) = (stage.customer("owner@example.org").await, SecretKey::generate(&mut rng()));
    let endpoint = Endpoint::open(&key).await;
    let mut merchant = by(&stage, &key).await;
    let _: MerchantAnswer = owner.get_yes(&Draft::post(paths::MERCHANTS, &claim(&stage, &endpoint, &key))).await;
    let mut statuses = Vec::new();
    for _ in 0..30 {
        let prove = Draft::post(paths::OWNERSHIP, &OwnershipRequest {});
        statuses.push(merchant.send(&prove).await.status.as_u16());
    }
    let sent = endpoint.heard.lock().expect("a lock").len();
    // One comes back every half minute.
    assert!((20..26).contains(&sent), "{sent} challenges: {statuses:?}");
    assert_eq!((statuses[0], statuses[29]), (200, 429), "{statuses:?}");
    let _: MerchantStatus = merchant.get_yes(&Draft::get(paths::OWN_MERCHANT)).await;
    stage.stop().await;
}

/// Each claim with another address makes an endpoint with keys, and holds what all endpoints and the catalogue need.
#[tokio::test]
async fn names_of_merchants_are_claimed_a_few_times_an_hour() {
    let stage = stage().await;
    let (mut owner, key) = (stage.customer("owner@example.org").await, SecretKey::generate(&mut rng()));
    let endpoint = Endpoint::open(&key).await;
    let asked = claim(&stage, &endpoint, &key);
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(owner.send(&Draft::post(paths::MERCHANTS, &asked)).await.status.as_u16());
    }
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!((passed, statuses[29]), (20, 429), "{statuses:?}");
    // The control: somebody else.
    let mut other = stage.customer("other@example.org").await;
    let answer = other.send(&Draft::post(paths::MERCHANTS, &asked)).await;
    assert_eq!(answer.status, 422, "the name is taken, which it is told");
    stage.stop().await;
}

/// Whoever could sell nothing asks nobody to pay.
#[tokio::test]
async fn a_merchant_that_is_not_approved_asks_for_no_payment() {
    let stage = stage().await;
    let core = &stage.running.app().core;
    let mut shop = crate::codes::Shop::new(core, "games").await;
    let sql = "UPDATE merchants SET approved_at = NULL";
    stage.database().run(sql);
    shop.merchant = core.store.merchant(&shop.merchant.name).await.expect("read").expect("a merchant");
    let mut merchant = by(&stage, &shop.key).await;
    let ask = |request: String| Draft::post(paths::MERCHANT_REQUESTS, &PaymentRequestRequest { request });
    let signed = || crate::codes::signed_request(core, &shop, "15.00 EUR");
    let refused = merchant.get_no(&ask(signed().compact().to_owned())).await;
    assert_eq!(refused.reason, Reason::MerchantUnknown);
    // Also if the operator has taken the approval back since the request came in.
    let (request, digest) = (signed(), Digest::of(b"a request"));
    let stored = core.store.store_request(&shop.merchant.id, shop.key.public(), &digest, request.document(), "");
    assert_ne!(stored.await.expect("answered"), RequestOutcome::Stored);
    core.store.decide_merchant(&shop.merchant.name, MerchantDecision::Approve).await.expect("approved");
    let _: PaymentRequestAnswer = merchant.get_yes(&ask(signed().compact().to_owned())).await;
    stage.stop().await;
}

/// What nobody pays is kept for days, and all that can be paid ends in one transaction when the key changes.
#[tokio::test]
async fn a_merchant_asks_for_so_many_payments_at_once() {
    let stage = stage().await;
    let core = &stage.running.app().core;
    let shop = crate::codes::Shop::new(core, "games").await;
    let mut merchant = by(&stage, &shop.key).await;
    let signed = || crate::codes::signed_request(core, &shop, "15.00 EUR").compact().to_owned();
    let ask = |request: String| Draft::post(paths::MERCHANT_REQUESTS, &PaymentRequestRequest { request });
    let first = signed();
    let answer: PaymentRequestAnswer = merchant.get_yes(&ask(first.clone())).await;
    let (merchant_id, exp) = (shop.merchant.id.0.0, core.clock.now().plus(3600).millis());
    for chunk in 0..33 {
        let rows = (0..303).map(|number| format!("(x'{:064x}', ?1, ?2, '{{}}', '', ?3)", chunk * 303 + number));
        let rows = rows.collect::<Vec<_>>().join(", ");
        let columns = "digest, merchant, product, request, compact, expires_at";
        let sql = format!("INSERT INTO payment_requests ({columns}) VALUES {rows}");
        let values = [Of::Blob(&merchant_id), Of::Blob(shop.product.as_bytes()), Of::Int(exp)];
        assert_eq!(stage.database().change(&sql, &values), 303);
    }
    let refused = merchant.send(&ask(signed())).await;
    assert!(refused.status == 422 && refused.text().contains("10000"), "{}", refused.text());
    // The controls: the same again is no further one, and those that have expired do not count.
    let again: PaymentRequestAnswer = merchant.get_yes(&ask(first)).await;
    assert_eq!(again.request, answer.request);
    stage.database().run("UPDATE payment_requests SET expires_at = 0");
    let _: PaymentRequestAnswer = merchant.get_yes(&ask(signed())).await;

    let gate = &stage.running.app().gates.requests;
    let mut held = false;
    for _ in 0..50 {
        while gate.take(shop.merchant.id).is_ok() {}
        let status = merchant.send(&ask(signed())).await.status.as_u16();
        held = status == 429;
        assert!(held || status == 200, "{status}");
        if held {
            break;
        }
    }
    assert!(held, "it is never held back");
    stage.stop().await;
}

/// What the operator has approved is what buyers read: with another title a merchant is approved anew.
#[tokio::test]
async fn a_merchant_that_takes_another_title_is_approved_anew() {
    let stage = stage().await;
    let core = &stage.running.app().core;
    let shop = crate::codes::Shop::new(core, "games").await;
    let claimed = async |title: &str| {
        let webhook = shop.merchant.webhook.as_str();
        let mut new = crate::codes::new_merchant(core, "games", &shop.key, shop.merchant.owner, webhook);
        new.title = title.parse().expect("a title");
        core.store.claim_merchant(new).await.expect("claimed");
        core.store.merchant(&shop.merchant.name).await.expect("read").expect("a merchant")
    };
    assert_eq!(claimed(shop.merchant.title.as_str()).await.state.word(), "approved", "the control: the same again");
    let renamed = claimed("The store's own top-up").await;
    assert_eq!(renamed.state.word(), "proven");
    let found = async || Browser::new(&stage.origin).get("/search?q=game-key").await.text;
    let text = found().await;
    assert!(!text.contains("own top-up"), "{text}");
    core.store.decide_merchant(&shop.merchant.name, MerchantDecision::Approve).await.expect("approved");
    assert_eq!(claimed("The store's own top-up").await.state.word(), "approved");
    let text = found().await;
    assert!(text.contains("own top-up"), "the control: {text}");
    stage.stop().await;
}

/// Each revision of a product is a change of the index that everybody searches: what a merchant may change at once is
/// bounded, and what it asks otherwise goes on.
#[tokio::test]
async fn a_merchant_that_changes_its_products_all_the_time_is_held_back() {
    let stage = stage().await;
    let core = &stage.running.app().core;
    let shop = crate::codes::Shop::new(core, "games").await;
    let mut merchant = by(&stage, &shop.key).await;
    let sell = |price: &str| {
        let body = ProductRequest { product: shop.product(core, "game-key", price, 600) };
        Draft::json(Method::PUT, paths::PRODUCTS, &body)
    };
    let _: ProductAnswer = merchant.get_yes(&sell("21.00 EUR")).await;
    let gate = &stage.running.app().gates.products;
    // What comes back meanwhile, on a busy machine, is used up again.
    let mut held = false;
    for _ in 0..50 {
        while gate.take(shop.merchant.id).is_ok() {}
        let answer = merchant.send(&sell("22.00 EUR")).await.status.as_u16();
        held = answer == 429;
        assert!(held || answer == 200, "{answer}");
        if held {
            break;
        }
    }
    assert!(held, "it is never held back");
    let _: MerchantStatus = merchant.get_yes(&Draft::get(paths::OWN_MERCHANT)).await;
    // The control: of another merchant nothing is held back.
    let other = crate::codes::Shop::new(core, "films").await;
    let mut merchant = by(&stage, &other.key).await;
    let body = ProductRequest { product: other.product(core, "film-key", "5.00 EUR", 600) };
    let _: ProductAnswer = merchant.get_yes(&Draft::json(Method::PUT, paths::PRODUCTS, &body)).await;
    stage.stop().await;
}

/// Whoever claims names asks the server about the network that it stands in: which hosts there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_learns_which_names_there_are_in_the_servers_network() {
    let stage = Stage::with(|config| config.webhooks.networks_of_others = Vec::new()).await;
    // One leads to this very machine, one nowhere.
    let (inside, nowhere) =
        tokio::join!(unreached(&stage, 0, "localhost"), unreached(&stage, 1, "there-is-none.invalid"));
    assert!(are_alike(&inside, &nowhere), "{inside:?} {nowhere:?}");
    assert!(inside.0.contains("could not reach it") && inside.1 >= Duration::from_secs(6), "{inside:?}");
    stage.stop().await;
}

/// One that takes the connection and never says a word, in a network that may be reached: that it is there takes the
/// same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_silent_is_told_like_one_that_there_is_not() {
    let stage = Stage::open().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let knocked = async {
        let connection = tokio::time::timeout(Duration::from_secs(30), silent.accept()).await;
        let connection = connection.expect("in time").expect("the server connects");
        tokio::time::sleep(Duration::from_secs(10)).await;
        drop(connection);
    };
    let asked = async { tokio::join!(unreached(&stage, 0, &address), unreached(&stage, 1, "there-is-none.invalid")) };
    let (_, (there, nowhere)) = tokio::join!(knocked, asked);
    assert!(are_alike(&there, &nowhere), "{there:?} {nowhere:?}");
    stage.stop().await;
}

/// Whether two merchants are told the same after the same time, but for what the machine is busy with.
fn are_alike(one: &(String, Duration), other: &(String, Duration)) -> bool {
    one.0 == other.0 && one.1.abs_diff(other.1) < Duration::from_secs(2)
}

/// What a merchant is told of an endpoint at a host that is not reached, and after how long.
async fn unreached(stage: &Stage, number: u8, host: &str) -> (String, Duration) {
    let mut owner = stage.customer(&format!("owner{number}@example.org")).await;
    let key = SecretKey::generate(&mut rng());
    let claim = MerchantClaim {
        name: format!("shop-{}", char::from(b'a' + number)).parse().expect("a name"),
        title: "A shop".parse().expect("a title"),
        jwk: key.public().clone(),
        origin: stage.origin.clone(),
        webhook: format!("https://{host}/hook").parse().expect("an address"),
        iat: now(),
    };
    let claimed: MerchantAnswer =
        owner.get_yes(&Draft::post(paths::MERCHANTS, &MerchantRequest { claim: sign(claim, &key) })).await;
    assert_eq!(claimed.state, "claimed");
    let mut merchant = by(stage, &key).await;
    let begun = std::time::Instant::now();
    let refused = merchant.send(&Draft::post(paths::OWNERSHIP, &json!({}))).await;
    assert_eq!(refused.status, 422);
    (refused.problem().expect("a problem").detail, begun.elapsed())
}

#[tokio::test]
async fn a_webhook_on_a_private_address_is_not_accepted() {
    // What the operator listed for endpoints of the store's own is not a merchant's to reach.
    let stage = Stage::with(|config| config.webhooks.networks_of_others = Vec::new()).await;
    let (mut owner, key) = (stage.customer("owner@example.org").await, SecretKey::generate(&mut rng()));
    let endpoint = Endpoint::open(&key).await;
    let refused = owner.send(&Draft::post(paths::MERCHANTS, &claim(&stage, &endpoint, &key))).await;
    assert_eq!(refused.status, 422);
    assert!(endpoint.heard.lock().expect("a lock").is_empty(), "and nothing is sent there");
    stage.stop().await;
}
