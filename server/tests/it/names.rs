//! Sign-in names and passwords that look the same are the same, or are refused; those of older servers still serve.

use crate::browser::Browser;
use crate::stage::{PASSWORD, Stage};
use portcullis_protocol::AccountId;
use portcullis_server::Password;
use portcullis_server::crypto::secrets::rng;
use portcullis_server::store::NewAccount;
use reqwest::StatusCode;

#[tokio::test]
async fn no_second_account_looks_like_the_first() {
    let stage = Stage::open().await;
    stage.person("jos\u{e9}@b\u{fc}cher.example").await;
    stage.person("ada@example.org").await;
    for alike in [
        "jose\u{301}@b\u{fc}cher.example",
        "JOS\u{c9}@B\u{dc}CHER.example",
        "jos\u{e9}@xn--bcher-kva.example",
        "jos\u{e9}@bu\u{308}cher.example",
        "\u{ff41}da@example.org",
        "ada@example\u{3002}org",
        "a\u{200b}da@example.org",
        "ada\u{202e}@example.org",
        "\u{430}da@example.org",
        "ad\u{430}@example.org",
    ] {
        let mut browser = Browser::new(&stage.origin);
        let page = browser.sign_up(alike, PASSWORD).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{alike}");
        assert!(page.text.contains("id=\"email-error\""), "{alike}: {}", page.text);
    }
    for honest in [
        "jos\u{e9}@example.org",
        "jose@b\u{fc}cher.example",
        "ad@example.org",
        "\u{430}\u{43d}\u{43d}\u{430}@example.org",
    ] {
        stage.person(honest).await;
    }
    // The owner signs in however the keyboard spells it.
    for own in ["jose\u{301}@b\u{fc}cher.example", "Jos\u{e9}@xn--bcher-kva.example"] {
        let mut browser = Browser::new(&stage.origin);
        assert_eq!(browser.sign_in(own, PASSWORD).await.status, StatusCode::SEE_OTHER, "{own}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_password_serves_in_every_spelling_and_hides_nothing() {
    let stage = Stage::open().await;
    let mut browser = Browser::new(&stage.origin);
    let page = browser.sign_up("ada@example.org", "cafe\u{301} au lait, s'il te pla\u{ee}t").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let mut other = Browser::new(&stage.origin);
    let spelled = other.sign_in("ada@example.org", "caf\u{e9}\u{a0}au lait, s'il te plai\u{302}t").await;
    assert_eq!(spelled.status, StatusCode::SEE_OTHER);
    let mut eve = Browser::new(&stage.origin);
    let page = eve.sign_up("eve@example.org", "long enough\u{200b}").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text.contains("id=\"password-error\"") && page.text.contains("invisible characters"));
    assert_eq!(page.input("email").as_deref(), Some("eve@example.org"), "the address is kept");
    stage.stop().await;
}

/// An account as a server before this one made it: its name and password as they were typed.
async fn old_account(stage: &Stage, name: &str, password: &str) {
    let app = stage.running.app();
    let id = AccountId::generate(app.core.clock.now().id_millis(), &mut rng());
    let account = NewAccount {
        id,
        lookup: app.core.secrets.lookup_name(name),
        other_lookups: Vec::new(),
        name: app.core.secrets.seal_name(&id, name),
        // Of this form nothing is left to be normalised.
        password: app.passwords.hash(Password::typed(password.into()).expect("short")).await.expect("hashed"),
        operator: false,
        invitation: None,
    };
    app.core.store.create_account(account).await.expect("made");
}

#[tokio::test]
async fn accounts_of_older_servers_sign_in_and_cannot_be_doubled() {
    let stage = Stage::open().await;
    old_account(&stage, "jose\u{301}@example.org", PASSWORD).await;
    old_account(&stage, "anna@b\u{fc}cher.example", PASSWORD).await;
    old_account(&stage, "a\u{200b}da@example.org", PASSWORD).await;
    for typed in
        ["jose\u{301}@example.org", "Jos\u{e9}@example.org", "anna@B\u{fc}cher.example", "A\u{200b}da@example.org"]
    {
        let mut browser = Browser::new(&stage.origin);
        assert_eq!(browser.sign_in(typed, PASSWORD).await.status, StatusCode::SEE_OTHER, "{typed}");
        assert_eq!(browser.get("/account").await.status, StatusCode::OK, "{typed}");
    }
    for taken in ["jos\u{e9}@example.org", "anna@b\u{fc}cher.example", "anna@xn--bcher-kva.example"] {
        let mut browser = Browser::new(&stage.origin);
        let page = browser.sign_up(taken, PASSWORD).await;
        assert!(page.status == 422 && page.text.contains("There is an account"), "{taken}: {}", page.text);
    }
    stage.stop().await;
}
