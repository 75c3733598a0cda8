//! A resource waits for something that never comes. Its call ends at its bound, whatever is behind it, and nothing that
//! still waits holds the program afterwards.
#![cfg(unix)]

use crate::fixture::waits::{OPENS, OPENS_A_FILE, READS, WRITES_ON, WRITES_SOME, resource};
use crate::fixture::{Bench, Rule};
use portcullis_host::{Bound, Command, Directory, Error, Input, Lent, Limits, Output, OutputBuffer, blocking};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.run_max = 1;
    limits
}

fn lent(folder: &Path) -> Lent {
    let mut lent = Lent::default();
    lent.directories = vec![Directory { host: folder.to_owned(), guest: "/".into(), writable: false }];
    lent
}

fn bench(run: &str, lent: Lent) -> Bench {
    let bench = Bench::of(&resource(run), |builder| builder.limits(limits()).lend(lent));
    bench.signer.rule("run", Rule::Timed(30));
    bench
}

/// Runs it on a runtime of its own, and ends that runtime: how it ended, and how long all of it took.
fn run_to_the_end(bench: &Bench, command: Command) -> (Result<portcullis_host::Exit, Error>, Duration) {
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let ended = runtime.block_on(bench.resource.run(command));
    // As a program does at its end: every thread that blocks is waited for.
    drop(runtime);
    (ended, begun.elapsed())
}

fn ends_in_time(ended: &(Result<portcullis_host::Exit, Error>, Duration)) {
    let (outcome, took) = ended;
    assert!(matches!(outcome, Err(Error::Limit(Bound::Time))), "{outcome:?}");
    assert!(*took >= Duration::from_secs(1) && *took < Duration::from_secs(8), "{took:?}");
}

fn fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
    assert!(made.success());
}

#[test]
fn opening_what_nobody_opens_at_the_other_end() {
    let folder = TempDir::new().expect("a folder");
    fifo(&folder.path().join("pipe"));
    std::fs::write(folder.path().join("file"), "there").expect("written");
    ends_in_time(&run_to_the_end(&bench(OPENS, lent(folder.path())), Command::default()));
    // The control: what is there is opened at once, by the same body.
    let (opened, took) = run_to_the_end(&bench(OPENS_A_FILE, lent(folder.path())), Command::default());
    assert_eq!(opened.expect("ran").code, 0);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_program_without_a_runtime_of_its_own_ends_too() {
    let folder = TempDir::new().expect("a folder");
    fifo(&folder.path().join("pipe"));
    let fixture = resource(OPENS);
    let signer = Bench::of(&fixture, |builder| builder);
    signer.signer.rule("run", Rule::Timed(30));
    let begun = Instant::now();
    let builder = portcullis_host::Runtime::builder().gatekeeper(Arc::clone(&signer.signer)).limits(limits());
    let runtime = blocking::Runtime::build(builder.clock(signer.clock()).lend(lent(folder.path()))).expect("a runtime");
    let resource = runtime.load(fixture.file.clone()).expect("loaded");
    let outcome = resource.run(Command::default());
    drop((resource, runtime));
    ends_in_time(&(outcome, begun.elapsed()));
}

#[test]
fn writing_into_a_pipe_that_nobody_reads() {
    for (run, why) in [(WRITES_ON, "for ever"), (WRITES_SOME, "less than the host would take")] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let output = Output::File(Arc::new(File::from(OwnedFd::from(writer))));
        let command = Command::new(Vec::new(), Input::Empty, output, Output::Discard);
        let begun = Instant::now();
        ends_in_time(&run_to_the_end(&bench(run, Lent::default()), command));
        assert!(begun.elapsed() < Duration::from_secs(8), "{why}");
        drop(reader);
    }
}

