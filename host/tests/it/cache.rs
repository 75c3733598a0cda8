//! Compiled code between runs: what it is good for, and every way to make the host run what it did not seal.

use crate::fixture::{Bench, Fixture, GUEST_WAT, GUEST_WIT, PLAINTEXT, Rule, api, component, guest, honest};
use portcullis_host::{
    BlobDir, BlobId, CompiledCache, Error, Limits, Progress, RuntimeBuilder, SealedBlobs as _, Step, engine_config,
};
use portcullis_protocol::{Digest, Reason, SignedManifest};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use zeroize::Zeroizing;

/// Counts what was compiled.
#[derive(Clone, Default)]
struct Compiled(Arc<AtomicU32>);

impl Progress for Compiled {
    fn step(&self, _: &SignedManifest, step: Step<'_>) {
        if matches!(step, Step::Compiling(_)) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A terminal with its cache. Each start is a runtime of its own, as each run of the program has one.
struct Terminal {
    folder: tempfile::TempDir,
    fixture: Fixture,
    secret: [u8; 32],
    most: u64,
}

impl Terminal {
    fn new() -> Self {
        Self::with(Fixture::new(), 1)
    }

    fn with(fixture: Fixture, secret: u8) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), fixture, secret: [secret; 32], most: 64 << 20 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn blobs(&self) -> BlobDir {
        BlobDir::new(self.path(), self.most)
    }

    fn cache(&self) -> CompiledCache {
        CompiledCache::new(Arc::new(self.blobs()), Zeroizing::new(self.secret))
    }

    fn bench(&self, build: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder) -> Bench {
        Bench::of(&self.fixture, |builder| build(builder.cache(self.cache())))
    }

    /// Starts, calls, and gives how often the engine compiled.
    async fn start(&self) -> u32 {
        self.operation("view").await
    }

    async fn operation(&self, operation: &'static str) -> u32 {
        let compiled = Compiled::default();
        let bench = self.bench(|builder| builder.progress(compiled.clone()));
        bench.signer.rule(operation, Rule::Timed(30));
        let authorised = bench.resource.authorize(operation).await.expect("authorised");
        match operation {
            "view" => assert_eq!(honest(&authorised).await.expect("called"), 5),
            _ => drop(authorised.call(&api("other"), &[]).await.expect("called")),
        }
        compiled.0.load(Ordering::SeqCst)
    }

    fn file(&self) -> PathBuf {
        let [blob] = self.blobs().list().expect("a list")[..] else { panic!("one blob") };
        self.path().join(blob.id.to_string())
    }

    /// The exploit was ignored and the code made anew, and what was made anew is used.
    async fn is_rebuilt(&self, exploit: &str) {
        assert_eq!(self.start().await, 1, "{exploit}: not used");
        assert_eq!(self.start().await, 0, "{exploit}: rebuilt");
    }
}

#[tokio::test]
async fn a_second_start_takes_over_what_the_first_one_compiled() {
    let terminal = Terminal::new();
    assert_eq!(terminal.start().await, 1);
    assert_eq!(terminal.start().await, 0);
    assert_eq!(terminal.operation("side").await, 1, "another part has code of its own");
    assert_eq!(terminal.operation("side").await, 0);
    let listed = terminal.cache().list().expect("a list");
    let parts: Vec<&str> = listed.iter().map(|code| code.part.as_str()).collect();
    assert_eq!(parts, ["main", "side"], "least lately used first");
    assert!(listed.iter().all(|code| code.name.as_str() == "guest" && code.publisher.as_str() == "tester"));
    let bench = terminal.bench(RuntimeBuilder::no_cache);
    assert_eq!(honest(&bench.view().await).await.expect("called"), 5);
    let another = Digest::of(b"another");
    assert_eq!(terminal.cache().remove(&another).expect("removed"), 0);
    assert_eq!(terminal.cache().remove(&bench.resource.digest()).expect("removed"), 2);
    assert_eq!(terminal.start().await, 1);
    assert_eq!(terminal.cache().clear().expect("cleared"), 1);
    assert_eq!(terminal.start().await, 1);
}

#[tokio::test]
async fn nothing_on_the_disk_is_plaintext_or_a_name() {
    let terminal = Terminal::new();
    terminal.start().await;
    let blob = fs::read(terminal.file()).expect("read");
    let engine = wasmtime::Engine::new(&engine_config(&Limits::default(), None)).expect("an engine");
    let plain = engine.precompile_component(&guest()).expect("compiled");
    let has = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(has(&plain, PLAINTEXT.as_bytes()) && has(&plain, b"\x7fELF"), "the control: compiled code shows the body");
    for text in [PLAINTEXT.as_bytes(), b"\x7fELF", b"guest", b"tester", b"main", b"wasmtime"] {
        assert!(!has(&blob, text), "{}", String::from_utf8_lossy(text));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&terminal.file()), mode(&terminal.path())), (0o600, 0o700));
    }
}

