//! What is installed: who sells it, who signed it, and that it never goes back unasked.

use super::test_store::{TestStore, origin, publisher_name, resource_name, rng};
use portcullis_host::{Candidate, Client, ClientError, InstallSource, Installed, Standing, TransportError};
use portcullis_protocol::wire::PaymentMethod;
use portcullis_protocol::{
    AdoptedVersions, Adoption, Digest, Document, Reason, Rights, SecretKey, Thumbprint, Verified, Version, Vouch,
};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

fn world() -> (Arc<TestStore>, TempDir, SecretKey) {
    (TestStore::new(), TempDir::new().expect("home"), SecretKey::generate(&mut rng()))
}

pub(crate) async fn install(client: &Client, source: &str) -> Result<Installed, ClientError> {
    client.library().install(&source.parse().expect("a source"), &|_, _| {}).await
}

fn vouch(old: &SecretKey, new: &SecretKey, seq: u64) -> String {
    let vouch = Vouch { name: publisher_name(), jwk: new.public().clone(), seq, iat: 1 };
    Verified::sign(vouch, old).compact().to_owned()
}

/// The files of what is pinned of the publisher.
fn pins_of(home: &TempDir) -> Vec<PathBuf> {
    let stores = std::fs::read_dir(home.path().join("publishers")).expect("pins");
    stores.map(|store| store.expect("a store").path().join("lumen.json")).collect()
}

#[tokio::test]
async fn a_resource_is_shown_installed_listed_found_and_removed() {
    let (store, home, key) = world();
    let resource = store.world().publish(&key, (1, 0, 0));
    store.world().offer("view", Rights::Perpetual {}, 199);
    let client = store.signed_in(home.path()).await;
    let library = client.library();
    let source: InstallSource = "lumen/lake".parse().expect("a name");
    let candidate = library.prepare(&source, false, &|_, _| {}).await.expect("prepared");
    assert_eq!((candidate.publisher(), candidate.server()), (Standing::New, &origin()));
    assert_eq!((candidate.offers().len(), candidate.replaces()), (1, None));
    assert_eq!(candidate.manifest().digest(), resource.digest());
    assert!(library.list().expect("list").is_empty(), "nothing is installed before the user says so");
    let installed = candidate.install().await.expect("installed");
    assert_eq!(library.list().expect("list"), vec![installed.clone()]);
    assert_eq!(library.find("lake").expect("found"), installed);
    assert_eq!(library.find("lumen/lake").expect("found"), installed);
    assert!(matches!(library.find("sea"), Err(ClientError::NotFound(_))));
    assert!(matches!(library.find("other/lake"), Err(ClientError::NotFound(_))));
    let file = std::fs::read(&installed.path).expect("file");
    assert_eq!(file, store.world().resources[&resource.digest()].file);
    library.remove(&installed).await.expect("removed");
    assert!(library.list().expect("list").is_empty() && !installed.path.exists());
}

#[tokio::test]
async fn an_older_version_is_installed_only_when_asked_for() {
    let (store, home, key) = world();
    store.world().publish(&key, (1, 0, 0));
    let newer = store.world().publish(&key, (1, 1, 0));
    let client = store.signed_in(home.path()).await;
    assert_eq!(install(&client, "lumen/lake").await.expect("installed").digest, newer.digest());
    // The newest is withdrawn from the listing by a malicious store or mirror: what is left is older.
    store.world().resources.remove(&newer.digest());
    let error = install(&client, "lumen/lake").await.expect_err("older");
    assert!(matches!(error, ClientError::Rollback { .. }), "{error}");
    assert_eq!(client.library().find("lake").expect("still there").digest, newer.digest());
    let installed = install(&client, "lumen/lake@1.0.0").await.expect("asked for");
    assert_eq!(installed.version, Version::new(1, 0, 0));
    assert!(!home.path().join(format!("resources/lumen/lake/{}.wasm", newer.digest())).exists());
}

