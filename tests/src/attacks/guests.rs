//! Bodies that misbehave. Each runs beside a neighbour in the same runtime; it is ended by its bound, in time, and the
//! neighbour notices nothing.

use super::hostile::{self, End, Kind};
use super::specimen::generous;
use super::{Arena, Outcome, Trial};
use anyhow::{Context as _, Result};
use async_trait::async_trait;
use portcullis_fixtures::{Bench, Fixture, api, command, honest, part};
use portcullis_host::{
    Answer, Authorised, Command, Consent, DeclineAll, Error, Input, Limits, Output, OutputBuffer, Prompt, Val,
};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The table: names, and the kinds of [`hostile`].
macro_rules! kinds {
    ($($name:literal => $run:expr,)*) => {
        pub(super) const ATTACKS: &[super::Attack] =
            &[$(super::Attack { name: $name, run: |arena| Box::pin($run(arena)) },)*];
    };
}

/// Runs one kind.
macro_rules! kind {
    ($kind:ident) => {
        |arena| contained(arena, &hostile::$kind)
    };
}

kinds! {
    "guest-that-loops" => kind!(LOOPS),
    "guest-that-allocates" => kind!(ALLOCATES),
    "guest-that-recurses" => kind!(RECURSES),
    "guest-that-grows-tables" => kind!(GROWS_TABLES),
    "guest-that-fills-memory" => kind!(FILLS_MEMORY),
    "guest-that-floods-host-calls" => kind!(FLOODS_HOST_CALLS),
    "guest-that-leaks-handles" => kind!(LEAKS_HANDLES),
    "guest-that-forges-handles" => kind!(FORGES_HANDLES),
    "guest-that-polls-the-clock" => kind!(POLLS_THE_CLOCK),
    "guest-that-sleeps" => kind!(SLEEPS),
    "guest-that-leaks-alarms" => kind!(LEAKS_ALARMS),
    "guest-that-floods-random" => kind!(FLOODS_RANDOM),
    "guest-that-wants-endless-random" => kind!(WANTS_ENDLESS_RANDOM),
    "guest-that-passes-huge-strings" => kind!(PASSES_HUGE_STRINGS),
    "guest-that-gives-huge-results" => kind!(GIVES_HUGE_RESULTS),
    "guest-that-gives-deep-values" => kind!(GIVES_DEEP_VALUES),
    "guest-that-lies-about-results" => kind!(LIES_ABOUT_RESULTS),
    "guest-that-spins-after-returning" => kind!(SPINS_AFTER_RETURNING),
    "guest-that-spins-in-realloc" => kind!(SPINS_IN_REALLOC),
    "guest-that-spins-in-a-destructor" => kind!(SPINS_IN_A_DESTRUCTOR),
    "guest-that-spins-at-the-start" => kind!(SPINS_AT_THE_START),
    "guest-that-makes-many-instances" => kind!(MAKES_MANY_INSTANCES),
    "guest-that-makes-many-memories" => kind!(MAKES_MANY_MEMORIES),
    "guest-that-starts-huge" => kind!(STARTS_HUGE),
    "guest-that-floods-output" => floods_output,
    "guest-that-stalls-in-a-host-call" => stalls_in_a_host_call,
    "guest-that-asks-a-thousand-prompts" => asks_a_thousand_prompts,
}

/// Seconds that a call may run here.
pub(super) const RUN_MAX: u32 = 1;
/// Two ticks of the engine's clock.
const TICKS: Duration = Duration::from_millis(20);
/// Between two calls of the neighbour.
const PAUSE: Duration = Duration::from_millis(2);
/// What memory the process may take on for one guest: what the guest may have, and half as much for the host's copies.
const MEMORY: u64 = 384 * 1024 * 1024;

pub(super) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.run_max = RUN_MAX;
    limits
}

/// What the machine and the process go through meanwhile: a thread that only sleeps, and looks when it is woken.
struct Watch {
    /// The longest that it had to wait, in microseconds.
    late: AtomicU64,
    /// The most memory that the process had.
    memory: AtomicU64,
    over: AtomicBool,
}

impl Watch {
    fn begin() -> Arc<Self> {
        let watch = Arc::new(Self { late: AtomicU64::new(0), memory: AtomicU64::new(0), over: AtomicBool::new(false) });
        let own = Arc::clone(&watch);
        std::thread::spawn(move || {
            while !own.over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                std::thread::sleep(Duration::from_millis(1));
                let late = begun.elapsed().saturating_sub(Duration::from_millis(1));
                own.late.fetch_max(late.as_micros().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
                own.memory.fetch_max(resident(), Ordering::Relaxed);
            }
        });
        watch
    }

    /// What a guest's thread may have had to wait for its turn, over and above its deadline. A thread that computes
    /// waits longer than one that mostly sleeps, ten times as long at the most that was seen.
    fn slack(&self) -> Duration {
        (Duration::from_micros(self.late.load(Ordering::Relaxed)) * 10).max(Duration::from_millis(250))
    }
}

