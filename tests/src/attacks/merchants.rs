//! Attacks on electronic codes, by everybody who touches one: the merchant, the buyer, somebody who listens, and the
//! platform itself.

use super::cheater::Cheater;
use super::redemptions::gift;
use super::secrets::{files_below, search_for};
use super::shop::{Loot, Shop};
use super::{Arena, Outcome, Trial, attacks};
use crate::future::{Document, Future, Passing, Pen};
use crate::seller::{Seller, allow, buy, buy_in_browser, fetch, found, opened, platform, preset, sign, wanted};
use crate::{Browser, Inbox, checkout};
use anyhow::{Context as _, Result, anyhow};
use portcullis_fixtures::{Draft, now, postgres, random, rng};
use portcullis_host::{Client, ClientError, ClientOptions, Collected, Retry};
use portcullis_protocol::codes::{CodeContext, CodeState, Codes, Generation, Quantity, seal};
use portcullis_protocol::encoding::{BoundedOctets, Octets, from_base64url};
use portcullis_protocol::wire::{
    CodeAckRequest, CodeOrderRequest, CodeSubmission, DeclineRequest, Delivery, MerchantRequest, OwnershipRequest,
    PaymentMethod, RecipientRequest,
};
use portcullis_protocol::{
    AccountId, CodeSerial, Digest, MerchantClaim, MerchantName, OrderId, Origin, ReleaseSecretKey, SealedCode,
    SecretKey, Unverified, paths,
};
use portcullis_server::Core;
use portcullis_server::crypto::secrets::TokenRole;
use reqwest::Method;
use serde_json::{Value, json};

/// A password of people at a platform that lies.
const PASSWORD: &str = "correct horse battery staple 8817";

attacks! {
    "notification-forged-replayed-or-crossed" => notification_forged_replayed_or_crossed,
    "code-for-another-order-or-merchant" => code_for_another_order_or_merchant,
    "order-altered-by-its-buyer" => order_altered_by_its_buyer,
    "second-code-for-an-order" => second_code_for_an_order,
    "code-after-the-refund" => code_after_the_refund,
    "order-key-substituted" => order_key_substituted,
    "code-at-a-revoked-terminal" => code_at_a_revoked_terminal,
    "order-taken-over-by-another-terminal" => order_taken_over_by_another_terminal,
    "merchant-of-a-suspended-account" => merchant_of_a_suspended_account,
    "code-read-from-what-the-store-keeps" => code_read_from_what_the_store_keeps,
    "merchant-inside-the-servers-network" => merchant_inside_the_servers_network,
}

/// The page of what the merchant sells.
const PRODUCT: &str = "/merchants/games/game-key";

/// A merchant of an account of its own.
async fn seller(shop: &mut Shop, platform: &Core, name: &str) -> Result<Seller> {
    let mut owner = shop.customer().await?;
    Seller::of(&mut owner, platform, name).await
}

fn key() -> ReleaseSecretKey {
    ReleaseSecretKey::generate(&mut rng())
}

/// Webhooks that nobody sent, that were sent before, or to somebody else: each leads to the second interface.
async fn notification_forged_replayed_or_crossed(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let platform = platform(shop.server.dir(), &shop.origin).await?;
    let (mut games, mut thief) = (seller(shop, &platform, "games").await?, seller(shop, &platform, "thief").await?);
    let mut buyer = shop.customer().await?;
    let one = buy(&mut buyer, &wanted(games.product, &key())).await?;
    let two = buy(&mut buyer, &wanted(games.product, &key())).await?;
    let (nonce, other) = (found(&platform, one).await?.nonce, found(&platform, two).await?.nonce);
    let (nonce, other) = (nonce.context("a nonce")?, other.context("a nonce")?);
    let mut trial = Trial::new();
    let no = "order-unknown";
    trial.attack("a notification that nobody sent", no, games.ask(one, Octets(random()), None).await);
    trial.attack("one of an order that there is not", no, games.ask(OrderId::from_bytes(random()), nonce, None).await);
    trial.attack("the nonce of another order", no, games.ask(one, other, None).await);
    trial.attack("one that another merchant has heard", no, thief.ask(one, nonce, None).await);
    let foreign = Some(Digest::of(b"a request"));
    trial.attack("a request that was not paid", no, games.ask(one, nonce, foreign).await);
    let said = games.ask(one, nonce, None).await;
    trial.control("its own merchant, with what it was sent", said.is_ok());
    let said = said?;
    let again = games.ask(one, nonce, None).await?;
    trial.attack_fails("the same notification again", "the same verification", again.compact() == said.compact());
    games.deliver(&platform, two, "CONTROL").await?;
    trial.control("and the other order has its code", fetch(&mut buyer, two).await.is_ok());
    Ok(trial.finish())
}

