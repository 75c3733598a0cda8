//! Clock, key store and state directory.

use super::test_store::{TestClock, TestStore, origin};
use portcullis_host::{Client, ClientError, ClientOptions, Clock as _};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tempfile::TempDir;

/// The machine's clock is set back a month. Server time goes on by the clock that nobody can set, and after a restart
/// it is never before the last answer.
#[tokio::test]
async fn a_clock_that_is_turned_back_changes_nothing() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let client = store.signed_in(home.path()).await;
    let now = client.server_clock(&origin()).now();
    let clock = Arc::clone(&store.world().clock);
    clock.wall.fetch_sub(30 * 24 * 3600, Ordering::SeqCst);
    clock.boot.fetch_add(50, Ordering::SeqCst);
    assert_eq!(client.server_clock(&origin()).now(), now + 50);
    drop(client);
    // Another process of the same start of the machine goes on by the clock that cannot be set.
    assert_eq!(store.client(home.path()).server_clock(&origin()).now(), now + 50);
    clock.restart();
    let client = store.client(home.path());
    assert_eq!(client.server_clock(&origin()).now(), now, "the last time that was kept");
    // The mark of another terminal, or a changed one, is no mark.
    let mark = home.path().join("servers/https%3A%2F%2Fstore.example/clock");
    let mut bytes = fs::read(&mark).expect("a mark");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&mark, bytes).expect("written");
    assert_eq!(store.client(home.path()).server_clock(&origin()).now(), clock.now());
}

/// A machine whose clock runs ahead believes its server.
#[tokio::test]
async fn a_signed_answer_sets_the_clock() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let fast = TestClock::new();
    fast.wall.fetch_add(3600, Ordering::SeqCst);
    let options = ClientOptions::new().state_dir(home.path()).billing_server(Arc::clone(&store) as _).clock(fast);
    let client = Client::open(options).expect("opened");
    let server = store.world().now();
    assert_eq!(client.server_clock(&origin()).now(), server + 3600);
    client.sign_in(&origin(), "x").await.expect("begun").finish().await.expect("signed in");
    assert_eq!(client.server_clock(&origin()).now(), server);
    assert_eq!(client.clock().now(), server + 3600, "the machine's own");
}

#[cfg(unix)]
#[tokio::test]
async fn keys_that_others_can_read_are_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    drop(store.signed_in(home.path()).await);
    for entry in fs::read_dir(home.path().join("keys")).expect("keys") {
        let path = entry.expect("entry").path();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("mode");
    }
    let options = || ClientOptions::new().state_dir(home.path()).billing_server(Arc::clone(&store) as _);
    let error = Client::open(options()).expect_err("refused");
    assert!(matches!(&error, ClientError::KeyStore(error) if error.to_string().contains("chmod 600")), "{error}");
}

#[tokio::test]
async fn terminals_of_two_servers_share_no_key() {
    // One test server answers for one origin, so the two sign-ins go to two servers and one state.
    let home = TempDir::new().expect("home");
    let (one, two) = (TestStore::new(), TestStore::new());
    let client = one.signed_in(home.path()).await;
    client.forget(&origin()).await.expect("forgotten");
    two.signed_in(home.path()).await;
    let keys = |store: &TestStore| store.world().terminals.iter().map(|(key, x)| (*key, *x)).collect::<Vec<_>>();
    let (one, two) = (keys(&one), keys(&two));
    assert!(one[0].0 != two[0].0 && one[0].1 != two[0].1);
}

#[test]
fn two_processes_agree_on_one_state_key() {
    let home = TempDir::new().expect("home");
    let store = TestStore::new();
    let opened: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| store.client(home.path()))).collect();
        threads.into_iter().map(|thread| thread.join().expect("opened")).collect()
    });
    assert_eq!(opened.len(), 8);
    let names: Vec<_> =
        fs::read_dir(home.path().join("keys")).expect("keys").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(names, ["state"]);
}