#[tokio::test]
async fn code_that_was_changed_is_made_anew() {
    let terminal = Terminal::new();
    terminal.start().await;
    let whole = fs::read(terminal.file()).expect("read");
    // The form, the length of the label, the label, the salt, the code, the last tag. `cache_seal` has every byte.
    for at in [0, 9, 30, 300, whole.len() / 2, whole.len() - 1] {
        let mut changed = fs::read(terminal.file()).expect("read");
        changed[at] ^= 1;
        fs::write(terminal.file(), &changed).expect("written");
        terminal.is_rebuilt(&format!("byte {at} of {}", whole.len())).await;
    }
    for length in [0, 11, whole.len() / 2, whole.len() - 1] {
        fs::write(terminal.file(), &whole[..length]).expect("written");
        terminal.is_rebuilt(&format!("cut to {length}")).await;
    }
    fs::write(terminal.file(), [&whole[..], b"more"].concat()).expect("written");
    terminal.is_rebuilt("more at the end").await;
}

#[tokio::test]
async fn native_code_in_its_place_is_not_run() {
    let terminal = Terminal::new();
    terminal.start().await;
    let engine = wasmtime::Engine::new(&engine_config(&Limits::default(), None)).expect("an engine");
    // The very code that the host would have made, not sealed.
    fs::write(terminal.file(), engine.precompile_component(&guest()).expect("compiled")).expect("written");
    terminal.is_rebuilt("a plain .cwasm").await;
}

#[tokio::test]
async fn code_of_another_part_or_resource_in_its_place_is_not_run() {
    let terminal = Terminal::new();
    terminal.operation("side").await;
    let side = fs::read(terminal.file()).expect("read");
    terminal.cache().clear().expect("cleared");
    terminal.start().await;
    fs::write(terminal.file(), side).expect("written");
    terminal.is_rebuilt("another part").await;

    // The same terminal, and a resource of the same publisher, name and body.
    let other = Terminal { fixture: Fixture::new(), ..Terminal::new() };
    other.start().await;
    fs::copy(other.file(), terminal.file()).expect("copied");
    terminal.is_rebuilt("another resource").await;

    // The control: code of this part, taken away and brought back, is used.
    let own = fs::read(terminal.file()).expect("read");
    let name = terminal.file();
    terminal.cache().clear().expect("cleared");
    fs::write(&name, own).expect("written");
    own_mode(&name);
    assert_eq!(terminal.start().await, 0);
}

#[cfg(unix)]
fn own_mode(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
}

#[cfg(not(unix))]
fn own_mode(_: &Path) {}

