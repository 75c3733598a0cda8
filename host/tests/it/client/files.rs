//! Sealed files that came from no store: the mail, a mirror, another machine. What is run of them is judged by the keys
//! and versions that this terminal has met, as if it were streamed.

use super::library::{Changed, install};
use super::test_store::{TestStore, rng, run};
use portcullis_host::{Client, Refused, TransportError};
use portcullis_protocol::{Reason, SecretKey, SignedManifest};
use std::sync::Arc;
use tempfile::TempDir;

/// Runs a file; the rights for it are there.
async fn run_file(client: &Client, file: &Arc<SignedManifest>) -> Result<(), Refused> {
    run(client, file, "view").await.map(drop)
}

fn is_refused(outcome: Result<(), Refused>, because: &str) {
    let refused = outcome.expect_err("refused");
    assert_eq!(refused.reason, Reason::PackageInvalid, "{refused}");
    assert!(refused.to_string().contains(because), "{refused}");
}

/// The thief of an old key had this published before the key was changed, and mails it.
#[tokio::test]
async fn a_file_that_the_believed_key_does_not_stand_for_is_not_run() {
    let changed = Changed::publisher();
    let mailed = changed.store.world().publish(&changed.old, (9, 0, 0));
    let adopted = changed.versions.map(|digest| Arc::clone(&changed.store.world().resources[&digest].manifest));
    let own = changed.store.world().publish(&changed.last, (9, 1, 0));
    changed.store.world().rights.insert("view".into(), None);
    for knows in [&changed.last, &changed.old] {
        let home = TempDir::new().expect("home");
        let client = changed.terminal(knows, &home).await;
        is_refused(run_file(&client, &mailed).await, "signs with another key");
        assert_eq!(changed.store.count("POST /v1/authorizations"), 0, "no store is asked to hold anything");
        let error = client.library().judge_file(&mailed).await.expect_err("the same, with its words");
        assert!(error.to_string().contains(&changed.old.public().thumbprint().words()), "{error}");
        // The controls: what the key in use has signed, and what it has adopted.
        for file in adopted.iter().chain([&own]) {
            client.library().judge_file(file).await.expect("it stands for that");
            run_file(&client, file).await.expect("granted");
        }
        // Whoever followed the publisher to a new key is not led back by a store that keeps silent about it.
        let vouches = std::mem::take(&mut changed.store.world().vouches);
        is_refused(run_file(&changed.store.client(home.path()), &mailed).await, "signs with another key");
        changed.store.world().vouches = vouches;
        changed.store.world().log.clear();
    }
    // If the catalogue cannot be read, the pin alone decides.
    let home = TempDir::new().expect("home");
    let client = changed.terminal(&changed.last, &home).await;
    let silent = |path: &str| path.starts_with("/v1/catalogue/").then_some(Err(TransportError::Timeout));
    changed.store.before(move |exchange| silent(&exchange.path_and_query));
    run_file(&client, &own).await.expect("signed by the pinned key");
    is_refused(run_file(&client, &mailed).await, "signs with another key");
    changed.store.honest();
    // Of a publisher whom this terminal has not met it knows nothing.
    let home = TempDir::new().expect("home");
    let stranger = changed.store.signed_in(home.path()).await;
    run_file(&stranger, &mailed).await.expect("as the store grants it");
}

#[tokio::test]
async fn a_file_that_is_older_than_what_was_used_is_not_run() {
    let (store, key) = (TestStore::new(), SecretKey::generate(&mut rng()));
    store.world().rights.insert("view".into(), None);
    let old = store.world().publish(&key, (1, 0, 0));
    let new = store.world().publish(&key, (2, 0, 0));
    for streams in [false, true] {
        let home = TempDir::new().expect("home");
        let client = store.signed_in(home.path()).await;
        run_file(&client, &old).await.expect("nothing was used before");
        if streams {
            let source = "lumen/lake".parse().expect("a name");
            client.library().stream(&source, false).await.expect("opened").accept().await.expect("accepted");
        } else {
            install(&client, "lumen/lake").await.expect("installed");
        }
        let another = store.client(home.path());
        is_refused(run_file(&another, &old).await, "2.0.0 was used here before, and 1.0.0 is older");
        // The controls: the same, a newer one, and the older one if it was asked for by its number.
        run_file(&another, &new).await.expect("what is used");
        let newer = store.world().publish(&key, (2, 1, 0));
        run_file(&another, &newer).await.expect("newer");
        store.world().resources.remove(&newer.digest());
        install(&client, "lumen/lake@1.0.0").await.expect("asked for");
        run_file(&store.client(home.path()), &old).await.expect("it is installed");
    }
}

/// An update takes nothing from who runs the version before.
#[tokio::test]
async fn whoever_has_an_installed_file_open_goes_on_with_it() {
    let (store, home, key) = (TestStore::new(), TempDir::new().expect("home"), SecretKey::generate(&mut rng()));
    store.world().rights.insert("view".into(), None);
    let old = store.world().publish(&key, (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    install(&client, "lumen/lake").await.expect("installed");
    let (before, after) = (store.client(home.path()), store.client(home.path()));
    before.library().find("lake").expect("looked up, to be loaded");
    store.world().publish(&key, (2, 0, 0));
    install(&client, "lumen/lake").await.expect("the update");
    run_file(&before, &old).await.expect("it has that open");
    is_refused(run_file(&after, &old).await, "is older");
}