/// Codes that were sealed and signed for something else.
async fn code_for_another_order_or_merchant(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let platform = platform(shop.server.dir(), &shop.origin).await?;
    let mut games = seller(shop, &platform, "crossed-games").await?;
    let mut thief = seller(shop, &platform, "crossed-thief").await?;
    let mut buyer = shop.customer().await?;
    let one = buy(&mut buyer, &wanted(games.product, &key())).await?;
    let two = buy(&mut buyer, &wanted(games.product, &key())).await?;
    let (first, second) = (games.verify(&platform, one).await?, games.verify(&platform, two).await?);
    let good = games.seal(&first, &["CODE"], Vec::new())?;
    let other = games.seal(&second, &["CODE"], Vec::new())?;
    let mut trial = Trial::new();
    let stolen = thief.submit(&good).await;
    trial.attack("another merchant's", "not accepted", stolen);
    let mut signed: SealedCode = Unverified::parse(&good.code)?.verify(games.key.public())?.into_document();
    signed.merchant = thief.name.clone();
    let own = CodeSubmission { code: sign(signed, &thief.key), ..good.clone() };
    trial.attack("another merchant's, signed anew", "order-unknown", thief.submit(&own).await);
    let crossed = CodeSubmission { enc: other.enc, ciphertext: other.ciphertext.clone(), ..good.clone() };
    trial.attack("bytes of another order", "binding-mismatch", games.submit(&crossed).await);
    let mut flipped = good.ciphertext.as_bytes().to_vec();
    flipped[0] ^= 1;
    let flipped = CodeSubmission { ciphertext: BoundedOctets::new(flipped)?, ..good.clone() };
    trial.attack("a flipped bit", "binding-mismatch", games.submit(&flipped).await);
    let code: SealedCode = Unverified::parse(&good.code)?.verify(games.key.public())?.into_document();
    for (what, code) in [
        ("another verification", SealedCode { verification: Digest::of(b"another"), ..code.clone() }),
        ("another key", SealedCode { recipient: Octets([9; 32]), ..code.clone() }),
        ("serials that are nobody's", SealedCode { serials: vec![CodeSerial::from_bytes([9; 16])], ..code }),
    ] {
        let altered = CodeSubmission { code: sign(code, &games.key), ..good.clone() };
        trial.attack(what, "binding-mismatch", games.submit(&altered).await);
    }
    trial.control("the code that was sealed for it", games.submit(&good).await.is_ok());
    Ok(trial.finish())
}

/// A buyer sends another product, number or request than what he was shown: no request has an amount in it.
async fn order_altered_by_its_buyer(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let platform = platform(shop.server.dir(), &shop.origin).await?;
    let mut games = seller(shop, &platform, "altered-games").await?;
    let mut other = seller(shop, &platform, "altered-other").await?;
    let mut buyer = shop.customer().await?;
    let request = games.ask_for("18.00 EUR").await?;
    let good = CodeOrderRequest { request: Some(request), ..wanted(games.product, &key()) };
    let cheap = other.sell("sticker", "0.10 EUR").await?;
    let mut trial = Trial::new();
    let unknown = "product-unknown";
    trial.attack(
        "a cheaper product",
        unknown,
        buy(&mut buyer, &CodeOrderRequest { product: cheap, ..good.clone() }).await,
    );
    let three = CodeOrderRequest { quantity: Quantity::new(3)?, ..good.clone() };
    trial.attack("three for the price of one", unknown, buy(&mut buyer, &three).await);
    let mut body = serde_json::to_value(&good)?;
    body["amount"] = json!({ "minor_units": 1, "currency": "EUR" });
    let priced = buyer.ask::<Value>(&Draft::post(paths::CODES, &body)).await;
    trial.attack("an amount of his own", "400", priced);
    let before = games.product;
    games.product = games.sell("game-key", "25.00 EUR").await?;
    trial.attack("yesterday's price", unknown, buy(&mut buyer, &wanted(before, &key())).await);
    let low = CodeOrderRequest { recipient: Octets([0; 32]), ..wanted(games.product, &key()) };
    trial.attack("a key that opens for everybody", "low-order", buy(&mut buyer, &low).await);
    let renewed = games.ask_for("18.00 EUR").await?;
    let good = CodeOrderRequest { request: Some(renewed), ..wanted(games.product, &key()) };
    let paid = buy(&mut buyer, &good).await;
    trial.control("as it was asked", paid.is_ok());
    let paid = found(&platform, paid?).await?;
    trial.control("for what was asked", paid.amount == "18.00 EUR".parse()?);
    let again = CodeOrderRequest { recipient: Octets(*key().public().as_bytes()), ..good };
    trial.attack("the same request twice", "request-ended", buy(&mut buyer, &again).await);
    Ok(trial.finish())
}

