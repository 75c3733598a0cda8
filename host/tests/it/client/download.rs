//! Files on their way: broken off, tampered with, too long, sent elsewhere.

use super::test_store::{TestStore, origin, rng, served};
use futures::StreamExt as _;
use portcullis_host::{Client, ClientError, Download, Downloaded, InstallSource, Installed, TransportError};
use portcullis_protocol::SecretKey;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::sync::Notify;

async fn world() -> (Arc<TestStore>, TempDir, Client) {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    store.world().publish(&SecretKey::generate(&mut rng()), (1, 0, 0));
    let client = store.signed_in(home.path()).await;
    (store, home, client)
}

fn lake() -> InstallSource {
    "lumen/lake".parse().expect("a name")
}

async fn install(client: &Client) -> Result<Installed, ClientError> {
    client.library().install(&lake(), &|_, _| {}).await
}

type File = Result<Downloaded, TransportError>;

/// Cuts the stream off after `bytes`.
fn cut(file: File, bytes: u64) -> File {
    let Downloaded { status, from, total, body } = file?;
    let mut left = bytes;
    let body = body.map(move |chunk| {
        let chunk = chunk?;
        if (chunk.len() as u64) > left {
            return Err(TransportError::Interrupted("cut".into()));
        }
        left -= chunk.len() as u64;
        Ok(chunk)
    });
    // After an error nobody reads on.
    Ok(Downloaded { status, from, total, body: body.boxed() })
}

#[tokio::test]
async fn a_download_is_resumed_where_it_broke_off_and_tells_its_progress() {
    let (store, _home, client) = world().await;
    let froms: Arc<Mutex<Vec<u64>>> = Arc::default();
    let seen = Arc::clone(&froms);
    store.on_file(move |download: &Download, file| {
        seen.lock().expect("froms").push(download.from);
        assert!(download.etag.is_some());
        cut(file, 1_000_000)
    });
    let moved: Mutex<Vec<(u64, Option<u64>)>> = Mutex::default();
    let installed = client
        .library()
        .install(&lake(), &|done, total| moved.lock().expect("moved").push((done, total)))
        .await
        .expect("installed");
    let size = std::fs::metadata(&installed.path).expect("file").len();
    assert_eq!(*froms.lock().expect("froms"), [0, 1_000_000, 2_000_000]);
    let moved = moved.lock().expect("moved");
    assert_eq!(moved.last(), Some(&(size, Some(size))));
    assert!(moved.is_sorted());
}

#[tokio::test]
async fn what_has_arrived_outlives_a_dropped_future_and_a_restart() {
    let (store, home, client) = world().await;
    let silent = Arc::new(Notify::new());
    let falls_silent = Arc::clone(&silent);
    store.on_file(move |_, file| {
        let Downloaded { status, from, total, body } = file?;
        // A few chunks, then silence.
        let falls_silent = Arc::clone(&falls_silent);
        let silence = futures::stream::once(async move {
            falls_silent.notify_one();
            std::future::pending().await
        });
        Ok(Downloaded { status, from, total, body: body.take(7).chain(silence).boxed() })
    });
    tokio::select! {
        installed = install(&client) => panic!("it ended: {installed:?}"),
        () = silent.notified() => {}
    }
    drop(client);
    store.honest();
    let client = store.client(home.path());
    install(&client).await.expect("installed");
    assert!(store.world().log.iter().any(|line| line.ends_with("from 700000")));
}

#[tokio::test]
async fn a_tampered_download_is_refused_and_not_kept() {
    let (store, home, client) = world().await;
    for at in [4, 20, 300, 5_000, 1_500_000, usize::MAX] {
        store.on_file(move |download, file| {
            let Ok(Downloaded { total: Some(total), .. }) = file else { return file };
            let _ = (download, total);
            file.map(|file| Downloaded {
                body: {
                    let mut offset = 0;
                    let at = if at == usize::MAX { total as usize - 1 } else { at };
                    file.body
                        .map(move |chunk| {
                            let mut chunk = chunk?.to_vec();
                            if (offset..offset + chunk.len()).contains(&at) {
                                chunk[at - offset] ^= 1;
                            }
                            offset += chunk.len();
                            Ok(chunk.into())
                        })
                        .boxed()
                },
                ..file
            })
        });
        let error = install(&client).await.expect_err("tampered");
        assert!(matches!(error, ClientError::Package(_)), "byte {at}: {error}");
        assert_eq!(std::fs::read_dir(home.path().join("downloads")).expect("downloads").count(), 0);
        assert!(client.library().list().expect("list").is_empty());
    }
    store.honest();
    install(&client).await.expect("the honest case works");
}

