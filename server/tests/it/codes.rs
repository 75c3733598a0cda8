//! Electronic codes, from the order to the code in the buyer's hands or the money back. The merchant and the terminals
//! here are the test's own: what they say is signed and sealed as anybody's.

use crate::database::Of;
use crate::metered::booked;
use crate::world::{Machine, World, account, count, fresh, holder, origin, reason};
use futures::future::join_all;
use portcullis_fixtures::holds;
use portcullis_protocol::codes::{
    CodeContext, CodeState, Codes, Generation, Quantity, ReportedState, TimeToDeliver, open,
};
use portcullis_protocol::encoding::{BoundedOctets, Octets};
use portcullis_protocol::wire::{
    CodeAckRequest, CodeOrderRequest, CodeSubmission, GiftsRequest, OrderAnswer, OrderState, OrderVerificationRequest,
    PaymentMethod, RecipientRequest,
};
use portcullis_protocol::{
    AccountId, CodeAccepted, CodeSerial, Digest, Document, MerchantName, OrderId, OrderRefunded, PaymentRequest,
    Product, Reason, ReleaseSecretKey, SealedCode, SecretKey, Unverified, Verification, Verified,
};
use portcullis_server::billing::payment::{PaymentChange, PaymentEvent, SANDBOX};
use portcullis_server::billing::{events, orders};
use portcullis_server::crypto::secrets::{random, rng};
use portcullis_server::effects;
use portcullis_server::merchants::{self, delivery, products};
use portcullis_server::notices::webhooks::keys;
use portcullis_server::store::{
    CodeDecision, CodeOrder, EndpointId, Merchant, MerchantDecision, MerchantId, MerchantOutcome, NewMerchant,
    NewMerchantEndpoint, OrderPhase,
};
use portcullis_server::{Core, Refusal, ServiceError};
use zeroize::Zeroizing;

/// What the merchant's codes begin with: nothing of the platform ever holds it in the clear.
const CODE: &str = "SECRET-CODE-OF-";
const PRICE: &str = "20.00 EUR";

/// A merchant, by itself: a key, and what it has sold.
pub(crate) struct Shop {
    pub(crate) merchant: Merchant,
    pub(crate) key: SecretKey,
    pub(crate) product: Digest,
}

impl Shop {
    pub(crate) async fn new(core: &Core, name: &str) -> Self {
        let owner = account(core, &format!("{name}@example.org")).await;
        Self::of(core, name, owner).await
    }

    /// A merchant of an account.
    pub(crate) async fn of(core: &Core, name: &str, owner: AccountId) -> Self {
        Self::at(core, name, owner, "https://shop.example/hook").await
    }

    /// One whose endpoint is somewhere.
    pub(crate) async fn at(core: &Core, name: &str, owner: AccountId, webhook: &str) -> Self {
        let key = SecretKey::generate(&mut rng());
        let name: MerchantName = name.parse().expect("a name");
        let store = &core.store;
        let new = new_merchant(core, name.as_str(), &key, owner, webhook);
        let MerchantOutcome::Claimed(merchant) = store.claim_merchant(new).await.expect("claimed") else {
            panic!("the name is taken")
        };
        assert!(store.prove_merchant(&merchant.id, &merchant.webhook).await.expect("proven"));
        store.decide_merchant(&name, MerchantDecision::Approve).await.expect("approved").expect("a merchant");
        let merchant = store.merchant(&name).await.expect("read").expect("a merchant");
        let mut shop = Self { merchant, key, product: Digest::of(b"") };
        shop.product = shop.sell(core, "game-key", PRICE, 600).await;
        shop
    }

    pub(crate) async fn sell(&self, core: &Core, name: &str, price: &str, deadline: u32) -> Digest {
        let compact = self.product(core, name, price, deadline);
        products::sell(core, &self.merchant, &compact).await.expect("sold").product
    }

    /// A product, signed.
    pub(crate) fn product(&self, core: &Core, name: &str, price: &str, deadline: u32) -> String {
        let product = Product {
            merchant: self.merchant.name.clone(),
            aud: core.origin.clone(),
            name: name.parse().expect("a name"),
            title: "A game".parse().expect("a title"),
            description: "".parse().expect("a description"),
            price: price.parse().expect("a price"),
            deadline: TimeToDeliver::new(deadline).expect("seconds"),
            iat: core.clock.now().seconds(),
        };
        self.sign(product)
    }

    pub(crate) fn sign<D: Document>(&self, document: D) -> String {
        Verified::sign(document, &self.key).compact().to_owned()
    }

    pub(crate) async fn verify(&self, core: &Core, order: &CodeOrder) -> Result<Verified<Verification>, ServiceError> {
        let asked = OrderVerificationRequest {
            order: order.id,
            nonce: order.nonce.expect("it is paid"),
            request: order.request,
        };
        let answer = merchants::orders::verify(core, &self.merchant, &asked).await?;
        let signer = core.keys.signing_key(core.clock.now()).expect("a key").public().clone();
        Ok(Unverified::parse(&answer.verification).expect("form").verify(&signer).expect("signed"))
    }

    /// Seals codes as the verification says, and signs for them.
    pub(crate) fn seal(
        &self,
        verification: &Verified<Verification>,
        codes: &[&str],
        serials: Vec<CodeSerial>,
    ) -> CodeSubmission {
        let (said, digest) = (verification.document(), verification.digest());
        let plain = Codes::new(codes.iter().map(|code| Zeroizing::new((*code).to_owned())).collect()).expect("codes");
        CodeSubmission::seal(said, digest, &plain, serials, said.iat, &self.key, &mut rng()).expect("sealed")
    }

    pub(crate) async fn submit(&self, core: &Core, submission: CodeSubmission) -> Result<CodeAccepted, ServiceError> {
        let answer = merchants::orders::submit(core, &self.merchant, submission).await?;
        Ok(read(core, &answer.accepted))
    }

    /// Everything that the merchant does for an order.
    pub(crate) async fn deliver(&self, core: &Core, order: &OrderId) -> Result<CodeAccepted, ServiceError> {
        let found = core.store.code_order(order).await.expect("read").expect("an order");
        let verification = self.verify(core, &found).await?;
        let code = format!("{CODE}{order}");
        self.submit(core, self.seal(&verification, &[&code], Vec::new())).await
    }
}

/// A claim to a merchant's name.
pub(crate) fn new_merchant(core: &Core, name: &str, key: &SecretKey, owner: AccountId, webhook: &str) -> NewMerchant {
    let id = EndpointId(Octets(random()));
    let (keys, _) = keys::new(&core.secrets, &id);
    NewMerchant {
        id: MerchantId(Octets(random())),
        name: name.parse().expect("a name"),
        title: "A shop".parse().expect("a title"),
        key: key.public().clone(),
        owner,
        webhook: webhook.parse().expect("an address"),
        endpoint: NewMerchantEndpoint { id, keys },
    }
}