/// A merchant that sends another code than it has sent: it would be paid once and could sell the first one again.
async fn second_code_for_an_order(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let platform = platform(shop.server.dir(), &shop.origin).await?;
    let mut games = seller(shop, &platform, "second-games").await?;
    let mut buyer = shop.customer().await?;
    let secret = key();
    let order = buy(&mut buyer, &wanted(games.product, &secret)).await?;
    let verification = games.verify(&platform, order).await?;
    let (first, second) =
        (games.seal(&verification, &["FIRST"], Vec::new())?, games.seal(&verification, &["SECOND"], Vec::new())?);
    let accepted = games.submit(&first).await?;
    let mut trial = Trial::new();
    trial.attack("another code", "code-differs", games.submit(&second).await);
    let resealed = games.seal(&verification, &["FIRST"], Vec::new())?;
    trial.attack("the same code, sealed anew", "code-differs", games.submit(&resealed).await);
    trial.control("the same bytes, after a lost answer", games.submit(&first).await? == accepted);
    trial.control("the buyer has the first", opened(&fetch(&mut buyer, order).await?, &games, &secret)? == "FIRST");
    trial.attack("another code after delivery", "code-differs", games.submit(&second).await);
    Ok(trial.finish())
}

/// Money back and the code as well; or a merchant that resells what a buyer has.
async fn code_after_the_refund(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let platform = platform(shop.server.dir(), &shop.origin).await?;
    let mut games = seller(shop, &platform, "refund-games").await?;
    let mut buyer = shop.customer().await?;
    let declined = buy(&mut buyer, &wanted(games.product, &key())).await?;
    let sealed = {
        let verification = games.verify(&platform, declined).await?;
        games.seal(&verification, &["LATE"], Vec::new())?
    };
    let path = paths::fill(paths::DECLINE, &[&declined]);
    let _: Value = games.desk.ask(&Draft::post(path, &DeclineRequest { reason: "sold out".into() })).await?;
    let mut trial = Trial::new();
    trial.attack("a code for what was paid back", "order-closed", games.submit(&sealed).await);
    trial.attack("having it delivered", "nothing is delivered", fetch(&mut buyer, declined).await);
    let outcome = games.outcome(declined).await?;
    let may_sell = outcome["typ"] == "portcullis-order-refunded+jwt";
    trial.control("its merchant may sell the code again", may_sell);

    // Charged back after it was delivered: the merchant is told not to resell, and gets no other document.
    let secret = key();
    let kept = buy(&mut buyer, &wanted(games.product, &secret)).await?;
    games.deliver(&platform, kept, "DELIVERED").await?;
    trial.control("a delivered code opens", opened(&fetch(&mut buyer, kept).await?, &games, &secret)? == "DELIVERED");
    let number = kept.to_string();
    shop.server.operator(&["order", "refund", &number])?;
    let outcome = games.outcome(kept).await?;
    let is_reversed = outcome["typ"] == "portcullis-code-accepted+jwt" && outcome["says"]["reversed"] == true;
    trial.attack_fails("reselling a code that its buyer has", "code-accepted, reversed", is_reversed);
    trial.attack("fetching it once more, money in hand", "nothing is delivered", fetch(&mut buyer, kept).await);
    Ok(trial.finish())
}

/// What the user's own terminal says of what it collects.
async fn collected(client: &Client, origin: &Origin, order: &OrderId) -> Result<String, ClientError> {
    match client.store(origin).collect_codes(order).await? {
        Collected::Here(codes) => Ok(codes.iter().next().unwrap_or_default().to_owned()),
        other => Ok(format!("{other:?}")),
    }
}

/// Puts a key into the place of an order's, as only the platform can.
async fn substitute(platform: &Core, order: OrderId, own: Octets<32>) -> Result<Option<Octets<32>>> {
    let before = found(platform, order).await?;
    let terminal = before.terminal.context("a terminal")?;
    platform.store.move_code_order(&order, &before.account, &terminal, &own, false).await?;
    anyhow::ensure!(found(platform, order).await?.recipient == Some(own), "the key was not put there");
    Ok(before.recipient)
}

/// What the platform reads of an order, with a key of its own.
async fn read(platform: &Core, seller: &Seller, order: OrderId, key: &ReleaseSecretKey) -> Result<String> {
    let accepted = found(platform, order).await?.accepted.and_then(|accepted| accepted.sealed).context("no code")?;
    let delivery = Delivery {
        verification: String::new(),
        code: accepted.code,
        enc: accepted.bytes.enc,
        ciphertext: accepted.bytes.ciphertext,
    };
    opened(&delivery, seller, key)
}

