//! A browser that was left open, or whose cookie was stolen: what would take an account's codes away takes the password
//! again.

use crate::browser::{Browser, Page};
use crate::codes::Shop;
use crate::stage::{PASSWORD, Stage};
use crate::terminal::Terminal;
use portcullis_server::store::CodeOrder;
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Seconds after which the password is asked for again.
const FRESH: i64 = 600;
const ASKED: &str = "Type your password for this";

/// Whether a page asks for the password.
fn asks(page: &Page) -> bool {
    page.text.contains("name=\"current-password\"")
}

/// The values of the options that a page shows as chosen.
fn selected(page: &Page) -> Vec<&str> {
    let options = page.text.split("<option value=\"").skip(1).filter_map(|rest| rest.split_once('"'));
    let tag = |rest: &str| rest.split('>').next().unwrap_or_default().contains("selected");
    options.filter(|(_, rest)| tag(rest)).map(|(value, _)| value).collect()
}

/// An order of codes that the terminal of a person has.
async fn ordered(stage: &Stage, browser: &mut Browser) -> (Terminal, CodeOrder) {
    let core = &stage.running.app().core;
    let shop = Shop::new(core, "games").await;
    let mut terminal = stage.terminal_of(browser).await;
    // It waits longer than a proof lasts.
    let product = shop.sell(core, "slow-key", "20.00 EUR", 86_400).await;
    let key = portcullis_protocol::ReleaseSecretKey::generate(&mut portcullis_server::crypto::secrets::rng());
    let wanted = crate::codes::wanted(product, &key, "ok");
    let answer: portcullis_protocol::wire::OrderAnswer =
        terminal.get_yes(&crate::terminal::Draft::post(portcullis_protocol::paths::CODES, &wanted)).await;
    let order = core.store.code_order(&answer.order).await.expect("read").expect("an order");
    (terminal, order)
}

#[tokio::test]
async fn an_open_browser_approves_no_terminal_and_sends_no_codes_elsewhere_without_the_password() {
    let stage = Stage::open().await;
    let core = &stage.running.app().core;
    let mut browser = stage.person("ada@example.org").await;
    let (_own, order) = ordered(&stage, &mut browser).await;
    let _second = stage.terminal_of(&mut browser).await;
    let page = format!("/account/orders/{}", order.id);
    let mut thief = Terminal::new(&stage.origin).await;
    // The control: right after the sign-in nobody is asked twice.
    for path in ["/account/preset", page.as_str()] {
        assert!(!asks(&browser.get(path).await), "{path}");
    }
    let code = thief.device_code("a terminal of the thief's").await;
    assert!(!asks(&browser.device(&code.user_code).await));

    stage.clock.advance(FRESH);
    let mut open = browser.clone();
    let code = thief.device_code("a terminal of the thief's").await;
    let device = open.device(&code.user_code).await;
    assert!(asks(&device), "{}", device.text);
    let csrf = device.csrf();
    let approve = [("csrf", csrf.as_str()), ("code", code.user_code.as_str()), ("decision", "approve")];
    let preset = open.get("/account/preset").await;
    let terminal = crate::pages::pay::offered(&preset).remove(0);
    let choose = [("csrf", csrf.as_str()), ("terminal", terminal.as_str())];
    let moving = format!("{page}/terminal");
    for (path, fields) in [("/device", &approve[..]), ("/account/preset", &choose), (moving.as_str(), &choose)] {
        let asked = open.post(path, fields).await;
        assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", asked.text);
        assert!(asked.text.contains(ASKED) && asks(&asked), "{path}: {}", asked.text);
        let guess = [fields, &[("current-password", "a guess of the thief's")]].concat();
        let wrong = open.post(path, &guess).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert!(wrong.text.contains("not your current password"), "{path}: {}", wrong.text);
    }
    assert_eq!(thief.poll(&code.device_code).await.expect_err("nobody approved it"), "authorization_pending");
    assert!(core.store.preset_terminal(&order.account).await.expect("read").is_none());
    let still = core.store.code_order(&order.id).await.expect("read").expect("an order");
    assert_eq!((still.claimant, still.terminal), (None, order.terminal));
    // What only takes away is not asked about.
    let denied = [("csrf", csrf.as_str()), ("code", code.user_code.as_str()), ("decision", "deny")];
    assert_eq!(open.post("/device", &denied).await.status, StatusCode::OK);

    // The owner types it once, and is not asked again for a while.
    let chosen = [&choose[..], &[("current-password", PASSWORD)]].concat();
    let done = browser.post(&moving, &chosen).await;
    assert_eq!(done.location(), Some(page.as_str()), "{}", done.text);
    let shown = browser.get(&page).await;
    assert!(shown.text.contains("may take this order over") && !asks(&shown), "{}", shown.text);
    assert!(core.store.code_order(&order.id).await.expect("read").expect("an order").claimant.is_some());
    assert_eq!(browser.post("/account/preset", &choose).await.status, StatusCode::SEE_OTHER);
    stage.clock.advance(FRESH);
    assert!(asks(&browser.get("/account/preset").await), "the proof ends, however long the session lasts");
    // A session elsewhere of the same account has a proof of its own.
    let mut elsewhere = Browser::new(&stage.origin);
    elsewhere.sign_in("ada@example.org", PASSWORD).await;
    assert!(!asks(&elsewhere.get("/account/preset").await));
    assert!(asks(&browser.get("/account/preset").await));
    stage.stop().await;
}