#[tokio::test]
async fn a_cache_that_was_copied_to_another_terminal_opens_nowhere_there() {
    let one = Terminal::new();
    one.start().await;
    // The same resource and the same part key; all that differs is the secret that stays on its machine.
    let mut two = Terminal::with(one.fixture.again(), 2);
    fs::create_dir(two.path()).expect("made");
    let copied = two.path().join(one.file().file_name().expect("a name"));
    fs::copy(one.file(), &copied).expect("copied");
    own_dir(&two.path());
    assert_eq!(two.cache().list().expect("a list"), [], "not even what it is can be read");
    assert_eq!(two.start().await, 1);
    // Under the name that this terminal would look for.
    fs::remove_file(&copied).expect("removed");
    fs::copy(one.file(), two.file()).expect("copied");
    two.is_rebuilt("another terminal's code").await;
    // The control: with the secret too, it is the same terminal.
    two.secret = one.secret;
    fs::copy(one.file(), two.path().join(one.file().file_name().expect("a name"))).expect("copied");
    assert_eq!(two.start().await, 0);
}

#[cfg(unix)]
fn own_dir(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("set");
}

#[cfg(not(unix))]
fn own_dir(_: &Path) {}

#[tokio::test]
async fn after_a_revocation_nothing_opens_it() {
    let terminal = Terminal::new();
    terminal.start().await;
    assert_eq!(terminal.start().await, 0, "the control: with a grant it opens");
    let compiled = Compiled::default();
    let bench = terminal.bench(|builder| builder.progress(compiled.clone()));
    bench.signer.rule("view", Rule::No(Reason::EntitlementRevoked));
    let Err(Error::Refused(refused)) = bench.resource.authorize("view").await else { panic!("refused") };
    assert_eq!(refused.reason, Reason::EntitlementRevoked);
    assert!(terminal.file().exists(), "it lies there, and no key for it");
    // A grant for another operation brings another key.
    bench.signer.rule("side", Rule::Timed(30));
    let side = bench.resource.authorize("side").await.expect("authorised");
    assert!(matches!(honest(&side).await, Err(Error::OtherOperation { .. })));
}

#[cfg(unix)]
#[tokio::test]
async fn links_and_places_that_others_could_write_in_are_not_trusted() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    let terminal = Terminal::new();
    terminal.start().await;
    let file = terminal.file();

    let elsewhere = terminal.folder.path().join("elsewhere");
    fs::rename(&file, &elsewhere).expect("moved");
    symlink(&elsewhere, &file).expect("linked");
    terminal.is_rebuilt("a link").await;
    assert!(elsewhere.exists() && fs::symlink_metadata(&file).expect("there").is_file());

    fs::remove_file(&file).expect("removed");
    fs::create_dir_all(file.join("inside")).expect("made");
    terminal.is_rebuilt("a directory").await;

    mode(&file, 0o666);
    terminal.is_rebuilt("a file that others can write").await;

    mode(&terminal.path(), 0o777);
    terminal.is_rebuilt("a directory that others can write in").await;
    assert_eq!(fs::metadata(terminal.path()).expect("there").permissions().mode() & 0o777, 0o700);

    let away = terminal.folder.path().join("away");
    fs::rename(terminal.path(), &away).expect("moved");
    symlink(&away, terminal.path()).expect("linked");
    assert_eq!((terminal.start().await, terminal.start().await), (1, 1), "a link to a directory is no cache");
}

#[tokio::test]
async fn a_bound_that_became_lower_holds_for_what_was_compiled_before() {
    let terminal = Terminal::new();
    terminal.start().await;
    let mut limits = Limits::default();
    limits.body = 100;
    let bench = terminal.bench(|builder| builder.limits(limits));
    assert!(matches!(bench.resource.authorize("view").await, Err(Error::BodyTooLarge { .. })));
}

#[tokio::test]
async fn an_engine_with_other_settings_compiles_for_itself() {
    let terminal = Terminal::new();
    terminal.start().await;
    let compiled = Compiled::default();
    let mut limits = Limits::default();
    limits.memory = 64 << 20;
    let pool = portcullis_host::Pool { stores: 2 };
    let bench = terminal.bench(|builder| builder.progress(compiled.clone()).limits(limits).pool(pool));
    assert_eq!(honest(&bench.view().await).await.expect("called"), 5);
    assert_eq!(terminal.start().await, 0, "that of the first engine is still there");
}

