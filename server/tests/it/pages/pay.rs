//! Electronic codes, bought in a browser: what a merchant asks, and what it sells. The terminal that the account has
//! preset makes the key of each order, so that neither browser nor server has one.

use crate::browser::{Browser, Page};
use crate::codes::Shop;
use crate::stage::{PASSWORD, Stage};
use crate::terminal::{Draft, Terminal};
use portcullis_protocol::codes::{CodeState, Quantity};
use portcullis_protocol::encoding::{Octets, from_base64url};
use portcullis_protocol::wire::{
    CodeAckAnswer, CodeAckRequest, CodeOrderAnswer, CodeOrdersAnswer, Done, EventsAnswer, OrderVerificationRequest,
    RecipientAnswer, RecipientRequest,
};
use portcullis_protocol::{Digest, OrderId, PaymentRequest, Reason, ReleaseSecretKey, paths};
use portcullis_server::crypto::secrets::{random, rng};
use portcullis_server::merchants::{self, products};
use portcullis_server::store::{CodeDecision, CodeFailure, CodeStep, MerchantDecision, OrderPhase};
use portcullis_server::{Core, effects};
use reqwest::{Method, StatusCode};

const PRESET: &str = "/account/preset";

/// What `games` asks one customer to pay.
async fn request(core: &Core, shop: &Shop, amount: &str) -> (Digest, String) {
    let now = core.clock.now().seconds();
    let request = PaymentRequest {
        merchant: shop.merchant.name.clone(),
        aud: core.origin.clone(),
        jti: Octets(random()),
        product: shop.product,
        quantity: Quantity::ONE,
        amount: amount.parse().expect("an amount"),
        iat: now,
        exp: now + 600,
    };
    let answer = products::request(core, &shop.merchant, &shop.sign(request)).await.expect("taken");
    (answer.request, format!("/pay/{}", answer.request))
}

/// The terminals that the page offers, in its order.
pub(super) fn offered(page: &Page) -> Vec<String> {
    let options = page.text.split("<option value=\"").skip(1);
    options.filter_map(|option| option.split('"').next()).filter(|id| id.len() == 22).map(str::to_owned).collect()
}

/// Chooses the newest terminal.
async fn preset(browser: &mut Browser) -> String {
    let page = browser.get(PRESET).await;
    let newest = offered(&page).first().expect("a terminal").clone();
    let (csrf, terminal) = (page.csrf(), newest.as_str());
    let set = browser.post(PRESET, &[("csrf", &csrf), ("terminal", terminal), ("current-password", PASSWORD)]).await;
    assert_eq!(set.status, StatusCode::SEE_OTHER, "{}", set.text);
    newest
}

/// What the form of a page sends.
fn form(page: &Page, means: &str) -> Vec<(&'static str, String)> {
    let value = |name| page.input(name).unwrap_or_else(|| panic!("no {name}: {}", page.text));
    vec![
        ("csrf", value("csrf")),
        ("product", value("product")),
        ("quantity", value("quantity")),
        ("terminal", value("terminal")),
        ("key", value("key")),
        ("means", means.to_owned()),
    ]
}

async fn send(browser: &mut Browser, path: &str, form: &[(&str, String)]) -> Page {
    let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post(path, &fields).await
}

async fn buy(browser: &mut Browser, path: &str, means: &str) -> Page {
    let page = browser.get(path).await;
    let form = form(&page, means);
    send(browser, path, &form).await
}

fn order_of(page: &Page) -> OrderId {
    let to = page.location().unwrap_or_else(|| panic!("{}: {}", page.status, page.text));
    let id = to.strip_prefix("/account/orders/").and_then(|to| to.split_once('?')).map(|(id, _)| id);
    id.unwrap_or_else(|| panic!("{to}")).parse().expect("an order")
}

fn at(order: &OrderId) -> String {
    format!("/account/orders/{order}")
}

