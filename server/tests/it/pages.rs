//! The pages: who gets in, and who is kept out.

mod buy;
mod hostile;
mod pay;
mod step_up;
mod store;

use crate::browser::Browser;
use crate::stage::{PASSWORD, Stage};
use crate::terminal::Terminal;
use portcullis_server::ops::config::SignUp;
use reqwest::StatusCode;

#[tokio::test]
async fn pages_let_nothing_in_and_nothing_out() {
    let stage = Stage::open().await;
    let mut browser = Browser::new(&stage.origin);
    for path in ["/", "/sign-in", "/sign-up", "/invite/nonsense"] {
        let page = browser.get(path).await;
        let policy = page.headers["content-security-policy"].to_str().expect("ASCII");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(page.headers["cache-control"], "no-store");
        assert!(!page.text.contains("<script"), "{path}");
        assert!(page.text.contains("<html lang=\"en\">"), "{path}");
    }
    let cookie = Browser::new(&stage.origin).get("/sign-in").await;
    let cookie = cookie.headers["set-cookie"].to_str().expect("ASCII");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    stage.stop().await;
}

#[tokio::test]
async fn a_password_signs_in_and_a_wrong_one_does_not() {
    let stage = Stage::open().await;
    let page = stage.person("ada@example.org").await.get("/device").await;
    assert_eq!(page.status, StatusCode::OK, "signing up signs in");
    let mut browser = Browser::new(&stage.origin);
    assert_eq!(browser.get("/device").await.location(), Some("/sign-in?to=terminal"));
    let wrong = browser.sign_in("ada@example.org", "another password").await;
    let unknown = browser.sign_in("nobody@example.org", PASSWORD).await;
    assert_eq!((wrong.status, unknown.status), (StatusCode::UNPROCESSABLE_ENTITY, StatusCode::UNPROCESSABLE_ENTITY));
    let unknown = unknown.text.replace("nobody@example.org", "ada@example.org");
    assert_eq!(wrong.text, unknown, "nobody learns which accounts there are");
    assert_eq!(wrong.input("email").as_deref(), Some("ada@example.org"), "the address is kept");
    assert_eq!(wrong.input("password"), None, "the password is not");
    assert_eq!(browser.get("/device").await.status, StatusCode::SEE_OTHER, "not signed in");
    assert_eq!(browser.sign_in("Ada@Example.org", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get("/device").await.status, StatusCode::OK);
    let csrf = browser.get("/").await.csrf();
    browser.post("/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!(browser.get("/device").await.status, StatusCode::SEE_OTHER, "signed out");
    // A page that is older than that shows that nobody is signed in any more.
    let stale = browser.post("/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!((stale.status, stale.location()), (StatusCode::SEE_OTHER, Some("/")));
    stage.stop().await;
}

#[tokio::test]
async fn guessing_passwords_locks_the_guesser_out_and_not_the_owner() {
    let stage = Stage::with(|config| config.limits.sign_in_attempts = 3).await;
    let mut owner = stage.person("ada@example.org").await;
    let mut guesser = Browser::new(&stage.origin);
    for _ in 0..3 {
        assert_eq!(
            guesser.sign_in("ada@example.org", "a wrong password").await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    assert_eq!(guesser.sign_in("ada@example.org", "a wrong password").await.status, StatusCode::TOO_MANY_REQUESTS);
    // Even the right one, and from another browser: the attempts are the address's.
    let mut other = Browser::new(&stage.origin);
    let page = other.sign_in("ada@example.org", PASSWORD).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.headers.contains_key("retry-after") && page.text.contains("minutes"), "{}", page.text);
    // A browser that signed in before has its own, and may be at the same address.
    owner.sign_out().await;
    assert_eq!(owner.get("/device").await.status, StatusCode::SEE_OTHER);
    assert_eq!(owner.sign_in("ada@example.org", PASSWORD).await.status, StatusCode::SEE_OTHER);
    owner.sign_out().await;
    for _ in 0..3 {
        let page = owner.sign_in("ada@example.org", "a wrong password").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(owner.sign_in("ada@example.org", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS, "and not more");
    // And for its own account only.
    other.sign_up("eve@example.org", PASSWORD).await;
    other.sign_out().await;
    assert_eq!(other.sign_in("ada@example.org", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(other.sign_in("eve@example.org", PASSWORD).await.status, StatusCode::SEE_OTHER);
    stage.stop().await;
}

#[tokio::test]
async fn a_form_from_elsewhere_changes_nothing() {
    let stage = Stage::open().await;
    let mut victim = stage.person("ada@example.org").await;
    let mut terminal = Terminal::new(&stage.origin).await;
    let code = terminal.device_code("the attacker's").await;
    let csrf = victim.device(&code.user_code).await.csrf();
    let mut attacker = stage.person("mallory@example.org").await;
    let stolen_csrf = attacker.device(&code.user_code).await.csrf();

    let approve =
        |csrf: &str| vec![("csrf", csrf.to_owned()), ("code", code.user_code.clone()), ("decision", "approve".into())];
    let forms = [
        ("no token", "http://127.0.0.1", approve("")),
        ("another's token", stage.origin.as_str(), approve(&stolen_csrf)),
        ("another origin", "https://evil.example", approve(&csrf)),
        ("an opaque origin", "null", approve(&csrf)),
    ];
    for (name, from, fields) in &forms {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let page = victim.post_from(from, "/device", &fields).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{name}");
        assert_eq!(terminal.poll(&code.device_code).await.expect_err(name), "authorization_pending");
    }
    victim.decide(&code.user_code, "approve").await;
    terminal.poll(&code.device_code).await.expect("the control: her own form");
    stage.stop().await;
}

#[tokio::test]
async fn a_planted_session_is_worth_nothing_after_sign_in() {
    let stage = Stage::open().await;
    stage.person("ada@example.org").await;
    let mut attacker = Browser::new(&stage.origin);
    attacker.get("/sign-in").await;
    // The victim's browser has the attacker's cookie when its user signs in.
    let mut victim = attacker.clone();
    assert_eq!(victim.sign_in("ada@example.org", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_ne!(victim.cookies, attacker.cookies, "signing in draws another one");
    assert_eq!(victim.get("/device").await.status, StatusCode::OK, "the control");
    assert_eq!(attacker.get("/device").await.status, StatusCode::SEE_OTHER, "still nobody");
    stage.stop().await;
}

#[tokio::test]
async fn the_approval_page_shows_the_words_of_the_key_that_asks() {
    let stage = Stage::open().await;
    let mut victim = stage.person("ada@example.org").await;
    let (mut own, mut phisher) = (Terminal::new(&stage.origin).await, Terminal::new(&stage.origin).await);
    own.device_code("my own").await;
    let lure = phisher.device_code("my own").await;
    let page = victim.device(&lure.user_code).await;
    assert!(page.text.contains(&phisher.key.public().thumbprint().words()));
    assert!(!page.text.contains(&own.key.public().thumbprint().words()), "they stand on no screen of hers");
    assert!(page.text.contains("deny"));
    // A label cannot smuggle in words or markup of its own.
    let lure = phisher.device_code("<b>safe</b>").await;
    let page = victim.device(&lure.user_code).await;
    assert!(page.text.contains("&lt;b&gt;safe&lt;/b&gt;"));
    stage.stop().await;
}

#[tokio::test]
async fn a_link_leads_to_the_approval_of_a_terminal_and_nowhere_else() {
    let stage = Stage::open().await;
    stage.person("ada@example.org").await;
    let mut terminal = Terminal::new(&stage.origin).await;
    let code = terminal.device_code("a terminal").await.user_code;
    let mut browser = Browser::new(&stage.origin);
    let page = browser.device(&code).await;
    assert_eq!(page.location(), Some(format!("/sign-in?code={code}").as_str()));
    let csrf = browser.get(&format!("/sign-in?code={code}")).await.csrf();
    let fields =
        [("csrf", csrf.as_str()), ("email", "ada@example.org"), ("password", PASSWORD), ("code", code.as_str())];
    let page = browser.post("/sign-in", &fields).await;
    assert_eq!(page.location(), Some(format!("/device?code={code}").as_str()));
    let mut lured = Browser::new(&stage.origin);
    let page = lured.get("/sign-in?code=https%3A%2F%2Fevil.example").await;
    assert!(!page.text.contains("evil.example"));
    stage.stop().await;
}

#[tokio::test]
async fn guessed_user_codes_run_dry() {
    let stage = Stage::with(|config| config.limits.sign_in_attempts = 2).await;
    let mut browser = stage.person("ada@example.org").await;
    let mut last = StatusCode::OK;
    for _ in 0..8 {
        last = browser.device("BCDF-GHJK").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    stage.stop().await;

    // What was typed is kept, and only what is wrong counts.
    let stage = Stage::with(|config| config.limits.sign_in_attempts = 2).await;
    let mut browser = stage.person("ada@example.org").await;
    let page = browser.device("BCDF-GHJL").await;
    assert_eq!((page.status, page.input("code").as_deref()), (StatusCode::NOT_FOUND, Some("BCDF-GHJL")));
    assert!(page.text.contains("aria-describedby=\"notice\""), "{}", page.text);
    let mut terminal = Terminal::new(&stage.origin).await;
    let code = terminal.device_code("a terminal").await.user_code;
    for _ in 0..20 {
        assert_eq!(browser.device(&code).await.status, StatusCode::OK);
    }
    stage.stop().await;
}

#[tokio::test]
async fn sign_up_can_be_closed_and_short_passwords_are_refused() {
    let stage = Stage::with(|config| config.sign_up = SignUp::Invite).await;
    let mut browser = Browser::new(&stage.origin);
    assert_eq!(browser.get("/sign-up").await.status, StatusCode::FORBIDDEN);
    let page = browser.post("/sign-up", &[("csrf", ""), ("email", "ada@example.org"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.get("/invite/AAAA").await.status, StatusCode::NOT_FOUND);
    stage.stop().await;

    let stage = Stage::open().await;
    let mut browser = Browser::new(&stage.origin);
    assert_eq!(browser.sign_up("ada@example.org", "short").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(browser.sign_up("not an address", PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(browser.sign_up("ada@example.org", PASSWORD).await.status, StatusCode::SEE_OTHER);
    let mut other = Browser::new(&stage.origin);
    assert_eq!(other.sign_up("ADA@example.org", PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY, "taken");
    stage.stop().await;
}
