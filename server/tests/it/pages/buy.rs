//! `/buy/{offer}` and what follows it: one click buys once, at the price that was shown, for whoever was signed in.

use crate::browser::{Browser, Page};
use crate::stage::{PASSWORD, Shop, Stage, terms};
use crate::terminal::Draft;
use portcullis_protocol::codes::RedemptionCode;
use portcullis_protocol::wire::{
    AuthorisationAnswer, Done, EntitlementsAnswer, GiftsAnswer, GiftsRequest, VerificationAnswer, VerificationRequest,
    WithdrawRequest,
};
use portcullis_protocol::{Digest, Rights, paths};
use portcullis_server::billing::events;
use portcullis_server::billing::payment::{PaymentChange, PaymentEvent, SANDBOX};
use portcullis_server::crypto::secrets::random;
use reqwest::StatusCode;

fn path(offer: &Digest) -> String {
    format!("/buy/{offer}")
}

/// What the page's form sends.
fn filled<'a>(csrf: &'a str, key: &'a str, means: &'a str) -> [(&'a str, &'a str); 3] {
    [("csrf", csrf), ("key", key), ("means", means)]
}

/// Opens the page of an offer and sends its form.
async fn buy(browser: &mut Browser, offer: &Digest, means: &str) -> Page {
    let page = browser.get(&path(offer)).await;
    let (csrf, key) = (page.csrf(), page.input("key").expect("a key"));
    browser.post(&path(offer), &filled(&csrf, &key, means)).await
}

fn order_of(page: &Page) -> String {
    let to = page.location().unwrap_or_else(|| panic!("{}: {}", page.status, page.text));
    assert!(to.starts_with("/account/orders/"), "{to}");
    to.to_owned()
}

fn number(stage: &Stage, sql: &str) -> i64 {
    stage.database().number(sql, &[])
}

fn orders(stage: &Stage) -> i64 {
    number(stage, "SELECT count(*) FROM orders")
}

async fn reprice(shop: &mut Shop, view: &str) {
    let offers = vec![terms("preview", Rights::Free {}, "0.00 EUR"), terms("view", Rights::Perpetual {}, view)];
    shop.reprice(offers).await;
}

#[tokio::test]
async fn a_person_buys_and_a_terminal_of_hers_has_it() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    let resource = browser.get("/resources/lumen/alpine-lake").await;
    let offer = shop.offer("view").digest();
    assert!(resource.text.contains(&format!("href=\"/buy/{offer}\"")), "{}", resource.text);
    let asked = browser.get(&path(&offer)).await;
    assert!(asked.text.contains("1.99 EUR") && asked.text.contains("Alpine lake"), "{}", asked.text);
    let order = order_of(&buy(&mut browser, &offer, "sandbox:ok").await);
    let page = browser.get(&order).await;
    assert!(page.text.contains("It is paid") && page.text.contains("The signed receipt"), "{}", page.text);
    assert!(browser.get("/account/library").await.text.contains("lumen/alpine-lake"));
    assert!(browser.get("/account/purchases").await.text.contains(&order));
    let mut terminal = stage.terminal_of(&mut browser).await;
    let EntitlementsAnswer { entitlements, .. } = terminal.get_yes(&Draft::get(paths::ENTITLEMENTS)).await;
    assert_eq!(entitlements.len(), 1);
    stage.stop().await;
}