fn id(n: u8) -> BlobId {
    BlobId::parse(&format!("{n:032x}")).expect("a name")
}

#[test]
fn what_was_used_least_lately_goes_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = BlobDir::new(folder.path().join("cache"), 1000);
    assert_eq!(blobs.list().expect("a list"), []);
    let kept = || -> Vec<bool> { (0..4).map(|n| blobs.get(&id(n)).expect("read").is_some()).collect() };
    let put = |n: u8, size: usize| {
        blobs.put(&id(n), &vec![n; size]).expect("kept");
        // Ages apart, whatever the file system's clock does.
        let Ok(file) = fs::File::open(folder.path().join("cache").join(id(n).to_string())) else { return };
        file.set_modified(SystemTime::now() - Duration::from_secs(100 - u64::from(n))).expect("set");
    };
    put(0, 400);
    put(1, 400);
    put(0, 500);
    assert_eq!(kept(), [true, true, false, false], "put again, it takes its own room");
    blobs.used(&id(0));
    put(2, 400);
    assert_eq!(kept(), [true, false, true, false]);
    put(3, 1001);
    assert_eq!(kept(), [true, false, true, false], "what never fits drives nothing out");
    put(3, 1000);
    assert_eq!(kept(), [false, false, false, true]);
    blobs.remove(&id(3)).expect("removed");
    blobs.remove(&id(3)).expect("removed twice");
    assert_eq!(kept(), [false; 4]);
}

#[test]
fn several_at_once_keep_the_bound_and_read_whole_blobs() {
    let folder = tempfile::tempdir().expect("a folder");
    let most = 40_000;
    let torn = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let (folder, torn) = (folder.path(), &torn);
            scope.spawn(move || {
                let blobs = BlobDir::new(folder.join("cache"), most);
                for round in 0..40_u8 {
                    let name = id(round % 7);
                    blobs.put(&name, &vec![thread; 9_000]).expect("kept");
                    let Ok(Some(mut blob)) = blobs.get(&name) else { continue };
                    let mut bytes = Vec::new();
                    blob.read_to_end(&mut bytes).expect("read");
                    if bytes.len() != 9_000 || bytes.iter().any(|byte| *byte != bytes[0]) {
                        torn.lock().expect("torn").push(bytes.len());
                    }
                    let total: u64 = blobs.list().expect("a list").iter().map(|blob| blob.size).sum();
                    assert!(total <= most, "{total}");
                }
            });
        }
    });
    assert_eq!(torn.into_inner().expect("torn"), [0_usize; 0]);
}

/// A resource whose body takes a while to compile.
fn large() -> Fixture {
    let function = |n: u32| {
        format!(
            "(func (param i32) (result i32) (local i32)
              (loop $l (local.set 1 (i32.add (i32.mul (local.get 1) (i32.const {n})) (local.get 0)))
                (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                (br_if $l (local.get 0)))
              (local.get 1))"
        )
    };
    let functions: String = (0..3000).map(function).collect();
    let wat = GUEST_WAT.trim_end().strip_suffix(')').expect("a module").to_owned() + &functions + ")";
    Fixture::single(&component(&wat, GUEST_WIT, "guest"), &[&api("add")])
}

/// No measurement, only that the cache is worth its place: opening is far from compiling even on a busy machine.
#[tokio::test]
async fn a_second_start_takes_a_fraction_of_the_first() {
    let terminal = Terminal::with(large(), 1);
    let time = || async {
        let bench = terminal.bench(|builder| builder);
        let begin = Instant::now();
        bench.view().await;
        begin.elapsed()
    };
    let first = time().await;
    let mut second = Duration::MAX;
    for _ in 0..5 {
        second = second.min(time().await);
    }
    assert!(second * 5 < first, "compiled in {first:?}, taken over in {second:?}");
}
