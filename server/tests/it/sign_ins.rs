//! What is signed in to an account: it is listed, and it ends.

use crate::browser::Browser;
use crate::stage::{PASSWORD, Stage};
use crate::terminal::{Draft, Terminal};
use portcullis_protocol::Reason;
use portcullis_protocol::wire::{AccountAnswer, Done, SessionsAnswer};
use reqwest::Method;

const ACCOUNT: &str = "/v1/account";

fn delete(path: String) -> Draft {
    Draft { body: Vec::new(), ..Draft::json(Method::DELETE, path, &()) }
}

fn sign_out_everywhere() -> Draft {
    Draft { body: Vec::new(), ..Draft::post("/v1/account/sign-out", &()) }
}

/// Moves the server's clock, of which the terminal learns by its next nonce.
fn pass(stage: &Stage, seconds: i64, terminals: &mut [&mut Terminal]) {
    stage.clock.advance(seconds);
    for terminal in terminals {
        terminal.nonce = None;
    }
}

#[tokio::test]
async fn a_sign_in_that_never_enrols_is_listed_and_ends_by_itself() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut own = stage.terminal_of(&mut browser).await;
    let mut thief = stage.signed_in(&mut browser).await;
    let words = thief.key.public().thumbprint().words();

    let listed: SessionsAnswer = own.get_yes(&Draft::get("/v1/account/sessions")).await;
    let unfinished: Vec<_> = listed.sessions.iter().filter(|session| session.terminal.is_none()).collect();
    assert_eq!((listed.sessions.len(), unfinished.len(), listed.browsers), (2, 1, 1));
    assert!(listed.sessions[0].current && listed.sessions[0].terminal.is_some());
    assert_eq!(unfinished[0].key.words(), words);
    assert_eq!(unfinished[0].ends - unfinished[0].began, 600);
    assert!(browser.get("/account").await.text.contains(&words), "and on the page");

    pass(&stage, 601, &mut [&mut own, &mut thief]);
    assert_eq!(thief.get_no(&thief.enrolment("too late")).await.reason, Reason::NotSignedIn);
    let refresh = thief.refresh.clone().expect("a refresh token");
    assert_eq!(thief.renew(&refresh).await.expect_err("ended"), "invalid_grant");
    let listed: SessionsAnswer = own.get_yes(&Draft::get("/v1/account/sessions")).await;
    assert_eq!(listed.sessions.len(), 1, "an enrolled terminal's goes on");
    assert!(!browser.get("/account").await.text.contains(&words));
    stage.stop().await;
}

#[tokio::test]
async fn one_sign_in_is_ended_by_its_owner_and_by_nobody_else() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut own = stage.terminal_of(&mut browser).await;
    let mut thief = stage.signed_in(&mut browser).await;
    let listed: SessionsAnswer = own.get_yes(&Draft::get("/v1/account/sessions")).await;
    let id = listed.sessions.iter().find(|session| session.terminal.is_none()).expect("unfinished").session;

    let mut stranger = stage.customer("eve@example.org").await;
    assert_eq!(stranger.send(&delete(format!("/v1/account/sessions/{id}"))).await.status, 404);
    let mut eve = Browser::new(&stage.origin);
    eve.sign_in("eve@example.org", PASSWORD).await;
    assert_eq!(eve.account("/account/end", &[("id", &id.to_string())]).await.status, 303);
    let still: SessionsAnswer = own.get_yes(&Draft::get("/v1/account/sessions")).await;
    assert_eq!(still.sessions.len(), 2, "not hers to end");

    let Done {} = own.get_yes(&delete(format!("/v1/account/sessions/{id}"))).await;
    assert_eq!(thief.get_no(&thief.enrolment("ended")).await.reason, Reason::NotSignedIn);
    let mut other = stage.signed_in(&mut browser).await;
    let listed: SessionsAnswer = own.get_yes(&Draft::get("/v1/account/sessions")).await;
    let id = listed.sessions.iter().find(|session| session.terminal.is_none()).expect("unfinished").session;
    let page = browser.account("/account/end", &[("id", &id.to_string())]).await;
    assert_eq!(page.location(), Some("/account"));
    assert_eq!(other.get_no(&other.enrolment("ended")).await.reason, Reason::NotSignedIn);
    stage.stop().await;
}

