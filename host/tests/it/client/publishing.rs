//! Claiming, publishing, pricing, withdrawing.

use super::test_store::{TestStore, op, origin, publisher_name, resource_name, rng, run};
use portcullis_protocol::wire::OfferTerms;
use portcullis_protocol::{Currency, Money, Reason, Rights, SecretKey};
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
}
