//! Resources that are not installed: opened and read by range, from a store or a mirror that may be dishonest.

use super::test_store::{Resource, TestStore, origin, publisher_name, range, resource_name, rng, served};
use crate::fixture::{Fixture, Rule, Signer, TestClock, VIEW, api, description, guest, operation, part};
use futures::StreamExt as _;
use portcullis_host::{
    Authorised, Client, ClientError, Clock, Download, Downloaded, Error, InstallSource, Progress, Runtime, Source,
    Standing, Step, TransportError,
};
use portcullis_protocol::seal::Sealer;
use portcullis_protocol::sealed::{Sealed, countersign};
use portcullis_protocol::{Reason, SecretKey, ServerEntry, SignedManifest};
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Several stretches of a reader, and a bit.
const SIZE: usize = (7 << 20) + 12_345;
const MIB: u64 = 1 << 20;
/// `vault-error.damaged` as the guest passes it on from `read`; from `open` it is 3.
const DAMAGED: u32 = 10 + 3;

fn plain() -> Vec<u8> {
    (0..SIZE as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Peak memory of this process, in KiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// A store that sells one resource with a large asset, a terminal, and a runtime for which the asset is paid.
struct Stage {
    store: Arc<TestStore>,
    home: TempDir,
    client: Client,
    fixture: Fixture,
    file: Arc<[u8]>,
}

impl Stage {
    async fn new() -> Self {
        Self::with(SIZE as u64, Cursor::new(plain())).await
    }

    async fn with(size: u64, pixels: impl std::io::Read) -> Self {
        let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
        let publisher = SecretKey::generate(&mut rng());
        let exports = VIEW.map(api);
        let exports: Vec<&str> = exports.iter().map(String::as_str).collect();
        let operations =
            vec![operation("view", &exports, &["main", "pixels"]), operation("side", &[&api("other")], &["side"])];
        let mut description = description(&publisher, operations);
        description.publisher.name = publisher_name();
        description.name = resource_name();
        description.servers = vec![ServerEntry { origin: origin(), root: store.world().root.public().thumbprint() }];
        let body = guest();
        let sealer = Sealer::new(description).code(part("main"), false, &body).code(part("side"), false, &body).asset(
            part("pixels"),
            false,
            "image/x-raw",
            size,
            pixels,
        );
        let fixture = Fixture::of(sealer, publisher);
        let file = Self::sell(&store, &fixture);
        let client = store.signed_in(home.path()).await;
        Self { store, home, client, fixture, file }
    }

    fn sell(store: &TestStore, fixture: &Fixture) -> Arc<[u8]> {
        let mut file = Vec::new();
        let mut world = store.world();
        let sealed = Sealed::open(fixture.file.clone()).expect("opens");
        let now = world.now();
        let signed = countersign(&sealed, origin(), &world.signing, now, &mut file).expect("countersigned");
        let manifest = Arc::new(signed);
        let resource = Resource {
            file: file.clone(),
            keys: fixture.keys.clone(),
            manifest: Arc::clone(&manifest),
            withdrawn: false,
        };
        world.resources.insert(manifest.digest(), resource);
        file.into()
    }

    async fn stream(&self) -> Result<Source, ClientError> {
        self.client.library().stream(&lake(), false).await?.accept().await
    }

    /// Authorises `view` of a source.
    async fn view(&self, source: Source, progress: impl Progress + 'static) -> Result<Authorised, Error> {
        let clock = Arc::new(TestClock::default());
        let signer = Arc::new(Signer::new(&self.fixture.keys, &clock));
        signer.rule("view", Rule::Timed(30));
        let builder = Runtime::builder().gatekeeper(signer).clock(clock as Arc<dyn Clock>).progress(progress);
        builder.build()?.load(source)?.authorize("view").await
    }

    async fn streamed(&self) -> Authorised {
        let source = self.stream().await.expect("opened");
        self.view(source, portcullis_host::Quiet).await.expect("authorised")
    }

    /// Counts the bytes that the store gives out from now on.
    fn count(&self) -> Arc<AtomicU64> {
        let count: Arc<AtomicU64> = Arc::default();
        let counted = Arc::clone(&count);
        self.store.on_file(move |_, file| {
            let Downloaded { status, from, total, body } = file?;
            let counted = Arc::clone(&counted);
            let body = body.inspect(move |chunk| {
                counted.fetch_add(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64), Ordering::SeqCst);
            });
            Ok(Downloaded { status, from, total, body: body.boxed() })
        });
        count
    }

    /// The one file that is kept on the disk.
    fn kept(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.home.path().join("streams")).expect("kept");
        entries.map(|entry| entry.expect("entry").path()).next().expect("one stream")
    }
}

