//! The journal on the disk: sealed, tied to its names, private, and in the hands of one at a time.

use super::store::payment;
use super::test_store::{TestStore, origin, plain, request, rng, run};
use portcullis_host::{Client, Exchanged, Gatekeeper as _, Nonce, TransportError};
use portcullis_protocol::wire::{AuthorisationAnswer, Signed};
use portcullis_protocol::{Answer, GrantId, Reason, Rights, SecretKey, SignedManifest, Unverified, Verified};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A terminal with one verification that was committed and never answered.
async fn interrupted() -> (Arc<TestStore>, TempDir, Client, Arc<SignedManifest>, PathBuf) {
    interrupted_by(None).await
}

/// The same, by a store that has its code live until then.
async fn interrupted_by(until: Option<u64>) -> (Arc<TestStore>, TempDir, Client, Arc<SignedManifest>, PathBuf) {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let resource = store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    store.world().rights.insert("view".into(), Some(5));
    let client = store.signed_in(home.path()).await;
    let signing = store.world().signing.clone();
    store.after(move |exchange, answer| match (exchange.path_and_query.as_str(), until) {
        ("/v1/verifications", _) => Err(TransportError::Timeout),
        ("/v1/authorizations", Some(until)) if answer.status == 200 => {
            let signed: Signed = serde_json::from_slice(&answer.body).expect("json");
            let told = Unverified::<Answer<AuthorisationAnswer>>::parse(&signed.signed).expect("an answer");
            let mut told = told.verify(signing.public()).expect("its own").into_document();
            told.body.expires = until;
            let signed = Verified::sign(told, &signing).compact().to_owned();
            Ok(Exchanged { nonce: answer.nonce, ..plain(200, &Signed { signed }) })
        }
        _ => Ok(answer),
    });
    let refused = run(&client, &resource, "view").await.expect_err("lost");
    assert_eq!(refused.reason, Reason::Offline);
    store.honest();
    let mut entries = fs::read_dir(home.path().join("journal")).expect("journal");
    let entry = entries.next().expect("one").expect("entry").path();
    assert!(entries.next().is_none());
    (store, home, client, resource, entry)
}

/// The control: untouched, the entry brings the grant without another debit.
#[tokio::test]
async fn an_entry_is_taken_up() {
    let (store, _home, client, resource, _entry) = interrupted().await;
    run(&client, &resource, "view").await.expect("taken up");
    assert_eq!(store.world().debits, 1);
}

/// On a full disk nothing is asked for that could not be taken delivery of. A file in the folder's place stands for the
/// disk: nothing can be written there either.
#[tokio::test]
async fn nothing_is_held_if_it_cannot_be_written_down() {
    let (store, home, client, resource, _entry) = interrupted().await;
    run(&client, &resource, "view").await.expect("taken up");
    let (held, tmp) = (store.count("POST /v1/authorizations"), home.path().join("tmp"));
    fs::remove_dir(&tmp).expect("empty");
    fs::write(&tmp, "").expect("written");
    let refused = run(&client, &resource, "view").await.expect_err("no room");
    assert!(refused.to_string().contains("tmp"), "{refused}");
    assert_eq!((store.count("POST /v1/authorizations"), store.world().debits), (held, 1), "nothing was held");
    fs::remove_file(&tmp).expect("removed");
    run(&client, &resource, "view").await.expect("there is room");
    assert_eq!(store.world().debits, 2, "the control");
}

#[tokio::test]
async fn an_entry_that_was_changed_or_renamed_does_not_open() {
    for change in ["flip", "rename", "truncate"] {
        let (store, _home, client, resource, entry) = interrupted().await;
        let mut bytes = fs::read(&entry).expect("bytes");
        match change {
            "flip" => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(&entry, bytes).expect("written");
            }
            "rename" => {
                let name = entry.file_name().expect("name").to_string_lossy().replacen('0', "1", 1);
                fs::rename(&entry, entry.with_file_name(name)).expect("renamed");
            }
            _ => fs::write(&entry, &bytes[..10]).expect("written"),
        }
        run(&client, &resource, "view").await.expect("a cycle of its own");
        assert_eq!(store.world().debits, 2, "{change}");
    }
}

/// Somebody works on the matter: a lock that ends with its process.
#[tokio::test]
async fn an_entry_in_other_hands_is_left_alone() {
    let (store, _home, client, resource, entry) = interrupted().await;
    let hands = fs::File::open(&entry).expect("open");
    hands.lock().expect("locked");
    run(&client, &resource, "view").await.expect("a cycle of its own");
    assert_eq!(store.world().debits, 2);
    assert!(entry.exists());
    drop(hands);
    run(&client, &resource, "view").await.expect("taken up");
    assert_eq!(store.world().debits, 2);
}

#[tokio::test]
async fn what_is_long_past_is_forgotten() {
    for until in [None, Some(u64::MAX)] {
        forgotten(until).await;
    }
}

/// Whatever its store says of how long its code lives.
async fn forgotten(until: Option<u64>) {
    let (store, home, client, resource, entry) = interrupted_by(until).await;
    client.cycle().resume().await.expect("resumed");
    assert!(entry.exists(), "the grant can still be used");
    let mut client = client;
    for (seconds, still_there) in [(2 * 3600, true), (29 * 24 * 3600, true), (24 * 3600, false)] {
        store.world().clock.advance(seconds);
        drop(client);
        client = store.client(home.path());
        client.cycle().resume().await.expect("resumed");
        assert_eq!(entry.exists(), still_there, "a store issues a lost grant once more within 30 days");
    }
    run(&client, &resource, "view").await.expect("a cycle of its own");
}