async fn info(terminal: &mut Terminal, order: &OrderId) -> CodeOrderAnswer {
    terminal.get_yes(&Draft::get(paths::fill(paths::CODE, &[order]))).await
}

/// A terminal makes the key of an order.
async fn make_key(terminal: &mut Terminal, order: &OrderId) -> ReleaseSecretKey {
    let key = ReleaseSecretKey::generate(&mut rng());
    let body = RecipientRequest { recipient: Octets(*key.public().as_bytes()), first: true };
    let draft = Draft::post(paths::fill(paths::CODE_RECIPIENT, &[order]), &body);
    let answer: RecipientAnswer = terminal.get_yes(&draft).await;
    assert_eq!(answer.generation.get(), 1, "the first key is that of the first sealing");
    key
}

#[tokio::test]
async fn a_person_pays_a_request_and_a_terminal_of_hers_makes_the_key() {
    let stage = Stage::open().await;
    let core = &stage.running.app().core;
    let shop = Shop::new(core, "games").await;
    let (digest, path) = request(core, &shop, "18.00 EUR").await;
    // Whoever has the address sees what is asked.
    let mut nobody = Browser::new(&stage.origin);
    let public = nobody.get(&path).await;
    assert!(public.text.contains("18.00 EUR") && public.text.contains("A game"), "{}", public.text);
    assert!(public.text.contains(&format!("/sign-in?to=pay.{digest}")), "{}", public.text);

    let mut browser = stage.person("ada@example.org").await;
    let unset = browser.get(&path).await;
    assert!(unset.input("key").is_none() && unset.text.contains("Choose a terminal"), "none is preset: {}", unset.text);
    let mut terminal = stage.terminal_of(&mut browser).await;
    // A browser that was left open does not have codes sent elsewhere.
    let page = browser.get(&format!("{PRESET}?to=pay.{digest}")).await;
    let back = page.input("to").expect("the way back");
    let mut choice = vec![("csrf", page.csrf()), ("terminal", offered(&page).remove(0)), ("to", back)];
    choice.push(("current-password", "another password".to_owned()));
    let wrong = send(&mut browser, PRESET, &choice).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("not your current password"), "{}", wrong.text);
    assert!(browser.get(&path).await.input("key").is_none(), "nothing is preset");
    choice[3].1 = PASSWORD.to_owned();
    let right = send(&mut browser, PRESET, &choice).await;
    assert_eq!(right.location(), Some(path.as_str()), "back to what was to be paid");

    let asked = browser.get(&path).await;
    for shown in ["18.00 EUR", "A game", "games", "a terminal", "Pay 18.00 EUR"] {
        assert!(asked.text.contains(shown), "{shown}: {}", asked.text);
    }
    let order = order_of(&buy(&mut browser, &path, "sandbox:ok").await);
    let paid = order_in(core, &order).await;
    assert_eq!(
        (paid.state, paid.recipient, paid.nonce),
        (Some(CodeState::Paid), None, None),
        "the platform has no key"
    );
    let watched = browser.get(&format!("{}?watch=1", at(&order))).await;
    assert_eq!(watched.headers["refresh"], format!("10; url={}?watch=2", at(&order)).as_str());
    assert!(watched.text.contains("makes the key") && watched.text.contains("--watch"));
    assert!(!watched.text.contains("<script"));
    // The merchant hears nothing of it, and can do nothing about it.
    let open = merchants::orders::open(core, &shop.merchant, None).await.expect("read");
    assert_eq!(open.orders.len(), 0);
    let guess = OrderVerificationRequest { order, nonce: Octets([0; 32]), request: Some(digest) };
    let refused = merchants::orders::verify(core, &shop.merchant, &guess).await;
    assert!(matches!(refused, Err(portcullis_server::ServiceError::Refused(no)) if no.reason == Reason::OrderUnknown));

    // The terminal is told, sees what was bought, and makes the key.
    let events: EventsAnswer = terminal.get_yes(&Draft::get(paths::EVENTS)).await;
    let kinds: Vec<String> = events.events.iter().filter_map(|event| kind_of(event)).collect();
    assert!(kinds.iter().any(|kind| kind == "code.key-wanted"), "{kinds:?}");
    let listed: CodeOrdersAnswer = terminal.get_yes(&Draft::get(paths::ACCOUNT_CODES)).await;
    let line = listed.codes.iter().next().expect("an order").clone();
    assert_eq!((line.order, line.recipient, line.key_wanted), (order, None, true));
    assert_eq!((line.amount, line.quantity), ("18.00 EUR".parse().expect("an amount"), Quantity::ONE));
    let key = make_key(&mut terminal, &order).await;
    let keyed = order_in(core, &order).await;
    assert!(keyed.nonce.is_some() && keyed.recipient == Some(Octets(*key.public().as_bytes())));
    assert!(!info(&mut terminal, &order).await.info.key_wanted, "it is asked for once");

    shop.deliver(core, &order).await.expect("delivered");
    assert!(browser.get(&at(&order)).await.text.contains("The code is here, sealed"));
    let delivery = info(&mut terminal, &order).await.delivery.expect("a delivery");
    assert!(browser.get(&at(&order)).await.text.contains("It was delivered to"));
    let accepted = order_in(core, &order).await.accepted.expect("a code");
    assert_eq!(accepted.sealed.expect("sealed").bytes.ciphertext, delivery.ciphertext);
    let ack = CodeAckRequest { generation: accepted.generation, ciphertext: accepted.digest, readable: true };
    let _: CodeAckAnswer = terminal.get_yes(&Draft::post(paths::fill(paths::CODE_ACK, &[&order]), &ack)).await;
    let done = browser.get(&format!("{}?watch=3", at(&order))).await;
    assert!(
        done.text.contains("The code is on your terminal") && !done.headers.contains_key("refresh"),
        "{}",
        done.text
    );

    // Whoever has paid is led to the order, and everybody else told that it was paid.
    let again = browser.get(&path).await;
    assert!(again.text.contains("You have ordered it") && again.text.contains(&at(&order)), "{}", again.text);
    let other = stage.person("eve@example.org").await.get(&path).await;
    assert!(other.text.contains("It was paid already") && !other.text.contains(&order.to_string()), "{}", other.text);
    stage.stop().await;
}