/// A platform that lies to both sides, with its own keys, in order to read codes: what is sealed to a key of its own
/// it delivers as it is, under the right key's name, sealed anew, or not at all. The terminal is the real client.
async fn order_key_substituted(arena: &mut Arena) -> Result<Outcome> {
    let place = arena.fresh_path();
    std::fs::create_dir_all(&place)?;
    let future = Future::open(&place.join("server")).await?;
    let origin: Origin = future.server.origin().parse()?;
    let platform = platform(future.server.dir(), &origin).await?;
    let mut owner = Cheater::new(&origin, Loot::default()).await?;
    let mut browser = Browser::new(origin.as_str())?;
    browser.sign_up("owner@mail.example", PASSWORD).await?;
    owner.sign_in(&mut browser).await?;
    owner.enrol().await?;
    let mut games = Seller::of(&mut owner, &platform, "games").await?;

    let retry = Retry { attempts: 2, patient_attempts: 2, ..Retry::default() };
    let client = Client::open(ClientOptions::new().state_dir(place.join("home")).retry(retry))?;
    let mut victim = Browser::new(origin.as_str())?;
    victim.sign_up("victim@mail.example", PASSWORD).await?;
    let sign_in = client.sign_in(&origin, "a client").await?;
    victim.approve(&sign_in.user_code(), &sign_in.terminal_words()).await?;
    sign_in.finish().await?;
    let store = client.store(&origin);
    let merchant = store.merchant(&games.name).await?;
    let product = merchant.products.first().context("a product")?.clone();
    let order = async || -> Result<OrderId> {
        let method = PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
        Ok(store.order_codes(&merchant, &product, Quantity::ONE, None, method, true).await?.id)
    };
    let mut trial = Trial::new();
    let honest = order().await?;
    games.deliver(&platform, honest, "HONEST").await?;
    trial.control("an honest platform delivers", collected(&client, &origin, &honest).await? == "HONEST");

    let own = key();
    let own_key = Octets(*own.public().as_bytes());
    let plain = order().await?;
    substitute(&platform, plain, own_key).await?;
    games.deliver(&platform, plain, "READ").await?;
    trial.control("what is sealed to its own key it reads", read(&platform, &games, plain, &own).await? == "READ");
    let got = collected(&client, &origin, &plain).await;
    trial.attack("delivering that as it is", "not the order's", got);
    let state = found(&platform, plain).await?.state;
    trial.attack_fails("keeping it quiet", "the order is disputed", state == Some(CodeState::Disputed));

    let renamed = order().await?;
    let right = substitute(&platform, renamed, own_key).await?.context("a key")?;
    games.deliver(&platform, renamed, "READ").await?;
    future.change(move |_, passing| {
        if passing.is_to("GET", "/v1/codes/")
            && let Some(body) = passing.body()
        {
            body["recipient"] = json!(right);
        }
    });
    let got = collected(&client, &origin, &renamed).await;
    trial.attack("under the right key's name", "another key in the place", got);

    let resealed = order().await?;
    let right = substitute(&platform, resealed, own_key).await?.context("a key")?;
    games.deliver(&platform, resealed, "READ").await?;
    future.change(move |pen, passing| reseal(pen, passing, right));
    let got = collected(&client, &origin, &resealed).await;
    trial.attack("read, and sealed anew to the right key", "another key in the place", got);

    let cheaper = order().await?;
    games.deliver(&platform, cheaper, "CHEAPER").await?;
    future.change(|pen, passing| {
        let Some(body) = passing.body().filter(|body| body["delivery"].is_object()) else { return };
        let Some(mut said) = body["delivery"]["verification"].as_str().and_then(Document::read) else { return };
        said.payload["amount"]["minor_units"] = json!(1);
        body["delivery"]["verification"] = json!(pen.sign(&said.typ, &said.payload));
    });
    let got = collected(&client, &origin, &cheaper).await;
    trial.attack("telling the merchant of another amount", "another product, quantity or amount", got);
    future.change_nothing();

    // It asks for another key of an order that the terminal has made itself, for less than was paid.
    let asked = order().await?;
    let sticker = games.sell("sticker", "0.10 EUR").await?;
    let sticker = platform.store.product(&sticker).await?.context("a product")?.compact;
    let lie = sticker.clone();
    future.change(move |_, passing| {
        if passing.is_to("GET", "/v1/codes/")
            && let Some(body) = passing.body().and_then(Value::as_object_mut)
        {
            body.remove("recipient");
            body.insert("key_wanted".into(), json!(true));
            body.insert("product".into(), json!(lie));
            body.insert("amount".into(), json!({ "minor_units": 10, "currency": "EUR" }));
        }
    });
    let got = collected(&client, &origin, &asked).await;
    trial.attack("asking for a key for something else", "another product, number or amount", got);
    future.change_nothing();
    games.deliver(&platform, asked, "ASKED").await?;
    trial.control("the order as it was made", collected(&client, &origin, &asked).await? == "ASKED");
    // A cheaper order's key for a dearer order.
    let merchant = store.merchant(&games.name).await?;
    let cheap = merchant.products.iter().find(|product| product.compact() == sticker).context("the sticker")?;
    let method = PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
    let low = store.order_codes(&merchant, cheap, Quantity::ONE, None, method, true).await?.id;
    let low_key = found(&platform, low).await?.recipient.context("a key")?;
    let dear = order().await?;
    substitute(&platform, dear, low_key).await?;
    games.deliver(&platform, dear, "CHEAP").await?;
    let got = collected(&client, &origin, &dear).await;
    trial.attack("under the key of a cheaper order", "the key of another order", got);

    // Bought in a browser: the platform does not ask the terminal for a key at all.
    preset(&mut victim, PASSWORD, "a client").await?;
    let bought = buy_in_browser(&mut victim, PRODUCT).await?;
    trial.control("the terminal makes the key", collected(&client, &origin, &bought).await? == "Keyed");
    games.deliver(&platform, bought, "BROWSER").await?;
    trial.control("and has the code", collected(&client, &origin, &bought).await? == "BROWSER");
    let unasked = buy_in_browser(&mut victim, PRODUCT).await?;
    substitute(&platform, unasked, own_key).await?;
    games.deliver(&platform, unasked, "READ").await?;
    let got = collected(&client, &origin, &unasked).await;
    trial.attack("making the key of a browser's order itself", "not the order's", got);
    // A merchant of which the terminal knows no key: the store's word for one is not enough.
    let mut owner = Cheater::new(&origin, Loot::default()).await?;
    let mut stranger = Browser::new(origin.as_str())?;
    stranger.sign_up("stranger@mail.example", PASSWORD).await?;
    owner.sign_in(&mut stranger).await?;
    owner.enrol().await?;
    let mut unknown = Seller::of(&mut owner, &platform, "unknown").await?;
    let first = buy_in_browser(&mut victim, "/merchants/unknown/game-key").await?;
    trial.attack(
        "a key of its own for a merchant",
        "nothing was bought from",
        collected(&client, &origin, &first).await,
    );
    let shown = store.new_merchant(&first).await?.context("a new merchant")?;
    store.accept_merchant(&shown).await?;
    trial.control("its user has compared it", collected(&client, &origin, &first).await? == "Keyed");
    unknown.deliver(&platform, first, "FIRST").await?;
    trial.control("and has the code", collected(&client, &origin, &first).await? == "FIRST");
    // It says that another terminal has it, which nobody can disprove but its user.
    let withheld = buy_in_browser(&mut victim, PRODUCT).await?;
    substitute(&platform, withheld, own_key).await?;
    games.deliver(&platform, withheld, "READ").await?;
    future.change(|_, passing| {
        if let Some(body) = passing.body().and_then(Value::as_object_mut) {
            body.remove("delivery");
        }
    });
    let got = collected(&client, &origin, &withheld).await;
    trial.attack("withholding it", "delivered to another terminal", got);
    Ok(trial.finish())
}