/// What was chosen is what the form shows that asks for the password, and what it sends: a mistyped password sends no
/// code to the terminal that the browser would show first.
#[tokio::test]
async fn a_mistyped_password_does_not_change_which_terminal_was_chosen() {
    let stage = Stage::open().await;
    let core = &stage.running.app().core;
    let mut browser = stage.person("ada@example.org").await;
    let (_lost, order) = ordered(&stage, &mut browser).await;
    for _ in 0..2 {
        stage.terminal_of(&mut browser).await;
    }
    let preset = browser.get("/account/preset").await;
    // Newest first: neither of the ends is the one that is chosen, and nothing is preset.
    let chosen = crate::pages::pay::offered(&preset).remove(1);
    let csrf = preset.csrf();
    let moving = format!("/account/orders/{}/terminal", order.id);
    for path in ["/account/preset", moving.as_str()] {
        stage.clock.advance(FRESH);
        let fields = [("csrf", csrf.as_str()), ("terminal", chosen.as_str())];
        // As a page is sent that is older than the proof, and with a password that is mistyped.
        for typed in [&[][..], &[("current-password", "a mistyped password")]] {
            let asked = browser.post(path, &[&fields[..], typed].concat()).await;
            assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", asked.text);
            assert_eq!(selected(&asked), [chosen.as_str()], "{path}: {}", asked.text);
        }
        let done = browser.post(path, &[&fields[..], &[("current-password", PASSWORD)]].concat()).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{path}: {}", done.text);
    }
    let preset = core.store.preset_terminal(&order.account).await.expect("read").expect("a terminal");
    let claimant = core.store.code_order(&order.id).await.expect("read").expect("an order").claimant;
    assert_eq!((preset.id.to_string(), claimant), (chosen, Some(preset.id)));
    // The control: whoever opens the form is shown what is preset, or that nothing is.
    assert_eq!(selected(&browser.get("/account/preset").await), [preset.id.to_string()]);
    let mut bob = stage.person("bob@example.org").await;
    stage.terminal_of(&mut bob).await;
    assert_eq!(selected(&bob.get("/account/preset").await), [""]);
    stage.stop().await;
}

/// Who has found a browser open would buy what he sells himself, with the card of its owner.
#[tokio::test]
async fn an_open_browser_does_not_pay_with_what_its_owner_has_saved() {
    let stage = Stage::open().await;
    let core = &stage.running.app().core;
    let shop = stage.shop().await;
    let _games = Shop::new(core, "games").await;
    let mut browser = stage.person("ada@example.org").await;
    let _terminal = stage.terminal_of(&mut browser).await;
    let page = browser.get("/account/preset").await;
    let (csrf, terminal) = (page.csrf(), crate::pages::pay::offered(&page).remove(0));
    browser.post("/account/preset", &[("csrf", &csrf), ("terminal", &terminal)]).await;
    let offer = format!("/buy/{}", shop.offer("print").digest());
    let product = "/merchants/games/game-key";
    let orders = || stage.database().number("SELECT count(*) FROM orders", &[]);
    let fields = |page: &Page, means: &str| {
        let all = ["csrf", "key", "product", "quantity", "terminal"].into_iter();
        let sent = all.filter_map(|name| Some((name, page.input(name)?)));
        sent.chain([("means", means.to_owned()), ("amount", "5".into()), ("currency", "EUR".into())])
            .collect::<Vec<_>>()
    };
    let send = async |browser: &mut Browser, path: &str, fields: &[(&'static str, String)]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.post(path, &fields).await
    };
    let shown = fields(&browser.get(&offer).await, "sandbox:ok+save");
    assert_eq!(send(&mut browser, &offer, &shown).await.status, StatusCode::SEE_OTHER);
    // The control: right after the sign-in nobody is asked twice.
    let shown = fields(&browser.get(&offer).await, "sandbox:saved");
    assert_eq!(send(&mut browser, &offer, &shown).await.status, StatusCode::SEE_OTHER);

    stage.clock.advance(FRESH);
    for path in [offer.as_str(), product, "/account/balance"] {
        let before = orders();
        let shown = fields(&browser.get(path).await, "sandbox:saved");
        let asked = send(&mut browser, path, &shown).await;
        assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", asked.text);
        assert!(asks(&asked) && asked.text.contains("Nothing was bought"), "{path}: {}", asked.text);
        let guess = [fields(&asked, "sandbox:saved"), vec![("current-password", "a guess of the thief's".to_owned())]];
        let wrong = send(&mut browser, path, &guess.concat()).await;
        assert!(wrong.text.contains("not your current password"), "{path}: {}", wrong.text);
        assert_eq!(orders(), before, "{path}: nothing was opened");
        // The control: means that whoever pays has with him.
        let shown = fields(&browser.get(path).await, "sandbox:decline");
        assert_eq!(send(&mut browser, path, &shown).await.status, StatusCode::SEE_OTHER, "{path}");
        // Its owner types it into the form that asks, and is not asked again for a while.
        let own = [fields(&asked, "sandbox:saved"), vec![("current-password", PASSWORD.to_owned())]];
        let paid = send(&mut browser, path, &own.concat()).await;
        assert_eq!(paid.status, StatusCode::SEE_OTHER, "{path}: {}", paid.text);
        let shown = fields(&browser.get(path).await, "sandbox:saved");
        assert_eq!(send(&mut browser, path, &shown).await.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(orders(), before + 3, "{path}");
        stage.clock.advance(FRESH);
    }
    stage.stop().await;
}

#[tokio::test]
async fn whoever_guesses_at_an_open_browser_is_stopped_as_at_every_other_form() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let _terminal = stage.terminal_of(&mut browser).await;
    stage.clock.advance(FRESH);
    let csrf = browser.get("/account/preset").await.csrf();
    let guess = [("csrf", csrf.as_str()), ("terminal", ""), ("current-password", "a guess that is long enough")];
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let answer = browser.post("/account/preset", &guess).await;
        statuses.push(answer.status);
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(answer.headers.contains_key("retry-after"));
            break;
        }
    }
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    stage.stop().await;
}

