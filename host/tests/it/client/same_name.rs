//! Stores distrust each other, and each admits whom it likes under any name: what one calls `lumen/lake` is not taken
//! for what another does.

use super::test_store::{
    Resource, START, Stores, TestClock, TestStore, origin, publisher_name, resource_name, rng, run,
};
use portcullis_host::{Client, ClientError, InstallSource, Installed, Standing, TransportError};
use portcullis_protocol::sealed::{Sealed, countersign};
use portcullis_protocol::{Origin, Reason, SecretKey, ServerEntry, Thumbprint, Verified, Version, Vouch};
use std::sync::Arc;
use tempfile::TempDir;

/// Sorts before the honest one.
const ANOTHER: &str = "https://a-store.example";

fn another() -> Origin {
    Origin::new(ANOTHER).expect("origin")
}

struct Two {
    honest: Arc<TestStore>,
    another: Arc<TestStore>,
    stores: Arc<Stores>,
    machine: Arc<TestClock>,
    home: TempDir,
}

impl Two {
    async fn new() -> (Self, Client) {
        let machine = TestClock::new();
        let honest = TestStore::at(origin().as_str(), Arc::clone(&machine));
        let another = TestStore::at(ANOTHER, Arc::clone(&machine));
        let stores = Arc::new(Stores(vec![Arc::clone(&honest), Arc::clone(&another)]));
        let home = TempDir::new().expect("home");
        let client = Arc::clone(&stores).signed_in(home.path(), Arc::clone(&machine) as _).await;
        (Self { honest, another, stores, machine, home }, client)
    }

    fn another_process(&self) -> Client {
        Arc::clone(&self.stores).client(self.home.path(), Arc::clone(&self.machine) as _)
    }
}

fn offline(store: &TestStore) {
    store.before(|_| Some(Err(TransportError::Timeout)));
}

fn source(server: Option<Origin>, version: Option<Version>) -> InstallSource {
    InstallSource::Store { server, publisher: publisher_name(), name: resource_name(), version }
}

async fn install(client: &Client, server: Option<Origin>) -> Result<Installed, ClientError> {
    client.library().install(&source(server, None), &|_, _| {}).await
}

fn conflict<T: std::fmt::Debug>(got: Result<T, ClientError>) -> Vec<(Origin, Thumbprint)> {
    match got {
        Err(ClientError::SeveralPublishers { stores, .. }) => stores,
        other => panic!("no conflict: {other:?}"),
    }
}

fn vouch(old: &SecretKey, new: &SecretKey) -> String {
    let vouch = Vouch { name: publisher_name(), jwk: new.public().clone(), seq: 1, iat: 1 };
    Verified::sign(vouch, old).compact().to_owned()
}

#[tokio::test]
async fn one_name_at_two_stores_by_two_keys_is_refused_until_the_user_says_which() {
    let (two, client) = Two::new().await;
    let (lumen, mallory) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
    two.honest.world().publish(&lumen, (1, 0, 0));
    two.another.world().publish(&mallory, (9, 0, 0));
    let library = client.library();
    let expected = vec![(another(), mallory.public().thumbprint()), (origin(), lumen.public().thumbprint())];
    let sorted = |mut stores: Vec<(Origin, Thumbprint)>| {
        stores.sort();
        stores
    };
    for version in [None, Some(Version::new(1, 0, 0)), Some(Version::new(9, 0, 0))] {
        let asked = source(None, version);
        assert_eq!(sorted(conflict(library.install(&asked, &|_, _| {}).await)), expected);
        assert_eq!(sorted(conflict(library.prepare(&asked, true, &|_, _| {}).await)), expected);
        assert_eq!(sorted(conflict(library.stream(&asked, false).await)), expected);
    }
    let said = install(&client, None).await.expect_err("refused").to_string();
    for (store, key) in &expected {
        assert!(said.contains(store.as_str()) && said.contains(&key.words()), "{said}");
    }
    // By either answer the user gets the one that he means, and from then on a name is enough.
    let installed = install(&client, Some(origin())).await.expect("named");
    assert_eq!((installed.server.clone(), installed.version), (origin(), Version::new(1, 0, 0)));
    assert_eq!(install(&client, None).await.expect("installed").server, origin());
    let streamed = library.stream(&source(Some(another()), None), false).await;
    assert!(matches!(streamed, Err(ClientError::PublisherChanged { .. })), "the installed one is another publisher's");
    library.remove(&library.find("lumen/lake").expect("installed")).await.expect("removed");
    library.stream(&source(Some(another()), None), false).await.expect("named");
}