fn lake() -> InstallSource {
    "lumen/lake".parse().expect("a name")
}

async fn read(view: &Authorised, offset: u64, length: u32) -> Result<Vec<u8>, u32> {
    let arguments = ("pixels".to_owned(), offset, length);
    let read = view.call_typed::<(String, u64, u32), (Result<Vec<u8>, u32>,)>(&api("read"), arguments).await;
    read.expect("an error is a value, never a trap").0
}

async fn read_all(view: &Authorised) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < SIZE {
        all.extend(read(view, all.len() as u64, 1 << 20).await.expect("read"));
    }
    all
}

#[tokio::test]
async fn a_resource_is_used_without_being_installed_and_little_of_it_is_fetched() {
    let stage = Stage::new().await;
    let fetched = stage.count();
    let streaming = stage.client.library().stream(&lake(), false).await.expect("opened");
    assert_eq!((streaming.publisher(), streaming.server()), (Standing::New, &origin()));
    assert_eq!(streaming.bytes(), stage.file.len() as u64);
    let opening = fetched.load(Ordering::SeqCst);
    assert!(opening <= MIB, "{opening} bytes to open");
    let view = stage.view(streaming.accept().await.expect("accepted"), portcullis_host::Quiet).await.expect("view");
    let plain = plain();
    for (offset, length) in [(0, 100), (3 * MIB + 77, 5000), (SIZE as u64 - 10, 100), (2 * MIB - 5, 1 << 20)] {
        let end = SIZE.min((offset + u64::from(length)) as usize);
        assert_eq!(read(&view, offset, length).await.as_deref(), Ok(&plain[offset as usize..end]), "{offset}");
    }
    assert!(read_all(&view).await == plain, "in sequence");
    let fetched = fetched.load(Ordering::SeqCst);
    assert!(fetched <= stage.file.len() as u64 + MIB, "{fetched} bytes in all: each once");
    assert!(stage.client.library().list().expect("list").is_empty(), "nothing was installed");
}

#[tokio::test]
async fn a_stream_goes_on_after_every_break_and_in_the_next_run() {
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<(u64, u64)>>>);
    impl Progress for Told {
        fn step(&self, _: &SignedManifest, step: Step<'_>) {
            if let Step::Streaming { arrived, total } = step {
                self.0.lock().expect("told").push((arrived, total));
            }
        }
    }
    let stage = Stage::new().await;
    let file = Arc::clone(&stage.file);
    // Every connection breaks after 300,000 bytes, in the middle of a granule.
    stage.store.on_file(move |download: &Download, _| {
        let length = download.length.expect("a stream asks for what it needs");
        let Downloaded { status, from, total, body } = range(&file, download.from, length);
        let broken = futures::stream::iter([Err(TransportError::Interrupted("cut".into()))]);
        let body = if length > 300_000 { body.take(3).chain(broken).boxed() } else { body };
        Ok(Downloaded { status, from, total, body })
    });
    let told = Told::default();
    let view = stage.view(stage.stream().await.expect("opened"), told.clone()).await.expect("view");
    assert!(read(&view, 2 * MIB, 1 << 20).await.expect("read") == plain()[2 << 20..3 << 20]);
    drop(view);
    let told = told.0.lock().expect("told").clone();
    assert!(told.is_sorted() && told.last().is_some_and(|(_, total)| *total == stage.file.len() as u64), "{told:?}");
    // The next run, maybe another process: what is here is not fetched again.
    let fetched = stage.count();
    let view = stage.streamed().await;
    assert!(read(&view, 2 * MIB, 1 << 20).await.expect("read") == plain()[2 << 20..3 << 20]);
    assert!(read_all(&view).await == plain());
    let (here, total) = told[told.len() - 1];
    let rest = fetched.load(Ordering::SeqCst);
    assert!(here >= 2 * MIB && here + rest <= total + MIB / 2, "{here} were here, {rest} more were fetched");
    // What lies on the disk is the sealed file, and nothing in the clear.
    let kept = std::fs::read(stage.kept()).expect("kept");
    assert!(kept[..stage.file.len()] == stage.file[..]);
}