/// What is counted can be bought twice, so nothing but the form's key keeps two clicks apart from two purchases.
#[tokio::test]
async fn a_form_buys_once_however_often_and_wherever_it_is_sent() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    let second = stage.second().await;
    let offer = shop.offer("print").digest();
    let page = browser.get(&path(&offer)).await;
    let (csrf, key) = (page.csrf(), page.input("key").expect("a key"));
    let click = async |mut browser: Browser| browser.post(&path(&offer), &filled(&csrf, &key, "sandbox:ok")).await;
    let (here, there) = (browser.clone(), browser.at(second.address()));
    let clicks =
        tokio::join!(click(here.clone()), click(there.clone()), click(here.clone()), click(there), click(here));
    let mut places = Vec::new();
    for page in [clicks.0, clicks.1, clicks.2, clicks.3, clicks.4] {
        // Whoever comes while it is being decided is told to send it again, and the form keeps its key.
        match page.location() {
            Some(_) => places.push(order_of(&page)),
            None => assert_eq!((page.status, page.input("key")), (StatusCode::UNPROCESSABLE_ENTITY, Some(key.clone()))),
        }
    }
    places.push(order_of(&click(browser.clone()).await));
    places.dedup();
    assert_eq!((places.len(), orders(&stage)), (1, 1), "{places:?}");
    assert_eq!(number(&stage, "SELECT sum(total) FROM entitlements"), 3, "one order's uses");
    // The same key with another choice is another form, and buys nothing.
    let other = browser.post(&path(&offer), &filled(&csrf, &key, "sandbox:decline")).await;
    assert!(other.status == StatusCode::UNPROCESSABLE_ENTITY && other.text.contains("sent before"), "{}", other.text);
    assert_eq!(orders(&stage), 1);
    // The control: the page opened anew buys anew.
    let again = order_of(&buy(&mut browser, &offer, "sandbox:ok").await);
    assert_ne!(places[0], again);
    assert_eq!((orders(&stage), number(&stage, "SELECT sum(total) FROM entitlements")), (2, 6));
    second.stop().await.expect("stops");
    stage.stop().await;
}

#[tokio::test]
async fn somebody_elses_order_is_no_order() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let (mut ada, mut eve) = (stage.person("ada@example.org").await, stage.person("eve@example.org").await);
    let order = order_of(&buy(&mut ada, &shop.offer("view").digest(), "sandbox:ok").await);
    let foreign = eve.get(&order).await;
    let unknown = eve.get("/account/orders/AAAAAAAAAAAAAAAAAAAAAA").await;
    assert_eq!((foreign.status, unknown.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(foreign.text, unknown.text, "nobody learns which orders there are");
    assert!(!eve.get("/account/purchases").await.text.contains("Alpine"));
    assert!(!eve.get("/account/library").await.text.contains("alpine-lake"));
    assert_eq!(ada.get(&order).await.status, StatusCode::OK);
    // Signed out, each leads through the sign-in and back, whether there is such an order or not.
    let mut nobody = Browser::new(&stage.origin);
    let id = order.rsplit('/').next().expect("an id");
    assert_eq!(nobody.get(&order).await.location(), Some(&*format!("/sign-in?to=order.{id}")));
    stage.stop().await;
}

#[tokio::test]
async fn another_price_than_the_one_that_was_shown_is_not_charged() {
    let stage = Stage::open().await;
    let mut shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    let shown = shop.offer("view").digest();
    let page = browser.get(&path(&shown)).await;
    let (csrf, key) = (page.csrf(), page.input("key").expect("a key"));
    reprice(&mut shop, "499.00 EUR").await;
    let refused = browser.post(&path(&shown), &filled(&csrf, &key, "sandbox:ok")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("nothing was charged") && refused.text.contains("499.00 EUR"), "{}", refused.text);
    assert_eq!(refused.input("key"), None, "there is nothing to click on without looking again");
    let later = browser.get(&path(&shown)).await;
    assert!(later.status == StatusCode::NOT_FOUND && later.text.contains("499.00 EUR"), "{}", later.text);
    assert_eq!(orders(&stage), 0);
    // The control: what is in force is bought.
    let order = order_of(&buy(&mut browser, &shop.offer("view").digest(), "sandbox:ok").await);
    assert!(browser.get(&order).await.text.contains("499.00 EUR"));
    stage.stop().await;
}

#[tokio::test]
async fn a_form_that_is_not_the_buyers_own_buys_nothing() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let (mut ada, mut eve) = (stage.person("ada@example.org").await, stage.person("eve@example.org").await);
    let offer = shop.offer("print").digest();
    let (own, foreign) = (ada.get(&path(&offer)).await, eve.get(&path(&offer)).await);
    let (csrf, key) = (own.csrf(), own.input("key").expect("a key"));
    let evil = "https://evil.example";
    let forged = [
        ada.post_from(evil, &path(&offer), &filled(&csrf, &key, "sandbox:ok")).await,
        ada.post_from("null", &path(&offer), &filled(&csrf, &key, "sandbox:ok")).await,
        ada.post(&path(&offer), &filled(&foreign.csrf(), &key, "sandbox:ok")).await,
        ada.post(&path(&offer), &filled("", &key, "sandbox:ok")).await,
    ];
    for (number, page) in forged.iter().enumerate() {
        assert_eq!(page.status, StatusCode::FORBIDDEN, "forgery {number}: {}", page.text);
    }
    for fields in [&[("key", key.as_str()), ("means", "sandbox:ok")][..], &[("csrf", csrf.as_str())][..], &[][..]] {
        assert!(ada.post(&path(&offer), fields).await.status.is_client_error(), "{fields:?}");
    }
    for key in ["", "no key of this server", "\u{e4}"] {
        assert!(ada.post(&path(&offer), &filled(&csrf, key, "sandbox:ok")).await.status.is_client_error(), "{key}");
    }
    assert_eq!(orders(&stage), 0);
    // A key that somebody else has seen names nothing of hers: keys are counted by account.
    let order = order_of(&ada.post(&path(&offer), &filled(&csrf, &key, "sandbox:ok")).await);
    let other = order_of(&eve.post(&path(&offer), &filled(&foreign.csrf(), &key, "sandbox:ok")).await);
    assert_ne!(order, other);
    assert_eq!(eve.get(&order).await.status, StatusCode::NOT_FOUND);
    stage.stop().await;
}