#[tokio::test]
async fn a_name_that_is_pinned_with_another_key_elsewhere_counts_even_while_that_store_is_silent() {
    let (two, client) = Two::new().await;
    let (lumen, mallory) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
    two.honest.world().publish(&lumen, (1, 0, 0));
    let installed = install(&client, Some(origin())).await.expect("installed");
    client.library().remove(&installed).await.expect("removed");
    two.another.world().publish(&mallory, (9, 0, 0));
    // The honest store is unreachable, or has withdrawn it.
    for silent in [true, false] {
        if silent {
            offline(&two.honest);
        } else {
            two.honest.honest();
            two.honest.world().resources.clear();
        }
        let client = two.another_process();
        assert_eq!(conflict(install(&client, None).await).len(), 2);
        assert_eq!(conflict(client.library().stream(&source(None, None), false).await).len(), 2);
        client.library().stream(&source(Some(another()), None), false).await.expect("the control: named");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_may_mean_another() {
    let (two, client) = Two::new().await;
    let key = SecretKey::generate(&mut rng());
    two.another.world().publish(&key, (1, 0, 0));
    offline(&two.honest);
    let error = install(&client, None).await.expect_err("refused");
    assert!(
        matches!(&error, ClientError::SilentStore { found, silent, .. } if *found == another() && *silent == origin())
    );
    let installed = install(&client, Some(another())).await.expect("named");
    // From now on this publisher is known there.
    client.library().remove(&installed).await.expect("removed");
    assert_eq!(install(&client, None).await.expect("known").server, another());
}

#[tokio::test]
async fn the_same_publisher_at_two_stores_is_taken_from_one_always_the_same() {
    let (two, client) = Two::new().await;
    let key = SecretKey::generate(&mut rng());
    two.honest.world().publish(&key, (1, 0, 0));
    two.another.world().publish(&key, (1, 0, 0));
    two.honest.world().publish(&key, (2, 0, 0));
    for _ in 0..3 {
        let streaming = two.another_process().library().stream(&source(None, None), false).await.expect("one of them");
        assert_eq!((streaming.server(), streaming.publisher()), (&another(), Standing::New));
    }
    let newer = client.library().stream(&source(None, Some(Version::new(2, 0, 0))), false).await.expect("there");
    assert_eq!(newer.server(), &origin(), "the one that has it");
    // Where the user is signed in goes first.
    client.sign_out(&another()).await.expect("signed out");
    let streaming = two.another_process().library().stream(&source(None, None), false).await.expect("one of them");
    assert_eq!(streaming.server(), &origin());
}

#[tokio::test]
async fn what_is_installed_keeps_its_store() {
    let (two, client) = Two::new().await;
    let (key, mallory) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
    two.honest.world().publish(&key, (1, 0, 0));
    let installed = install(&client, None).await.expect("installed");
    two.another.world().publish(&mallory, (9, 0, 0));
    two.another.world().publish(&key, (3, 0, 0));
    assert_eq!(client.library().update(&installed, &|_, _| {}).await.expect("asked"), None);
    offline(&two.honest);
    let refused = client.library().update(&installed, &|_, _| {}).await.expect_err("not from elsewhere");
    assert_eq!(refused.reason(), Some(Reason::Offline));
    assert_eq!(install(&client, None).await.expect_err("nor by its name").reason(), Some(Reason::Offline));
    two.honest.honest();
    two.honest.world().publish(&key, (2, 0, 0));
    let updated = client.library().update(&installed, &|_, _| {}).await.expect("asked").expect("newer");
    assert_eq!((updated.server, updated.version), (origin(), Version::new(2, 0, 0)));
}

/// Whoever signs says whom he follows, not who follows him.
#[tokio::test]
async fn a_key_that_vouches_for_somebody_elses_is_not_taken_for_it() {
    let (two, client) = Two::new().await;
    let (lumen, mallory) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
    two.honest.world().publish(&lumen, (1, 0, 0));
    two.another.world().publish(&mallory, (9, 0, 0));
    let says_so = vec![vouch(&mallory, &lumen)];
    two.another.world().vouches.clone_from(&says_so);
    let streaming = client.library().stream(&source(None, None), false).await.expect("lumen's, by everybody's word");
    assert_eq!(streaming.server(), &origin());
    // The honest change of a key, of which one of the stores has not heard yet.
    let (two, client) = Two::new().await;
    let new = SecretKey::generate(&mut rng());
    two.another.world().publish(&lumen, (1, 0, 0));
    two.honest.world().publish(&new, (1, 1, 0));
    two.honest.world().vouches = vec![vouch(&lumen, &new)];
    let streaming = client.library().stream(&source(None, None), false).await.expect("one publisher");
    assert_eq!(streaming.server(), &origin());
}

/// Sold by both, the same bytes: what was taken from one store is paid for there.
#[tokio::test]
async fn a_resource_of_two_stores_is_asked_for_at_the_one_it_came_from() {
    let (two, client) = Two::new().await;
    let key = SecretKey::generate(&mut rng());
    let root = two.another.world().root.public().thumbprint();
    let (file, manifest) = two.honest.world().seal(&key, (1, 0, 0), |manifest| {
        manifest.servers.insert(0, ServerEntry { origin: another(), root });
    });
    let mut both = Vec::new();
    let sealed = Sealed::open(file).expect("opens");
    let signed =
        countersign(&sealed, another(), &two.another.world().signing, START, &mut both).expect("countersigned");
    let signed = Arc::new(signed);
    for store in [&two.honest, &two.another] {
        let keys = two.honest.world().resources[&manifest.digest()].keys.clone();
        let resource = Resource { file: both.clone(), keys, manifest: Arc::clone(&signed), withdrawn: false };
        store.world().resources.insert(signed.digest(), resource);
    }
    two.honest.world().rights.insert("view".into(), None);
    let installed = install(&client, Some(origin())).await.expect("installed");
    assert_eq!(installed.server, origin());
    for client in [&client, &two.another_process()] {
        run(client, &signed, "view").await.expect("granted where it was bought");
    }
    assert_eq!(two.another.count("POST /v1/authorizations"), 0, "nobody else was asked");
    offline(&two.honest);
    assert_eq!(run(&client, &signed, "view").await.expect_err("not elsewhere").reason, Reason::Offline);
    assert_eq!(two.another.count("POST /v1/authorizations"), 0);
    // The control: taken from the other store, it is asked for there.
    let other = client.library().stream(&source(Some(another()), None), false).await.expect("there");
    other.accept().await.expect("accepted");
    assert_eq!(run(&client, &signed, "view").await.expect_err("unpaid").reason, Reason::PaymentRequired);
    assert_eq!(two.another.count("POST /v1/authorizations"), 1);
}