/// What is there already is not what the rest belongs to: fetched once more, as a whole.
#[tokio::test]
async fn a_poisoned_beginning_is_thrown_away() {
    let (store, home, client) = world().await;
    let digest = *store.world().resources.keys().next().expect("a resource");
    let folder = home.path().join("downloads");
    std::fs::create_dir_all(&folder).expect("folder");
    std::fs::write(folder.join(format!("{digest}.partial")), vec![7; 100_000]).expect("written");
    install(&client).await.expect("installed");
    let fetched = store.world().log.iter().filter(|line| line.starts_with("FILE")).cloned().collect::<Vec<_>>();
    assert!(fetched[0].ends_with("from 100000") && fetched[1].ends_with("from 0"), "{fetched:?}");
}

#[tokio::test]
async fn more_bytes_than_announced_are_not_written() {
    let (store, home, client) = world().await;
    // An endless file, whatever length it states.
    for total in [None, Some(u64::MAX)] {
        store.on_file(move |_, _| {
            let body = futures::stream::repeat_with(|| Ok(bytes::Bytes::from_static(&[0; 65_536]))).boxed();
            Ok(Downloaded { status: 200, from: 0, total, body })
        });
        let error = install(&client).await.expect_err("too long");
        assert_eq!(error, ClientError::Transport(TransportError::TooLong));
    }
    let kept: u64 = std::fs::read_dir(home.path().join("downloads"))
        .expect("downloads")
        .map(|entry| entry.expect("entry").metadata().expect("file").len())
        .sum();
    assert!(kept < 4_000_000, "{kept}");
    store.honest();
    install(&client).await.expect("the honest case works");
}

/// The catalogue is the store's word: an exabyte would fill the disk before anybody noticed.
#[tokio::test]
async fn a_file_larger_than_any_resource_is_not_begun() {
    let (store, _home, client) = world().await;
    let size = store.world().resources.values().next().expect("a resource").file.len();
    store.after(move |exchange, mut answer| {
        if exchange.path_and_query.starts_with("/v1/catalogue/") {
            let text = String::from_utf8(answer.body.to_vec()).expect("JSON");
            let (said, claimed) = (format!("\"size\":{size}"), format!("\"size\":{}", 1_u64 << 60));
            assert!(text.contains(&said));
            answer.body = text.replace(&said, &claimed).into();
        }
        Ok(answer)
    });
    store.on_file(|_, _| {
        let body = futures::stream::repeat_with(|| Ok(bytes::Bytes::from_static(&[0; 65_536]))).take(100).boxed();
        Ok(Downloaded { status: 200, from: 0, total: None, body })
    });
    let too_long = ClientError::Transport(TransportError::TooLong);
    assert_eq!(install(&client).await.expect_err("too long"), too_long);
    assert_eq!(client.library().stream(&lake(), false).await.expect_err("too long"), too_long);
    assert_eq!(store.count("FILE"), 0, "nothing is fetched");
    store.honest();
    install(&client).await.expect("the control");
}

#[tokio::test]
async fn a_file_that_is_another_one_is_refused() {
    let (store, _home, client) = world().await;
    let (other, manifest) = store.world().seal(&SecretKey::generate(&mut rng()), (0, 9, 0), |_| {});
    store.world().resources.remove(&manifest.digest());
    let listed = *store.world().resources.keys().next().expect("a resource");
    let size = store.world().resources[&listed].file.len();
    assert_eq!(other.len(), size, "as long as the one asked for");
    store.on_file(move |download, _| Ok(served(&other, download.from)));
    let error = install(&client).await.expect_err("another one");
    assert_eq!(error, ClientError::OtherFile { expected: listed, found: manifest.digest() });
    store.honest();
    assert_eq!(install(&client).await.expect("installed").server, origin());
}

