//! Pins and key documents: another root, a document that goes back, ends or is another's, and honest changes of keys.

use super::test_store::{TestStore, origin, plain, publisher_name, resource_name, rng, run};
use portcullis_host::{ClientError, TransportError};
use portcullis_protocol::{Reason, SecretKey};
use tempfile::TempDir;

fn reason<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> Option<Reason> {
    answer.expect_err("refused").reason()
}

#[tokio::test]
async fn the_root_is_pinned_at_sign_in_and_another_one_is_refused() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let pins = client.servers().expect("pins");
    assert_eq!((pins.len(), &pins[0].root), (1, store.world().root.public()));
    // A fake server with a certificate that the machine trusts: it answers for the origin, with keys of its own.
    let fake = TestStore::new();
    let client = fake.client(home.path());
    fake.world().clock.advance(6 * 24 * 3600);
    let error = client.sign_in(&origin(), "test").await.expect_err("another root");
    assert_eq!(error.reason(), Some(Reason::ServerUntrusted));
    assert!(error.to_string().contains(&fake.world().root.public().thumbprint().words()));
    assert_eq!(reason(client.store(&origin()).search("", None, None).await), Some(Reason::ServerUntrusted));
    assert_eq!(reason(client.store(&origin()).account().await), Some(Reason::ServerUntrusted));
    // The control: forgotten by the user's own act, the other one can be trusted.
    client.forget(&origin()).await.expect("forgotten");
    client.sign_in(&origin(), "test").await.expect("begun").finish().await.expect("signed in");
}

#[tokio::test]
async fn what_another_process_pinned_meanwhile_is_looked_at_again() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    // Two sign-ins are begun side by side, when nothing is pinned yet; a fake answers one of them.
    let (fake, honest) = (TestStore::new(), store.client(home.path()));
    let begun = fake.client(home.path()).sign_in(&origin(), "x").await.expect("begun");
    honest.sign_in(&origin(), "x").await.expect("begun").finish().await.expect("signed in");
    assert_eq!(reason(begun.finish().await), Some(Reason::ServerUntrusted));
    assert_eq!(honest.servers().expect("pins")[0].root, *store.world().root.public());
    // The same with a key document that another process has seen a newer one of.
    store.world().key_version = 6;
    let behind = TempDir::new().expect("home");
    let begun = store.client(behind.path()).sign_in(&origin(), "x").await.expect("begun");
    store.world().key_version = 7;
    store.signed_in(behind.path()).await;
    assert_eq!(reason(begun.finish().await), Some(Reason::ServerUntrusted));
    // The control: who comes first is trusted.
    let alone = TempDir::new().expect("home");
    let begun = fake.client(alone.path()).sign_in(&origin(), "x").await.expect("begun");
    begun.finish().await.expect("signed in");
}

#[tokio::test]
async fn a_key_document_that_goes_back_is_refused_by_every_process() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    store.world().key_version = 7;
    let client = store.signed_in(home.path()).await;
    // Half past its time, the terminal asks for a newer one, and gets an older.
    store.world().key_version = 6;
    store.world().clock.advance(4 * 24 * 3600);
    assert_eq!(reason(client.store(&origin()).account().await), Some(Reason::ServerUntrusted));
    let another = store.client(home.path());
    assert_eq!(reason(another.sign_in(&origin(), "x").await), Some(Reason::ServerUntrusted));
    store.world().key_version = 8;
    client.store(&origin()).account().await.expect("a newer one is fine");
    // The first process has now seen 8; the other must not take 7, although 7 is the highest it has seen itself.
    store.world().key_version = 7;
    assert_eq!(reason(another.sign_in(&origin(), "x").await), Some(Reason::ServerUntrusted));
}

#[tokio::test]
async fn an_expired_document_is_not_used_even_without_a_network() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    store.before(|exchange| exchange.path_and_query.contains("well-known").then_some(Err(TransportError::Timeout)));
    store.world().clock.advance(6 * 24 * 3600);
    client.store(&origin()).search("", None, None).await.expect("good for a day yet");
    store.world().clock.advance(24 * 3600);
    assert_eq!(reason(client.store(&origin()).search("", None, None).await), Some(Reason::Offline));
    store.honest();
    client.store(&origin()).search("", None, None).await.expect("renewed");
    // One that claims to be good for longer than a week is not believed.
    store.world().key_life = 8 * 24 * 3600;
    store.world().clock.advance(7 * 24 * 3600);
    assert_eq!(reason(client.store(&origin()).search("", None, None).await), Some(Reason::ServerUntrusted));
}