/// A request for one code, made now and signed.
pub(crate) fn signed_request(core: &Core, shop: &Shop, amount: &str) -> Verified<PaymentRequest> {
    let now = core.clock.now().seconds();
    let request = PaymentRequest {
        merchant: shop.merchant.name.clone(),
        aud: core.origin.clone(),
        jti: Octets(random()),
        product: shop.product,
        quantity: Quantity::ONE,
        amount: amount.parse().expect("an amount"),
        iat: now,
        exp: now + 3600,
    };
    Verified::sign(request, &shop.key)
}

/// Nothing has happened to an order for half a year.
pub(crate) fn long_ago(world: &World, order: &OrderId) {
    let sql = "UPDATE code_orders SET changed_at = changed_at - ?1 WHERE id = ?2";
    let half_a_year = 181 * 24 * 3600 * 1000;
    assert_eq!(world.database().change(sql, &[Of::Int(half_a_year), Of::Blob(order.as_bytes())]), 1);
}

/// A document that the server signed.
pub(crate) fn read<D: Document>(core: &Core, compact: &str) -> D {
    let signer = core.keys.signing_key(core.clock.now()).expect("a key").public().clone();
    Unverified::<D>::parse(compact).expect("form").verify(&signer).expect("signed").into_document()
}

/// A refusal, and the document that comes with it.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> (Reason, String) {
    match result {
        Err(ServiceError::Refused(refusal)) => {
            let Refusal { reason, more, .. } = *refusal;
            (reason, more.get("document").and_then(|text| text.as_str()).unwrap_or_default().to_owned())
        }
        other => panic!("not a refusal: {other:?}"),
    }
}

pub(crate) fn wanted(product: Digest, recipient: &ReleaseSecretKey, token: &str) -> CodeOrderRequest {
    CodeOrderRequest {
        product,
        quantity: Quantity::ONE,
        recipient: Octets(*recipient.public().as_bytes()),
        request: None,
        payment: PaymentMethod { provider: "sandbox".into(), token: token.into() },
        again: true,
    }
}

pub(crate) async fn order(
    world: &World,
    machine: &Machine,
    request: CodeOrderRequest,
) -> Result<OrderAnswer, ServiceError> {
    let idempotency = fresh(&request);
    orders::order(&world.core, &machine.asker, request, &idempotency).await
}

/// A paid order of one code.
pub(crate) async fn bought(world: &World, machine: &Machine, shop: &Shop, key: &ReleaseSecretKey) -> CodeOrder {
    let answer = order(world, machine, wanted(shop.product, key, "ok")).await.expect("ordered");
    assert_eq!(answer.state, OrderState::Paid);
    found(world, &answer.order).await
}

pub(crate) async fn found(world: &World, order: &OrderId) -> CodeOrder {
    world.core.store.code_order(order).await.expect("read").expect("an order of codes")
}

pub(crate) async fn state(world: &World, order: &OrderId) -> CodeState {
    found(world, order).await.state.expect("paid for")
}

async fn phase(world: &World, order: &OrderId) -> OrderPhase {
    world.core.store.order(order).await.expect("read").expect("an order").phase
}

pub(crate) async fn books<const N: usize>(world: &World, accounts: [&str; N]) -> [i64; N] {
    let balances = world.core.store.balances().await.expect("balances");
    accounts.map(|account| booked(&balances, account))
}

pub(crate) const BOOKS: [&str; 5] = ["provider:sandbox", "undelivered", "merchant:games", "refunds", "disputes"];

/// Lets time pass, and the server do what is due.
pub(crate) async fn after(world: &World, seconds: i64) {
    world.core.clock.advance(seconds);
    while effects::round(&world.core).await.expect("a round") > 0 {
        world.core.clock.advance(1);
    }
}

/// What a terminal makes of a delivery.
pub(crate) fn opened(
    delivery: &portcullis_protocol::wire::Delivery,
    core: &Core,
    shop: &Shop,
    key: &ReleaseSecretKey,
) -> String {
    let signer = core.keys.signing_key(core.clock.now()).expect("a key").public().clone();
    let verification: Verified<Verification> =
        Unverified::parse(&delivery.verification).expect("form").verify(&signer).expect("signed");
    let code: SealedCode =
        Unverified::parse(&delivery.code).expect("form").verify(shop.key.public()).expect("signed").into_document();
    let sealed = delivery.sealed();
    assert_eq!(code.ciphertext, sealed.digest());
    let digest = verification.digest();
    let context = CodeContext {
        order: &code.order,
        merchant: &shop.merchant.name,
        generation: code.generation,
        verification: &digest,
    };
    let codes = open(key, &context, Quantity::ONE, &sealed).expect("it opens");
    codes.iter().next().expect("a code").to_owned()
}

pub(crate) async fn fetched(
    world: &World,
    machine: &Machine,
    order: &OrderId,
) -> portcullis_protocol::wire::CodeOrderAnswer {
    delivery::fetch(&world.core, &machine.asker, order).await.expect("fetched")
}

pub(crate) fn acknowledged(order: &CodeOrder, readable: bool) -> CodeAckRequest {
    let accepted = order.accepted.as_ref().expect("a code");
    CodeAckRequest { generation: accepted.generation, ciphertext: accepted.digest, readable }
}