/// Delivers what it has read, sealed to the right key, with a verification that names that key.
fn reseal(pen: &Pen, passing: &mut Passing, right: Octets<32>) {
    let Some(body) = passing.body().filter(|body| body["delivery"].is_object()) else { return };
    let Some(mut said) = body["delivery"]["verification"].as_str().and_then(Document::read) else { return };
    said.payload["recipient"] = json!(right);
    let verification = pen.sign(&said.typ, &said.payload);
    let Ok(order) = serde_json::from_value::<OrderId>(said.payload["order"].clone()) else { return };
    let Ok(merchant) = serde_json::from_value::<MerchantName>(said.payload["merchant"].clone()) else { return };
    let Ok(codes) = Codes::new(vec![zeroize::Zeroizing::new("READ".to_owned())]) else { return };
    let payload = verification.split('.').nth(1).and_then(|payload| from_base64url(payload).ok());
    let digest = Digest::of(&payload.unwrap_or_default());
    let context =
        CodeContext { order: &order, merchant: &merchant, generation: Generation::FIRST, verification: &digest };
    let Ok(sealed) = seal(&right, &context, &codes, &mut rng()) else { return };
    body["recipient"] = json!(right);
    body["delivery"]["verification"] = json!(verification);
    body["delivery"]["enc"] = json!(sealed.enc);
    body["delivery"]["ciphertext"] = json!(sealed.ciphertext);
}

