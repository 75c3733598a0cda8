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

#[tokio::test]
async fn a_redirect_or_a_missing_file_ends_it_at_once() {
    let (store, _home, client) = world().await;
    store.on_file(|_, _| Err(TransportError::Redirect));
    assert_eq!(install(&client).await.expect_err("redirect"), ClientError::Transport(TransportError::Redirect));
    store.on_file(|_, _| Ok(Downloaded { status: 404, from: 0, total: None, body: futures::stream::empty().boxed() }));
    assert!(matches!(install(&client).await, Err(ClientError::NotFound(_))));
    assert_eq!(store.world().log.iter().filter(|line| line.starts_with("FILE")).count(), 2, "no second try");
}
