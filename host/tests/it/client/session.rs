//! Tokens and retries: renewal, several processes, what is repeated and what is not.

use super::test_store::{TestStore, body_of, origin, plain, rng, run};
use portcullis_host::{Exchanged, TransportError};
use portcullis_protocol::wire::Signed;
use portcullis_protocol::{Digest, More, Reason, RefusalAnswer, SecretKey, Verified};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

#[tokio::test]
async fn an_access_token_is_renewed_before_it_ends() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    client.store(&origin()).account().await.expect("account");
    assert_eq!(store.world().refreshes, 0);
    store.world().clock.advance(3590);
    client.store(&origin()).account().await.expect("account");
    assert_eq!(store.world().refreshes, 1);
}

#[tokio::test]
async fn an_access_token_that_the_server_ended_early_is_renewed_once() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    store.world().access.clear();
    client.store(&origin()).account().await.expect("account");
    assert_eq!(store.world().refreshes, 1);
    // The whole sign-in has ended: the refresh token is gone too.
    store.world().access.clear();
    store.world().refresh.clear();
    let error = client.store(&origin()).account().await.expect_err("nobody is signed in");
    assert_eq!(error.reason(), Some(Reason::NotSignedIn));
    // An unsigned word does not end a sign-in: the tokens are still there.
    assert!(client.is_signed_in(&origin()).expect("known"));
}

/// A refresh token that is used twice ends the whole sign-in. Neither many tasks nor two processes do that.
#[tokio::test]
async fn many_at_once_renew_once() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let one = store.signed_in(home.path()).await;
    let two = store.client(home.path());
    two.store(&origin()).account().await.expect("account");
    store.world().access.clear();
    let (one, two) = (one.store(&origin()), two.store(&origin()));
    let all = tokio::join!(one.account(), one.account(), two.account(), two.account(), one.receipts());
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok() && all.3.is_ok() && all.4.is_ok());
    assert_eq!(store.world().refreshes, 1);
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_cut_a_renewal_off() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    store.world().access.clear();
    let front = client.store(&origin());
    let left = Arc::new(AtomicU32::new(0));
    for _ in 0..20 {
        let mut asked = Box::pin(front.account());
        // Polled a few times, then dropped.
        for _ in 0..3 {
            let polled = futures::future::poll_immediate(&mut asked).await;
            if polled.is_some() {
                break;
            }
            left.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }
    assert!(left.load(Ordering::Relaxed) > 0);
    front.account().await.expect("still signed in");
    assert_eq!(store.world().refreshes, 1);
}

#[tokio::test]
async fn a_retry_has_the_same_key_and_body_and_a_fresh_proof() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let offer = store.world().offer("view", portcullis_protocol::Rights::Uses { count: 5 }, 199);
    // Idempotency-Key, proof, body.
    type Sent = (String, String, Vec<u8>);
    let seen: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let tape = Arc::clone(&seen);
    store.after(move |exchange, answer| {
        if exchange.path_and_query != "/v1/orders" || answer.status != 200 {
            return Ok(answer);
        }
        let mut tape = tape.lock().expect("tape");
        let key = exchange.idempotency_key.as_ref().expect("a key").to_string();
        tape.push((key, exchange.proof.clone().expect("a proof"), body_of(exchange)));
        if tape.len() < 3 { Err(TransportError::Interrupted("cut".into())) } else { Ok(answer) }
    });
    let payment = super::store::payment("ok");
    client.store(&origin()).order(&offer, payment).await.expect("ordered");
    let seen = seen.lock().expect("tape");
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|(key, _, body)| (key, body) == (&seen[0].0, &seen[0].2)));
    assert!(seen[0].1 != seen[1].1 && seen[1].1 != seen[2].1);
    assert_eq!(store.world().orders, 1);
}

#[tokio::test]
async fn a_signed_no_is_not_asked_again_and_a_long_wait_is_left_to_the_user() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let resource = store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    assert_eq!(run(&client, &resource, "view").await.expect_err("unpaid").reason, Reason::PaymentRequired);
    assert_eq!(store.count("POST /v1/authorizations"), 1);
    let signing = store.world().signing.clone();
    store.after(move |exchange, answer| {
        let req = Digest::of(exchange.proof.as_deref().unwrap_or_default().as_bytes());
        let refusal = RefusalAnswer {
            req,
            iat: super::test_store::START,
            reason: Reason::RateLimited,
            detail: Some("too\u{1b}[2J fast".into()),
            offers: vec![],
            retry_after: Some(30),
            more: More::new(),
        };
        let signed = Verified::sign(refusal, &signing).compact().to_owned();
        let limited = exchange.path_and_query.contains("authorizations");
        Ok(if limited { Exchanged { nonce: answer.nonce, ..plain(429, &Signed { signed }) } } else { answer })
    });
    let refused = run(&client, &resource, "view").await.expect_err("limited");
    assert_eq!((refused.reason, refused.retry_after), (Reason::RateLimited, Some(30)));
    assert_eq!(refused.detail.as_deref(), Some("too[2J fast"), "nothing that moves a terminal's cursor");
    assert_eq!(store.count("POST /v1/authorizations"), 2);
}

#[tokio::test]
async fn no_token_code_or_key_is_in_errors_or_debug() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let resource = store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    store.world().rights.insert("view".into(), Some(5));
    let client = store.signed_in(home.path()).await;
    let printed: Arc<Mutex<String>> = Arc::default();
    let sink = Arc::clone(&printed);
    store.after(move |exchange, answer| {
        sink.lock().expect("sink").push_str(&format!("{exchange:?}"));
        if exchange.path_and_query.contains("verifications") { Err(TransportError::Timeout) } else { Ok(answer) }
    });
    let refused = run(&client, &resource, "view").await.expect_err("offline");
    let mut printed = printed.lock().expect("sink").clone();
    printed.push_str(&format!("{refused} {refused:?} {client:?} {:?}", client.cycle()));
    for secret in &store.world().secrets {
        assert!(!printed.contains(secret.as_str()));
    }
    assert!(printed.contains("AccessToken(redacted)"));
}