/// Two processes install from one address, at which the file changes in between.
#[tokio::test]
async fn what_was_verified_is_what_is_installed_whatever_others_fetch_meanwhile() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let key = SecretKey::generate(&mut rng());
    let (first, shown) = store.world().seal(&key, (1, 0, 0), |_| {});
    let (second, other) = store.world().seal(&key, (1, 1, 0), |_| {});
    let client = store.signed_in(home.path()).await;
    let source = InstallSource::Url("https://store.example/lake.wasm".into());
    let serve = |file: &[u8]| {
        let file = file.to_vec();
        store.on_file(move |download, _| Ok(served(&file, download.from)));
    };
    for whole in [true, false] {
        serve(&first);
        let candidate = client.library().prepare(&source, true, &|_, _| {}).await.expect("prepared");
        assert_eq!(candidate.manifest().digest(), shown.digest());
        // The other one comes to its end, or has only a part so far.
        let (file, library) = (second.clone(), store.client(home.path()).library().clone());
        let meanwhile = if whole {
            serve(&second);
            let meanwhile = library.prepare(&source, true, &|_, _| {}).await.expect("prepared");
            assert_eq!(meanwhile.manifest().digest(), other.digest());
            Some(meanwhile)
        } else {
            store.on_file(move |download, _| cut(Ok(served(&file, download.from)), 300_000 - download.from));
            assert!(library.prepare(&source, true, &|_, _| {}).await.is_err(), "the line always breaks");
            None
        };
        let installed = candidate.install().await.expect("installed");
        assert_eq!(installed.digest, shown.digest());
        assert!(std::fs::read(&installed.path).expect("file") == first, "what was shown is what is there");
        client.library().check(&installed).await.expect("whole");
        // The control: the other one goes on with its own.
        if let Some(meanwhile) = meanwhile {
            let installed = meanwhile.install().await.expect("installed");
            assert!(std::fs::read(&installed.path).expect("file") == second);
        }
    }
    assert_eq!(std::fs::read_dir(home.path().join("downloads")).expect("downloads").count(), 0);
}

#[tokio::test]
async fn who_thinks_about_it_holds_up_nobody_and_needs_not_fetch_again() {
    let (store, home, client) = world().await;
    let prepare = || async { client.library().prepare(&lake(), false, &|_, _| {}).await.expect("prepared") };
    let thinks = prepare().await;
    // Another one does not wait for the answer.
    let installed = install(&client).await.expect("installed");
    assert_eq!(store.count("FILE"), 2);
    thinks.install().await.expect("the same again");
    client.library().check(&installed).await.expect("whole");
    // Who says no, or ends at the question, leaves what has arrived.
    drop(prepare().await);
    assert_eq!(store.count("FILE"), 3);
    let names = || {
        let files = std::fs::read_dir(home.path().join("downloads")).expect("downloads");
        files.map(|file| file.expect("a file").file_name().into_string().expect("a name")).collect::<Vec<_>>()
    };
    let [name] = names().try_into().expect("one");
    let digest = name.strip_suffix(".partial").expect("for whoever wants it next");
    let folder = home.path().join("downloads");
    std::fs::rename(folder.join(&name), folder.join(format!("{digest}.ended.own"))).expect("as if it had ended");
    std::fs::write(folder.join("copied.own"), b"a copy of a file").expect("written");
    let again = prepare().await;
    assert_eq!(store.count("FILE"), 3, "it was all there");
    assert_eq!(names().len(), 1, "and what is of no use is not");
    again.install().await.expect("installed");
    assert!(names().is_empty());
}

#[tokio::test]
async fn a_redirect_or_a_missing_file_ends_it_at_once() {
    let (store, _home, client) = world().await;
    store.on_file(|_, _| Err(TransportError::Redirect));
    assert_eq!(install(&client).await.expect_err("redirect"), ClientError::Transport(TransportError::Redirect));
    store.on_file(|_, _| Ok(Downloaded { status: 404, from: 0, total: None, body: futures::stream::empty().boxed() }));
    assert!(matches!(install(&client).await, Err(ClientError::NotFound(_))));
    assert_eq!(store.world().log.iter().filter(|line| line.starts_with("FILE")).count(), 2, "no second try");
}
