//! Signing a terminal in, and everything that goes wrong with it.

use crate::stage::{PASSWORD, Stage};
use crate::terminal::{Draft, Terminal};
use portcullis_protocol::Reason;
use portcullis_protocol::wire::{AccountAnswer, OAuthError};
use reqwest::StatusCode;

#[tokio::test]
async fn a_terminal_signs_in_enrols_and_is_listed() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut terminal = Terminal::new(&stage.origin).await;
    let code = terminal.device_code("workshop").await;
    assert_eq!(code.verification_uri, format!("{}/device", stage.origin));
    assert_eq!(terminal.poll(&code.device_code).await.expect_err("not yet"), "authorization_pending");

    let page = browser.device(&code.user_code).await;
    assert!(page.text.contains(&terminal.key.public().thumbprint().words()), "the page shows the terminal's words");
    assert!(page.text.contains("workshop") && page.text.contains("ada@example.org"));
    browser.decide(&code.user_code, "approve").await;
    let tokens = terminal.poll(&code.device_code).await.expect("tokens");
    assert_eq!(tokens.token_type, "DPoP");

    let refused = terminal.get_no(&Draft::get("/v1/account")).await;
    assert_eq!(refused.reason, Reason::TerminalUnknown, "signed in is not enrolled");
    let enrolled = terminal.enrol("workshop").await;
    assert_eq!(enrolled.account, "ada@example.org");
    let account: AccountAnswer = terminal.get_yes(&Draft::get("/v1/account")).await;
    assert_eq!(account.terminals.len(), 1);
    assert!(account.terminals[0].current && account.terminals[0].terminal == enrolled.terminal);
    assert_eq!(account.terminals[0].label, "workshop");
    stage.stop().await;
}

#[tokio::test]
async fn a_denied_terminal_gets_no_token() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut terminal = Terminal::new(&stage.origin).await;
    let code = terminal.device_code("a stranger's").await;
    let page = browser.decide(&code.user_code, "deny").await;
    assert!(page.text.contains("Denied"));
    assert_eq!(terminal.poll(&code.device_code).await.expect_err("denied"), "access_denied");
    stage.stop().await;
}

#[tokio::test]
async fn a_stolen_device_code_is_worth_nothing_with_another_key() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let (mut honest, mut thief) = (Terminal::new(&stage.origin).await, Terminal::new(&stage.origin).await);
    let code = honest.device_code("a terminal").await;
    browser.decide(&code.user_code, "approve").await;
    assert_eq!(thief.poll(&code.device_code).await.expect_err("bound to a key"), "invalid_grant");
    honest.poll(&code.device_code).await.expect("the control: its own key gets the tokens");
    stage.stop().await;
}

#[tokio::test]
async fn a_used_device_code_gives_its_own_key_the_same_tokens_while_the_answer_may_be_lost() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let (mut terminal, mut thief) = (Terminal::new(&stage.origin).await, Terminal::new(&stage.origin).await);
    let code = terminal.device_code("a terminal").await;
    browser.decide(&code.user_code, "approve").await;
    let first = terminal.poll(&code.device_code).await.expect("an answer that gets lost");
    let again = terminal.poll(&code.device_code).await.expect("asked again");
    assert_eq!((&first.access_token, &first.refresh_token), (&again.access_token, &again.refresh_token));
    assert_eq!(thief.poll(&code.device_code).await.expect_err("another key"), "invalid_grant");
    terminal.enrol("a terminal").await;
    // Once nobody can be waiting for that answer any more, and once the sign-in has ended, the code is used up.
    stage.clock.advance(121);
    terminal.nonce = None;
    assert_eq!(terminal.poll(&code.device_code).await.expect_err("long ago"), "invalid_grant");
    let _: AccountAnswer = terminal.get_yes(&Draft::get("/v1/account")).await;

    let mut other = Terminal::new(&stage.origin).await;
    let code = other.device_code("another terminal").await;
    browser.decide(&code.user_code, "approve").await;
    let tokens = other.poll(&code.device_code).await.expect("tokens");
    other.send(&Draft::form("/oauth/revoke", &[("token", &tokens.access_token)])).await;
    assert_eq!(other.poll(&code.device_code).await.expect_err("signed out"), "invalid_grant");
    stage.stop().await;
}

#[tokio::test]
async fn polling_too_fast_is_slowed_down_and_old_codes_expire() {
    let stage = Stage::with(|config| config.limits.poll_seconds = 5).await;
    let mut terminal = Terminal::new(&stage.origin).await;
    let code = terminal.device_code("a terminal").await;
    assert_eq!(terminal.poll(&code.device_code).await.expect_err("first"), "authorization_pending");
    assert_eq!(terminal.poll(&code.device_code).await.expect_err("at once"), "slow_down");
    stage.clock.advance(601);
    terminal.nonce = None;
    assert_eq!(terminal.poll(&code.device_code).await.expect_err("late"), "expired_token");
    stage.stop().await;
}

#[tokio::test]
async fn tokens_are_bound_to_their_key_and_end() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut terminal = stage.terminal_of(&mut browser).await;
    let _: AccountAnswer = terminal.get_yes(&Draft::get("/v1/account")).await;

    let mut thief = Terminal::new(&stage.origin).await;
    thief.token.clone_from(&terminal.token);
    assert_eq!(thief.get_no(&Draft::get("/v1/account")).await.reason, Reason::NotSignedIn);

    stage.clock.advance(3601);
    terminal.nonce = None;
    assert_eq!(terminal.get_no(&Draft::get("/v1/account")).await.reason, Reason::NotSignedIn);
    let refresh = terminal.refresh.clone().expect("a refresh token");
    terminal.renew(&refresh).await.expect("renewed");
    let _: AccountAnswer = terminal.get_yes(&Draft::get("/v1/account")).await;
    stage.stop().await;
}

