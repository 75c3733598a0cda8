//! Signing in and out.

use super::test_store::{ORIGIN, TestStore, origin, plain, rng, run};
use portcullis_host::{ClientError, Exchanged, TransportError};
use portcullis_protocol::wire::DeviceAuthorisation;
use portcullis_protocol::{Reason, SecretKey};
use tempfile::TempDir;

#[tokio::test]
async fn the_user_sees_code_address_and_words_then_is_signed_in() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.client(home.path());
    let begun = client.sign_in(&origin(), "Ada's\u{7} laptop").await.expect("begun");
    assert_eq!(begun.user_code(), "WDJB-MJHT");
    assert_eq!(begun.url(), format!("{ORIGIN}/device"));
    assert!(begun.url_with_code().contains("WDJB-MJHT") && begun.is_new_server());
    assert_eq!(begun.server_words(), store.world().root.public().thumbprint().words());
    assert_eq!(begun.terminal_words().split('-').count(), 8);
    assert_eq!(store.world().labels, ["Ada's laptop"]);
    let signed_in = begun.finish().await.expect("signed in");
    assert_eq!(signed_in.account, "ada");
    assert!(client.is_signed_in(&origin()).expect("known"));
    assert_eq!(client.default_server().expect("one"), origin());
    // Again, on the same terminal: the same keys, the server is known.
    let again = client.sign_in(&origin(), "x").await.expect("begun");
    assert!(!again.is_new_server());
    assert_eq!(again.terminal_words(), signed_in.terminal_words);
}

#[tokio::test]
async fn a_sign_in_that_the_user_denies_or_lets_pass_leaves_nothing() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.client(home.path());
    for (error, expected) in
        [("access_denied", ClientError::SignInDenied), ("expired_token", ClientError::SignInExpired)]
    {
        store.world().approval = Some(error);
        let begun = client.sign_in(&origin(), "x").await.expect("begun");
        assert_eq!(begun.finish().await.expect_err("not approved"), expected);
    }
    assert!(client.servers().expect("pins").is_empty());
    assert!(!client.is_signed_in(&origin()).expect("known"));
    // The control: it waits while the user has not answered, then goes on.
    store.world().approval = Some("authorization_pending");
    let begun = client.sign_in(&origin(), "x").await.expect("begun");
    let (signed_in, ()) = tokio::join!(begun.finish(), async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        store.world().approval = None;
    });
    signed_in.expect("approved");
}

#[tokio::test]
async fn an_enrolment_whose_answer_never_came_is_completed_without_another_approval() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    store.after(|exchange, answer| match exchange.path_and_query.as_str() {
        "/v1/terminals" => Err(TransportError::Interrupted("cut".into())),
        _ => Ok(answer),
    });
    let begun = store.client(home.path()).sign_in(&origin(), "x").await.expect("begun");
    let unknown = begun.finish().await.expect_err("no answer");
    assert!(matches!(unknown, ClientError::OutcomeUnknown { .. }), "{unknown:?}");
    assert!(store.count("POST /v1/terminals") > 2, "it was asked again");
    store.honest();
    // Another process, and the user is not asked.
    let client = store.client(home.path());
    let (codes, polls) = (store.count("POST /oauth/device_authorization"), store.count("POST /oauth/token"));
    let resumed = client.resume_sign_in(&origin()).await.expect("asked").expect("it waits");
    assert!(resumed.is_approved());
    assert_eq!(resumed.finish().await.expect("signed in").account, "ada");
    assert_eq!(store.count("POST /oauth/device_authorization"), codes);
    assert_eq!(store.count("POST /oauth/token"), polls);
    assert!(client.resume_sign_in(&origin()).await.expect("asked").is_none(), "nothing is left to complete");
}

#[tokio::test]
async fn a_sign_in_that_was_set_aside_is_completed_later_at_the_same_server_only() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    // Each client is another process.
    assert!(store.client(home.path()).resume_sign_in(&origin()).await.expect("asked").is_none());
    let begun = store.client(home.path()).sign_in(&origin(), "x").await.expect("begun");
    let words = begun.terminal_words();
    begun.set_aside().expect("kept");
    // Somebody else answers at the address meanwhile.
    let honest = std::mem::replace(&mut store.world().root, SecretKey::generate(&mut rng()));
    let error = store.client(home.path()).resume_sign_in(&origin()).await.expect_err("another root");
    assert_eq!(error.reason(), Some(Reason::ServerUntrusted));
    store.world().root = honest;
    let resumed = store.client(home.path()).resume_sign_in(&origin()).await.expect("asked").expect("it waits");
    assert_eq!((resumed.user_code().as_str(), resumed.terminal_words()), ("WDJB-MJHT", words));
    assert_eq!(resumed.finish().await.expect("signed in").account, "ada");
    let client = store.client(home.path());
    assert!(client.is_signed_in(&origin()).expect("known"));
    assert!(client.resume_sign_in(&origin()).await.expect("asked").is_none(), "it serves once");
    // What nobody approved in time, or a sign-out ended, does not wait.
    let begun = client.sign_in(&origin(), "x").await.expect("begun");
    let left = begun.expires_in().as_secs();
    begun.set_aside().expect("kept");
    client.sign_out(&origin()).await.expect("signed out");
    assert!(client.resume_sign_in(&origin()).await.expect("asked").is_none());
    client.sign_in(&origin(), "x").await.expect("begun").set_aside().expect("kept");
    store.world().clock.advance(left);
    assert!(store.client(home.path()).resume_sign_in(&origin()).await.expect("asked").is_none());
}