#[tokio::test]
async fn a_code_goes_from_its_merchant_to_its_buyer_and_nothing_is_prepaid() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let key = ReleaseSecretKey::generate(&mut rng());
    assert_eq!(books(&world, BOOKS).await, [0; 5], "nothing is prepaid");
    assert_eq!(count(&world, "SELECT count(*) FROM code_orders"), 0, "and nothing imported");

    let paid = bought(&world, &machine, &shop, &key).await;
    assert_eq!((paid.state, paid.generation), (Some(CodeState::Paid), Generation::FIRST));
    assert_eq!(books(&world, BOOKS).await, [-2000, 2000, 0, 0, 0], "the merchant has nothing yet");
    let none = fetched(&world, &machine, &paid.id).await;
    assert!(none.delivery.is_none());

    let verification = shop.verify(&world.core, &paid).await.expect("verified");
    let said = verification.document();
    assert_eq!((said.order, said.product, said.amount), (paid.id, shop.product, PRICE.parse().expect("a price")));
    assert_eq!(said.recipient.0, *key.public().as_bytes());
    assert_eq!(state(&world, &paid.id).await, CodeState::Verified);
    assert_eq!(books(&world, BOOKS).await, [-2000, 2000, 0, 0, 0], "nor does it by asking");

    let code = format!("{CODE}{}", paid.id);
    let accepted = shop.submit(&world.core, shop.seal(&verification, &[&code], Vec::new())).await.expect("accepted");
    assert!(!accepted.reversed);
    assert_eq!(state(&world, &paid.id).await, CodeState::CodeReceived);
    assert_eq!(books(&world, BOOKS).await, [-2000, 0, 2000, 0, 0], "with the code");

    let answer = fetched(&world, &machine, &paid.id).await;
    assert_eq!(answer.info.state, ReportedState::Known(CodeState::Delivered));
    let delivery = answer.delivery.expect("a delivery");
    assert_eq!(opened(&delivery, &world.core, &shop, &key), code);
    let order = found(&world, &paid.id).await;
    for _ in 0..2 {
        let said = delivery::acknowledge(&world.core, &machine.asker, &paid.id, &acknowledged(&order, true)).await;
        assert_eq!(said.expect("acknowledged").state, ReportedState::Known(CodeState::Acknowledged));
    }
    // The deadline passes, and changes nothing.
    after(&world, 1000).await;
    assert_eq!(state(&world, &paid.id).await, CodeState::Acknowledged);
    assert_eq!(books(&world, BOOKS).await, [-2000, 0, 2000, 0, 0]);
    assert!(fetched(&world, &machine, &paid.id).await.delivery.is_some(), "the same terminal may ask again");
    after(&world, 31 * 24 * 3600).await;
    assert!(fetched(&world, &machine, &paid.id).await.delivery.is_none(), "for a month");
    assert_eq!(
        world.core.store.open_code_orders(None, None, 10).await.expect("read").len(),
        0,
        "nothing is left to do"
    );
    let listed = delivery::list(&world.core, &machine.asker, 0).await.expect("listed");
    assert_eq!(listed.codes.len(), 1);
    // Whatever the server holds: the code is in none of it.
    world.core.store.close().await.expect("closed");
    if let crate::database::Place::File(path) = world.database() {
        let read = |suffix: &str| std::fs::read(format!("{}{suffix}", path.display())).unwrap_or_default();
        let bytes = [read(""), read("-wal")].concat();
        assert!(holds(&bytes, "game-key"), "the control: what is not secret is found");
        assert!(!holds(&bytes, CODE), "the code is in the database");
    }
}

#[tokio::test]
async fn what_is_asked_and_sent_again_gets_the_same_and_another_code_is_refused() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let paid = bought(&world, &machine, &shop, &ReleaseSecretKey::generate(&mut rng())).await;
    let first = shop.verify(&world.core, &paid).await.expect("verified");
    world.core.clock.advance(5);
    let again = shop.verify(&world.core, &paid).await.expect("verified again");
    assert_eq!(first.compact(), again.compact(), "byte for byte");

    let (one, other) = (shop.seal(&first, &["ONE"], Vec::new()), shop.seal(&first, &["OTHER"], Vec::new()));
    let accepted = shop.submit(&world.core, one.clone()).await.expect("accepted");
    world.core.clock.advance(5);
    assert_eq!(shop.submit(&world.core, one.clone()).await.expect("the same bytes"), accepted);
    let (reason, document) = refusal(shop.submit(&world.core, other).await);
    assert_eq!(reason, Reason::CodeDiffers);
    assert_eq!(read::<CodeAccepted>(&world.core, &document).ciphertext, accepted.ciphertext);
    // The same code sealed once more is another ciphertext: what was sent has to be stored first.
    assert_eq!(refusal(shop.submit(&world.core, shop.seal(&first, &["ONE"], Vec::new())).await).0, Reason::CodeDiffers);
    assert_eq!(books(&world, BOOKS).await, [-2000, 0, 2000, 0, 0], "it is paid once");
}

#[tokio::test]
async fn a_forged_replayed_or_strange_verification_fails() {
    let world = World::new().await;
    let (shop, thief) = (Shop::new(&world.core, "games").await, Shop::new(&world.core, "thief").await);
    let machine = world.machine("ada@example.org").await;
    let key = ReleaseSecretKey::generate(&mut rng());
    let (one, two) = (bought(&world, &machine, &shop, &key).await, bought(&world, &machine, &shop, &key).await);
    let ask =
        |order: OrderId, nonce: Octets<32>, request: Option<Digest>| OrderVerificationRequest { order, nonce, request };
    let nonce = one.nonce.expect("paid");
    for (asked, what) in [
        (ask(one.id, Octets(random()), None), "a forged webhook"),
        (ask(one.id, two.nonce.expect("paid"), None), "the nonce of another order"),
        (ask(one.id, nonce, Some(Digest::of(b"request"))), "a request that was not paid"),
        (ask(OrderId::from_bytes(random()), nonce, None), "no order at all"),
    ] {
        let answer = merchants::orders::verify(&world.core, &shop.merchant, &asked).await;
        assert_eq!(reason(answer), Reason::OrderUnknown, "{what}");
    }
    let stolen = merchants::orders::verify(&world.core, &thief.merchant, &ask(one.id, nonce, None)).await;
    assert_eq!(reason(stolen), Reason::OrderUnknown, "another merchant");
    assert_eq!(state(&world, &one.id).await, CodeState::Paid);
    let verification = shop.verify(&world.core, &one).await.expect("the control: its own merchant, with its nonce");

    // A code for another order, of another merchant, or that was changed on the way.
    let other = shop.verify(&world.core, &two).await.expect("verified");
    let submission = shop.seal(&verification, &["CODE"], Vec::new());
    let stolen = thief.submit(&world.core, submission.clone()).await;
    assert!(matches!(stolen, Err(ServiceError::Unacceptable(_))), "signed by another key: {stolen:?}");
    let mut crossed = shop.seal(&other, &["CODE"], Vec::new());
    (crossed.enc, crossed.ciphertext) = (submission.enc, submission.ciphertext.clone());
    assert_eq!(reason(shop.submit(&world.core, crossed).await), Reason::BindingMismatch);
    let mut flipped = submission.ciphertext.as_bytes().to_vec();
    flipped[0] ^= 1;
    let changed = CodeSubmission { ciphertext: BoundedOctets::new(flipped).expect("fits"), ..submission.clone() };
    assert_eq!(reason(shop.submit(&world.core, changed).await), Reason::BindingMismatch);
    for alter in [
        |code: &mut SealedCode| code.verification = Digest::of(b"another"),
        |code: &mut SealedCode| code.recipient = Octets([9; 32]),
        |code: &mut SealedCode| code.generation = Generation::new(2).expect("two"),
        |code: &mut SealedCode| code.serials = vec![CodeSerial::from_bytes([9; 16])],
    ] {
        let mut code: SealedCode = Unverified::parse(&submission.code)
            .expect("form")
            .verify(shop.key.public())
            .expect("signed")
            .into_document();
        alter(&mut code);
        let altered = CodeSubmission { code: shop.sign(code), ..submission.clone() };
        assert_eq!(reason(shop.submit(&world.core, altered).await), Reason::BindingMismatch);
    }
    assert_eq!(books(&world, BOOKS).await, [-4000, 4000, 0, 0, 0]);
    shop.submit(&world.core, submission).await.expect("the control");
}