#[tokio::test]
async fn what_was_kept_is_not_believed() {
    let stage = Stage::new().await;
    let view = stage.streamed().await;
    assert!(read_all(&view).await == plain());
    drop(view);
    // Somebody changes a block of the part, and a byte of the index; or cuts the file.
    for at in [stage.file.len() - 2_000_000, 100, 5000] {
        let mut kept = std::fs::read(stage.kept()).expect("kept");
        kept[at] ^= 1;
        std::fs::write(stage.kept(), kept).expect("changed");
        let view = stage.streamed().await;
        assert!(read_all(&view).await == plain(), "byte {at} was fetched again");
    }
    std::fs::write(stage.kept(), b"cut").expect("changed");
    assert!(read_all(&stage.streamed().await).await == plain());
}

/// What a dishonest mirror does, and whether an honest one afterwards makes everything good.
#[tokio::test]
async fn a_dishonest_mirror_is_refused_and_spoils_nothing() {
    let stage = Stage::new().await;
    let file = Arc::clone(&stage.file);
    let poisoned = {
        let mut file = file.to_vec();
        let at = file.len() - 3_000_000;
        file[at] ^= 1;
        file
    };
    type Mirror = Box<dyn Fn(&Download, &[u8]) -> Downloaded + Send>;
    let wanted = |download: &Download| download.length.expect("a length");
    let mirrors: [(&str, Mirror); 7] = [
        ("wrong bytes", Box::new(move |download, _| range(&poisoned, download.from, wanted(download)))),
        (
            "too short, for ever",
            Box::new(move |download, file| {
                let Downloaded { status, from, total, .. } = range(file, download.from, wanted(download));
                Downloaded { status, from, total, body: futures::stream::empty().boxed() }
            }),
        ),
        (
            "too long",
            Box::new(move |download, file| {
                // In one piece: what arrives whole before it turns out to be too long is used, once it is checked.
                let Downloaded { status, from, total, .. } = range(file, download.from, wanted(download));
                let long = vec![0; wanted(download) as usize + 1].into();
                Downloaded { status, from, total, body: futures::stream::iter([Ok(long)]).boxed() }
            }),
        ),
        ("the whole file instead", Box::new(|_, file| served(file, 0))),
        ("another piece", Box::new(move |download, file| range(file, download.from + 1, wanted(download)))),
        (
            "another size",
            Box::new(move |download, file| Downloaded {
                total: Some(file.len() as u64 + 1),
                ..range(file, download.from, wanted(download))
            }),
        ),
        (
            "no size",
            Box::new(move |download, file| Downloaded { total: None, ..range(file, download.from, wanted(download)) }),
        ),
    ];
    for (what, mirror) in mirrors {
        // Opened at the honest one, so that only the part is at stake.
        stage.store.honest();
        let _ = std::fs::remove_dir_all(stage.home.path().join("streams"));
        let view = stage.streamed().await;
        let file = Arc::clone(&file);
        stage.store.on_file(move |download, _| Ok(mirror(download, &file)));
        let at = SIZE as u64 - 3_000_000;
        // When it is read, or already when it is opened.
        assert!(matches!(read(&view, at, 1000).await, Err(DAMAGED | 3)), "{what}");
        stage.store.honest();
        assert_eq!(read(&view, at, 1000).await.as_deref(), Ok(&plain()[at as usize..][..1000]), "{what}: control");
    }
}

#[tokio::test]
async fn an_index_that_is_not_the_publishers_opens_nothing() {
    let stage = Stage::new().await;
    let honest = Arc::clone(&stage.file);
    let manifest = honest.windows(19).position(|name| name == b"portcullis:manifest").expect("there");
    for (what, at) in [("the stub", 12), ("the manifest", manifest + 100)] {
        let mut file = honest.to_vec();
        file[at] ^= 1;
        let _ = std::fs::remove_dir_all(stage.home.path().join("streams"));
        stage.store.on_file(move |download, _| Ok(range(&file, download.from, download.length.expect("a length"))));
        let refused = stage.stream().await.expect_err(what);
        assert!(matches!(refused, ClientError::Package(_)), "{what}: {refused:?}");
        stage.store.honest();
        stage.stream().await.expect("control: nothing of it stayed");
    }
    // Another sealed resource of the same length, honest in itself.
    let other = Stage::new().await.file;
    let _ = std::fs::remove_dir_all(stage.home.path().join("streams"));
    stage.store.on_file(move |download, _| {
        let piece = range(&other, download.from, download.length.expect("a length"));
        Ok(Downloaded { total: Some(honest.len() as u64), ..piece })
    });
    stage.client.library().stream(&lake(), false).await.expect_err("another resource");
}