/// A terminal that was revoked after it had ordered fetches the code, acknowledges it, and has it sealed for itself.
async fn code_at_a_revoked_terminal(arena: &mut Arena) -> Result<Outcome> {
    let home = arena.fresh_path();
    let shop = arena.shop().await?;
    let platform = platform(shop.server.dir(), &shop.origin).await?;
    let mut games = seller(shop, &platform, "revoked-games").await?;
    let mut browser = shop.person().await?;
    let (mut lost, mut next) = (shop.terminal_of(&mut browser).await?, shop.terminal_of(&mut browser).await?);
    let secret = key();
    let (before, after) = (
        buy(&mut lost, &wanted(games.product, &secret)).await?,
        buy(&mut lost, &wanted(games.product, &secret)).await?,
    );
    games.deliver(&platform, before, "BEFORE").await?;
    games.deliver(&platform, after, "AFTER").await?;
    let mut trial = Trial::new();
    let had = fetch(&mut lost, before).await?;
    trial.control("before, it has its codes", opened(&had, &games, &secret)? == "BEFORE");
    let account: Value = next.ask(&Draft::get(paths::ACCOUNT)).await?;
    let terminals = account["terminals"].as_array().context("terminals")?;
    let shut = terminals.iter().find(|terminal| terminal["current"] == false).context("the other one")?;
    let path = paths::fill(paths::TERMINAL, &[&shut["terminal"].as_str().context("an identifier")?]);
    next.done(&Draft::json(Method::DELETE, path, &json!({}))).await?;
    let no = "terminal-revoked";
    trial.attack("fetching", no, fetch(&mut lost, after).await);
    let accepted = found(&platform, after).await?.accepted.context("a code")?;
    let ack = CodeAckRequest { generation: accepted.generation, ciphertext: accepted.digest, readable: true };
    let said = lost.ask::<Value>(&Draft::post(paths::fill(paths::CODE_ACK, &[&after]), &ack)).await;
    trial.attack("acknowledging, so that nobody else gets it", no, said);
    let own = Draft::post(
        paths::fill(paths::CODE_RECIPIENT, &[&after]),
        &RecipientRequest { recipient: Octets(*key().public().as_bytes()), first: false },
    );
    trial.attack("having it sealed once more", no, lost.ask::<Value>(&own).await);
    trial.attack("ordering", no, buy(&mut lost, &wanted(games.product, &secret)).await);
    let renewed = key();
    allow(&mut browser, after, &next.key.public().thumbprint().words(), "").await?;
    let mine = Draft::post(
        paths::fill(paths::CODE_RECIPIENT, &[&after]),
        &RecipientRequest { recipient: Octets(*renewed.public().as_bytes()), first: false },
    );
    let _: Value = next.ask(&mine).await?;
    let verification = games.verify(&platform, after).await?;
    let sealed = games.seal(&verification, &["AFTER"], Vec::new())?;
    games.submit(&sealed).await?;
    let has = opened(&fetch(&mut next, after).await?, &games, &renewed)? == "AFTER";
    trial.control("another terminal of the account has it sealed for itself", has);

    // The real client, at a server that stands still between the look at its session and the delivery.
    let client = Client::open(ClientOptions::new().state_dir(home).retry(Retry { attempts: 2, ..Retry::default() }))?;
    let origin: Origin = shop.origin.clone();
    let sign_in = client.sign_in(&origin, "a client").await?;
    browser.approve(&sign_in.user_code(), &sign_in.terminal_words()).await?;
    sign_in.finish().await?;
    let store = client.store(&origin);
    let merchant = store.merchant(&games.name).await?;
    let product = merchant.products.first().context("a product")?.clone();
    let order = async || -> Result<OrderId> {
        let method = PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
        Ok(store.order_codes(&merchant, &product, Quantity::ONE, None, method, true).await?.id)
    };
    for revoked in [false, true] {
        let mut tries = 0;
        let (order, got) = loop {
            let order = order().await?;
            games.deliver(&platform, order, "SLOW").await?;
            shop.restart_to_stop("code.deliver.before-write").await?;
            let (asking, at) = (client.clone(), origin.clone());
            // On a thread of its own, as the process that it is.
            let fetching = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                anyhow::Ok(runtime.block_on(collected(&asking, &at, &order)))
            });
            tokio::task::block_in_place(|| shop.server.wait_for_stop())?;
            let mut done = Ok(());
            if revoked {
                let found = found(&platform, order).await?;
                let terminal = found.terminal.context("a terminal")?;
                done = platform.store.revoke_terminal(&found.account, &terminal).await.map(drop);
            }
            shop.server.resume()?;
            let got = tokio::task::block_in_place(|| fetching.join()).map_err(|_| anyhow!("the client panicked"))??;
            // It was stopped in the middle of another write, so that nobody else could write.
            tries += 1;
            match done {
                Err(_) if tries < 4 => {}
                done => {
                    done?;
                    break (order, got);
                }
            }
        };
        if revoked {
            let is_there = store.stored_codes(&order)?.is_some();
            trial.attack_fails(
                "revoked while the request is under way",
                "no code on its disk",
                got.is_err() && !is_there,
            );
            let after = found(&platform, order).await?.state;
            trial.attack_fails("as delivered", "it still waits", after == Some(CodeState::CodeReceived));
        } else {
            trial.control("a request that is only slow is delivered", got? == "SLOW");
        }
    }
    shop.restart(&[])?;
    Ok(trial.finish())
}

/// As if the sign-in of a browser lay a while back: the password was typed in it twenty minutes ago.
async fn age(browser: &Browser, platform: &Core, account: &AccountId) -> Result<()> {
    let is_session = |name: &str| {
        name == "__Host-portcullis" || name.strip_prefix("portcullis-").is_some_and(|port| port.parse::<u16>().is_ok())
    };
    let cookie = browser.cookies().iter().find(|(name, _)| is_session(name)).context("a session")?.1;
    let password = platform.store.account(account).await?.context("an account")?.password;
    let token = platform.secrets.hash_token(TokenRole::Web, cookie);
    platform.clock.advance(-1200);
    let proven = platform.store.prove_web_session(&token, account, &password).await;
    platform.clock.advance(1200);
    anyhow::ensure!(proven?, "the session is another one");
    Ok(())
}