/// Bytes of memory that this process has now; 0 where the system does not say.
fn resident() -> u64 {
    let pages = |text: String| text.split(' ').nth(1)?.parse::<u64>().ok();
    std::fs::read_to_string("/proc/self/statm").ok().and_then(pages).unwrap_or(0) * 4096
}

/// What was seen while an attack went on.
struct Watched<T> {
    outcome: T,
    took: Duration,
    slack: Duration,
    calls: u32,
    longest: Duration,
    memory: u64,
}

/// Lets `attack` run while a neighbour works, on the same thread.
async fn watched<T>(attack: impl Future<Output = T>, neighbour: &Authorised) -> Result<Watched<T>> {
    let (before, watch) = (resident(), Watch::begin());
    let begun = Instant::now();
    let attack = async {
        let outcome = attack.await;
        let took = begun.elapsed();
        watch.over.store(true, Ordering::SeqCst);
        (outcome, took)
    };
    let other = api("other");
    let work = async {
        let (mut calls, mut longest) = (0, Duration::ZERO);
        // At least a few, also where the attack is over at once.
        while !watch.over.load(Ordering::SeqCst) || calls < 5 {
            // Waiting for its turn is part of what the neighbour notices.
            let begun = Instant::now();
            tokio::time::sleep(PAUSE).await;
            neighbour.call_typed::<(), (u32,)>(&other, ()).await?;
            longest = longest.max(begun.elapsed().saturating_sub(PAUSE));
            calls += 1;
        }
        Ok::<_, Error>((calls, longest))
    };
    let ((outcome, took), worked) = tokio::join!(attack, work);
    let (calls, longest) = worked.context("the neighbour failed")?;
    let memory = watch.memory.load(Ordering::Relaxed).saturating_sub(before);
    Ok(Watched { outcome, took, slack: watch.slack(), calls, longest, memory })
}

impl<T: std::fmt::Debug> Watched<Result<T, Error>> {
    /// Writes down how it ended, and what the neighbour and the machine noticed.
    fn judge(&self, trial: &mut Trial, end: End) {
        let ended = matches!(&self.outcome, Err(error) if end.is(error));
        let deadline = Duration::from_secs(RUN_MAX.into());
        let in_time = self.took <= deadline + TICKS + self.slack;
        let early = !matches!(end, End::InTime) || self.took >= deadline;
        let over = self.took.saturating_sub(deadline).as_millis();
        let what = format!("ended after {:.3} s, {over} ms past its deadline", self.took.as_secs_f64());
        trial.attack_fails(&what, &end.text(), ended && in_time && early);
        if !(ended && in_time && early) {
            trial.note(format!("{:?}; {} ms were allowed", self.outcome, (TICKS + self.slack).as_millis()));
        }
        let (mib, longest) = (self.memory / (1024 * 1024), self.longest.as_millis());
        trial.attack_fails(&format!("taking memory: {mib} MiB"), "the host's memory is bounded", self.memory <= MEMORY);
        let unharmed = self.longest < Duration::from_millis(250).max(self.slack);
        trial.control(&format!("the neighbour made {} calls, the longest {longest} ms", self.calls), unharmed);
    }
}

/// A hostile resource and an honest neighbour in one runtime.
async fn beside(specimen: &Fixture, hostile: &Fixture) -> Result<(Bench, Result<Authorised, Error>, Authorised)> {
    let (mut keys, side) = (hostile.keys.clone(), part("side"));
    keys.insert(side.clone(), specimen.keys.get(&side).context("a key")?.clone());
    let bench = generous(&hostile.file, &keys, limits(), DeclineAll)?;
    let attacker = bench.resource.authorize("view").await;
    let neighbour = bench.runtime.load(specimen.file.clone())?.authorize("preview").await?;
    Ok((bench, attacker, neighbour))
}

/// The number of the call in its instance: honest work that shows whether the instance is a new one.
async fn count(authorised: &Authorised) -> Option<u32> {
    let added = authorised.call_typed::<(u32, u32), (u32,)>("add", (2, 3)).await.ok()?;
    let (count,) = authorised.call_typed::<(), (u32,)>("count", ()).await.ok()?;
    (added == (5,)).then_some(count)
}

/// Calls an abusive export while a neighbour works.
async fn contained(arena: &mut Arena, kind: &Kind) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let (bench, attacker, neighbour) = beside(specimen, &kind.sealed(false)).await?;
    let mut trial = Trial::new();
    if kind.is_instantiated() {
        let cycles = bench.requests();
        let attack = async { attacker?.call("attack", &Kind::arguments(1)).await };
        watched(attack, &neighbour).await?.judge(&mut trial, kind.end);
        trial.attack_fails("starting cycles", "none started", bench.requests() == cycles);
        let (_bench, tame, _) = beside(specimen, &kind.sealed(true)).await?;
        trial.control("the same without it does honest work", count(&tame?).await == Some(1));
        return Ok(trial.finish());
    }
    let attacker = attacker?;
    let tame = attacker.call("attack", &Kind::arguments(0)).await;
    trial.control("before, it does honest work", tame.is_ok() && count(&attacker).await == Some(1));
    let cycles = bench.requests();
    let seen = watched(attacker.call("attack", &Kind::arguments(1)), &neighbour).await?;
    seen.judge(&mut trial, kind.end);
    trial.attack_fails("starting cycles", "none started", bench.requests() == cycles);
    trial.control("after, it does honest work in a new instance", count(&attacker).await == Some(1));
    Ok(trial.finish())
}