/// A disputed order is no occasion to thank for.
#[tokio::test]
async fn the_title_of_a_page_says_what_became_of_the_order() {
    let stage = Stage::open().await;
    let (shop, mut browser, mut terminal) = ready(&stage).await;
    let core = &stage.running.app().core;
    let (_, path) = request(core, &shop, "18.00 EUR").await;
    let order = order_of(&buy(&mut browser, &path, "sandbox:ok").await);
    let mut title = async || {
        let page = browser.get(&at(&order)).await;
        let heading = page.text.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>"));
        heading.unwrap_or_else(|| panic!("{}", page.text)).0.to_owned()
    };
    assert_eq!(title().await, "Thank you");
    make_key(&mut terminal, &order).await;
    shop.deliver(core, &order).await.expect("delivered");
    let _: CodeOrderAnswer = info(&mut terminal, &order).await;
    let accepted = order_in(core, &order).await.accepted.expect("a code");
    let ack = CodeAckRequest { generation: accepted.generation, ciphertext: accepted.digest, readable: false };
    let _: CodeAckAnswer = terminal.get_yes(&Draft::post(paths::fill(paths::CODE_ACK, &[&order]), &ack)).await;
    assert_eq!(title().await, "Disputed");
    core.store.decide_code_order(&order, CodeDecision::Keep).await.expect("decided");
    assert_eq!(title().await, "Settled");
    stage.stop().await;
}

