//! Bodies that wait for what never comes. The call ends at its bound, and the program that made it ends too.

use super::guests::{RUN_MAX, limits};
use super::{Arena, Outcome, Trial, attacks};
use crate::checkout;
use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use portcullis_fixtures::waits::{self, OPENS, OPENS_A_FILE, READS, WRITES_SOME, resource};
use portcullis_fixtures::{Bench, Draft, Rule, api, description, operation, part, seal};
use portcullis_host::{
    Bound, Command, Directory, Downloaded, Error, Input, InstallSource, Lent, Output, OutputBuffer, Runtime, Val,
};
use portcullis_protocol::seal::Sealer;
use portcullis_protocol::wire::{OfferTerms, OffersAnswer, OffersRequest, PaymentMethod};
use portcullis_protocol::{Rights, ServerEntry};
use reqwest::Method;
use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

attacks! {
    "guest-that-waits-for-a-part-that-never-comes" => part_that_never_comes,
    "guest-that-waits-for-a-pipe-that-nobody-opens" => pipe_that_nobody_opens,
    "guest-that-waits-for-a-reader-that-never-comes" => reader_that_never_comes,
    "guest-that-waits-for-input-that-never-comes" => input_that_never_comes,
}

/// What a call and the end of its program may take beyond the bound. What holds a program holds it for ever, or for the
/// minute for which a stream is patient.
const SLACK: Duration = Duration::from_secs(10);
/// After so long a program counts as hanging.
const HANGS: Duration = Duration::from_secs(40);

/// Makes a call in a program of its own, as far as threads go, and ends that program: how the call ended, and how long
/// both took.
async fn in_a_program<T, F>(call: impl FnOnce() -> F + Send + 'static) -> Result<(T, Duration)>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let program = move || -> std::io::Result<(T, Duration)> {
        let begun = Instant::now();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let outcome = runtime.block_on(async { call().await });
        // Here it waits for each of its threads that blocks.
        drop(runtime);
        Ok((outcome, begun.elapsed()))
    };
    Ok(tokio::task::spawn_blocking(program).await??)
}

fn judge<T: std::fmt::Debug>(trial: &mut Trial, what: &str, (outcome, took): &(Result<T, Error>, Duration)) {
    let (bound, ended) = (Duration::from_secs(RUN_MAX.into()), matches!(outcome, Err(Error::Limit(Bound::Time))));
    let in_time = *took >= bound && *took < bound + SLACK;
    trial.attack_fails(&format!("{what}: over after {:.2} s", took.as_secs_f64()), "bound on time", ended && in_time);
    if !ended {
        trial.note(format!("{outcome:?}"));
    }
}

/// A resource that is streamed reads a part that its store begins to send and never goes on with.
async fn part_that_never_comes(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (client, meddler, _) = shop.client().await?;
    let source: InstallSource = "lumen/alpine-lake@1.0.0".parse()?;
    let store = client.store(&shop.origin);
    store.order(shop.offer("view")?, PaymentMethod { provider: "sandbox".into(), token: "ok".into() }).await?;
    let streamed = client.library().stream(&source, true).await?.accept().await?;
    let runtime = Runtime::builder().gatekeeper(client.cycle()).limits(limits()).build()?;
    let view = Arc::new(runtime.load(streamed)?.authorize("view").await?);
    let read = |offset: u64| {
        let view = Arc::clone(&view);
        let arguments = [Val::String("full".into()), Val::U64(offset), Val::U32(10)];
        in_a_program(move || async move { view.call(&api("read"), &arguments).await })
    };
    let mut trial = Trial::new();
    meddler.mirror(|_, answer| Downloaded { body: futures::stream::pending().boxed(), ..answer });
    judge(&mut trial, "reading it", &read(2_000_000).await?);
    judge(&mut trial, "reading it again", &read(2_000_000).await?);
    meddler.stop();
    // What was begun is given up by the stream itself, seconds after nothing has arrived.
    let mut honest = read(0).await?.0;
    for _ in 0..30 {
        if honest.is_ok() {
            break;
        }
        honest = read(0).await?.0;
    }
    trial.control("once the store sends again, it reads", honest.is_ok());
    Ok(trial.finish())
}