#[tokio::test]
async fn only_what_is_sold_on_these_terms_is_ordered() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let key = ReleaseSecretKey::generate(&mut rng());
    let before = shop.product;
    world.core.clock.advance(1);
    let dearer = shop.sell(&world.core, "game-key", "25.00 EUR", 600).await;
    assert_eq!(
        reason(order(&world, &machine, wanted(before, &key, "ok")).await),
        Reason::ProductUnknown,
        "an old price"
    );
    assert_eq!(reason(order(&world, &machine, wanted(Digest::of(b"x"), &key, "ok")).await), Reason::ProductUnknown);
    let many = CodeOrderRequest { quantity: Quantity::new(3).expect("three"), ..wanted(dearer, &key, "ok") };
    let answer = order(&world, &machine, many).await.expect("ordered");
    assert_eq!(
        found(&world, &answer.order).await.amount,
        "75.00 EUR".parse().expect("an amount"),
        "the server's own sum"
    );
    let low = CodeOrderRequest { recipient: Octets([0; 32]), ..wanted(dearer, &key, "ok") };
    assert!(
        matches!(order(&world, &machine, low).await, Err(ServiceError::Unacceptable(_))),
        "a key that opens for all"
    );

    // A product of another merchant, or for another platform, is not taken.
    let mut product: Product = Product {
        merchant: "thief".parse().expect("a name"),
        aud: origin(),
        name: "game-key".parse().expect("a name"),
        title: "A game".parse().expect("a title"),
        description: "".parse().expect("a text"),
        price: "1.00 EUR".parse().expect("a price"),
        deadline: TimeToDeliver::new(60).expect("seconds"),
        iat: 1,
    };
    let sold = products::sell(&world.core, &shop.merchant, &shop.sign(product.clone())).await;
    assert!(matches!(sold, Err(ServiceError::Unacceptable(_))));
    product.merchant = shop.merchant.name.clone();
    product.price = "0.00 EUR".parse().expect("a price");
    let sold = products::sell(&world.core, &shop.merchant, &shop.sign(product)).await;
    assert!(matches!(sold, Err(ServiceError::Unacceptable(_))), "for nothing");

    // A merchant that was suspended sells nothing, and what was pending is paid back.
    let pending = order(&world, &machine, wanted(dearer, &key, "pending+settle")).await.expect("ordered");
    let name = &shop.merchant.name;
    world.core.store.decide_merchant(name, MerchantDecision::Suspend).await.expect("suspended");
    assert_eq!(reason(order(&world, &machine, wanted(dearer, &key, "ok")).await), Reason::MerchantUnknown);
    after(&world, 30).await;
    assert_eq!(phase(&world, &pending.order).await, OrderPhase::Refunded);
    world.core.store.decide_merchant(name, MerchantDecision::Restore).await.expect("restored");
    order(&world, &machine, wanted(dearer, &key, "ok")).await.expect("the control");
    products::end(&world.core, &shop.merchant, &"game-key".parse().expect("a name")).await.expect("ended");
    assert_eq!(reason(order(&world, &machine, wanted(dearer, &key, "ok")).await), Reason::ProductUnknown);
}

#[tokio::test]
async fn a_payment_request_is_paid_once_on_its_own_terms_by_whoever_opens_it() {
    let world = World::new().await;
    let (shop, ada) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let bob = world.machine("bob@example.org").await;
    let now = world.core.clock.now().seconds();
    let request = |amount: &str| PaymentRequest {
        merchant: shop.merchant.name.clone(),
        aud: origin(),
        jti: Octets(random()),
        product: shop.product,
        quantity: Quantity::ONE,
        amount: amount.parse().expect("an amount"),
        iat: now,
        exp: now + 3600,
    };
    let signed = Verified::sign(request("15.00 EUR"), &shop.key);
    let answer = products::request(&world.core, &shop.merchant, signed.compact()).await.expect("taken");
    assert_eq!(answer.url, format!("https://store.example/pay/{}", signed.digest()));
    let shown = products::show_request(&world.core, &signed.digest()).await.expect("public");
    assert_eq!(shown.request, signed.compact());
    for bad in [
        PaymentRequest { exp: now + 90_000, ..request(PRICE) },
        PaymentRequest { exp: now - 1, iat: now - 10, ..request(PRICE) },
        PaymentRequest { merchant: "thief".parse().expect("a name"), ..request(PRICE) },
        PaymentRequest { aud: "https://other.example".parse().expect("an origin"), ..request(PRICE) },
    ] {
        let answer = products::request(&world.core, &shop.merchant, &shop.sign(bad)).await;
        assert!(matches!(answer, Err(ServiceError::Unacceptable(_))), "{answer:?}");
    }
    let key = ReleaseSecretKey::generate(&mut rng());
    let pay =
        |digest: Digest, token: &str| CodeOrderRequest { request: Some(digest), ..wanted(shop.product, &key, token) };
    let declined = order(&world, &ada, pay(signed.digest(), "decline")).await.expect("answered");
    assert_eq!(declined.state, OrderState::Declined);
    let paid = order(&world, &bob, pay(signed.digest(), "ok")).await.expect("a declined order does not stand for it");
    assert_eq!(found(&world, &paid.order).await.amount, "15.00 EUR".parse().expect("an amount"), "the request's own");
    assert_eq!(
        reason(order(&world, &ada, pay(signed.digest(), "ok")).await),
        Reason::RequestEnded,
        "at most one order"
    );
    let other = CodeOrderRequest { quantity: Quantity::new(2).expect("two"), ..pay(signed.digest(), "ok") };
    assert_eq!(reason(order(&world, &ada, other).await), Reason::ProductUnknown, "on its own terms");
    let verified = shop.verify(&world.core, &found(&world, &paid.order).await).await.expect("verified");
    assert_eq!(verified.document().request, Some(signed.digest()));

    // An order that is not paid keeps nobody from paying; what is paid second goes back.
    let open = Verified::sign(request("16.00 EUR"), &shop.key);
    products::request(&world.core, &shop.merchant, open.compact()).await.expect("taken");
    let once = |token: &str| CodeOrderRequest { again: false, ..pay(open.digest(), token) };
    let slow = order(&world, &ada, once("pending")).await.expect("pending");
    let joined = order(&world, &ada, once("ok")).await.expect("the same order again");
    assert_eq!((joined.order, joined.state), (slow.order, OrderState::Pending));
    let fast = order(&world, &bob, pay(open.digest(), "ok")).await.expect("paid");
    assert_eq!(fast.state, OrderState::Paid);
    play(&world.core, slow.order, PaymentChange::Settled("16.00 EUR".parse().expect("an amount"))).await;
    assert!(matches!(phase(&world, &slow.order).await, OrderPhase::Refunding | OrderPhase::Refunded));
    // Another request of the same product is another purchase.
    let cheap = Verified::sign(request("5.00 EUR"), &shop.key);
    let dear = Verified::sign(request("50.00 EUR"), &shop.key);
    for request in [&cheap, &dear] {
        products::request(&world.core, &shop.merchant, request.compact()).await.expect("taken");
    }
    let once = |digest, token: &str| CodeOrderRequest { again: false, ..pay(digest, token) };
    let first = order(&world, &ada, once(dear.digest(), "pending")).await.expect("pending");
    let second = order(&world, &ada, once(cheap.digest(), "ok")).await.expect("paid");
    assert_ne!(first.order, second.order);

    let late = Verified::sign(request(PRICE), &shop.key);
    products::request(&world.core, &shop.merchant, late.compact()).await.expect("taken");
    world.core.clock.advance(3601);
    assert_eq!(reason(order(&world, &ada, pay(late.digest(), "ok")).await), Reason::RequestEnded, "expired");
}