#[tokio::test]
async fn what_may_not_be_installed_is_not_streamed_either() {
    let stage = Stage::new().await;
    let digest = Sealed::open(stage.fixture.file.clone()).expect("opens").digest();
    stage.store.world().resources.get_mut(&digest).expect("there").withdrawn = true;
    assert!(matches!(stage.stream().await, Err(ClientError::NotFound(_))));
    let named: InstallSource = "lumen/lake@1.0.0".parse().expect("a name");
    let refused = stage.client.library().stream(&named, false).await.expect_err("withdrawn");
    assert_eq!(refused.reason(), Some(Reason::ResourceWithdrawn));
    stage.store.world().resources.get_mut(&digest).expect("there").withdrawn = false;
    stage.stream().await.expect("control");
    // Another key under the publisher's name: pinned since.
    let thief = Stage::new().await;
    stage.store.world().resources.clear();
    let mut description = Sealed::open(thief.fixture.file.clone()).expect("opens").manifest().clone();
    description.servers[0].root = stage.store.world().root.public().thumbprint();
    stage.store.world().publish(&thief.fixture.publisher, (2, 0, 0));
    assert!(matches!(stage.stream().await, Err(ClientError::PublisherChanged { .. })));
    let file = InstallSource::File("lake.wasm".into());
    assert!(matches!(stage.client.library().stream(&file, false).await, Err(ClientError::Name(_))));
}

/// The catalogue is not signed: a store, or whoever stands before it, may leave out what is new.
#[tokio::test]
async fn an_older_version_is_streamed_only_when_asked_for() {
    let (store, home) = (TestStore::new(), TempDir::new().expect("home"));
    let publisher = SecretKey::generate(&mut rng());
    store.world().publish(&publisher, (1, 0, 0));
    let newer = store.world().publish(&publisher, (2, 0, 0));
    let client = store.signed_in(home.path()).await;
    let library = &client.library();
    let accept = |version: Option<&str>| {
        let source = version.map_or_else(lake, |version| format!("lumen/lake@{version}").parse().expect("a name"));
        async move { library.stream(&source, false).await?.accept().await }
    };
    // To look is not to use.
    drop(library.stream(&lake(), false).await.expect("opened").look());
    let file = store.world().resources.remove(&newer.digest()).expect("there");
    accept(None).await.expect("the first that is used");
    let shown = library.stream(&lake(), false).await.expect("opened");
    store.world().resources.insert(newer.digest(), file);
    accept(None).await.expect("a newer one");
    assert!(matches!(shown.accept().await, Err(ClientError::Rollback { .. })), "a yes that comes too late");
    let file = store.world().resources.remove(&newer.digest()).expect("there");
    for _ in 0..2 {
        let refused = accept(None).await.expect_err("older");
        let ClientError::Rollback { installed, offered, .. } = refused else { panic!("{refused}") };
        assert_eq!((installed.to_string(), offered.to_string()), ("2.0.0".into(), "1.0.0".into()));
        // Nor is it installed; and in another run it is the same.
        let elsewhere = store.client(home.path());
        let installed = elsewhere.library().install(&lake(), &|_, _| {}).await;
        assert!(matches!(installed, Err(ClientError::Rollback { .. })));
        // By its number it is there, and that takes nothing back.
        accept(Some("1.0.0")).await.expect("asked for");
    }
    // The control: what is as new, or newer.
    store.world().resources.insert(newer.digest(), file);
    accept(None).await.expect("as new");
    store.world().publish(&publisher, (2, 1, 0));
    accept(None).await.expect("newer");
    // With the publisher's key that its user gives up for another one, his versions are forgotten.
    let new = SecretKey::generate(&mut rng());
    store.world().resources.clear();
    store.world().publish(&new, (1, 0, 0));
    let words = new.public().thumbprint().words();
    let told = library.prepare_as_told(&lake(), &words, false, &|_, _| {}).await.expect("no version counts");
    assert!(matches!(accept(None).await, Err(ClientError::PublisherChanged { .. })), "nothing is given up yet");
    told.install().await.expect("pinned");
    accept(None).await.expect("the first that is used");
}