#[tokio::test]
async fn a_new_signing_key_is_learnt_and_an_old_one_still_vouches_for_what_it_signed() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let resource = store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    let offer = store.world().offer("view", portcullis_protocol::Rights::Perpetual {}, 199);
    store.world().rights.insert("view".into(), Some(5));
    let client = store.signed_in(home.path()).await;
    {
        let mut world = store.world();
        world.clock.advance(10);
        let old = std::mem::replace(&mut world.signing, SecretKey::generate(&mut rng()));
        world.former.push(old);
        world.key_version += 1;
    }
    // The resource was countersigned, and the offer signed, with the old key.
    run(&client, &resource, "view").await.expect("granted");
    let (front, publisher, name) = (client.store(&origin()), publisher_name(), resource_name());
    assert_eq!(front.entry(&publisher, &name).await.expect("listed").offers, vec![offer]);
    // The control: once the server drops the old key, for a leak, nothing that it signed counts any more.
    store.world().former.clear();
    store.world().key_version += 1;
    store.world().clock.advance(4 * 24 * 3600);
    let refused = run(&client, &resource, "view").await.expect_err("dropped");
    assert_eq!(refused.reason, Reason::ServerUntrusted);
}

#[tokio::test]
async fn what_is_no_billing_server_is_offline_and_pins_nothing() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.client(home.path());
    let mut elsewhere = store.world().well_known();
    elsewhere.api = "https://evil.example/v1".into();
    let mut another = store.world().well_known();
    another.root = SecretKey::generate(&mut rng()).public().clone();
    let cases = [
        (plain(200, &"<html>captive portal</html>"), Reason::Offline),
        (plain(302, &()), Reason::Offline),
        (plain(200, &elsewhere), Reason::ServerUntrusted),
        (plain(200, &another), Reason::ServerUntrusted),
    ];
    for (answer, expected) in cases {
        store.before(move |_| Some(Ok(answer.clone())));
        assert_eq!(reason(client.sign_in(&origin(), "x").await), Some(expected));
    }
    store.before(|_| Some(Err(TransportError::Redirect)));
    assert_eq!(reason(client.sign_in(&origin(), "x").await), Some(Reason::Offline));
    store.honest();
    // Begun and not finished: nothing is pinned.
    drop(client.sign_in(&origin(), "x").await.expect("begun"));
    assert!(client.servers().expect("pins").is_empty());
    assert_eq!(reason(client.store(&origin()).account().await), Some(Reason::NotSignedIn));
    assert_eq!(reason(client.store(&origin()).search("", None, None).await), Some(Reason::ServerUntrusted));
}

/// The user forgets the server in one process while another waits for its newest keys.
#[tokio::test]
async fn a_server_that_was_forgotten_meanwhile_is_not_trusted_again() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    store.world().clock.advance(8 * 24 * 3600);
    let pin = home.path().join("servers/https%3A%2F%2Fstore.example/pin.json");
    let kept = std::fs::read(&pin).expect("a pin");
    let forgotten = pin.clone();
    store.before(move |exchange| {
        if exchange.path_and_query.contains("well-known") {
            std::fs::remove_file(&forgotten).expect("forgotten");
        }
        None
    });
    // Whoever answers at that address now may have another root.
    for other_root in [true, false] {
        std::fs::write(&pin, &kept).expect("a pin");
        let root = other_root.then(|| SecretKey::generate(&mut rng()));
        let before = root.map(|root| std::mem::replace(&mut store.world().root, root));
        let searched = store.client(home.path()).store(&origin()).search("", None, None).await;
        assert_eq!(reason(searched), Some(Reason::ServerUntrusted));
        assert!(client.servers().expect("pins").is_empty(), "only a sign-in makes a server trusted");
        if let Some(before) = before {
            store.world().root = before;
        }
    }
    store.honest();
    std::fs::write(&pin, &kept).expect("a pin");
    store.client(home.path()).store(&origin()).search("", None, None).await.expect("the control");
}