#[tokio::test]
async fn a_code_that_does_not_come_in_time_is_paid_back_and_none_is_taken_after_that() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let key = ReleaseSecretKey::generate(&mut rng());
    let (late, in_time) = (bought(&world, &machine, &shop, &key).await, bought(&world, &machine, &shop, &key).await);
    let verification = shop.verify(&world.core, &late).await.expect("verified");
    world.core.clock.advance(590);
    shop.deliver(&world.core, &in_time.id).await.expect("the control: just in time");
    after(&world, 60).await;
    assert_eq!(state(&world, &late.id).await, CodeState::Refunded);
    assert_eq!(phase(&world, &late.id).await, OrderPhase::Refunded);
    let (reason, document) = refusal(shop.submit(&world.core, shop.seal(&verification, &["LATE"], Vec::new())).await);
    assert_eq!(reason, Reason::OrderClosed);
    let refunded: OrderRefunded = read(&world.core, &document);
    assert_eq!(refunded.order, late.id, "the merchant may sell it again");
    assert_eq!(books(&world, BOOKS).await, [-2000, 0, 2000, 0, 0]);

    // Between the deadline and the server's own round nothing is taken either.
    let racing = bought(&world, &machine, &shop, &key).await;
    let verification = shop.verify(&world.core, &racing).await.expect("verified");
    world.core.clock.advance(602);
    let answer = shop.submit(&world.core, shop.seal(&verification, &["LATE"], Vec::new())).await;
    let (reason, document) = refusal(answer);
    assert_eq!(reason, Reason::OrderClosed);
    assert_eq!(read::<OrderRefunded>(&world.core, &document).order, racing.id);
    let shown = merchants::orders::show(&world.core, &shop.merchant, &racing.id).await.expect("shown");
    assert!(shown.document.is_some());
    after(&world, 60).await;
    assert_eq!(state(&world, &racing.id).await, CodeState::Refunded);
}

#[tokio::test]
async fn a_merchant_declines_and_its_buyer_is_paid_back() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let thief = Shop::new(&world.core, "thief").await;
    let key = ReleaseSecretKey::generate(&mut rng());
    let (sold_out, delivered) =
        (bought(&world, &machine, &shop, &key).await, bought(&world, &machine, &shop, &key).await);
    let strange = merchants::orders::decline(&world.core, &thief.merchant, &sold_out.id, "").await;
    assert_eq!(reason(strange), Reason::OrderUnknown, "another merchant's order");
    for _ in 0..2 {
        let shown =
            merchants::orders::decline(&world.core, &shop.merchant, &sold_out.id, "sold out").await.expect("declined");
        assert!(shown.document.is_some(), "signed that it may be sold again");
    }
    after(&world, 60).await;
    assert_eq!(phase(&world, &sold_out.id).await, OrderPhase::Refunded);
    assert_eq!(refusal(shop.deliver(&world.core, &sold_out.id).await).0, Reason::OrderClosed);
    shop.deliver(&world.core, &delivered.id).await.expect("the control");
    let (reason, document) = refusal(merchants::orders::decline(&world.core, &shop.merchant, &delivered.id, "").await);
    assert_eq!(reason, Reason::OrderClosed);
    assert!(!read::<CodeAccepted>(&world.core, &document).reversed);
    assert_eq!(books(&world, BOOKS).await, [-2000, 0, 2000, 0, 0]);
}

pub(crate) async fn play(core: &Core, order: OrderId, what: PaymentChange) {
    events::apply(core, SANDBOX, &PaymentEvent::new(order, what)).await.expect("heard");
}