#[test]
fn what_is_read_arrives_whole_and_in_order() {
    use std::io::Read as _;
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).map(|_| all.len())
    });
    let output = Output::File(Arc::new(File::from(OwnedFd::from(writer))));
    let command = Command::new(Vec::new(), Input::Empty, output, Output::Discard);
    let (ended, _) = run_to_the_end(&bench(WRITES_SOME, Lent::default()), command);
    assert_eq!(ended.expect("ran").code, 0);
    assert_eq!(reading.join().expect("read").expect("read"), 20 * 4096);
    let collected = OutputBuffer::default();
    let command = Command::new(Vec::new(), Input::Empty, Output::Buffer(collected.clone()), Output::Discard);
    run_to_the_end(&bench(WRITES_SOME, Lent::default()), command).0.expect("ran");
    assert_eq!(collected.take().len(), 20 * 4096);
}

#[test]
fn input_that_is_there_is_read() {
    let command = Command::new(Vec::new(), Input::Bytes("typed".into()), Output::Discard, Output::Discard);
    let (ended, _) = run_to_the_end(&bench(READS, Lent::default()), command);
    assert_eq!(ended.expect("ran").code, 0);
}

/// A neighbour works on while others wait.
#[tokio::test]
async fn others_wait_for_nobody() {
    let folder = TempDir::new().expect("a folder");
    fifo(&folder.path().join("pipe"));
    std::fs::write(folder.path().join("file"), "there").expect("written");
    let (stuck, works) = (bench(OPENS, lent(folder.path())), bench(OPENS_A_FILE, lent(folder.path())));
    let waiting = async { futures::future::join_all((0..8).map(|_| stuck.resource.run(Command::default()))).await };
    let working = async {
        let begun = Instant::now();
        for _ in 0..5 {
            assert_eq!(works.resource.run(Command::default()).await.expect("ran").code, 0);
        }
        begun.elapsed()
    };
    let (ended, took) = tokio::join!(waiting, working);
    assert!(ended.iter().all(|ended| matches!(ended, Err(Error::Limit(Bound::Time)))));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// Somebody who is asked on a thread that blocks, as at a terminal, and never answers.
struct NeverAnswers;

#[async_trait::async_trait]
impl portcullis_host::Consent for NeverAnswers {
    async fn ask(&self, prompt: &portcullis_host::Prompt<'_>) -> portcullis_host::Answer {
        let asked = tokio::task::spawn_blocking(|| {
            loop {
                std::thread::park();
            }
        });
        match asked.await {
            Ok(()) | Err(_) => prompt.decline(),
        }
    }
}

#[test]
fn a_question_that_nobody_answers() {
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let outcome = runtime.block_on(async {
        let bench =
            Bench::of(&crate::fixture::Fixture::new(), |builder| builder.limits(limits()).consent(NeverAnswers));
        let arguments = [
            portcullis_host::Val::String("locked".into()),
            portcullis_host::Val::U32(1),
            portcullis_host::Val::List(Vec::new()),
        ];
        bench.view().await.call(&crate::fixture::api("ask"), &arguments).await
    });
    drop(runtime);
    assert!(matches!(outcome, Err(Error::Limit(Bound::Time))), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// Set, the test below does what the one above asks of it.
const READS_INPUT: &str = "PORTCULLIS_TEST_READS_INPUT";

/// In a process of its own, whose standard input stays open and silent.
#[test]
fn input_that_never_comes() {
    let own = std::env::current_exe().expect("this program");
    let mut child = std::process::Command::new(own)
        .args(["--exact", "waits::reads_for_the_test_beside"])
        .env(READS_INPUT, "1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let begun = Instant::now();
    let silent = child.stdin.take();
    let status = loop {
        if let Some(status) = child.try_wait().expect("asked") {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    drop(silent);
    assert!(status.success(), "{status:?}");
}

#[test]
fn reads_for_the_test_beside() {
    if std::env::var_os(READS_INPUT).is_some() {
        let command = Command::new(Vec::new(), Input::Inherit, Output::Discard, Output::Discard);
        ends_in_time(&run_to_the_end(&bench(READS, Lent::default()), command));
    }
}