/// Each is looked at before every request to any store.
#[tokio::test]
async fn a_store_leaves_no_more_verifications_without_an_answer_than_are_kept() {
    const KEPT: u16 = 256;
    let (store, home, client, resource, _entry) = interrupted().await;
    store.world().rights.insert("view".into(), Some(1_000));
    let lose = || {
        store.after(|exchange, answer| {
            if exchange.path_and_query == "/v1/verifications" { Err(TransportError::Timeout) } else { Ok(answer) }
        });
    };
    let send = |number: u16| {
        let (cycle, mut request) = (client.cycle(), request(&resource, "view"));
        request.nonce = Nonce::new(number.to_be_bytes().to_vec()).expect("a nonce");
        async move { cycle.run(request).await.expect_err("no answer").reason }
    };
    let kept = || fs::read_dir(home.path().join("journal")).expect("journal").count();
    lose();
    let lost = futures::future::join_all((1..KEPT).map(&send)).await;
    assert!(lost.iter().all(|reason| *reason == Reason::Offline), "{lost:?}");
    assert_eq!(kept(), usize::from(KEPT));
    assert_eq!(send(KEPT).await, Reason::RateLimited);
    // What was paid for is had all the same.
    store.honest();
    run(&client, &resource, "view").await.expect("taken up");
    client.cycle().settle(Duration::from_secs(5)).await;
    lose();
    assert_eq!(send(KEPT).await, Reason::Offline, "there is room for one");
    // The oldest go, once what they might bring has ended.
    store.world().clock.advance(2 * 3600);
    assert_eq!(send(KEPT + 1).await, Reason::Offline);
    assert_eq!(kept(), usize::from(KEPT));
}

/// A store whose acknowledgements always fail leaves an entry for every grant: 180 an hour for an operation that is
/// renewed every 20 seconds.
#[tokio::test]
async fn grants_that_nobody_acknowledges_hide_no_lost_answer_and_are_forgotten() {
    const GRANTS: usize = 300;
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let resource = store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    store.world().rights.insert("view".into(), Some(5));
    let offer = store.world().offer("pixels", Rights::Perpetual {}, 199);
    let client = store.signed_in(home.path()).await;
    let fail = |also: &'static str| {
        store.after(move |exchange, answer| {
            let path = &exchange.path_and_query;
            if path.ends_with("/ack") || path == also { Err(TransportError::Timeout) } else { Ok(answer) }
        });
    };
    fail("");
    run(&client, &resource, "view").await.expect("granted");
    client.cycle().settle(Duration::from_secs(5)).await;
    let journal = home.path().join("journal");
    let delivered = || {
        let names = fs::read_dir(&journal).expect("journal").map(|entry| entry.expect("entry").path());
        names.filter(|path| path.extension().is_some_and(|extension| extension == "delivered")).collect::<Vec<_>>()
    };
    // The others: the same record under the names of other grants.
    let one = delivered().pop().expect("not acknowledged");
    let name = one.file_name().expect("a name").to_string_lossy().into_owned();
    let (id, _) = name.split_once('.').expect("an id");
    for at in 1..GRANTS {
        let grant = GrantId::generate(at as u64, &mut rng());
        fs::copy(&one, journal.join(format!("{id}.{grant}.delivered"))).expect("copied");
    }
    // Later an order is answered, and the answer is lost.
    store.world().clock.advance(1);
    let front = client.store(&origin());
    fail("/v1/orders");
    front.order(&offer, payment("ok")).await.expect_err("lost");
    fail("");
    front.order(&offer, payment("ok")).await.expect("answered");
    assert_eq!(store.world().orders, 1, "it is asked about, and not placed again");
    // The same for a verification.
    fail("/v1/verifications");
    run(&client, &resource, "view").await.expect_err("lost");
    fail("");
    run(&client, &resource, "view").await.expect("taken up");
    assert_eq!(store.world().debits, 2);
    assert!(delivered().len() > GRANTS, "nothing was forgotten too early");
    // What is being acknowledged is in its own hands until then.
    client.cycle().settle(Duration::from_secs(5)).await;
    // No grant of that time can be used any more: the process that goes on forgets them, and keeps what is new.
    store.world().clock.advance(2 * 3600);
    run(&client, &resource, "view").await.expect("granted");
    client.cycle().settle(Duration::from_secs(5)).await;
    assert_eq!(delivered().len(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn everything_a_terminal_keeps_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_store, home, _client, _resource, _entry) = interrupted().await;
    let mut folders = vec![home.path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        let mode = fs::metadata(&folder).expect("folder").permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).expect("folder") {
            let entry = entry.expect("entry");
            if entry.file_type().expect("type").is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
                let mode = entry.metadata().expect("file").permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", entry.path().display());
            }
        }
    }
    assert!(files >= 5);
}

/// Codes are nowhere on the disk in clear; tokens only in the key store.
#[tokio::test]
async fn no_code_is_on_the_disk_in_clear() {
    let (store, home, _client, _resource, _entry) = interrupted().await;
    let secrets = store.world().secrets.clone();
    let mut folders = vec![home.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&path).expect("bytes")).into_owned();
            let in_key_store = path.starts_with(home.path().join("keys"));
            let found = secrets.iter().filter(|secret| text.contains(secret.as_str())).count();
            assert!(in_key_store || found == 0, "{}", path.display());
            assert!(secrets.last().is_none_or(|code| !text.contains(code.as_str())), "the code, in {}", path.display());
        }
    }
}