#[tokio::test]
async fn a_charge_back_ends_the_order_before_a_code_and_reverses_it_after() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let key = ReleaseSecretKey::generate(&mut rng());
    // Before: the dispute alone decides; whenever the money moves, no code is accepted any more.
    let before = bought(&world, &machine, &shop, &key).await;
    let verification = shop.verify(&world.core, &before).await.expect("verified");
    play(&world.core, before.id, PaymentChange::Disputed).await;
    assert_eq!(state(&world, &before.id).await, CodeState::ChargedBack);
    let (reason, document) = refusal(shop.submit(&world.core, shop.seal(&verification, &["X"], Vec::new())).await);
    assert_eq!(reason, Reason::OrderClosed);
    assert_eq!(read::<OrderRefunded>(&world.core, &document).order, before.id);
    assert_eq!(books(&world, BOOKS).await, [-2000, 0, 0, 0, 2000]);
    play(&world.core, before.id, PaymentChange::ChargedBack).await;
    assert_eq!(books(&world, BOOKS).await, [0; 5]);
    // A dispute that the store wins when there is no code any more: the money goes back all the same.
    let won = bought(&world, &machine, &shop, &key).await;
    play(&world.core, won.id, PaymentChange::Disputed).await;
    play(&world.core, won.id, PaymentChange::DisputeWon).await;
    after(&world, 60).await;
    assert_eq!(phase(&world, &won.id).await, OrderPhase::Refunded);
    assert_eq!(books(&world, BOOKS).await, [0; 5]);

    // After: the merchant's money waits, and goes where the dispute is decided to.
    let (kept, lost) = (bought(&world, &machine, &shop, &key).await, bought(&world, &machine, &shop, &key).await);
    for order in [&kept, &lost] {
        shop.deliver(&world.core, &order.id).await.expect("delivered");
        play(&world.core, order.id, PaymentChange::Disputed).await;
        assert_eq!(state(&world, &order.id).await, CodeState::Disputed);
    }
    assert_eq!(books(&world, BOOKS).await, [-4000, 0, 0, 0, 4000]);
    play(&world.core, kept.id, PaymentChange::DisputeWon).await;
    play(&world.core, lost.id, PaymentChange::ChargedBack).await;
    assert_eq!((state(&world, &kept.id).await, state(&world, &lost.id).await), (CodeState::Kept, CodeState::Reversed));
    assert_eq!(books(&world, BOOKS).await, [-2000, 0, 2000, 0, 0]);
    let shown = merchants::orders::show(&world.core, &shop.merchant, &lost.id).await.expect("shown");
    let accepted: CodeAccepted = read(&world.core, &shown.document.expect("a document"));
    assert!(accepted.reversed, "the buyer has the code: it must not be sold again");
}

#[tokio::test]
async fn a_code_that_cannot_be_read_is_disputed_and_a_person_decides() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let key = ReleaseSecretKey::generate(&mut rng());
    for (decision, then, balance) in [
        (CodeDecision::Keep, CodeState::Kept, [-2000, 0, 2000, 0, 0]),
        (CodeDecision::Reverse, CodeState::Reversed, [-2000, 0, 2000, 0, 0]),
    ] {
        let paid = bought(&world, &machine, &shop, &key).await;
        shop.deliver(&world.core, &paid.id).await.expect("delivered");
        let order = found(&world, &paid.id).await;
        let wrong = CodeAckRequest { ciphertext: Digest::of(b"x"), ..acknowledged(&order, false) };
        let answer = delivery::acknowledge(&world.core, &machine.asker, &paid.id, &wrong).await;
        assert_eq!(reason(answer), Reason::BindingMismatch, "of another sealing");
        let said = delivery::acknowledge(&world.core, &machine.asker, &paid.id, &acknowledged(&order, false)).await;
        assert_eq!(said.expect("heard").state, ReportedState::Known(CodeState::Disputed));
        world.core.store.decide_code_order(&paid.id, decision).await.expect("decided");
        after(&world, 60).await;
        assert_eq!(state(&world, &paid.id).await, then);
        assert_eq!(books(&world, BOOKS).await, balance);
    }
    // Whoever has acknowledged a code has read it.
    let paid = bought(&world, &machine, &shop, &key).await;
    shop.deliver(&world.core, &paid.id).await.expect("delivered");
    let order = found(&world, &paid.id).await;
    delivery::acknowledge(&world.core, &machine.asker, &paid.id, &acknowledged(&order, true)).await.expect("heard");
    let answer = delivery::acknowledge(&world.core, &machine.asker, &paid.id, &acknowledged(&order, false)).await;
    assert_eq!(reason(answer), Reason::OrderClosed);
}

/// A buyer who never acknowledges a code: until then its merchant has to be able to seal it once more, and the buyer
/// could say at any time that he cannot read it.
#[tokio::test]
async fn a_code_that_nobody_acknowledges_is_its_merchants_after_half_a_year() {
    let world = World::new().await;
    let shop = Shop::new(&world.core, "games").await;
    let machine = world.machine("ada@example.org").await;
    let mut orders = Vec::new();
    for fetches in [false, true, true] {
        let order = bought(&world, &machine, &shop, &ReleaseSecretKey::generate(&mut rng())).await;
        shop.deliver(&world.core, &order.id).await.expect("accepted");
        if fetches {
            delivery::fetch(&world.core, &machine.asker, &order.id).await.expect("delivered");
        }
        orders.push(order);
    }
    let (unfetched, fetched, moved) = (&orders[0], &orders[1], &orders[2]);
    let open = async || {
        let open = merchants::orders::open(&world.core, &shop.merchant, None).await.expect("listed");
        open.orders.iter().map(|order| order.order).collect::<Vec<_>>()
    };
    for order in &orders {
        long_ago(&world, &order.id);
    }
    // One of them is to be sealed once more just now: that has a deadline of its own.
    let request = RecipientRequest { recipient: Octets([9; 32]), first: false };
    delivery::relocate(&world.core, &machine.asker, &moved.id, &request).await.expect("moved");
    // The control: one that is not so old.
    let young = bought(&world, &machine, &shop, &ReleaseSecretKey::generate(&mut rng())).await;
    shop.deliver(&world.core, &young.id).await.expect("accepted");
    assert_eq!(open().await.len(), 4);

    for _ in 0..2 {
        world.core.store.sweep().await.expect("swept");
    }
    // Nor is one that was never fetched: its buyer could not say yet that he cannot read it.
    assert_eq!(open().await, [unfetched.id, moved.id, young.id]);
    assert_eq!(state(&world, &fetched.id).await, CodeState::Kept);
    let seen = merchants::orders::show(&world.core, &shop.merchant, &fetched.id).await.expect("shown");
    let document: CodeAccepted = read(&world.core, &seen.document.expect("a document"));
    assert!(!document.reversed, "it was delivered, and is not sold again");
    // Its terminal still gets it for a month, and cannot dispute it any more.
    let answer = delivery::fetch(&world.core, &machine.asker, &fetched.id).await.expect("shown");
    assert!(answer.delivery.is_some());
    let said = acknowledged(&found(&world, &fetched.id).await, false);
    let late = delivery::acknowledge(&world.core, &machine.asker, &fetched.id, &said).await;
    assert_eq!(reason(late), Reason::OrderClosed);
    assert_eq!(books(&world, ["merchant:games", "undelivered"]).await, [8000, 0], "nobody's money has moved");
    long_ago(&world, &fetched.id);
    world.core.store.sweep().await.expect("swept");
    let answer = delivery::fetch(&world.core, &machine.asker, &fetched.id).await.expect("shown");
    assert!(answer.delivery.is_none(), "then what was sealed is deleted");
}