#[tokio::test]
async fn the_page_of_an_order_says_where_it_stands() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    let offer = shop.offer("print").digest();
    for (means, says, way) in [
        ("sandbox:decline", "has declined", "Try again"),
        ("sandbox:nonsense", "has declined", "Try again"),
        ("sandbox:pending", "has not decided yet", "Look again"),
    ] {
        let order = order_of(&buy(&mut browser, &offer, means).await);
        let page = browser.get(&order).await;
        assert!(page.text.contains(says) && page.text.contains(way), "{means}: {}", page.text);
        assert!(!page.text.contains("The signed receipt"), "{means}");
        // Out of the way of the next.
        browser.post(&format!("{order}/cancel"), &[("csrf", &page.csrf())]).await;
    }
    for means in ["sandbox:redirect", "sandbox:action"] {
        let order = order_of(&buy(&mut browser, &offer, means).await);
        let id = order.rsplit('/').next().expect("an id");
        let page = browser.get(&order).await;
        let step = format!("href=\"{}/sandbox/{id}\"", stage.origin);
        assert!(page.text.contains(&step) && page.text.contains("Go on to the payment"), "{means}: {}", page.text);
        assert!(page.text.contains("Not paid yet") && !page.text.contains("Not decided yet"), "{means}: {}", page.text);
        let event = |what| PaymentEvent::new(id.parse().expect("an id"), what);
        let core = &stage.running.app().core;
        let paid = PaymentChange::Settled("5.00 EUR".parse().expect("a price"));
        events::apply(core, SANDBOX, &event(paid)).await.expect("heard");
        let page = browser.get(&order).await;
        assert!(page.text.contains("It is paid") && !page.text.contains("/sandbox/"), "{means}: {}", page.text);
        events::apply(core, SANDBOX, &event(PaymentChange::Disputed)).await.expect("heard");
        assert!(browser.get(&order).await.text.contains("disputed"), "{means}");
        events::apply(core, SANDBOX, &event(PaymentChange::ChargedBack)).await.expect("heard");
        assert!(browser.get(&order).await.text.contains("was charged back"), "{means}");
    }
    for means in ["", "till:ok", "sandbox", "hosted:page"] {
        let page = buy(&mut browser, &offer, means).await;
        let refused = page.status == StatusCode::UNPROCESSABLE_ENTITY || page.location().is_some();
        assert!(refused, "{means}: {}", page.text);
    }
    assert_eq!(number(&stage, "SELECT coalesce(sum(total), 0) FROM entitlements WHERE revoked_at IS NULL"), 0);
    stage.stop().await;
}