/// Sends a form and holds its last byte back until `meanwhile` is over. Returns where the answer leads.
async fn held_back(
    browser: &Browser,
    path: &str,
    fields: &[(&str, &str)],
    meanwhile: impl Future<Output = ()>,
) -> String {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let cookies: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let host = browser.origin.as_str().trim_start_matches("http://");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {}\r\nCookie: {}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        browser.origin,
        cookies.join("; "),
        body.len()
    );
    let (most, last) = body.split_at(body.len() - 1);
    let mut line = TcpStream::connect(host).await.expect("connected");
    line.write_all(head.as_bytes()).await.expect("sent");
    // The server wants the body once it has seen whose browser it is.
    let mut interim = [0; 25];
    line.read_exact(&mut interim).await.expect("an answer");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    line.write_all(most.as_bytes()).await.expect("sent");
    meanwhile.await;
    line.write_all(last.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    line.read_to_string(&mut answer).await.expect("answered");
    let to = answer.lines().find_map(|line| line.strip_prefix("location: "));
    to.unwrap_or_else(|| panic!("{path}: {answer}")).to_owned()
}

/// Who has a cookie begins a request, and ends it when its owner reads that every browser is signed out.
#[tokio::test]
async fn what_is_signed_out_finishes_nothing_that_it_began() {
    let stage = Stage::open().await;
    let core = &stage.running.app().core;
    let shop = stage.shop().await;
    let mut owner = stage.person("ada@example.org").await;
    let (_own, order) = ordered(&stage, &mut owner).await;
    let _second = stage.terminal_of(&mut owner).await;
    let terminal = crate::pages::pay::offered(&owner.get("/account/preset").await).remove(0);
    let offer = format!("/buy/{}", shop.offer("print").digest());
    let page = owner.get(&offer).await;
    let (csrf, key) = (page.csrf(), page.input("key").expect("a key"));
    owner.post(&offer, &[("csrf", &csrf), ("key", &key), ("means", "sandbox:ok+save")]).await;
    let orders = || stage.database().number("SELECT count(*) FROM orders", &[]);
    let standing = async || {
        let preset = core.store.preset_terminal(&order.account).await.expect("read").map(|terminal| terminal.id);
        let claimant = core.store.code_order(&order.id).await.expect("read").expect("an order").claimant;
        (preset, claimant, orders())
    };
    let moving = format!("/account/orders/{}/terminal", order.id);
    let acts = ["/account/preset", moving.as_str(), offer.as_str()];
    let before = standing().await;
    for (path, is_signed_out) in acts.map(|path| (path, true)).into_iter().chain(acts.map(|path| (path, false))) {
        let page = owner.get(&offer).await;
        let (csrf, key) = (page.csrf(), page.input("key").expect("a key"));
        let fields = [
            ("csrf", csrf.as_str()),
            ("key", key.as_str()),
            ("means", "sandbox:saved"),
            ("terminal", terminal.as_str()),
        ];
        let thief = owner.clone();
        let to = held_back(&thief, path, &fields, async {
            if is_signed_out {
                owner.account("/account/sign-out-everywhere", &[]).await;
            }
        });
        let to = to.await;
        // The control: what is still signed in does it.
        assert_eq!(to.starts_with("/sign-in?to="), is_signed_out, "{path}: {to}");
        if is_signed_out {
            assert_eq!(standing().await, before, "{path}");
            owner.sign_in("ada@example.org", PASSWORD).await;
        }
    }
    let (preset, claimant, count) = standing().await;
    assert!(preset.is_some() && claimant.is_some() && count == before.2 + 1, "{preset:?} {claimant:?} {count}");
    stage.stop().await;
}