#[tokio::test]
async fn a_lost_terminal_gives_its_order_to_another_one_and_gets_nothing_itself() {
    let world = World::new().await;
    let (shop, lost) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let found_again = world.machine_of(lost.account).await;
    let stranger = world.machine("bob@example.org").await;
    let (old, new) = (ReleaseSecretKey::generate(&mut rng()), ReleaseSecretKey::generate(&mut rng()));
    let to_new = RecipientRequest { recipient: Octets(*new.public().as_bytes()), first: false };
    let owner = holder(&world.core, lost.account).await;
    // Before the merchant has asked: the same sealing, to another key.
    let early = bought(&world, &lost, &shop, &old).await;
    let strange = delivery::relocate(&world.core, &stranger.asker, &early.id, &to_new).await;
    assert!(matches!(strange, Err(ServiceError::NotFound)), "somebody else's");
    world.core.store.allow_code_order(&early.id, &owner, &found_again.id).await.expect("allowed");
    let moved = delivery::relocate(&world.core, &found_again.asker, &early.id, &to_new).await.expect("moved");
    assert_eq!(moved.generation, Generation::FIRST);
    world.core.store.allow_code_order(&early.id, &owner, &lost.id).await.expect("allowed");
    // While it is on its way: not.
    let early = found(&world, &early.id).await;
    let verification = shop.verify(&world.core, &early).await.expect("verified");
    let to_old = RecipientRequest { recipient: Octets(*old.public().as_bytes()), first: false };
    assert_eq!(reason(delivery::relocate(&world.core, &lost.asker, &early.id, &to_old).await), Reason::RateLimited);
    shop.submit(&world.core, shop.seal(&verification, &["EARLY"], Vec::new())).await.expect("accepted");
    assert!(fetched(&world, &lost, &early.id).await.delivery.is_none(), "it is the other's");
    let delivery = fetched(&world, &found_again, &early.id).await.delivery.expect("a delivery");
    assert_eq!(opened(&delivery, &world.core, &shop, &new), "EARLY");

    // Later: the same code, sealed once more.
    let late = bought(&world, &lost, &shop, &old).await;
    let first = shop.verify(&world.core, &late).await.expect("verified");
    let submission = shop.seal(&first, &["LATE"], Vec::new());
    shop.submit(&world.core, submission.clone()).await.expect("accepted");
    let before = found(&world, &late.id).await;
    world.core.store.revoke_terminal(&lost.account, &lost.id).await.expect("revoked");
    world.core.store.allow_code_order(&late.id, &owner, &found_again.id).await.expect("allowed");
    let moved = delivery::relocate(&world.core, &found_again.asker, &late.id, &to_new).await.expect("moved");
    assert_eq!(moved.generation, Generation::new(2).expect("two"));
    assert!(fetched(&world, &found_again, &late.id).await.delivery.is_none(), "not yet sealed for it");
    let order = found(&world, &late.id).await;
    assert_ne!(order.nonce, before.nonce, "the merchant is told anew");
    let stale = OrderVerificationRequest { order: late.id, nonce: before.nonce.expect("paid"), request: None };
    assert_eq!(reason(merchants::orders::verify(&world.core, &shop.merchant, &stale).await), Reason::OrderUnknown);
    let second = shop.verify(&world.core, &order).await.expect("verified");
    assert_eq!(second.document().recipient, to_new.recipient);
    shop.submit(&world.core, submission).await.expect("what was accepted stays so, and is not delivered");
    shop.submit(&world.core, shop.seal(&second, &["LATE"], Vec::new())).await.expect("accepted");
    let delivery = fetched(&world, &found_again, &late.id).await.delivery.expect("a delivery");
    assert_eq!(opened(&delivery, &world.core, &shop, &new), "LATE");
    assert_eq!(books(&world, BOOKS).await, [-4000, 0, 4000, 0, 0], "sealing again is paid once");
    let stale = delivery::acknowledge(&world.core, &found_again.asker, &late.id, &acknowledged(&before, true)).await;
    assert_eq!(reason(stale), Reason::BindingMismatch, "of the sealing before");
    let order = found(&world, &late.id).await;
    delivery::acknowledge(&world.core, &found_again.asker, &late.id, &acknowledged(&order, true)).await.expect("heard");
    let third = delivery::relocate(&world.core, &found_again.asker, &late.id, &to_old).await;
    assert_eq!(reason(third), Reason::OrderClosed, "what arrived is not sealed again");
}

/// A merchant has no code for so many orders, and says nothing.
pub(crate) async fn misses(world: &World, machine: &Machine, shop: &Shop, count: usize) {
    let key = ReleaseSecretKey::generate(&mut rng());
    let mut late = Vec::new();
    for _ in 0..count {
        late.push(bought(world, machine, shop, &key).await.id);
    }
    world.core.clock.advance(601);
    for id in late {
        merchants::orders::show(&world.core, &shop.merchant, &id).await.expect("shown");
        assert!(matches!(state(world, &id).await, CodeState::Failed | CodeState::Refunding | CodeState::Refunded));
    }
}

/// A buyer orders more than there is, again and again: that closes no shop. Nor does it open one to be late.
#[tokio::test]
async fn what_a_merchant_declines_in_time_is_no_failure_of_its() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let key = ReleaseSecretKey::generate(&mut rng());
    let health = async || world.core.store.merchant_health(&shop.merchant.id).await.expect("read");
    for _ in 0..8 {
        let paid = bought(&world, &machine, &shop, &key).await;
        merchants::orders::decline(&world.core, &shop.merchant, &paid.id, "sold out").await.expect("declined");
    }
    assert_eq!(health().await.decided, 0);
    bought(&world, &world.machine("bob@example.org").await, &shop, &key).await;
    // The control: too late it is a failure, whatever is said.
    let late = bought(&world, &machine, &shop, &key).await;
    world.core.clock.advance(601);
    merchants::orders::decline(&world.core, &shop.merchant, &late.id, "sold out").await.expect("answered");
    assert_eq!((health().await.decided, health().await.in_time), (1, 0));
}

#[tokio::test]
async fn a_merchant_that_fails_gets_one_order_a_minute_until_it_delivers_again() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let key = ReleaseSecretKey::generate(&mut rng());
    misses(&world, &machine, &shop, 4).await;
    let probe = bought(&world, &machine, &shop, &key).await;
    let refused = order(&world, &machine, wanted(shop.product, &key, "ok")).await;
    assert_eq!(reason(refused), Reason::MerchantUnavailable, "before anything is charged");
    shop.deliver(&world.core, &probe.id).await.expect("it is back");
    world.core.clock.advance(61);
    let next = bought(&world, &machine, &shop, &key).await;
    shop.deliver(&world.core, &next.id).await.expect("delivered");
    world.core.clock.advance(61);
    // Two of six: the best that it may be is good enough again.
    for _ in 0..3 {
        let paid = bought(&world, &machine, &shop, &key).await;
        shop.deliver(&world.core, &paid.id).await.expect("delivered");
    }
    let health = world.core.store.merchant_health(&shop.merchant.id).await.expect("read");
    assert_eq!((health.decided, health.in_time), (9, 5));
    world.core.clock.advance(3700);
    let health = world.core.store.merchant_health(&shop.merchant.id).await.expect("read");
    assert_eq!(health.decided, 0, "an hour later it is forgotten");
}