#[tokio::test]
async fn a_refresh_token_serves_again_while_its_answer_may_be_lost_and_then_ends_the_whole_sign_in() {
    let stage = Stage::open().await;
    let mut terminal = stage.customer("ada@example.org").await;
    let first = terminal.refresh.clone().expect("a refresh token");
    terminal.renew(&first).await.expect("an answer that gets lost");
    terminal.renew(&first).await.expect("asked again");
    let second = terminal.refresh.clone().expect("the next one");
    let _: AccountAnswer = terminal.get_yes(&Draft::get("/v1/account")).await;
    stage.clock.advance(3601);
    terminal.nonce = None;
    assert_eq!(terminal.renew(&first).await.expect_err("twice"), "invalid_grant");
    assert_eq!(terminal.renew(&second).await.expect_err("the family has ended"), "invalid_grant");
    assert_eq!(terminal.get_no(&Draft::get("/v1/account")).await.reason, Reason::NotSignedIn);
    stage.stop().await;
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let stage = Stage::open().await;
    let mut terminal = stage.customer("ada@example.org").await;
    let token = terminal.token.clone().expect("a token");
    let answer = terminal.send(&Draft::form("/oauth/revoke", &[("token", &token)])).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(terminal.get_no(&Draft::get("/v1/account")).await.reason, Reason::NotSignedIn);
    let refresh = terminal.refresh.clone().expect("a refresh token");
    assert_eq!(terminal.renew(&refresh).await.expect_err("ended"), "invalid_grant");
    stage.stop().await;
}

#[tokio::test]
async fn malformed_sign_ins_are_answered_as_oauth_has_it() {
    let stage = Stage::open().await;
    let mut terminal = Terminal::new(&stage.origin).await;
    type Fields = &'static [(&'static str, &'static str)];
    let cases: [(&str, Fields, &str); 6] = [
        ("/oauth/device_authorization", &[("client_id", "another"), ("label", "x")], "invalid_client"),
        ("/oauth/device_authorization", &[("client_id", "portcullis")], "invalid_request"),
        ("/oauth/device_authorization", &[("client_id", "portcullis"), ("label", "a\nb")], "invalid_request"),
        ("/oauth/token", &[("grant_type", "password")], "unsupported_grant_type"),
        ("/oauth/token", &[("grant_type", "refresh_token")], "invalid_request"),
        ("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", "x")], "invalid_grant"),
    ];
    for (path, fields, expected) in cases {
        let answer = terminal.send(&Draft::form(path, fields)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {fields:?}");
        assert_eq!(answer.json::<OAuthError>().expect("an OAuth error").error, expected, "{path} {fields:?}");
        assert!(answer.nonce.is_some(), "every answer to a proof brings a nonce");
    }
    let naked = terminal.http.post(format!("{}/oauth/token", stage.origin)).send().await.expect("answers");
    assert_eq!(naked.status(), StatusCode::UNAUTHORIZED, "no proof, no word");
    stage.stop().await;
}

#[tokio::test]
async fn an_enrolment_is_for_the_key_and_the_server_that_it_names() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut terminal = stage.signed_in(&mut browser).await;
    let stranger = Terminal::new(&stage.origin).await;
    assert_eq!(terminal.get_no(&stranger.enrolment("not mine")).await.reason, Reason::BindingMismatch);
    let mut elsewhere = stage.signed_in(&mut browser).await;
    elsewhere.root = stranger.key.public().clone();
    let answer = elsewhere.send(&elsewhere.enrolment("another root")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let enrolment = terminal.enrolment("again and again");
    let first: portcullis_protocol::wire::TerminalAnswer = terminal.get_yes(&enrolment).await;
    let again: portcullis_protocol::wire::TerminalAnswer = terminal.get_yes(&enrolment).await;
    assert_eq!(first.terminal, again.terminal);
    assert!(!PASSWORD.is_empty());
    stage.stop().await;
}

#[tokio::test]
async fn a_revoked_terminal_is_told_so_and_stays_out() {
    let stage = Stage::open().await;
    let mut browser = stage.person("ada@example.org").await;
    let mut keeps = stage.terminal_of(&mut browser).await;
    let mut loses = stage.terminal_of(&mut browser).await;
    let account: AccountAnswer = loses.get_yes(&Draft::get("/v1/account")).await;
    let id = account.terminals.iter().find(|terminal| terminal.current).expect("itself").terminal;
    let draft = Draft::json(reqwest::Method::DELETE, format!("/v1/account/terminals/{id}"), &());
    let draft = Draft { body: Vec::new(), ..draft };
    let portcullis_protocol::wire::Done {} = keeps.get_yes(&draft).await;
    assert_eq!(loses.get_no(&Draft::get("/v1/account")).await.reason, Reason::TerminalRevoked);
    let refresh = loses.refresh.clone().expect("a refresh token");
    assert_eq!(loses.renew(&refresh).await.expect_err("revoked"), "invalid_grant");
    let _: AccountAnswer = keeps.get_yes(&Draft::get("/v1/account")).await;
    stage.stop().await;
}