/// A terminal that somebody has planted in the account takes over what another one bought; and a browser that was left
/// open, or whose cookie was stolen, helps it.
async fn order_taken_over_by_another_terminal(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let platform = platform(shop.server.dir(), &shop.origin).await?;
    let mut games = seller(shop, &platform, "claimed-games").await?;
    let mut browser = Browser::new(shop.origin.as_str())?;
    browser.sign_up("claimed@mail.example", PASSWORD).await?;
    let (mut own, mut planted) = (shop.terminal_of(&mut browser).await?, shop.terminal_of(&mut browser).await?);
    let (secret, stolen) = (key(), key());
    let claim = |order: OrderId| {
        let body = RecipientRequest { recipient: Octets(*stolen.public().as_bytes()), first: false };
        Draft::post(paths::fill(paths::CODE_RECIPIENT, &[&order]), &body)
    };
    let early = buy(&mut own, &wanted(games.product, &secret)).await?;
    let late = buy(&mut own, &wanted(games.product, &secret)).await?;
    games.deliver(&platform, late, "LATE").await?;
    let mut trial = Trial::new();
    let no = "confirmation-required";
    trial.attack("an order that is paid", no, planted.ask::<Value>(&claim(early)).await);
    trial.attack("one whose code was sealed", no, planted.ask::<Value>(&claim(late)).await);
    let mut stranger = shop.customer().await?;
    trial.attack("one of another account", "404", stranger.ask::<Value>(&claim(late)).await);

    let account = found(&platform, late).await?.account;
    age(&browser, &platform, &account).await?;
    let (words, asked) = (planted.key.public().thumbprint().words(), "Type your password for this");
    trial.attack("choosing it in an open browser", asked, allow(&mut browser, late, &words, "").await);
    let guess = "a password that somebody guesses";
    trial.attack("guessing the password", "not your current password", allow(&mut browser, late, &words, guess).await);
    trial.attack("presetting it in an open browser", asked, preset(&mut browser, "", &words).await);
    let mut another = Cheater::new(&shop.origin, shop.loot.clone()).await?;
    trial.attack("approving one more in an open browser", asked, another.sign_in(&mut browser).await);
    trial.attack("what was asked for in vain", no, planted.ask::<Value>(&claim(late)).await);
    let still = opened(&fetch(&mut own, late).await?, &games, &secret)? == "LATE";
    trial.control("its own terminal still has the code", still);

    // Whoever knows the password decides, for one order and one terminal.
    allow(&mut browser, late, &words, PASSWORD).await?;
    let _: Value = planted.ask(&claim(late)).await?;
    let verification = games.verify(&platform, late).await?;
    games.submit(&games.seal(&verification, &["LATE"], Vec::new())?).await?;
    let has = opened(&fetch(&mut planted, late).await?, &games, &stolen)? == "LATE";
    trial.control("the terminal that the account's holder chose has it sealed for itself", has);
    trial.attack("the other order, which he did not name", no, planted.ask::<Value>(&claim(early)).await);
    // Any terminal of an account revokes any other: that is no way to what the other one has.
    let id = found(&platform, early).await?.terminal.context("a terminal")?;
    planted.done(&Draft::json(Method::DELETE, paths::fill(paths::TERMINAL, &[&id]), &json!({}))).await?;
    trial.attack("revoking the terminal that has it", no, planted.ask::<Value>(&claim(early)).await);
    Ok(trial.finish())
}

/// The operator has found somebody out and suspends the account. Its merchant's key proves itself without one.
async fn merchant_of_a_suspended_account(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let platform = platform(shop.server.dir(), &shop.origin).await?;
    let mut browser = Browser::new(shop.origin.as_str())?;
    let email = "suspended-seller@mail.example";
    browser.sign_up(email, PASSWORD).await?;
    let mut owner = shop.terminal_of(&mut browser).await?;
    let mut games = Seller::of(&mut owner, &platform, "suspended-games").await?;
    let mut buyer = shop.customer().await?;
    let secret = key();
    let (heard, sealed) = (
        buy(&mut buyer, &wanted(games.product, &secret)).await?,
        buy(&mut buyer, &wanted(games.product, &secret)).await?,
    );
    let nonce = found(&platform, heard).await?.nonce.context("a nonce")?;
    let verification = games.verify(&platform, sealed).await?;
    let submission = games.seal(&verification, &["CODE"], Vec::new())?;
    let path = "/merchants/suspended-games/game-key";
    let mut trial = Trial::new();
    trial.control("before, it sells", browser.look(path).await?.0.is_success());
    shop.server.operator(&["account", "suspend", email])?;
    let no = "merchant-unknown";
    trial.attack("selling to a terminal", no, buy(&mut buyer, &wanted(games.product, &key())).await);
    trial.attack("asking what was ordered", no, games.ask(heard, nonce, None).await);
    trial.attack("being credited for a code", no, games.submit(&submission).await);
    trial.attack("another product", no, games.sell("new-key", "5.00 EUR").await);
    trial.attack("a payment request", no, games.ask_for("18.00 EUR").await);
    let (page, _, _) = browser.look(path).await?;
    trial.attack_fails("its page", "404", page.as_u16() == 404);
    let (_, _, results) = browser.look("/search?q=suspended-games").await?;
    trial.attack_fails("in the search", "not found", !results.contains(path));
    shop.server.operator(&["account", "restore", email])?;
    games.deliver(&platform, heard, "HEARD").await?;
    let has = opened(&fetch(&mut buyer, heard).await?, &games, &secret)? == "HEARD";
    trial.control("with its account it is back, and delivers", has && games.submit(&submission).await.is_ok());
    Ok(trial.finish())
}