/// A folder that was lent holds a pipe that nobody opens at the other end.
async fn pipe_that_nobody_opens(arena: &mut Arena) -> Result<Outcome> {
    let folder = arena.fresh_path();
    std::fs::create_dir_all(&folder)?;
    let made = std::process::Command::new("mkfifo").arg(folder.join("pipe")).status().context("mkfifo")?;
    ensure!(made.success(), "no pipe was made");
    std::fs::write(folder.join("file"), "there")?;
    let run = |how: &'static str| {
        let host = folder.clone();
        in_a_program(move || async move {
            let mut lent = Lent::default();
            lent.directories = vec![Directory { host, guest: "/".into(), writable: false }];
            let bench = Bench::of(&resource(how), |builder| builder.limits(limits()).lend(lent));
            bench.signer.rule("run", Rule::Timed(30));
            bench.resource.run(Command::default()).await
        })
    };
    let mut trial = Trial::new();
    judge(&mut trial, "opening it", &run(OPENS).await?);
    let (opened, _) = run(OPENS_A_FILE).await?;
    trial.control("a file beside it is opened by the same body", opened.is_ok_and(|exit| exit.code == 0));
    Ok(trial.finish())
}

/// What it writes goes into a pipe that nobody reads.
async fn reader_that_never_comes(_: &mut Arena) -> Result<Outcome> {
    let run = |output: Output| {
        in_a_program(move || async move {
            let bench = Bench::of(&resource(WRITES_SOME), |builder| builder.limits(limits()));
            bench.signer.rule("run", Rule::Timed(30));
            bench.resource.run(Command::new(Vec::new(), Input::Empty, output, Output::Discard)).await
        })
    };
    let mut trial = Trial::new();
    let (reader, writer) = std::io::pipe()?;
    let file = File::from(std::os::fd::OwnedFd::from(writer));
    judge(&mut trial, "writing 80 KiB", &run(Output::File(Arc::new(file))).await?);
    drop(reader);
    let collected = OutputBuffer::default();
    let (ran, _) = run(Output::Buffer(collected.clone())).await?;
    trial.control(
        "the same where it is read",
        ran.is_ok_and(|exit| exit.code == 0) && collected.take().len() == 20 * 4096,
    );
    Ok(trial.finish())
}

/// A command reads from standard input, at which somebody sits who types nothing.
async fn input_that_never_comes(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let server = ServerEntry { origin: shop.origin.clone(), root: shop.publisher.root.thumbprint() };
    let mut described = description(&shop.key, vec![operation("run", &[waits::RUN], &["main"])]);
    described.publisher.name = "lumen".parse()?;
    described.name = "reader".parse()?;
    described.servers = vec![server];
    described.limits.run_max = Some(RUN_MAX);
    let body = waits::body(READS);
    let sealer = Sealer::new(described).code(part("main"), true, &body);
    let file = seal(sealer, &shop.key, &shop.publisher.keys.recipient.parse()?);
    shop.publish(&file).await?;
    let terms = OfferTerms {
        id: None,
        operation: "run".parse()?,
        title: "To run it".into(),
        rights: Rights::Free {},
        price: "0.00 EUR".parse()?,
    };
    let offers = Draft::json(Method::PUT, "/v1/catalogue/lumen/reader/offers", &OffersRequest { offers: vec![terms] });
    let _: OffersAnswer = shop.publisher.ask(&offers).await?;
    let (client, _, home) = shop.client().await?;
    drop(client);
    let program = checkout::program("portcullis")?;
    let run = |typed: Option<&'static [u8]>| {
        let mut command = std::process::Command::new(&program);
        command.arg("--home").arg(&home).args(["run", "lumen/reader"]).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        tokio::task::spawn_blocking(move || -> Result<(bool, String, Duration)> {
            let begun = Instant::now();
            let mut child = command.spawn()?;
            // It stays open until the end.
            let mut stdin = child.stdin.take().context("standard input")?;
            if let Some(typed) = typed {
                stdin.write_all(typed)?;
            }
            while child.try_wait()?.is_none() && begun.elapsed() < HANGS {
                std::thread::sleep(Duration::from_millis(20));
            }
            let took = begun.elapsed();
            let _ = child.kill();
            let output = child.wait_with_output()?;
            drop(stdin);
            Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned(), took))
        })
    };
    let mut trial = Trial::new();
    let (succeeded, said, took) = run(None).await??;
    let ended = !succeeded && took < HANGS && said.contains(&Bound::Time.to_string());
    trial.attack_fails(&format!("reading: over after {:.2} s", took.as_secs_f64()), "bound on time", ended);
    if !ended {
        trial.note(said);
    }
    let (succeeded, said, _) = run(Some(b"typed")).await??;
    trial.control("somebody types something, and it is read", succeeded);
    if !succeeded {
        trial.note(said);
    }
    Ok(trial.finish())
}