/// Writes for ever, and takes no no for an answer.
async fn floods_output(arena: &mut Arena) -> Result<Outcome> {
    /// What it may write.
    const MOST: usize = 1024 * 1024;
    let write = "(call $write (local.get $out) (i32.const 0) (i32.const 4096) (i32.const 0))";
    let flood = format!("(local.set $out (call $stdout)) (loop $again {write} (br $again)) unreachable");
    let hello = "(call $write (call $stdout) (i32.const 512) (i32.const 6) (i32.const 0)) (i32.const 0)";
    let specimen = arena.specimen()?;
    let (mut limits, mut trial) = (limits(), Trial::new());
    limits.output = MOST as u64;
    let neighbour = generous(&specimen.file, &specimen.keys, limits, DeclineAll)?.resource.authorize("preview").await?;
    for (run, hostile) in [(hello, false), (flood.as_str(), true)] {
        let body = command(run, |_| {});
        let resource = generous(&body.file, &body.keys, limits, DeclineAll)?.resource.authorize("run").await?;
        let written = OutputBuffer::default();
        let to = Command::new(vec!["it".into()], Input::Empty, Output::Buffer(written.clone()), Output::Discard);
        if hostile {
            watched(resource.run(to), &neighbour).await?.judge(&mut trial, End::InTime);
            let bytes = written.take().len();
            trial.attack_fails(&format!("having {bytes} bytes kept"), "bound on output", bytes <= MOST);
        } else {
            let exit = resource.run(to).await?;
            trial.control("a greeting is written", !exit.output_cut && written.take() == b"hello\n");
        }
    }
    Ok(trial.finish())
}

/// A user who never answers.
struct Asleep;

#[async_trait]
impl Consent for Asleep {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        std::future::pending::<()>().await;
        prompt.decline()
    }
}

async fn stalls_in_a_host_call(arena: &mut Arena) -> Result<Outcome> {
    let specimen = arena.specimen()?;
    let bench = generous(&specimen.file, &specimen.keys, limits(), Asleep)?;
    let (view, neighbour) = (bench.resource.authorize("view").await?, bench.resource.authorize("preview").await?);
    let mut trial = Trial::new();
    trial.control("before, it does honest work", honest(&view).await.ok() == Some(5));
    let cycles = bench.requests();
    let arguments = [Val::String("print".into()), Val::U32(1), Val::List(Vec::new())];
    let ask = api("ask");
    watched(view.call(&ask, &arguments), &neighbour).await?.judge(&mut trial, End::InTime);
    trial.attack_fails("starting cycles", "none started", bench.requests() == cycles);
    trial.control("after, it does honest work", honest(&view).await.ok() == Some(5));
    Ok(trial.finish())
}

/// Declines, and counts how often it was asked.
#[derive(Clone, Default)]
struct Counting {
    asked: Arc<AtomicU32>,
    agrees: Arc<AtomicBool>,
}

#[async_trait]
impl Consent for Counting {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.agrees.load(Ordering::SeqCst) { prompt.agree() } else { prompt.decline() }
    }
}

/// Asks until the user gives in.
async fn asks_a_thousand_prompts(arena: &mut Arena) -> Result<Outcome> {
    let user = Counting::default();
    let specimen = arena.specimen()?;
    let bench = generous(&specimen.file, &specimen.keys, limits(), user.clone())?;
    let view = bench.resource.authorize("view").await?;
    let nag = api("nag");
    let (first,): (u32,) = view.call_typed(&nag, ("print".to_owned(), 1000_u32)).await.context("it is not ended")?;
    let asked = user.asked.load(Ordering::SeqCst);
    let mut trial = Trial::new();
    let held = first == 1000 && asked == Limits::default().prompts;
    trial.attack_fails(&format!("1000 requests in one call: {asked} prompts"), "confirmation-required", held);
    trial.attack_fails("starting a cycle nobody agreed to", "none started", bench.requests() == 1);
    user.agrees.store(true, Ordering::SeqCst);
    let (refused,): (u32,) = view.call_typed(&nag, ("print".to_owned(), 1_u32)).await.context("it is not ended")?;
    trial.control("asked once by the next call, the user agrees and the request goes out", refused == 0);
    trial.control("and one cycle was begun", bench.requests() == 2);
    trial.control("honest work goes on", honest(&view).await.ok() == Some(5));
    Ok(trial.finish())
}