#[tokio::test]
async fn the_user_is_not_sent_to_another_site() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.client(home.path());
    for elsewhere in ["https://store.example.evil/device", "https://evil.example/device", "http://store.example/device"]
    {
        store.after(move |exchange, answer| {
            if exchange.path_and_query != "/oauth/device_authorization" || answer.status != 200 {
                return Ok(answer);
            }
            let mut device: DeviceAuthorisation = serde_json::from_slice(&answer.body).expect("json");
            device.verification_uri = elsewhere.into();
            Ok(Exchanged { nonce: answer.nonce, ..plain(200, &device) })
        });
        let error = client.sign_in(&origin(), "x").await.expect_err("phishing");
        assert_eq!(error.reason(), Some(Reason::ServerUntrusted));
    }
}

#[tokio::test]
async fn a_signed_out_terminal_holds_no_tokens() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    assert!(client.sign_out(&origin()).await.expect("signed out"));
    assert!(store.world().refresh.is_empty());
    assert!(!client.is_signed_in(&origin()).expect("known"));
    let error = client.store(&origin()).account().await.expect_err("nobody");
    assert_eq!(error.reason(), Some(Reason::NotSignedIn));
    // Without a network too; the server just does not hear of it.
    let client = store.signed_in(home.path()).await;
    store.before(|_| Some(Err(portcullis_host::TransportError::Timeout)));
    assert!(!client.sign_out(&origin()).await.expect("signed out"));
    assert!(!client.is_signed_in(&origin()).expect("known"));
}

fn revoke_every_terminal(store: &TestStore) {
    let revoked: Vec<_> = store.world().terminals.keys().copied().collect();
    store.world().revoked.extend(revoked);
}

#[tokio::test]
async fn a_revoked_terminal_makes_new_keys_at_the_next_sign_in() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let resource = store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    revoke_every_terminal(&store);
    assert_eq!(run(&client, &resource, "view").await.expect_err("revoked").reason, Reason::TerminalRevoked);
    // Another process, without its keys, still knows why, and where to sign in.
    let again = run(&store.client(home.path()), &resource, "view").await.expect_err("revoked");
    assert_eq!((again.reason, again.server.as_deref()), (Reason::TerminalRevoked, Some(&origin())));
    store.signed_in(home.path()).await;
    assert_eq!(store.world().terminals.len(), 2);
    let client = store.client(home.path());
    assert_eq!(run(&client, &resource, "view").await.expect_err("unpaid").reason, Reason::PaymentRequired);
}

#[tokio::test]
async fn a_revoked_terminal_is_signed_out_of_its_tokens_as_well() {
    for is_forgotten in [false, true] {
        let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
        let resource = store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
        let client = store.signed_in(home.path()).await;
        revoke_every_terminal(&store);
        assert_eq!(run(&client, &resource, "view").await.expect_err("revoked").reason, Reason::TerminalRevoked);
        // Another process, without its keys.
        let client = store.client(home.path());
        assert!(client.is_signed_in(&origin()).expect("known"), "its tokens are still there");
        if is_forgotten {
            client.forget(&origin()).await.expect("forgotten");
        } else {
            assert!(client.sign_out(&origin()).await.expect("signed out"));
        }
        assert!(!client.is_signed_in(&origin()).expect("known"));
        assert_eq!(client.servers().expect("pins").is_empty(), is_forgotten);
    }
}

/// Two processes: one has a session of the revoked key, the other has signed in anew.
#[tokio::test]
async fn a_refusal_to_an_old_key_leaves_the_new_one() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let resource = store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    let (slept, other) = (store.signed_in(home.path()).await, store.client(home.path()));
    assert_eq!(run(&slept, &resource, "view").await.expect_err("unpaid").reason, Reason::PaymentRequired);
    revoke_every_terminal(&store);
    assert_eq!(run(&other, &resource, "view").await.expect_err("revoked").reason, Reason::TerminalRevoked);
    store.signed_in(home.path()).await;
    assert_eq!(run(&slept, &resource, "view").await.expect_err("revoked").reason, Reason::TerminalRevoked);
    let later = store.client(home.path());
    assert_eq!(run(&later, &resource, "view").await.expect_err("unpaid").reason, Reason::PaymentRequired);
}
