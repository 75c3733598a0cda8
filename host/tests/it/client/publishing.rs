//! Claiming, publishing, pricing, withdrawing.

use super::test_store::{TestStore, op, origin, plain, publisher_name, resource_name, rng, run};
use portcullis_host::{ClientError, Exchanged, TransportError};
use portcullis_protocol::wire::{OfferTerms, Problem};
use portcullis_protocol::{Currency, Money, Reason, Rights, SecretKey};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

#[tokio::test]
async fn a_publisher_publishes_prices_and_withdraws() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let key = SecretKey::generate(&mut rng());
    let (file, manifest) = store.world().seal(&key, (1, 0, 0), |_| {});
    let client = store.signed_in(home.path()).await;
    let publishing = client.publishing(&origin());
    publishing.claim(&publisher_name(), &key).await.expect("claimed");
    let (recipient, root) = publishing.recipient().await.expect("recipient");
    assert_eq!(recipient, store.world().identity.recipient().to_string());
    assert_eq!(root, store.world().root.public().thumbprint());
    let path = home.path().join("lake.wasm");
    std::fs::write(&path, &file).expect("written");
    // The nonce is old by now: it is renewed with something small, and the file goes up once.
    store.world().clock.advance(300);
    let published = publishing.publish(&path).await.expect("published");
    assert_eq!(published.resource, manifest.digest());
    assert_eq!(store.count("PUT /v1/resources"), 1);
    let price = Money::new(199, "EUR".parse::<Currency>().expect("EUR")).expect("price");
    let rights = Rights::Perpetual {};
    let terms = OfferTerms { id: None, operation: op("view"), title: "Lake".into(), rights, price };
    let offers = publishing.set_offers(&publisher_name(), &resource_name(), vec![terms]).await.expect("priced");
    assert_eq!(offers[0].document().price, price);
    publishing.withdraw(&manifest.digest(), "blurred").await.expect("withdrawn");
    let refused = run(&client, &manifest, "view").await.expect_err("withdrawn");
    assert_eq!(refused.reason, Reason::ResourceWithdrawn);
    publishing.restore(&manifest.digest()).await.expect("restored");
    let refused = run(&client, &manifest, "view").await.expect_err("it is sold, and not bought");
    assert_eq!(refused.reason, Reason::PaymentRequired);
}

#[tokio::test]
async fn an_unsigned_no_is_shown_and_not_asked_for_again() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let (publishing, key) = (client.publishing(&origin()), SecretKey::generate(&mut rng()));
    let problem = |status| Problem {
        instance: None,
        kind: "about:blank".into(),
        title: "Conflict".into(),
        status,
        detail: "\u{1b}[2Jthe name is taken".into(),
        reason: None,
        signed: None,
    };
    store.after(move |exchange, answer| {
        Ok(if exchange.path_and_query == "/v1/publishers" { plain(409, &problem(409)) } else { answer })
    });
    let no = publishing.claim(&publisher_name(), &key).await.expect_err("no");
    assert!(matches!(&no, ClientError::Rejected { status: 409, detail } if detail == "[2Jthe name is taken"), "{no:?}");
    assert_eq!((no.reason(), store.count("POST /v1/publishers")), (None, 1));
    // What may be another's trouble is asked for again, and so is what has no server's form.
    store.after(move |_, answer| Ok(Exchanged { nonce: answer.nonce, ..plain(503, &problem(503)) }));
    let unknown = publishing.claim(&publisher_name(), &key).await.expect_err("no");
    assert!(matches!(&unknown, ClientError::OutcomeUnknown { .. }), "it may have been done: {unknown:?}");
    assert_eq!(unknown.reason(), Some(Reason::Offline));
    let asked = store.count("POST /v1/publishers");
    assert!(asked > 5, "until patience ends: {asked}");
    store.after(|_, answer| Ok(Exchanged { nonce: answer.nonce, ..plain(403, &"go away") }));
    assert_eq!(publishing.claim(&publisher_name(), &key).await.expect_err("no").reason(), Some(Reason::Offline));
    assert_eq!(store.count("POST /v1/publishers"), asked + 3);
    store.honest();
    publishing.claim(&publisher_name(), &key).await.expect("control");
}

#[tokio::test]
async fn a_request_in_progress_and_a_server_that_comes_back_are_waited_for_under_one_key() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let (publishing, key) = (client.publishing(&origin()), SecretKey::generate(&mut rng()));
    let problem = Problem {
        instance: None,
        kind: "about:blank".into(),
        title: "Conflict".into(),
        status: 409,
        detail: "a request with this Idempotency-Key is under way".into(),
        reason: None,
        signed: None,
    };
    // The server does it and dies; then it is not there; then it comes back, and somebody else is still at it.
    let keys: Arc<Mutex<Vec<String>>> = Arc::default();
    let tape = Arc::clone(&keys);
    store.after(move |exchange, answer| {
        if exchange.path_and_query != "/v1/publishers" || answer.status != 200 {
            return Ok(answer);
        }
        let mut tape = tape.lock().expect("tape");
        tape.push(exchange.idempotency_key.as_ref().expect("a key").to_string());
        match tape.len() {
            1 => Err(TransportError::Interrupted("cut".into())),
            2..=5 => Err(TransportError::Unreachable("nobody listens".into())),
            6 => Ok(Exchanged { nonce: answer.nonce, retry_after: Some(0), ..plain(409, &problem) }),
            _ => Ok(answer),
        }
    });
    publishing.claim(&publisher_name(), &key).await.expect("claimed");
    let keys = keys.lock().expect("tape");
    assert_eq!(keys.len(), 7);
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[tokio::test]
async fn what_never_left_is_given_up_soon_and_known_not_to_be_done() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let (publishing, key) = (client.publishing(&origin()), SecretKey::generate(&mut rng()));
    store.after(|_, _| Err(TransportError::Unreachable("nobody listens".into())));
    let no = publishing.claim(&publisher_name(), &key).await.expect_err("offline");
    assert!(matches!(no, ClientError::Refused(_)), "{no:?}");
    assert_eq!(store.count("POST /v1/publishers"), 2);
}

/// A proxy in front of the store, or on the way, that takes no bodies of this size, in its own words.
#[tokio::test]
async fn a_proxy_that_takes_no_file_of_this_size_is_told_as_such() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let key = SecretKey::generate(&mut rng());
    let (file, _) = store.world().seal(&key, (1, 0, 0), |_| {});
    let client = store.signed_in(home.path()).await;
    let path = home.path().join("lake.wasm");
    std::fs::write(&path, &file).expect("written");
    store.after(|exchange, answer| {
        let is_large = exchange.path_and_query == "/v1/resources";
        Ok(if is_large { Exchanged { nonce: answer.nonce, ..plain(413, &"<html>nginx</html>") } } else { answer })
    });
    let no = client.publishing(&origin()).publish(&path).await.expect_err("too large");
    assert!(matches!(&no, ClientError::Rejected { status: 413, detail } if detail.contains("proxy")), "{no:?}");
    assert_eq!(no.reason(), None, "not offline");
    store.honest();
    client.publishing(&origin()).publish(&path).await.expect("control");
}
