//! The account page: who may change what.

use crate::browser::{Browser, Page};
use crate::stage::{PASSWORD, Stage};
use crate::terminal::{Draft, Terminal};
use portcullis_protocol::Reason;
use portcullis_protocol::wire::AccountAnswer;
use portcullis_server::crypto::secrets::TokenRole;
use portcullis_server::ops::config::SignUp;
use portcullis_server::store::NewInvitation;
use reqwest::StatusCode;

const NEW: &str = "another long enough password";

async fn change_password(browser: &mut Browser, current: &str, new: &str) -> Page {
    browser.account("/account/password", &[("current-password", current), ("new-password", new)]).await
}

async fn change_email(browser: &mut Browser, email: &str, password: &str) -> Page {
    browser.account("/account/email", &[("new-email", email), ("password-for-email", password)]).await
}

#[tokio::test]
async fn another_password_ends_everything_but_the_browser_that_changes_it() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut terminal = stage.terminal_of(&mut browser).await;
    let mut thief = browser.clone();
    let mut second = Browser::new(&stage.origin);
    second.sign_in("ada@example.org", PASSWORD).await;
    let mut waiting = Terminal::new(&stage.origin).await;
    let code = waiting.device_code("approved").await;
    second.decide(&code.user_code, "approve").await;

    let wrong = change_password(&mut thief, "a wrong password", NEW).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("id=\"current-password-error\"") && wrong.text.contains("aria-invalid=\"true\""));
    let short = change_password(&mut browser, PASSWORD, "short").await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(short.text.contains("id=\"new-password-error\""));
    let _: AccountAnswer = terminal.get_yes(&Draft::get("/v1/account")).await;

    assert_eq!(change_password(&mut browser, PASSWORD, NEW).await.location(), Some("/account"));
    assert_eq!(browser.get("/account?done=password").await.status, StatusCode::OK, "here it goes on");
    assert_eq!(second.get("/account").await.status, StatusCode::SEE_OTHER);
    assert_eq!(terminal.get_no(&Draft::get("/v1/account")).await.reason, Reason::NotSignedIn);
    assert_eq!(waiting.poll(&code.device_code).await.expect_err("withdrawn"), "access_denied");
    assert_eq!(second.sign_in("ada@example.org", PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(second.sign_in("ada@example.org", NEW).await.status, StatusCode::SEE_OTHER);
    stage.stop().await;
}

#[tokio::test]
async fn another_address_takes_the_password_and_counts_as_unverified() {
    let stage = Stage::open().await;
    stage.person("eve@example.org").await;
    let mut browser = stage.person("ada@example.org").await;
    let wrong = change_email(&mut browser, "mallory@example.org", "a wrong password").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.input("new-email").as_deref(), Some("mallory@example.org"), "what was typed is kept");
    let taken = change_email(&mut browser, "Eve@example.org", PASSWORD).await;
    assert!(taken.status == StatusCode::UNPROCESSABLE_ENTITY && taken.text.contains("Another account"));
    assert_eq!(change_email(&mut browser, "no address", PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    let database = stage.database();
    let verified = || database.number("SELECT count(*) FROM accounts WHERE verified_at IS NOT NULL", &[]);
    // As a server would that sends mail.
    database.change("UPDATE accounts SET verified_at = 1", &[]);
    assert_eq!(verified(), 2);
    let changed = change_email(&mut browser, "Countess@example.org", PASSWORD).await;
    assert_eq!(changed.location(), Some("/account"));
    assert_eq!(verified(), 1, "the new one is not verified");
    assert!(browser.get("/account").await.text.contains("countess@example.org"));
    let mut other = Browser::new(&stage.origin);
    assert_eq!(other.sign_in("ada@example.org", PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.sign_in("countess@example.org", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_eq!(
        change_email(&mut other, "countess@example.org", PASSWORD).await.status,
        StatusCode::SEE_OTHER,
        "its own"
    );
    stage.person("ada@example.org").await;
    stage.stop().await;
}

#[tokio::test]
async fn a_stolen_cookie_cannot_guess_the_password_for_long() {
    let stage = Stage::with(|config| config.limits.sign_in_attempts = 3).await;
    let mut browser = stage.person("ada@example.org").await;
    let mut thief = browser.clone();
    for _ in 0..3 {
        assert_eq!(change_password(&mut thief, "a guess", NEW).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let page = change_email(&mut thief, "mallory@example.org", PASSWORD).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS, "even the right one");
    assert!(page.headers.contains_key("retry-after"));
    // The owner signs in anew, which has tries of its own, and ends the thief's session.
    browser = Browser::new(&stage.origin);
    browser.sign_in("ada@example.org", PASSWORD).await;
    assert_eq!(change_password(&mut browser, PASSWORD, NEW).await.status, StatusCode::SEE_OTHER);
    assert_eq!(thief.get("/account").await.status, StatusCode::SEE_OTHER);
    stage.stop().await;
}

#[tokio::test]
async fn a_form_of_the_account_from_elsewhere_changes_nothing() {
    let stage = Stage::open().await;
    let mut victim = stage.person("ada@example.org").await;
    let mut attacker = stage.person("mallory@example.org").await;
    let (own, foreign) = (victim.get("/account").await.csrf(), attacker.get("/account").await.csrf());
    for action in ["password", "email", "revoke", "end", "sign-out-everywhere"] {
        let path = format!("/account/{action}");
        for (from, csrf) in [(stage.origin.as_str(), foreign.as_str()), ("https://evil.example", own.as_str())] {
            let fields = [
                ("csrf", csrf),
                ("current-password", PASSWORD),
                ("new-password", NEW),
                ("new-email", "mallory2@example.org"),
                ("password-for-email", PASSWORD),
                ("id", "AAAAAAAAAAAAAAAAAAAAAA"),
            ];
            assert_eq!(victim.post_from(from, &path, &fields).await.status, StatusCode::FORBIDDEN, "{action} {from}");
        }
        let mut nobody = Browser::new(&stage.origin);
        let page = nobody
            .post(
                &path,
                &[
                    ("csrf", &own),
                    ("id", ""),
                    ("current-password", ""),
                    ("new-password", ""),
                    ("new-email", ""),
                    ("password-for-email", ""),
                ],
            )
            .await;
        assert_eq!(page.location(), Some("/sign-in?to=account"), "{action}");
    }
    assert_eq!(victim.get("/account").await.status, StatusCode::OK);
    stage.stop().await;
}

#[tokio::test]
async fn a_person_on_the_way_to_the_account_arrives_there() {
    let stage = Stage::open().await;
    stage.person("ada@example.org").await;
    let mut browser = Browser::new(&stage.origin);
    let location = browser.get("/account").await.location().map(str::to_owned).expect("elsewhere");
    let page = browser.get(&location).await;
    let (csrf, to) = (page.csrf(), page.input("to").expect("where to"));
    let fields = [("csrf", csrf.as_str()), ("email", "ada@example.org"), ("password", PASSWORD), ("to", to.as_str())];
    assert_eq!(browser.post("/sign-in", &fields).await.location(), Some("/account"));
    for elsewhere in ["//evil.example", "https://evil.example/account", "/account/../..//evil.example", "javascript:1"]
    {
        let mut lured = Browser::new(&stage.origin);
        let csrf = lured.get(&format!("/sign-in?to={elsewhere}")).await.csrf();
        let fields = [("csrf", csrf.as_str()), ("email", "ada@example.org"), ("password", PASSWORD), ("to", elsewhere)];
        assert_eq!(lured.post("/sign-in", &fields).await.location(), Some("/"), "{elsewhere}");
    }
    stage.stop().await;
}

/// The answer to the last click is the one that is shown, and the first one was dropped with its cookie.
#[tokio::test]
async fn whoever_creates_an_account_with_a_double_click_is_signed_in() {
    let stage = Stage::with(|config| config.sign_up = SignUp::Invite).await;
    let core = &stage.running.app().core;
    let invite = async |token: &str| {
        let hash = core.secrets.hash_token(TokenRole::Invitation, token);
        let invitation = NewInvitation { token: hash, operator: false, life: 600 };
        core.store.create_invitation(invitation).await.expect("made");
        format!("/invite/{token}")
    };
    let path = invite("for-ada").await;
    let mut first = Browser::new(&stage.origin);
    let csrf = first.get(&path).await.csrf();
    let form = async |browser: &mut Browser, path: &str, password: &str| {
        browser.post(path, &[("csrf", csrf.as_str()), ("email", "ada@example.org"), ("password", password)]).await
    };
    // Both clicks are of the same page, and neither has the cookie of the other's answer.
    let (mut second, mut stranger) = (first.clone(), first.clone());
    assert_eq!(form(&mut first, &path, PASSWORD).await.status, StatusCode::SEE_OTHER);
    let again = form(&mut second, &path, PASSWORD).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "{}", again.text);
    assert_eq!(second.get("/account").await.status, StatusCode::OK);
    assert_eq!(stage.database().number("SELECT count(*) FROM accounts", &[]), 1);
    // The control: whoever does not know the password is told what he was told, and the way to sign in.
    let no = form(&mut stranger, &path, NEW).await;
    assert_eq!(no.status, StatusCode::NOT_FOUND);
    assert!(no.text.contains("No such invitation") && no.text.contains("href=\"/sign-in\""), "{}", no.text);
    // A second account of a name that is taken is another matter, whatever the password.
    let other = invite("for-somebody-else").await;
    for password in [NEW, PASSWORD] {
        let taken = form(&mut stranger, &other, password).await;
        assert_eq!(taken.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", taken.text);
        assert!(taken.text.contains("Sign in instead"), "{}", taken.text);
    }
    stage.stop().await;
}