/// Orders that were opened before anybody knew that a merchant fails are paid after it: each buyer would wait for
/// nothing.
#[tokio::test]
async fn what_was_opened_before_a_merchant_failed_goes_back_beyond_one_a_minute() {
    let world = World::new().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let key = ReleaseSecretKey::generate(&mut rng());
    let mut opened = Vec::new();
    for _ in 0..4 {
        opened.push(order(&world, &machine, wanted(shop.product, &key, "pending")).await.expect("pending").order);
    }
    misses(&world, &machine, &shop, 4).await;
    let settle = async |order| play(&world.core, order, PaymentChange::Settled(PRICE.parse().expect("a price"))).await;
    for order in &opened[..2] {
        settle(*order).await;
    }
    assert_eq!(state(&world, &opened[0]).await, CodeState::Paid, "one a minute");
    assert_eq!(phase(&world, &opened[1]).await, OrderPhase::Refunding, "not two");
    world.core.clock.advance(61);
    settle(opened[2]).await;
    shop.deliver(&world.core, &opened[2]).await.expect("it is back");
    after(&world, 3700).await;
    // The control: of a merchant that does not fail.
    settle(opened[3]).await;
    shop.deliver(&world.core, &opened[3]).await.expect("delivered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_what_races_over_two_processes_one_thing_happens() {
    let world = World::new().await;
    let second = world.second().await;
    let (shop, machine) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
    let key = ReleaseSecretKey::generate(&mut rng());
    let (mut accepted, mut failed) = (0, 0);
    for round in 0..6 {
        let paid = bought(&world, &machine, &shop, &key).await;
        let verification = shop.verify(&world.core, &paid).await.expect("verified");
        // Four codes, and in every other round a merchant that declines at the same time.
        let codes = ["A", "B", "C", "D"].map(|code| shop.seal(&verification, &[code], Vec::new()));
        let cores = [&world.core, &second, &world.core, &second];
        let submitted = join_all(codes.into_iter().zip(cores).map(|(code, core)| shop.submit(core, code)));
        let declined = async {
            match round % 2 {
                0 => Ok(()),
                _ => merchants::orders::decline(&second, &shop.merchant, &paid.id, "").await.map(drop),
            }
        };
        let (submitted, declined) = tokio::join!(submitted, declined);
        let yes = submitted.iter().filter(|outcome| outcome.is_ok()).count();
        let state = state(&world, &paid.id).await;
        if state == CodeState::CodeReceived {
            assert_eq!(yes, 1, "exactly one code");
            assert!(round % 2 == 0 || declined.is_err());
            accepted += 1;
        } else {
            assert_eq!(yes, 0, "none after it failed: {state}");
            failed += 1;
        }
    }
    after(&world, 60).await;
    let amount = i64::from(accepted) * 2000;
    assert_eq!(books(&world, BOOKS).await, [-amount, 0, amount, 0, 0], "{accepted} accepted, {failed} failed");
    assert!(accepted >= 3);
}

#[tokio::test]
async fn what_a_sold_code_gave_ends_with_its_refund() {
    let world = World::new().await;
    let shop = Shop::of(&world.core, "games", world.owner).await;
    let machine = world.machine("ada@example.org").await;
    let key = ReleaseSecretKey::generate(&mut rng());
    let (publisher, name) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
    let gifts = GiftsRequest { offer: world.offer("resize").await.1, count: 3, note: String::new(), expires: None };
    let made = merchants::redemption::make(&world.core, &world.owner, &publisher, &name, &gifts, &fresh(&gifts)).await;
    let made = made.expect("made").codes;
    let sold = |at: usize| (made[at].code.clone(), made[at].serial);

    let paid = bought(&world, &machine, &shop, &key).await;
    let verification = shop.verify(&world.core, &paid).await.expect("verified");
    let (code, serial) = sold(0);
    let two = shop.seal(&verification, &[&code], vec![serial, sold(1).1]);
    assert_eq!(reason(shop.submit(&world.core, two).await), Reason::BindingMismatch, "one code has one serial");
    shop.submit(&world.core, shop.seal(&verification, &[&code], vec![serial])).await.expect("accepted");
    // Nobody sells another publisher's codes.
    let thief = Shop::new(&world.core, "thief").await;
    let theirs = bought(&world, &machine, &thief, &key).await;
    let asked = thief.verify(&world.core, &theirs).await.expect("verified");
    let stolen = thief.submit(&world.core, thief.seal(&asked, &[&sold(2).0], vec![sold(2).1])).await;
    assert_eq!(reason(stolen), Reason::BindingMismatch, "a code of another publisher");
    // The same serial is not sold twice.
    let again = bought(&world, &machine, &shop, &key).await;
    let verification = shop.verify(&world.core, &again).await.expect("verified");
    let twice = shop.submit(&world.core, shop.seal(&verification, &[&code], vec![serial])).await;
    assert_eq!(reason(twice), Reason::BindingMismatch);
    let (other, other_serial) = sold(1);
    shop.submit(&world.core, shop.seal(&verification, &[&other], vec![other_serial])).await.expect("the control");

    let redeem = async |code: String| merchants::redemption::redeem(&world.core, &machine.asker, &code).await;
    redeem(code.clone()).await.expect("redeemed");
    assert_eq!(world.remaining(&machine, "resize").await, 10);
    for order in [&paid, &again] {
        orders::refund(&world.core, &order.id).await.expect("paid back by the operator");
        assert_eq!(state(&world, &order.id).await, CodeState::Reversed);
    }
    assert_eq!(world.remaining(&machine, "resize").await, 0, "what was redeemed has ended");
    assert!(world.run(&machine, "resize").await.is_err());
    assert_eq!(reason(redeem(code).await), Reason::CodeVoid);
    assert_eq!(reason(redeem(other).await), Reason::CodeVoid, "and what was not redeemed gives nothing");
    redeem(sold(2).0).await.expect("the control: one that nobody was paid back for");
    // The thief's order is still open: it has no code.
    assert_eq!(books(&world, BOOKS).await, [-2000, 2000, 0, 0, 0]);
}