#[tokio::test]
async fn signing_out_everywhere_ends_terminals_browsers_and_codes() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut own = stage.terminal_of(&mut browser).await;
    let mut other = stage.terminal_of(&mut browser).await;
    let mut unfinished = stage.signed_in(&mut browser).await;
    let mut second = Browser::new(&stage.origin);
    second.sign_in("ada@example.org", PASSWORD).await;
    let mut waiting = Terminal::new(&stage.origin).await;
    let approved = waiting.device_code("approved, and not fetched").await;
    second.decide(&approved.user_code, "approve").await;
    let pending = waiting.device_code("seen, and not approved").await;
    let csrf = second.device(&pending.user_code).await.csrf();
    let mut stranger = stage.customer("eve@example.org").await;

    let Done {} = own.get_yes(&sign_out_everywhere()).await;
    for terminal in [&mut own, &mut other] {
        assert_eq!(terminal.get_no(&Draft::get(ACCOUNT)).await.reason, Reason::NotSignedIn);
        let refresh = terminal.refresh.clone().expect("a refresh token");
        assert_eq!(terminal.renew(&refresh).await.expect_err("ended"), "invalid_grant");
    }
    assert_eq!(unfinished.get_no(&unfinished.enrolment("ended")).await.reason, Reason::NotSignedIn);
    assert_eq!(waiting.poll(&approved.device_code).await.expect_err("withdrawn"), "access_denied");
    for browser in [&mut browser, &mut second] {
        assert_eq!(browser.get("/account").await.status, 303);
    }
    let fields = [("csrf", csrf.as_str()), ("code", pending.user_code.as_str()), ("decision", "approve")];
    assert_eq!(second.post("/device", &fields).await.status, 303, "a page that was open approves nothing");
    assert_eq!(waiting.poll(&pending.device_code).await.expect_err("not approved"), "authorization_pending");
    let _: AccountAnswer = stranger.get_yes(&Draft::get(ACCOUNT)).await;

    // The terminal is enrolled still: its user signs in again, and it is the same one.
    second.sign_in("ada@example.org", PASSWORD).await;
    let code = own.device_code("again").await;
    second.decide(&code.user_code, "approve").await;
    own.poll(&code.device_code).await.expect("tokens");
    let _: AccountAnswer = own.get_yes(&Draft::get(ACCOUNT)).await;
    // And from the page.
    let done = second.account("/account/sign-out-everywhere", &[]).await;
    assert!(done.status == 200 && done.text.contains("signed out"), "{}", done.text);
    assert_eq!(own.get_no(&Draft::get(ACCOUNT)).await.reason, Reason::NotSignedIn);
    assert_eq!(second.get("/account").await.status, 303);
    stage.stop().await;
}

#[tokio::test]
async fn a_revoked_terminal_has_no_session_and_no_code_left() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut lost = stage.terminal_of(&mut browser).await;
    let again = lost.device_code("approved again").await;
    browser.decide(&again.user_code, "approve").await;
    let account: AccountAnswer = lost.get_yes(&Draft::get(ACCOUNT)).await;
    let id = account.terminals[0].terminal.to_string();
    let page = browser.account("/account/revoke", &[("id", &id)]).await;
    assert_eq!(page.location(), Some("/account"));
    assert!(browser.get("/account").await.text.contains("The terminal is revoked"));
    assert!(!browser.get("/account?done=revoked").await.text.contains("The terminal is revoked"), "it is said once");
    assert_eq!(lost.get_no(&Draft::get(ACCOUNT)).await.reason, Reason::TerminalRevoked);
    assert_eq!(lost.get_no(&lost.enrolment("again")).await.reason, Reason::TerminalRevoked);
    assert_eq!(lost.poll(&again.device_code).await.expect_err("withdrawn"), "access_denied");
    let refresh = lost.refresh.clone().expect("a refresh token");
    assert_eq!(lost.renew(&refresh).await.expect_err("ended"), "invalid_grant");
    let mut eve = stage.person("eve@example.org").await;
    assert_eq!(eve.account("/account/revoke", &[("id", &id)]).await.status, 404, "not one's own");
    stage.stop().await;
}

#[tokio::test]
async fn a_suspended_account_has_nothing_left_when_it_is_restored() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut terminal = stage.terminal_of(&mut browser).await;
    let mut waiting = Terminal::new(&stage.origin).await;
    let approved = waiting.device_code("approved").await;
    browser.decide(&approved.user_code, "approve").await;
    let app = stage.running.app().clone();
    let (lookup, store) = (app.core.secrets.lookup_name("ada@example.org"), &app.core.store);
    let id = store.account_by_name(&lookup).await.expect("read").expect("an account").id;

    store.set_suspended(&id, true).await.expect("suspended");
    assert_eq!(terminal.get_no(&Draft::get(ACCOUNT)).await.reason, Reason::AccountSuspended, "it is told why");
    assert_eq!(waiting.poll(&approved.device_code).await.expect_err("withdrawn"), "access_denied");
    assert_eq!(browser.get("/account").await.status, 303);
    let refresh = terminal.refresh.clone().expect("a refresh token");
    assert_eq!(terminal.renew(&refresh).await.expect_err("ended"), "invalid_grant");
    store.set_suspended(&id, false).await.expect("restored");
    assert_eq!(terminal.get_no(&Draft::get(ACCOUNT)).await.reason, Reason::NotSignedIn);
    assert_eq!(browser.get("/account").await.status, 303);
    assert_eq!(browser.sign_in("ada@example.org", PASSWORD).await.status, 303, "the control");
    stage.stop().await;
}

#[tokio::test]
async fn sessions_that_nobody_can_use_any_more_are_deleted() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    stage.signed_in(&mut browser).await;
    let terminal = stage.terminal_of(&mut browser).await;
    let rows = || stage.database().number("SELECT count(*) FROM sessions", &[]);
    assert_eq!(rows(), 2);
    stage.running.app().core.store.sweep().await.expect("swept");
    assert_eq!(rows(), 2);
    stage.clock.advance((90 + 8) * 24 * 3600);
    stage.running.app().core.store.sweep().await.expect("swept");
    assert_eq!(rows(), 0);
    drop(terminal);
    stage.stop().await;
}