#[tokio::test]
async fn an_update_installs_what_is_newer_and_not_withdrawn() {
    let (store, home, key) = world();
    store.world().publish(&key, (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    let installed = install(&client, "lumen/lake").await.expect("installed");
    assert_eq!(client.library().update(&installed, &|_, _| {}).await.expect("asked"), None);
    let bad = store.world().publish(&key, (1, 2, 0));
    store.world().resources.get_mut(&bad.digest()).expect("there").withdrawn = true;
    store.world().seal(&key, (1, 3, 0), |manifest| manifest.version = "1.3.0-beta.1".parse().expect("version"));
    store.world().publish(&key, (1, 1, 0));
    assert_eq!(client.library().newer(&installed).await.expect("asked"), Some(Version::new(1, 1, 0)));
    let updated = client.library().update(&installed, &|_, _| {}).await.expect("updated").expect("newer");
    assert_eq!(updated.version, Version::new(1, 1, 0));
    let error = install(&client, "lumen/lake@1.2.0").await.expect_err("withdrawn");
    assert_eq!(error.reason(), Some(Reason::ResourceWithdrawn));
    assert!(matches!(install(&client, "lumen/lake@9.9.9").await, Err(ClientError::NotFound(_))));
}

#[tokio::test]
async fn a_changed_publisher_key_is_refused_unless_the_old_one_vouches() {
    let (store, home, old) = world();
    store.world().publish(&old, (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    install(&client, "lumen/lake").await.expect("installed");
    // The store is taken over, or lies: another key signs under the same name.
    let thief = SecretKey::generate(&mut rng());
    let stolen = store.world().publish(&thief, (1, 1, 0));
    for vouches in [vec![], vec![vouch(&thief, &thief, 1)], vec!["not a vouch".into()]] {
        store.world().vouches = vouches;
        let error = install(&client, "lumen/lake").await.expect_err("changed");
        let ClientError::PublisherChanged { pinned, found, .. } = error else { panic!("{error}") };
        assert_eq!((pinned, found), (old.public().thumbprint(), thief.public().thumbprint()));
    }
    // Removing the resource does not remove the pin.
    let installed = client.library().find("lake").expect("installed");
    client.library().remove(&installed).await.expect("removed");
    assert!(matches!(install(&client, "lumen/lake").await, Err(ClientError::PublisherChanged { .. })));
    // Unless the user was told its words by the publisher.
    let (library, source) = (client.library(), "lumen/lake".parse().expect("a name"));
    let pin = pins_of(&home).pop().expect("one");
    let kept = std::fs::read(&pin).expect("a pin");
    let words = thief.public().thumbprint().words();
    let told = library.prepare_as_told(&source, &words, false, &|_, _| {}).await.expect("told");
    told.install().await.expect("pinned");
    assert!(matches!(library.find("lake"), Ok(found) if found.digest == stolen.digest()));
    library.remove(&library.find("lake").expect("installed")).await.expect("removed");
    std::fs::write(&pin, kept).expect("as it was");
    // The honest change, over two successors.
    let (second, third) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
    store.world().resources.remove(&stolen.digest());
    store.world().publish(&third, (1, 1, 0));
    store.world().vouches = vec![vouch(&old, &second, 1), vouch(&second, &third, 2)];
    let candidate = client.library().prepare(&source, false, &|_, _| {}).await.expect("vouched for");
    assert_eq!(candidate.publisher(), Standing::Vouched);
    candidate.install().await.expect("installed");
    // The old key has had its say: what it signs now, and a new vouch of it, come too late.
    store.world().publish(&old, (1, 2, 0));
    assert!(matches!(install(&client, "lumen/lake").await, Err(ClientError::PublisherChanged { .. })));
    store.world().vouches.push(vouch(&old, &old, 3));
    assert!(matches!(install(&client, "lumen/lake").await, Err(ClientError::PublisherChanged { .. })));
    store.world().publish(&third, (1, 3, 0));
    install(&client, "lumen/lake").await.expect("the honest publisher goes on");
}

/// The catalogue is not signed: whoever stands on the line at the first install can put vouches into it.
#[tokio::test]
async fn a_vouch_that_nobody_signed_keeps_no_publisher_from_changing_its_key() {
    let (thief, other) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
    let (_, _, first) = world();
    let forged = [
        vec![vouch(&thief, &first, u64::MAX)],
        vec![vouch(&thief, &other, u64::MAX - 1), vouch(&other, &first, u64::MAX)],
        vec![vouch(&thief, &first, 1), vouch(&other, &first, 2)],
    ];
    for forged in forged {
        let (store, home, _) = world();
        store.world().publish(&first, (1, 0, 0));
        store.world().vouches = forged;
        let client = store.signed_in(home.path()).await;
        install(&client, "lumen/lake").await.expect("installed");
        let second = SecretKey::generate(&mut rng());
        store.world().publish(&second, (1, 1, 0));
        store.world().vouches = vec![vouch(&first, &second, 1)];
        install(&client, "lumen/lake").await.expect("the honest publisher is followed");
    }
}

/// The control of the one before: a change that the publisher took back before this terminal knew of him.
#[tokio::test]
async fn a_publisher_who_came_back_to_a_key_is_not_led_away_from_it_again() {
    let (store, home, first) = world();
    store.world().publish(&first, (1, 0, 0));
    let second = SecretKey::generate(&mut rng());
    let away = vouch(&first, &second, 1);
    store.world().vouches = vec![away.clone(), vouch(&second, &first, 2)];
    let client = store.signed_in(home.path()).await;
    install(&client, "lumen/lake").await.expect("installed");
    // The second key, which was given up for a reason, and the old word for it.
    let stolen = store.world().publish(&second, (1, 1, 0));
    store.world().vouches = vec![away.clone()];
    assert!(matches!(install(&client, "lumen/lake").await, Err(ClientError::PublisherChanged { .. })));
    store.world().resources.remove(&stolen.digest());
    let third = SecretKey::generate(&mut rng());
    store.world().publish(&third, (1, 1, 0));
    store.world().vouches = vec![away, vouch(&second, &first, 2), vouch(&first, &third, 3)];
    install(&client, "lumen/lake").await.expect("a new word is followed");
}

/// Two processes: while the user thinks about what one shows him, the other follows the publisher to a new key.
#[tokio::test]
async fn a_yes_that_comes_late_takes_no_pin_back() {
    let (store, home, old) = world();
    store.world().publish(&old, (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    install(&client, "lumen/lake").await.expect("installed");
    let late = store.world().publish(&old, (1, 3, 0));
    let source: InstallSource = "lumen/lake".parse().expect("a name");
    let prepare = || async { client.library().prepare(&source, false, &|_, _| {}).await.expect("prepared") };
    let (shown, streamed) = (prepare().await, client.library().stream(&source, false).await.expect("opened"));
    assert_eq!((shown.publisher(), streamed.publisher()), (Standing::Known, Standing::Known));
    // The old key is stolen, and its owner vouches for a new one.
    store.world().resources.remove(&late.digest());
    let new = SecretKey::generate(&mut rng());
    store.world().publish(&new, (1, 2, 0));
    store.world().vouches = vec![vouch(&old, &new, 1)];
    let other = store.client(home.path());
    let installed = install(&other, "lumen/lake").await.expect("vouched for");
    for error in [shown.install().await.expect_err("late"), streamed.accept().await.expect_err("late")] {
        let ClientError::PublisherChanged { pinned, found, .. } = error else { panic!("{error}") };
        assert_eq!((pinned, found), (new.public().thumbprint(), old.public().thumbprint()));
    }
    assert_eq!(client.library().find("lake").expect("installed"), installed, "nothing was replaced");
    // A pin that is gone meanwhile does not come back either.
    let shown = prepare().await;
    std::fs::remove_file(pins_of(&home).pop().expect("one")).expect("removed");
    assert!(matches!(shown.install().await, Err(ClientError::PublisherForgotten { .. })));
    // The control: two at once who find the same.
    let (one, two) = (prepare().await, client.library().stream(&source, false).await.expect("opened"));
    assert_eq!((one.publisher(), two.publisher()), (Standing::New, Standing::New));
    one.install().await.expect("installed");
    two.accept().await.expect("the same key");
    assert_eq!(prepare().await.publisher(), Standing::Known);
}

/// A publisher has lost his key, and tells his users the words of the new one. The store has a key of its own ready.
#[tokio::test]
async fn a_key_that_the_user_was_told_is_taken_and_no_other() {
    let (store, home, old) = world();
    let [new, of_store, next] = [(); 3].map(|()| SecretKey::generate(&mut rng()));
    let words = |key: &SecretKey| key.public().thumbprint().words();
    let (client, source) = (store.signed_in(home.path()).await, "lumen/lake".parse::<InstallSource>().expect("a name"));
    let library = client.library();
    let told = |key: &SecretKey| {
        let (library, source, words) = (&library, &source, words(key));
        async move { library.prepare_as_told(source, &words, false, &|_, _| {}).await }
    };
    let not_told = |refused: Result<Candidate, ClientError>| match refused.expect_err("other words") {
        ClientError::KeyNotAsTold { found, .. } => found,
        error => panic!("{error}"),
    };
    // Nothing is pinned yet, or the pinned key: the words are compared all the same.
    store.world().publish(&old, (1, 0, 0));
    assert_eq!(not_told(told(&new).await), old.public().thumbprint());
    let candidate = told(&old).await.expect("the control");
    assert_eq!(candidate.publisher(), Standing::New);
    candidate.install().await.expect("installed");
    assert_eq!(not_told(told(&new).await), old.public().thumbprint());
    assert_eq!(told(&old).await.expect("the control").publisher(), Standing::Known);
    // Two other stores know him by his old key and by another one.
    let [other, third] = ["other", "third"].map(|name| home.path().join("publishers").join(name).join("lumen.json"));
    let pin = pins_of(&home).pop().expect("one");
    let by_old = std::fs::read(&pin).expect("a pin");
    let pin_of = |key: &SecretKey| serde_json::json!({ "key": key.public(), "seq": 7 }).to_string();
    for (file, key) in [(&other, &old), (&third, &next)] {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, pin_of(key)).expect("written");
    }
    // The store shows the new key when it is first asked, and its own when it is asked again.
    let honest = store.world().publish(&new, (1, 1, 0));
    let candidate = told(&new).await.expect("told");
    assert_eq!((candidate.publisher(), candidate.publisher_key()), (Standing::Accepted, new.public().thumbprint()));
    drop(candidate);
    assert_eq!(refused(&client, "lumen/lake").await.0, old.public().thumbprint(), "nothing was given up");
    let file = store.world().resources.remove(&honest.digest()).expect("there");
    let forged = store.world().publish(&of_store, (1, 1, 0));
    assert_eq!(not_told(told(&new).await), of_store.public().thumbprint());
    // Or it breaks off.
    store.before(|_| Some(Err(TransportError::Timeout)));
    assert!(told(&new).await.is_err());
    store.honest();
    assert_eq!(std::fs::read(&pin).expect("a pin"), by_old);
    assert_eq!(refused(&client, "lumen/lake").await.0, old.public().thumbprint());
    // What was compared is what is installed and pinned, whatever the store shows by then; at every store where the old
    // key was his.
    let forged = store.world().resources.remove(&forged.digest()).expect("there");
    store.world().resources.insert(honest.digest(), file);
    let candidate = told(&new).await.expect("told");
    store.world().resources.insert(forged.manifest.digest(), forged);
    assert_eq!(candidate.install().await.expect("installed").digest, honest.digest());
    store.world().publish(&of_store, (1, 2, 0));
    assert_eq!(refused(&client, "lumen/lake").await.0, new.public().thumbprint());
    let read = |file| serde_json::from_slice::<serde_json::Value>(&std::fs::read(file).expect("a pin")).expect("JSON");
    assert_eq!(read(&other), pin_of(&new).parse::<serde_json::Value>().expect("JSON"));
    assert_eq!(read(&third), pin_of(&next).parse::<serde_json::Value>().expect("JSON"));
    // While he reads the words, the pinned key's own word leads elsewhere in another process.
    store.world().resources.retain(|_, resource| resource.manifest.manifest().publisher.jwk == *new.public());
    let last = SecretKey::generate(&mut rng());
    store.world().publish(&last, (1, 3, 0));
    let late = told(&last).await.expect("told");
    store.world().resources.retain(|_, resource| resource.manifest.manifest().publisher.jwk == *new.public());
    store.world().publish(&next, (1, 2, 0));
    store.world().vouches = vec![vouch(&new, &next, 1)];
    install(&store.client(home.path()), "lumen/lake").await.expect("vouched for");
    let ClientError::PublisherChanged { pinned, found, .. } = late.install().await.expect_err("late") else { panic!() };
    assert_eq!((pinned, found), (next.public().thumbprint(), last.public().thumbprint()));
}

/// What a publisher's key says that it adopts of lumen/lake.
fn adoption(by: &SecretKey, versions: impl IntoIterator<Item = Digest>) -> Adoption {
    Adoption {
        publisher: publisher_name(),
        name: resource_name(),
        jwk: by.public().clone(),
        versions: AdoptedVersions::new(versions).expect("few"),
        iat: 1,
    }
}

fn signed<D: Document>(document: D, by: &SecretKey) -> Option<String> {
    Some(Verified::sign(document, by).compact().to_owned())
}

/// A publisher who has changed its key, from `old` by `new` to `last`, with a version of each: what `last` adopts.
pub(crate) struct Changed {
    pub(crate) store: Arc<TestStore>,
    pub(crate) old: SecretKey,
    new: SecretKey,
    pub(crate) last: SecretKey,
    pub(crate) versions: [Digest; 2],
}

impl Changed {
    pub(crate) fn publisher() -> Self {
        let store = TestStore::new();
        let [old, new, last] = [(); 3].map(|()| SecretKey::generate(&mut rng()));
        let versions = [(&old, 1), (&new, 2)].map(|(key, major)| store.world().publish(key, (major, 0, 0)).digest());
        let mut world = store.world();
        world.publisher_key = Some(last.public().clone());
        world.vouches = vec![vouch(&old, &new, 1), vouch(&new, &last, 2)];
        world.adoption = signed(adoption(&last, versions), &last);
        drop(world);
        Self { store, old, new, last, versions }
    }

    /// A terminal that has met the publisher under this key, by a version that is gone from the store since.
    pub(crate) async fn terminal(&self, knows: &SecretKey, home: &TempDir) -> Client {
        let (vouches, adoption) = {
            let mut world = self.store.world();
            (std::mem::take(&mut world.vouches), world.adoption.take())
        };
        let met = self.store.world().publish(knows, (0, 1, 0)).digest();
        let key = self.store.world().publisher_key.replace(knows.public().clone());
        let client = self.store.signed_in(home.path()).await;
        let installed = install(&client, "lumen/lake@0.1.0").await.expect("installed");
        client.library().remove(&installed).await.expect("removed");
        let mut world = self.store.world();
        world.resources.remove(&met);
        (world.vouches, world.adoption, world.publisher_key) = (vouches, adoption, key);
        client
    }
}

async fn refused(client: &Client, source: &str) -> (Thumbprint, Thumbprint) {
    match install(client, source).await.expect_err("another key") {
        ClientError::PublisherChanged { pinned, found, .. } => (pinned, found),
        error => panic!("{error}"),
    }
}

/// Whoever knows the last key takes what the keys before signed, since that one has adopted it.
#[tokio::test]
async fn what_a_key_has_adopted_is_taken_by_those_who_believe_it() {
    let changed = Changed::publisher();
    for knows in [&changed.old, &changed.new, &changed.last] {
        for (at, version) in ["1.0.0", "2.0.0"].into_iter().enumerate() {
            let home = TempDir::new().expect("home");
            let client = changed.terminal(knows, &home).await;
            let installed = install(&client, &format!("lumen/lake@{version}")).await.expect("adopted");
            assert_eq!(installed.digest, changed.versions[at], "{version}");
        }
    }
    // Who knows none is shown the key that is in use, and believes that one from then on.
    let home = TempDir::new().expect("home");
    let client = changed.store.signed_in(home.path()).await;
    let source = "lumen/lake@1.0.0".parse().expect("a name");
    let candidate = client.library().prepare(&source, false, &|_, _| {}).await.expect("adopted");
    assert_eq!(candidate.publisher(), Standing::New);
    assert_eq!(candidate.publisher_key(), changed.last.public().thumbprint());
    candidate.install().await.expect("installed");
    changed.store.world().publish(&changed.old, (3, 0, 0));
    assert_eq!(refused(&client, "lumen/lake@3.0.0").await.0, changed.last.public().thumbprint());
}

/// A stolen old key and a store that is the thief's: what he adds with it is taken by nobody who has met the new key.
#[tokio::test]
async fn an_old_key_adds_nothing_to_what_the_new_one_has_adopted() {
    let changed = Changed::publisher();
    let home = TempDir::new().expect("home");
    let client = changed.terminal(&changed.last, &home).await;
    let stolen = changed.store.world().publish(&changed.old, (3, 0, 0)).digest();
    let all = changed.versions.into_iter().chain([stolen]);
    let by_thief = |publisher: &str, name: &str, signer: &SecretKey, jwk: &SecretKey| {
        let mut adoption = adoption(jwk, all.clone());
        adoption.publisher = publisher.parse().expect("a name");
        adoption.name = name.parse().expect("a name");
        signed(adoption, signer)
    };
    let honest = changed.store.world().adoption.clone().expect("there");
    let payload = |compact: &str| compact.split('.').nth(1).expect("a payload").to_owned();
    let longer = by_thief("lumen", "lake", &changed.last, &changed.last).expect("signed");
    let forgeries = [
        ("none", None),
        ("the publisher's own", Some(honest.clone())),
        ("one that is altered", Some(honest.replace(&payload(&honest), &payload(&longer)))),
        ("one of the old key", by_thief("lumen", "lake", &changed.old, &changed.old)),
        ("one of the old key in the name of the last", by_thief("lumen", "lake", &changed.old, &changed.last)),
        ("one of the key between, as it was once in use", by_thief("lumen", "lake", &changed.new, &changed.new)),
        ("one of another publisher with this key", by_thief("another", "lake", &changed.last, &changed.last)),
        ("one of another resource", by_thief("lumen", "sea", &changed.last, &changed.last)),
        ("one of the last key in the name of the old", by_thief("lumen", "lake", &changed.last, &changed.old)),
    ];
    for (what, forged) in forgeries {
        changed.store.world().adoption = forged;
        assert_eq!(refused(&client, "lumen/lake@3.0.0").await.0, changed.last.public().thumbprint(), "{what}");
    }
    // The control: had the last key named it, it would be taken.
    changed.store.world().adoption = Some(longer);
    assert_eq!(install(&client, "lumen/lake@3.0.0").await.expect("adopted").digest, stolen);
    // Nor is what it signed taken by whoever knows no key yet, or the old one alone, if the store says that it was
    // replaced: as when a file is mailed that the thief had published before the change.
    changed.store.world().adoption = Some(honest);
    for knows in [None, Some(&changed.old)] {
        let home = TempDir::new().expect("home");
        let client = match knows {
            None => changed.store.signed_in(home.path()).await,
            Some(knows) => changed.terminal(knows, &home).await,
        };
        assert_eq!(refused(&client, "lumen/lake@3.0.0").await.1, changed.old.public().thumbprint());
        install(&client, "lumen/lake@1.0.0").await.expect("the control: what was adopted");
    }
    // Who knows the old key alone, and hears nothing of others from such a store, believes it: nothing could tell him.
    let home = TempDir::new().expect("home");
    let behind = changed.terminal(&changed.old, &home).await;
    {
        let mut world = changed.store.world();
        (world.vouches, world.adoption) = (Vec::new(), None);
        world.publisher_key = Some(changed.old.public().clone());
    }
    assert_eq!(install(&behind, "lumen/lake@3.0.0").await.expect("the key that it knows").digest, stolen);
}

/// An adoption of a key before is worth nothing to those who have followed on.
#[tokio::test]
async fn the_adoption_of_a_key_before_is_not_replayed() {
    let changed = Changed::publisher();
    let home = TempDir::new().expect("home");
    let client = changed.terminal(&changed.last, &home).await;
    let [first, _] = changed.versions;
    changed.store.world().adoption = signed(adoption(&changed.new, [first]), &changed.new);
    refused(&client, "lumen/lake@1.0.0").await;
    // The control: to whoever knows that key and none after it, it is good.
    let home = TempDir::new().expect("home");
    let behind = changed.terminal(&changed.new, &home).await;
    changed.store.world().publisher_key = Some(changed.new.public().clone());
    changed.store.world().vouches.pop();
    changed.store.world().adoption = signed(adoption(&changed.new, [first]), &changed.new);
    install(&behind, "lumen/lake@1.0.0").await.expect("adopted");
}

/// The publisher's key is judged before the money is taken, and not when what was paid for is to be installed.
#[tokio::test]
async fn nothing_is_paid_for_what_would_be_refused() {
    let (store, home, key) = world();
    store.world().publish(&key, (1, 0, 0));
    let offer = store.world().offer("view", Rights::Perpetual {}, 199);
    let client = store.signed_in(home.path()).await;
    install(&client, "lumen/lake").await.expect("installed");
    let means = || PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
    let thief = SecretKey::generate(&mut rng());
    store.world().publisher_key = Some(thief.public().clone());
    let error = client.store(&origin()).order(&offer, means()).await.expect_err("another key");
    assert!(matches!(error, ClientError::PublisherChanged { .. }), "{error}");
    assert_eq!(store.count("POST /v1/orders"), 0, "no order was placed");
    // The controls: the key that is known, and one that it vouches for.
    store.world().vouches = vec![vouch(&key, &thief, 1)];
    client.store(&origin()).order(&offer, means()).await.expect("vouched for");
    assert_eq!(store.count("POST /v1/orders"), 1);
    store.world().publisher_key = None;
    client.store(&origin()).order(&offer, means()).await.expect("known");
}

#[tokio::test]
async fn a_version_that_is_out_never_changes() {
    let (store, home, key) = world();
    let first = store.world().publish(&key, (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    install(&client, "lumen/lake").await.expect("installed");
    store.world().resources.remove(&first.digest());
    store.world().publish(&key, (1, 0, 0));
    assert!(matches!(install(&client, "lumen/lake").await, Err(ClientError::VersionReused { .. })));
}

#[tokio::test]
async fn a_file_is_installed_only_where_a_trusted_store_sells_it() {
    let (store, home, key) = world();
    let (file, sold) = store.world().seal(&key, (1, 0, 0), |_| {});
    let elsewhere = TempDir::new().expect("folder");
    let path = elsewhere.path().join("lake.wasm");
    std::fs::write(&path, &file).expect("written");
    let source = InstallSource::File(path.clone());
    // Nobody is signed in anywhere.
    let stranger = store.client(home.path());
    let error = stranger.library().install(&source, &|_, _| {}).await.expect_err("no store is trusted");
    assert_eq!(error.reason(), Some(Reason::ServerUntrusted));
    let client = store.signed_in(home.path()).await;
    let candidate = client.library().prepare(&source, false, &|_, _| {}).await.expect("sold");
    // What was verified is the terminal's own copy.
    std::fs::write(&path, b"something else").expect("written");
    let installed = candidate.install().await.expect("installed");
    assert_eq!(std::fs::read(&installed.path).expect("file"), file);
    assert_eq!(installed.digest, sold.digest());
    assert!(matches!(install(&client, path.to_str().expect("path")).await, Err(ClientError::Package(_))));
    let missing = elsewhere.path().join("missing.wasm");
    assert!(matches!(install(&client, missing.to_str().expect("path")).await, Err(ClientError::File { .. })));
    assert_eq!(std::fs::read_dir(home.path().join("downloads")).expect("downloads").count(), 0);
}

/// A crash between the two leaves a pin of what is not installed, and never an installation whose publisher anybody may
/// be from then on.
#[cfg(unix)]
#[tokio::test]
async fn nothing_is_installed_before_its_publishers_key_is_pinned() {
    let (store, home, key) = world();
    store.world().publish(&key, (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    let pins = home.path().join("publishers");
    std::fs::create_dir(&pins).expect("a folder");
    let folder = pins.join("https%3A%2F%2Fstore.example");
    // Nothing can be written there, and nothing is there to be read.
    std::os::unix::fs::symlink("nowhere", &folder).expect("a link");
    assert!(matches!(install(&client, "lumen/lake").await, Err(ClientError::State(_))));
    assert!(matches!(client.library().find("lake"), Err(ClientError::NotFound(_))), "no pin, no installation");
    // The control.
    std::fs::remove_file(&folder).expect("removed");
    install(&client, "lumen/lake").await.expect("installed");
    assert!(folder.join("lumen.json").exists());
    let thief = SecretKey::generate(&mut rng());
    store.world().publish(&thief, (1, 1, 0));
    refused(&client, "lumen/lake").await;
}

/// Whoever installs first and streams later, or the other way round, or does both at once, goes back to nothing.
#[tokio::test]
async fn what_was_installed_and_what_was_streamed_are_one_history() {
    let (store, home, key) = world();
    store.world().publish(&key, (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    let library = client.library();
    let source: InstallSource = "lumen/lake".parse().expect("a name");
    let (shown, opened) = (
        library.prepare(&source, false, &|_, _| {}).await.expect("prepared"),
        library.stream(&source, false).await.expect("opened"),
    );
    // Meanwhile another process uses a newer one: it streams it, and installs it.
    let newer = store.world().publish(&key, (2, 0, 0));
    let other = store.client(home.path());
    other.library().stream(&source, false).await.expect("opened").accept().await.expect("accepted");
    assert!(matches!(shown.install().await, Err(ClientError::Rollback { .. })), "older than what was streamed");
    let installed = install(&other, "lumen/lake").await.expect("installed");
    std::fs::remove_dir_all(home.path().join("streamed")).expect("as if it had not been streamed");
    assert!(matches!(opened.accept().await, Err(ClientError::Rollback { .. })), "older than what is installed");
    // What was installed once is remembered when it is gone.
    let installed = install(&other, &format!("lumen/lake@{}", installed.version)).await.expect("again");
    library.remove(&installed).await.expect("removed");
    store.world().resources.remove(&newer.digest());
    assert!(matches!(library.stream(&source, false).await, Err(ClientError::Rollback { .. })));
    // The control: whoever chose the older one by its number gets what comes after that.
    install(&client, "lumen/lake@1.0.0").await.expect("asked for");
    store.world().publish(&key, (1, 1, 0));
    assert_eq!(install(&client, "lumen/lake").await.expect("newer").version, Version::new(1, 1, 0));
}

/// What is named may be no file at all, and have no end.
#[cfg(unix)]
#[tokio::test]
async fn only_a_file_is_copied_to_be_installed() {
    let (store, home, _) = world();
    let client = store.signed_in(home.path()).await;
    let link = home.path().join("zero.wasm");
    std::os::unix::fs::symlink("/dev/zero", &link).expect("a link");
    let path = link.to_str().expect("a path");
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), install(&client, path)).await;
    assert!(matches!(ended, Ok(Err(ClientError::File { .. }))), "{ended:?}");
}

#[test]
fn sources_are_told_apart() {
    let parse = |text: &str| text.parse::<InstallSource>();
    assert!(matches!(parse("lumen/lake@1.2.0"), Ok(InstallSource::Store { version: Some(_), .. })));
    assert!(matches!(parse("lumen/lake"), Ok(InstallSource::Store { version: None, server: None, .. })));
    assert!(matches!(parse("./lake"), Ok(InstallSource::File(_))));
    assert!(matches!(parse("/tmp/lake"), Ok(InstallSource::File(_))));
    assert!(matches!(parse("lake.wasm"), Ok(InstallSource::File(_))));
    assert!(matches!(parse("https://example.org/lake.wasm"), Ok(InstallSource::Url(_))));
    for bad in ["lake", "lumen/lake@one", "Lumen/lake", "lumen/lake/more", "lumen/../lake", ""] {
        assert!(matches!(parse(bad), Err(ClientError::Name(_))), "{bad}");
    }
}