#[tokio::test]
async fn a_read_that_is_given_up_leaves_a_stream_that_works() {
    let stage = Stage::new().await;
    let view = stage.streamed().await;
    stage.store.on_file(|_, file| {
        let Downloaded { status, from, total, body } = file?;
        Ok(Downloaded { status, from, total, body: body.take(1).chain(futures::stream::pending()).boxed() })
    });
    let stuck = tokio::time::timeout(Duration::from_millis(200), read(&view, 4 * MIB, 1000)).await;
    assert!(stuck.is_err());
    drop(view);
    stage.store.honest();
    let view = stage.streamed().await;
    assert!(read(&view, 4 * MIB, 1000).await.expect("read") == plain()[4 << 20..][..1000]);
}

/// All threads that may wait are waiting for what arrives: it is written all the same.
#[test]
fn readers_that_wait_do_not_keep_away_what_they_wait_for() {
    const THREADS: usize = 3;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).max_blocking_threads(THREADS).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stage = Stage::new().await;
        let mut views = Vec::new();
        for _ in 0..THREADS {
            views.push(stage.streamed().await);
        }
        let reads = views.iter().zip(1..).map(|(view, at)| read(view, at * MIB, 1000));
        let reads = futures::future::join_all(reads);
        let read = tokio::time::timeout(Duration::from_secs(60), reads).await.expect("none waits for ever");
        for (read, at) in read.into_iter().zip(1..) {
            assert_eq!(read.as_deref(), Ok(&plain()[at * MIB as usize..][..1000]));
        }
    });
}

/// A resource opens its part, reads on and on, and drops it, while nothing arrives.
#[tokio::test]
async fn what_reads_ahead_of_dropped_parts_is_bounded() {
    let stage = Stage::new().await;
    let view = stage.streamed().await;
    // The first block comes, and the last, which proves the size; what would be read ahead never does.
    let file = Arc::clone(&stage.file);
    stage.store.on_file(move |download, honest| {
        if download.from >= 7 * MIB {
            return honest;
        }
        let first = (MIB + MIB / 4).saturating_sub(download.from).min(download.length.expect("a length"));
        let Downloaded { status, from, total, body } = range(&file, download.from, first);
        Ok(Downloaded { status, from, total, body: body.chain(futures::stream::pending()).boxed() })
    });
    let before = threads();
    for _ in 0..40 {
        // The guest opens the part anew each time. At the border of a block the next one is wanted ahead.
        read(&view, 0, 900 << 10).await.expect("what is here is read");
    }
    if let (Some(before), Some(after)) = (before, threads()) {
        assert!(after <= before + 8, "{before} threads became {after}");
    }
}

/// Threads of this process; Linux only.
fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

/// 64 MiB through a resource, from a store and then from the disk.
#[tokio::test]
async fn a_large_part_is_streamed_in_little_memory() {
    const LARGE: u64 = 64 << 20;
    let stage = Stage::with(LARGE, std::io::Read::take(std::io::repeat(0x5a), LARGE)).await;
    let fetched = stage.count();
    let source = stage.stream().await.expect("opened");
    let opening = fetched.load(Ordering::SeqCst);
    assert!(opening < 2 * MIB, "{opening} bytes to open a file of 64 MiB");
    let view = stage.view(source, portcullis_host::Quiet).await.expect("authorised");
    for from in ["the store", "the disk"] {
        read(&view, 0, 1 << 20).await.expect("read");
        let before = peak();
        for offset in (0..LARGE).step_by(1 << 20) {
            let read = read(&view, offset, 1 << 20).await.expect("read");
            assert!(read.len() == 1 << 20 && read.iter().all(|byte| *byte == 0x5a), "{offset}");
        }
        // Linux only; each test has a process of its own where memory is looked at.
        if let (Some(before), Some(after)) = (before, peak()) {
            // Some pieces of 2 MiB, and what the allocator keeps for each thread that read one: 20 to 37 MiB were seen,
            // 20 with a single arena. It does not grow with the part.
            assert!(after - before <= 48 << 10, "memory grew by {} KiB reading from {from}", after - before);
        }
    }
    let fetched = fetched.load(Ordering::SeqCst);
    assert!(fetched < stage.file.len() as u64 + MIB, "{fetched}: the second time nothing was fetched");
}