#[tokio::test]
async fn what_is_not_on_sale_is_not_bought() {
    let stage = Stage::open().await;
    let mut shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    // Free: there is nothing to buy, and no page that says otherwise.
    let free = shop.offer("preview").digest();
    let page = browser.get(&path(&free)).await;
    assert!(page.status == StatusCode::NOT_FOUND && page.input("key").is_none(), "{}", page.text);
    let csrf = browser.get("/").await.csrf();
    let forced = browser.post(&path(&free), &filled(&csrf, "a-key-of-somebodys-own", "sandbox:ok")).await;
    assert_eq!(forced.status, StatusCode::UNPROCESSABLE_ENTITY);
    // An offer that never was.
    let never = browser.get(&path(&Digest::of(b"never"))).await;
    assert_eq!(never.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/buy/nonsense").await.status, StatusCode::NOT_FOUND);
    // Withdrawn between the page and the click.
    let offer = shop.offer("view").digest();
    let page = browser.get(&path(&offer)).await;
    let (csrf, key) = (page.csrf(), page.input("key").expect("a key"));
    let withdraw = paths::fill(paths::WITHDRAW, &[&shop.resource]);
    let Done {} = shop.terminal.get_yes(&Draft::post(withdraw, &WithdrawRequest { reason: "a mistake".into() })).await;
    let refused = browser.post(&path(&offer), &filled(&csrf, &key, "sandbox:ok")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("nothing was charged"), "{}", refused.text);
    assert_eq!(browser.get(&path(&offer)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(orders(&stage), 0);
    stage.stop().await;
}

#[tokio::test]
async fn what_is_held_for_good_is_bought_again_only_if_the_buyer_insists() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    let offer = shop.offer("view").digest();
    order_of(&buy(&mut browser, &offer, "sandbox:ok").await);
    let again = buy(&mut browser, &offer, "sandbox:ok").await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.text.contains("Nothing was charged") && again.text.contains("all the same"), "{}", again.text);
    assert_eq!(orders(&stage), 1);
    let (csrf, key) = (again.csrf(), again.input("key").expect("a key"));
    let insists = [&filled(&csrf, &key, "sandbox:ok")[..], &[("again", "true")]].concat();
    order_of(&browser.post(&path(&offer), &insists).await);
    assert_eq!(orders(&stage), 2);
    stage.stop().await;
}

#[tokio::test]
async fn an_order_that_is_not_paid_is_given_up_by_its_buyer_alone_and_named_to_who_orders_more() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let (mut ada, mut eve) = (stage.person("ada@example.org").await, stage.person("eve@example.org").await);
    let offer = shop.offer("print").digest();
    let order = order_of(&buy(&mut ada, &offer, "sandbox:redirect").await);
    // More of what is counted: the page that asks leads to the order.
    let again = buy(&mut ada, &offer, "sandbox:ok").await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    for said in ["is not paid yet", "all the same", order.as_str()] {
        assert!(again.text.contains(said), "{said}: {}", again.text);
    }
    assert_eq!(orders(&stage), 1);
    let (cancel, page) = (format!("{order}/cancel"), ada.get(&order).await);
    assert!(page.text.contains("Give the order up"), "{}", page.text);
    let theirs = eve.get("/account").await.csrf();
    assert_eq!(eve.post(&cancel, &[("csrf", &theirs)]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ada.post(&cancel, &[("csrf", &theirs)]).await.status, StatusCode::FORBIDDEN);
    assert!(ada.get(&order).await.text.contains("You have not paid yet"));
    assert_eq!(ada.post(&cancel, &[("csrf", &page.csrf())]).await.location(), Some(order.as_str()));
    let ended = ada.get(&order).await;
    assert!(ended.text.contains("It ended unpaid") && !ended.text.contains("Give the order up"), "{}", ended.text);
    // The controls: it is in nobody's way any more, and what is paid is not given up.
    let paid = order_of(&buy(&mut ada, &offer, "sandbox:ok").await);
    ada.post(&format!("{paid}/cancel"), &[("csrf", &page.csrf())]).await;
    assert!(ada.get(&paid).await.text.contains("It is paid"));
    stage.stop().await;
}

/// The library tells of time as the command line does: until when it is to be started, then until when it runs.
#[tokio::test]
async fn a_rental_says_until_when_it_runs() {
    let stage = Stage::open().await;
    let mut shop = stage.shop().await;
    let rental = Rights::Rental { start_within: 3000, use_within: 1000 };
    shop.reprice(vec![terms("preview", Rights::Free {}, "0.00 EUR"), terms("view", rental, "1.99 EUR")]).await;
    let mut ada = stage.person("ada@example.org").await;
    let mut terminal = stage.terminal_of(&mut ada).await;
    shop.buy(&mut terminal, "view").await;
    let library = ada.get("/account/library").await.text;
    assert!(library.contains("to be started within") && library.contains(": start it before <time"), "{library}");
    let request = shop.request("view");
    let AuthorisationAnswer { code, .. } = terminal.get_yes(&Draft::post(paths::AUTHORIZATIONS, &request)).await;
    let verification = VerificationRequest { code, request };
    let _: VerificationAnswer = terminal.get_yes(&Draft::post(paths::VERIFICATIONS, &verification)).await;
    let library = ada.get("/account/library").await.text;
    assert!(library.contains("until <time") && !library.contains("to be started within"), "{library}");
    stage.clock.advance(1001);
    let library = ada.get("/account/library").await.text;
    assert!(library.contains("ended") && !library.contains("until <time"), "{library}");
    stage.stop().await;
}

#[tokio::test]
async fn a_code_that_was_given_is_redeemed_in_a_browser() {
    let stage = Stage::open().await;
    let mut shop = stage.shop().await;
    let offer = shop.offer("view").digest();
    let asked = GiftsRequest { offer, count: 2, note: "press".into(), expires: None };
    let resource = [&"lumen" as &dyn std::fmt::Display, &"alpine-lake"];
    let made: GiftsAnswer = shop.terminal.get_yes(&Draft::post(paths::fill(paths::GIFTS, &resource), &asked)).await;
    let code = |at: usize| made.codes[at].code.to_string();
    let page = "/account/redeem";
    assert_eq!(Browser::new(&stage.origin).get(page).await.location(), Some("/sign-in?to=redeem"));
    let (mut ada, mut eve) = (stage.person("ada@example.org").await, stage.person("eve@example.org").await);
    assert!(ada.get("/account/library").await.text.contains(page), "the library leads there");
    let csrf = ada.get(page).await.csrf();
    let theirs = eve.get(page).await.csrf();
    let endless = "X".repeat(5000);
    for typed in ["", "nonsense", "00000-00000-00000-00000", &endless] {
        let wrong = ada.post(page, &[("csrf", &csrf), ("code", typed)]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        assert!(
            wrong.text.contains("is not a redemption code") && wrong.text.len() < 50_000,
            "{typed}: {}",
            wrong.text
        );
    }
    let typed = code(0).to_lowercase().replace('-', " ");
    let forged = ada.post(page, &[("csrf", &theirs), ("code", &typed)]).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    // The control; twice is once; and it is nobody else's then.
    for _ in 0..2 {
        let done = ada.post(page, &[("csrf", &csrf), ("code", &typed)]).await;
        assert_eq!(done.location(), Some("/account/library"), "{}", done.text);
    }
    let library = ada.get("/account/library").await;
    assert!(library.text.contains("lumen/alpine-lake"), "{}", library.text);
    assert!(library.text.contains("The code is redeemed."), "{}", library.text);
    stage.clock.advance(600);
    ada.post(page, &[("csrf", &csrf), ("code", &typed)]).await;
    let library = ada.get("/account/library").await;
    assert!(library.text.contains("You redeemed this code before"), "{}", library.text);
    assert_eq!(number(&stage, "SELECT count(*) FROM entitlements"), 1);
    let spent = eve.post(page, &[("csrf", &theirs), ("code", &code(0))]).await;
    assert!(spent.text.contains("Another account has redeemed"), "{}", spent.text);
    let held = ada.post(page, &[("csrf", &csrf), ("code", &code(1))]).await;
    assert!(held.text.contains("give it to somebody else"), "{}", held.text);
    // Who guesses is told when to come back.
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let code = RedemptionCode::from_bytes(random()).text().to_string();
        let answer = eve.post(page, &[("csrf", &theirs), ("code", &code)]).await;
        assert_eq!(answer.status == StatusCode::TOO_MANY_REQUESTS, answer.headers.contains_key("retry-after"));
        statuses.push(answer.status);
    }
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    stage.stop().await;
}

#[tokio::test]
async fn saved_means_are_chosen_when_buying_and_forgotten_by_their_owner_alone() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let (mut ada, mut eve) = (stage.person("ada@example.org").await, stage.person("eve@example.org").await);
    let offer = shop.offer("print").digest();
    assert!(ada.get("/account/means").await.text.contains("Nothing is saved"));
    order_of(&buy(&mut ada, &offer, "sandbox:ok+save").await);
    let page = ada.get("/account/means").await;
    assert!(page.text.contains("sandbox card") && page.headers["cache-control"] == "no-store", "{}", page.text);
    assert!(ada.get(&path(&offer)).await.text.contains("value=\"sandbox:saved\""), "it is offered first");
    let paid = order_of(&buy(&mut ada, &offer, "sandbox:saved").await);
    assert!(ada.get(&paid).await.text.contains("It is paid"));
    // They are nobody else's to see, to use or to forget.
    assert!(!eve.get("/account/means").await.text.contains("sandbox card"));
    let foreign = buy(&mut eve, &offer, "sandbox:saved").await;
    assert!(foreign.status == StatusCode::UNPROCESSABLE_ENTITY && foreign.text.contains("nothing was charged"));
    let (own, theirs) = (page.csrf(), eve.get("/account/means").await.csrf());
    let provider = ("provider", "sandbox");
    eve.post("/account/means", &[("csrf", &theirs), provider]).await;
    let forged = ada.post("/account/means", &[("csrf", &theirs), provider]).await;
    let elsewhere = ada.post_from("https://evil.example", "/account/means", &[("csrf", &own), provider]).await;
    assert_eq!((forged.status, elsewhere.status), (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN));
    assert!(ada.get("/account/means").await.text.contains("sandbox card"));
    for _ in 0..2 {
        let done = ada.post("/account/means", &[("csrf", &own), provider]).await;
        assert_eq!(done.location(), Some("/account/means"));
    }
    assert!(ada.get("/account/means").await.text.contains("Nothing is saved"));
    let gone = buy(&mut ada, &offer, "sandbox:saved").await;
    assert_eq!(gone.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", gone.text);
    assert_eq!(Browser::new(&stage.origin).get("/account/means").await.location(), Some("/sign-in?to=account"));
    stage.stop().await;
}

#[tokio::test]
async fn who_was_signed_out_meanwhile_comes_back_to_what_was_to_be_bought() {
    let stage = Stage::open().await;
    let shop = stage.shop().await;
    let mut browser = stage.person("ada@example.org").await;
    let offer = shop.offer("view").digest();
    let page = browser.get(&path(&offer)).await;
    let (csrf, key) = (page.csrf(), page.input("key").expect("a key"));
    let mut elsewhere = browser.clone();
    elsewhere.account("/account/sign-out-everywhere", &[]).await;
    let away = browser.post(&path(&offer), &filled(&csrf, &key, "sandbox:ok")).await;
    let sign_in = format!("/sign-in?to=buy.{offer}");
    assert_eq!(away.location(), Some(sign_in.as_str()));
    assert_eq!(orders(&stage), 0);
    let page = browser.get(&sign_in).await;
    let (form, to) = (page.csrf(), page.input("to").expect("where to"));
    let fields = [("csrf", form.as_str()), ("email", "ada@example.org"), ("password", PASSWORD), ("to", to.as_str())];
    let back = browser.post("/sign-in", &fields).await;
    assert_eq!(back.location(), Some(path(&offer).as_str()));
    // The form of the session that has ended is nobody's now; the page has a new one.
    let stale = browser.post(&path(&offer), &filled(&csrf, &key, "sandbox:ok")).await;
    assert_eq!((stale.status, orders(&stage)), (StatusCode::FORBIDDEN, 0));
    order_of(&buy(&mut browser, &offer, "sandbox:ok").await);
    // Signing up on the way leads there, too.
    let mut newcomer = Browser::new(&stage.origin);
    let page = newcomer.get(&format!("/sign-up?to=buy.{offer}")).await;
    let (form, to) = (page.csrf(), page.input("to").expect("where to"));
    let fields = [("csrf", form.as_str()), ("email", "bea@example.org"), ("password", PASSWORD), ("to", to.as_str())];
    assert_eq!(newcomer.post("/sign-up", &fields).await.location(), Some(path(&offer).as_str()));
    stage.stop().await;
}