/// Looks for codes in everything that the server keeps: database, log, and a copy of all of it.
async fn code_read_from_what_the_store_keeps(arena: &mut Arena) -> Result<Outcome> {
    let backup = arena.fresh_path();
    let shop = arena.shop().await?;
    let platform = platform(shop.server.dir(), &shop.origin).await?;
    let mut games = seller(shop, &platform, "kept-games").await?;
    let mut buyer = shop.customer().await?;
    let secret = key();
    let code = format!("CODE-{}", Octets::<12>(random()));
    let order = buy(&mut buyer, &wanted(games.product, &secret)).await?;
    games.deliver(&platform, order, &code).await?;
    let mut trial = Trial::new();
    trial.control("its buyer reads it", opened(&fetch(&mut buyer, order).await?, &games, &secret)? == code);
    let gift = gift(shop).await?;
    let mut copy = std::process::Command::new(checkout::program("portcullis-server")?);
    let made = copy.args(["backup", "--to"]).arg(&backup).arg("--dir").arg(shop.server.dir()).output()?;
    let said = String::from_utf8_lossy(&made.stderr);
    trial.control(&format!("a backup is made{}", said.trim()), made.status.success());
    let mut files = files_below(shop.server.dir())?;
    files.extend(files_below(&backup)?);
    if postgres::is_chosen() {
        files.extend(postgres::cluster().files());
    }
    shop.loot.add("an electronic code", code.as_bytes());
    shop.loot.add("a redemption code", gift.as_bytes());
    let secrets = vec![
        ("an electronic code".to_owned(), code.clone().into_bytes()),
        ("a redemption code".to_owned(), gift.clone().into_bytes()),
        ("a redemption code without hyphens".to_owned(), gift.replace('-', "").into_bytes()),
    ];
    let (leaks, looked) = search_for(&secrets, &files)?;
    trial.note(format!("{} files, {} KiB", files.len(), looked / 1024));
    trial.attack_fails(&format!("reading everything {leaks:?}"), "no code found", leaks.is_empty());
    let open = vec![("a merchant's name".to_owned(), b"kept-games".to_vec())];
    trial.control("what is public is found with the same search", !search_for(&open, &files)?.0.is_empty());
    let (mut other, wrong) = (shop.customer().await?, key());
    let stolen = fetch(&mut other, order).await;
    trial.attack("fetching it with another account", "404", stolen);
    let delivery = fetch(&mut buyer, order).await?;
    let got = opened(&delivery, &games, &wrong).map_err(|error| format!("does not open: {error}"));
    trial.attack("opening it with another key", "does not open", got);
    Ok(trial.finish())
}

/// A merchant names an endpoint inside the network that the server stands in, in every spelling; or one that sends the
/// server there.
async fn merchant_inside_the_servers_network(arena: &mut Arena) -> Result<Outcome> {
    let mut shop = Shop::open(&arena.fresh_path()).await?;
    let (inside, post) = (Inbox::open().await?, Inbox::open().await?);
    let (mut owner, key) = (shop.customer().await?, SecretKey::generate(&mut rng()));
    let mut desk = Cheater::new(&shop.origin, shop.loot.clone()).await?;
    desk.key = key.clone();
    let mut trial = Trial::new();
    let port = inside.port();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        let claimed = claim(&mut owner, &key, &format!("https://{host}:{port}/")).await;
        trial.attack(&format!("the address {host}"), "private or reserved network", claimed);
    }
    // A name is checked when the connection is made, whatever it resolved to before.
    claim(&mut owner, &key, &format!("https://localhost:{port}/")).await?;
    let prove = Draft::post(paths::OWNERSHIP, &OwnershipRequest {});
    let proven = desk.ask::<Value>(&prove).await;
    trial.attack("a name that resolves to this machine", "not proven to be yours", proven);
    trial.attack_fails("reaching it by that", "not connected to", inside.connections() == 0);

    // The network is listed from here on: what is listed is reached, and where it sends the server to is not.
    shop.server.configure("webhooks", "networks_of_others", toml::Value::Array(vec!["127.0.0.0/8".into()]))?;
    shop.restart(&[])?;
    post.redirect_to(&format!("http://127.0.0.1:{port}/"));
    claim(&mut owner, &key, &format!("http://127.0.0.1:{}/", post.port())).await?;
    let proven = desk.ask::<Value>(&prove).await;
    trial.attack("a redirect", "not proven to be yours", proven);
    trial.control("listed, the address is reached", post.posted().len() == 1);
    trial.attack_fails("following it", "not followed", inside.connections() == 0);
    Ok(trial.finish())
}

async fn claim(owner: &mut Cheater, key: &SecretKey, url: &str) -> Result<Value> {
    let claim = MerchantClaim {
        name: "inside".parse()?,
        title: "Inside".parse()?,
        jwk: key.public().clone(),
        origin: owner.origin.clone(),
        webhook: url.parse()?,
        iat: now(),
    };
    owner.ask(&Draft::post(paths::MERCHANTS, &MerchantRequest { claim: sign(claim, key) })).await
}
