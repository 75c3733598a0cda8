//! Bodies that misbehave. Each runs beside a neighbour in the same runtime; it is ended by its bound, in time, and the
//! neighbour notices nothing.

use super::specimen::generous;
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result};
use async_trait::async_trait;
use portcullis_fixtures::{Fixture, api, honest};
use portcullis_host::{Answer, Bound, Consent, DeclineAll, Error, Limits, Prompt, Val};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

attacks! {
    "guest-that-loops" => loops,
    "guest-that-allocates" => allocates,
    "guest-that-recurses" => recurses,
    "guest-that-floods-host-calls" => floods_host_calls,
    "guest-that-leaks-handles" => leaks_handles,
    "guest-that-stalls-in-a-host-call" => stalls_in_a_host_call,
    "guest-that-asks-a-thousand-prompts" => asks_a_thousand_prompts,
}

/// Seconds that a call may run here.
const RUN_MAX: u32 = 1;
/// Two ticks of the engine's clock.
const TICKS: Duration = Duration::from_millis(20);
/// What a machine that is busy with other things may take before it wakes a thread.
const BUSY: Duration = Duration::from_millis(1500);

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.run_max = RUN_MAX;
    limits
}

async fn loops(arena: &mut Arena) -> Result<Outcome> {
    contained(arena.specimen()?, "spin", &[], Bound::Time, DeclineAll).await
}

async fn allocates(arena: &mut Arena) -> Result<Outcome> {
    contained(arena.specimen()?, "grow", &[], Bound::Memory, DeclineAll).await
}

async fn recurses(arena: &mut Arena) -> Result<Outcome> {
    contained(arena.specimen()?, "recurse", &[], Bound::Stack, DeclineAll).await
}

async fn floods_host_calls(arena: &mut Arena) -> Result<Outcome> {
    contained(arena.specimen()?, "flood", &[], Bound::Time, DeclineAll).await
}

async fn leaks_handles(arena: &mut Arena) -> Result<Outcome> {
    contained(arena.specimen()?, "leak", &[], Bound::Handles, DeclineAll).await
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
    let arguments = [Val::String("print".into()), Val::U32(1), Val::List(Vec::new())];
    contained(arena.specimen()?, "ask", &arguments, Bound::Time, Asleep).await
}

/// Calls an abusive export while a neighbour works.
async fn contained(
    specimen: &Fixture,
    export: &str,
    arguments: &[Val],
    bound: Bound,
    consent: impl Consent + 'static,
) -> Result<Outcome> {
    let bench = generous(&specimen.file, &specimen.keys, limits(), consent)?;
    let hostile = bench.resource.authorize("view").await?;
    let neighbour = bench.resource.authorize("view").await?;
    let mut trial = Trial::new();
    trial.control("before, it does honest work", honest(&hostile).await.ok() == Some(5));
    let cycles = bench.requests();

    let over = AtomicBool::new(false);
    let begun = Instant::now();
    let export = api(export);
    let attack = async {
        let outcome = hostile.call(&export, arguments).await;
        over.store(true, Ordering::SeqCst);
        (outcome, begun.elapsed())
    };
    let work = async {
        let (mut done, mut longest) = (0, Duration::ZERO);
        // At least a few, also where the attack is over at once.
        while !over.load(Ordering::SeqCst) || done < 5 {
            let begun = Instant::now();
            honest(&neighbour).await?;
            longest = longest.max(begun.elapsed());
            done += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok::<_, Error>((done, longest))
    };
    let ((outcome, took), worked) = tokio::join!(attack, work);
    let ended = matches!(&outcome, Err(Error::Limit(hit)) if *hit == bound);
    let most = Duration::from_secs(RUN_MAX.into()) + TICKS + BUSY;
    trial.attack_fails(
        &format!("ended after {:.3} s", took.as_secs_f64()),
        &format!("bound on {bound}"),
        ended && took <= most,
    );
    if !ended {
        trial.note(format!("{outcome:?}"));
    }
    trial.attack_fails("starting cycles", "none started", bench.requests() == cycles);
    match worked {
        Ok((done, longest)) => {
            let unharmed = longest < Duration::from_millis(500);
            trial
                .control(&format!("the neighbour made {done} calls, the longest {} ms", longest.as_millis()), unharmed);
        }
        Err(error) => trial.control(&format!("the neighbour failed: {error}"), false),
    }
    trial.control("after, it does honest work", honest(&hostile).await.ok() == Some(5));
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