/// What an event is about.
fn kind_of(compact: &str) -> Option<String> {
    let payload = from_base64url(compact.split('.').nth(1)?).ok()?;
    let said: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    Some(said["body"]["type"].as_str()?.to_owned())
}

async fn order_in(core: &Core, order: &OrderId) -> portcullis_server::store::CodeOrder {
    core.store.code_order(order).await.expect("read").expect("an order of codes")
}

/// A shop, a person with a preset terminal, and what the shop asks her to pay.
async fn ready(stage: &Stage) -> (Shop, Browser, Terminal) {
    let shop = Shop::new(&stage.running.app().core, "games").await;
    let mut browser = stage.person("ada@example.org").await;
    let terminal = stage.terminal_of(&mut browser).await;
    preset(&mut browser).await;
    (shop, browser, terminal)
}

fn orders(stage: &Stage) -> i64 {
    stage.database().number("SELECT count(*) FROM code_orders", &[])
}

#[tokio::test]
async fn a_request_is_paid_once_by_its_own_form_at_its_own_amount() {
    let stage = Stage::open().await;
    let (shop, mut browser, _terminal) = ready(&stage).await;
    let core = &stage.running.app().core;
    let (_, path) = request(core, &shop, "18.00 EUR").await;
    let page = browser.get(&path).await;
    let good = form(&page, "sandbox:ok");

    // Somebody else's form, a form of another site, and one whose product, number or terminal were changed.
    let mut eve = stage.person("eve@example.org").await;
    let foreign = send(&mut eve, &path, &good).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN, "another session");
    let fields: Vec<(&str, &str)> = good.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let elsewhere = browser.post_from("https://evil.example", &path, &fields).await;
    assert_eq!(elsewhere.status, StatusCode::FORBIDDEN, "another site");
    let cheap = shop.sell(core, "sticker", "0.10 EUR", 600).await;
    for (field, value, status) in [
        ("product", cheap.to_string(), StatusCode::CONFLICT),
        ("quantity", "2".to_owned(), StatusCode::CONFLICT),
        ("quantity", "0".to_owned(), StatusCode::BAD_REQUEST),
        ("terminal", "AAAAAAAAAAAAAAAAAAAAAA".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        ("terminal", "x".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        let mut altered = good.clone();
        altered.iter_mut().find(|(name, _)| *name == field).expect("a field").1 = value.clone();
        let answer = send(&mut browser, &path, &altered).await;
        assert_eq!(answer.status, status, "{field}={value}: {}", answer.text);
    }
    assert_eq!(orders(&stage), 0);

    // The control, and a double click on it.
    let (mut one, mut two) = (browser.clone(), browser.clone());
    let (first, second) = tokio::join!(send(&mut one, &path, &good), send(&mut two, &path, &good));
    let placed: Vec<&Page> = [&first, &second].into_iter().filter(|page| page.location().is_some()).collect();
    assert!(!placed.is_empty() && placed.iter().all(|page| order_of(page) == order_of(placed[0])));
    let again = send(&mut browser, &path, &good).await;
    assert_eq!((order_of(&again), orders(&stage)), (order_of(placed[0]), 1));
    assert_eq!(order_in(core, &order_of(&again)).await.amount, "18.00 EUR".parse().expect("an amount"));
    stage.stop().await;
}

#[tokio::test]
async fn a_request_that_is_over_is_not_paid_and_ones_own_pending_order_is_found_again() {
    let stage = Stage::open().await;
    let (shop, mut browser, _terminal) = ready(&stage).await;
    let core = &stage.running.app().core;
    let (_, path) = request(core, &shop, "18.00 EUR").await;
    let pending = order_of(&buy(&mut browser, &path, "sandbox:pending").await);
    let again = browser.get(&path).await;
    assert!(again.text.contains("You have ordered it") && again.text.contains(&at(&pending)), "{}", again.text);
    let mut eve = stage.person("eve@example.org").await;
    assert!(eve.get(&path).await.text.contains("Choose a terminal"), "it keeps nobody else from paying it");

    // Between the page and the click: the request expires, the price changes, the merchant is suspended.
    let (_, late) = request(core, &shop, "17.00 EUR").await;
    let shown = form(&browser.get(&late).await, "sandbox:ok");
    stage.clock.advance(601);
    let expired = send(&mut browser, &late, &shown).await;
    assert_eq!(expired.status, StatusCode::CONFLICT);
    assert!(expired.text.contains("It has ended") && expired.input("key").is_none(), "{}", expired.text);

    let product = "/merchants/games/game-key";
    let shown = form(&browser.get(product).await, "sandbox:ok");
    shop.sell(core, "game-key", "499.00 EUR", 600).await;
    let changed = send(&mut browser, product, &shown).await;
    assert_eq!(changed.status, StatusCode::CONFLICT);
    assert!(changed.text.contains("changed the product or its price") && changed.text.contains("Pay 499.00 EUR"));
    assert_eq!(orders(&stage), 1, "the pending one alone");

    // The controls: several at once, for the sum that was shown.
    let three = browser.get(&format!("{product}?quantity=3")).await;
    assert!(three.text.contains("Pay 1497.00 EUR"), "{}", three.text);
    let bought = order_of(&send(&mut browser, product, &form(&three, "sandbox:ok")).await);
    let found = order_in(core, &bought).await;
    assert_eq!((found.quantity.get(), found.amount), (3, "1497.00 EUR".parse().expect("an amount")));

    let shown = form(&browser.get(product).await, "sandbox:ok");
    core.store.decide_merchant(&shop.merchant.name, MerchantDecision::Suspend).await.expect("decided");
    assert_eq!(send(&mut browser, product, &shown).await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get(product).await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(orders(&stage), 2);
    stage.stop().await;
}

#[tokio::test]
async fn a_buyer_is_told_what_cannot_be_ordered_what_was_ordered_before_and_why_there_is_no_code() {
    let stage = Stage::open().await;
    let (shop, mut browser, mut terminal) = ready(&stage).await;
    let core = &stage.running.app().core;

    // Two cost more than an amount can be, and so do they if only the form says so.
    shop.sell(core, "yacht", "9000000000.00 EUR", 5400).await;
    let yacht = "/merchants/games/yacht";
    let one = browser.get(yacht).await;
    assert!(one.status == StatusCode::OK && one.text.contains("90 minutes"), "{}", one.text);
    for (number, why) in [("2", "So many codes cost more"), ("0", "from 1 to 100"), ("x", "from 1 to 100")] {
        let page = browser.get(&format!("{yacht}?quantity={number}")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{number}");
        assert!(page.text.contains(why) && page.input("key").is_none(), "{number}: {}", page.text);
    }
    let mut altered = form(&one, "sandbox:ok");
    altered.iter_mut().find(|(name, _)| *name == "quantity").expect("a field").1 = "2".into();
    let refused = send(&mut browser, yacht, &altered).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("So many codes cost more"), "{}", refused.text);
    assert_eq!(orders(&stage), 0, "nothing was opened");

    // The same twice, while the first one is not decided: it is one order, and that is said.
    let product = "/merchants/games/game-key";
    let first = order_of(&buy(&mut browser, product, "sandbox:pending").await);
    let again = buy(&mut browser, product, "sandbox:ok").await;
    assert_eq!((order_of(&again), orders(&stage)), (first, 1));
    let page = browser.get(again.location().expect("a place")).await;
    assert!(page.text.contains("nothing was ordered twice"), "{}", page.text);
    assert!(!browser.get(&at(&first)).await.text.contains("nothing was ordered twice"), "the control");

    // The merchant has none, and says so.
    let two = browser.get(&format!("{product}?quantity=2")).await;
    let bought = order_of(&send(&mut browser, product, &form(&two, "sandbox:ok")).await);
    let waiting = info(&mut terminal, &bought).await.info;
    assert_eq!((waiting.key_wanted, waiting.reason), (true, None));
    make_key(&mut terminal, &bought).await;
    merchants::orders::decline(core, &shop.merchant, &bought, "Sold <b>out</b>").await.expect("declined");
    let told = info(&mut terminal, &bought).await.info;
    assert_eq!((told.reason.as_deref(), told.terminal), (Some("Sold <b>out</b>"), waiting.terminal));
    let page = browser.get(&at(&bought)).await.text;
    assert!(page.contains("The merchant has declined") && page.contains("Sold &lt;b&gt;out&lt;/b&gt;"), "{page}");
    stage.stop().await;
}

#[tokio::test]
async fn an_order_without_a_key_is_paid_back_and_its_merchant_has_failed_nobody() {
    let stage = Stage::open().await;
    let (shop, mut browser, _terminal) = ready(&stage).await;
    let core = &stage.running.app().core;
    let order = order_of(&buy(&mut browser, "/merchants/games/game-key", "sandbox:ok").await);
    stage.clock.advance(24 * 3600 - 60);
    while effects::round(core).await.expect("a round") > 0 {}
    assert_eq!(order_in(core, &order).await.state, Some(CodeState::Paid), "for a day");
    stage.clock.advance(120);
    let waiting = order_in(core, &order).await;
    let terminal = waiting.terminal.expect("the one that was preset");
    let key = Octets(*ReleaseSecretKey::generate(&mut rng()).public().as_bytes());
    let late = core.store.move_code_order(&order, &waiting.account, &terminal, &key, true).await.expect("answered");
    assert!(matches!(late, CodeStep::Closed(_)), "too late: {late:?}");
    for _ in 0..600 {
        effects::round(core).await.expect("a round");
        if order_in(core, &order).await.state == Some(CodeState::Refunded) {
            break;
        }
        stage.clock.advance(1);
    }
    assert_eq!(order_in(core, &order).await.state, Some(CodeState::Refunded));
    assert_eq!(core.store.order(&order).await.expect("read").expect("an order").phase, OrderPhase::Refunded);
    // Whoever was signed in a day ago signs in again.
    browser.sign_in("ada@example.org", PASSWORD).await;
    assert!(browser.get(&at(&order)).await.text.contains("You were paid back"));
    let health = core.store.merchant_health(&shop.merchant.id).await.expect("read");
    assert_eq!(health.decided, 0, "the merchant was told nothing, and has failed nobody");
    assert_eq!(stage.database().number("SELECT count(*) FROM webhook_messages", &[]), 0);
    stage.stop().await;
}

#[tokio::test]
async fn a_revoked_terminal_makes_no_key_and_another_one_takes_its_place() {
    let stage = Stage::open().await;
    let (shop, mut browser, mut lost) = ready(&stage).await;
    let core = &stage.running.app().core;
    let path = "/merchants/games/game-key";
    let order = order_of(&buy(&mut browser, path, "sandbox:ok").await);
    let shown = form(&browser.get(path).await, "sandbox:ok");
    let mut next = stage.terminal_of(&mut browser).await;
    let id = shown.iter().find(|(name, _)| *name == "terminal").expect("a terminal").1.clone();
    let revoke = Draft::json(Method::DELETE, paths::fill(paths::TERMINAL, &[&id]), &serde_json::json!({}));
    let _: Done = next.get_yes(&revoke).await;
    // It is preset no more, whatever a page said before.
    let stale = send(&mut browser, path, &shown).await;
    assert_eq!(stale.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(stale.text.contains("Choose a terminal") && stale.text.contains("nothing was charged"), "{}", stale.text);
    let page = browser.get(PRESET).await;
    let choice = [("csrf", page.csrf()), ("terminal", id), ("current-password", PASSWORD.to_owned())];
    assert_eq!(send(&mut browser, PRESET, &choice).await.status, StatusCode::NOT_FOUND, "nor can it be again");
    assert!(browser.get(&at(&order)).await.text.contains("None of your terminals is chosen"));
    let body = RecipientRequest { recipient: Octets([9; 32]), first: true };
    let draft = Draft::post(paths::fill(paths::CODE_RECIPIENT, &[&order]), &body);
    assert_eq!(lost.get_no(&draft).await.reason.to_string(), "terminal-revoked");
    // Nor does another terminal, which may be whose who found the browser open: to choose it takes the password.
    assert!(!info(&mut next, &order).await.info.key_wanted);
    assert_eq!(next.get_no(&draft).await.reason.to_string(), "order-closed");
    assert_eq!(order_in(core, &order).await.recipient, None);
    preset(&mut browser).await;
    assert!(info(&mut next, &order).await.info.key_wanted, "the one that is preset now");
    make_key(&mut next, &order).await;
    let again = next.get_no(&draft).await;
    assert_eq!(again.reason.to_string(), "order-closed", "a first key replaces none");
    shop.deliver(core, &order).await.expect("delivered");
    assert!(info(&mut next, &order).await.delivery.is_some());
    stage.stop().await;
}

#[tokio::test]
async fn what_cannot_be_bought_any_more_is_not_asked_of_the_merchant() {
    let stage = Stage::open().await;
    let (shop, mut browser, mut terminal) = ready(&stage).await;
    let core = &stage.running.app().core;
    let path = "/merchants/games/game-key";
    let (old, cancelled) = (
        order_of(&buy(&mut browser, path, "sandbox:ok").await),
        order_of(&buy(&mut browser, path, "sandbox:ok").await),
    );
    // The price has doubled meanwhile: today's buyer does not choose between the two.
    shop.sell(core, "game-key", "40.00 EUR", 600).await;
    let body = RecipientRequest { recipient: Octets([9; 32]), first: true };
    let refused = terminal.get_no(&Draft::post(paths::fill(paths::CODE_RECIPIENT, &[&old]), &body)).await;
    assert_eq!(refused.reason.to_string(), "order-closed");
    // Cancelled by its buyer, and by nobody else.
    let cancel = format!("{}/cancel", at(&cancelled));
    let page = browser.get(&at(&cancelled)).await;
    let mut eve = stage.person("eve@example.org").await;
    let hers = eve.get("/").await.csrf();
    assert_eq!(eve.post(&cancel, &[("csrf", &hers)]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(order_in(core, &cancelled).await.state, Some(CodeState::Paid));
    assert_eq!(browser.post(&cancel, &[("csrf", &page.csrf())]).await.status, StatusCode::SEE_OTHER);
    for order in [old, cancelled] {
        let state = order_in(core, &order).await.state.expect("paid for");
        assert!(matches!(state, CodeState::Refunding | CodeState::Refunded), "{state}");
    }
    let health = core.store.merchant_health(&shop.merchant.id).await.expect("read");
    assert_eq!(health.decided, 0);

    // Few orders wait at once.
    for _ in 0..5 {
        order_of(&buy(&mut browser, path, "sandbox:ok").await);
    }
    let sixth = buy(&mut browser, path, "sandbox:ok").await;
    assert_eq!(sixth.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(sixth.text.contains("wait for keys of your terminals"), "{}", sixth.text);
    stage.stop().await;
}

/// Somebody pays a merchant's request in a browser and cancels, again and again, so that its customer cannot.
#[tokio::test]
async fn an_order_without_a_key_keeps_nobody_from_paying_a_request() {
    let stage = Stage::open().await;
    let (shop, mut browser, mut terminal) = ready(&stage).await;
    let core = &stage.running.app().core;
    let mut eve = stage.person("eve@example.org").await;
    let _hers = stage.terminal_of(&mut eve).await;
    preset(&mut eve).await;
    let (digest, path) = request(core, &shop, "18.00 EUR").await;
    // She pays, lets it wait, cancels and pays again.
    let first = order_of(&buy(&mut eve, &path, "sandbox:ok").await);
    assert!(eve.get(&path).await.text.contains("You have ordered it"));
    let page = eve.get(&at(&first)).await;
    assert_eq!(
        eve.post(&format!("{}/cancel", at(&first)), &[("csrf", &page.csrf())]).await.status,
        StatusCode::SEE_OTHER
    );
    let second = order_of(&buy(&mut eve, &path, "sandbox:ok").await);
    // Its customer pays all the same, and the same account only once.
    let form_shown = form(&browser.get(&path).await, "sandbox:ok");
    let order = order_of(&send(&mut browser, &path, &form_shown).await);
    let mut twice = form_shown.clone();
    twice.iter_mut().find(|(name, _)| *name == "key").expect("a key").1 = Octets(random::<32>()).to_string();
    assert_eq!(send(&mut browser, &path, &twice).await.status, StatusCode::CONFLICT);
    // The first key that is made stands for it.
    make_key(&mut terminal, &order).await;
    assert!(order_in(core, &order).await.nonce.is_some());
    assert!(!eve.get(&path).await.text.contains("It was paid already"), "her own order is named to her");
    let mut bea = stage.person("bea@example.org").await;
    assert!(bea.get(&path).await.text.contains("It was paid already"), "the control");
    let waiting = order_in(core, &second).await;
    let key = Octets(*ReleaseSecretKey::generate(&mut rng()).public().as_bytes());
    let hers = waiting.terminal.expect("preset");
    let late = core.store.move_code_order(&second, &waiting.account, &hers, &key, true).await.expect("answered");
    assert!(matches!(late, CodeStep::Closed(_)), "{late:?}");
    // The server itself may be at it.
    let begun = std::time::Instant::now();
    for order in [first, second] {
        while core.store.order(&order).await.expect("read").expect("an order").phase != OrderPhase::Refunded {
            assert!(begun.elapsed().as_secs() < 60, "it is paid back");
            effects::round(core).await.expect("a round");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    // Nor is one paid back late that was not even opened before.
    assert!(core.store.payment_request(&digest).await.expect("read").expect("a request").is_spent);
    shop.deliver(core, &order).await.expect("delivered");
    assert!(info(&mut terminal, &order).await.delivery.is_some());
    stage.stop().await;
}

/// A buyer cancels at one process while the terminal sends its key to another one: one of the two happens.
#[tokio::test]
async fn an_order_is_cancelled_or_has_its_key_and_never_both() {
    let stage = Stage::open().await;
    let (_shop, mut browser, _terminal) = ready(&stage).await;
    let second = stage.second().await;
    let core = &stage.running.app().core;
    for round in 0..4 {
        let order = order_of(&buy(&mut browser, "/merchants/games/game-key", "sandbox:ok").await);
        let waiting = order_in(core, &order).await;
        let terminal = waiting.terminal.expect("the one that is preset");
        let key = Octets(*ReleaseSecretKey::generate(&mut rng()).public().as_bytes());
        let (keyed, ended) = tokio::join!(
            core.store.move_code_order(&order, &waiting.account, &terminal, &key, true),
            second.app().core.store.fail_code_order(&order, CodeFailure::Unkeyed),
        );
        let keyed = matches!(keyed.expect("answered"), CodeStep::Taken(_));
        let ended = matches!(ended.expect("answered"), CodeStep::Taken(_));
        assert_ne!(keyed, ended, "round {round}");
        let after = order_in(core, &order).await;
        assert_eq!((after.nonce.is_some(), after.recipient.is_some()), (keyed, keyed), "round {round}");
        assert_eq!(after.state == Some(CodeState::Paid), keyed, "round {round}: {:?}", after.state);
    }
    second.stop().await.expect("stops");
    stage.stop().await;
}
