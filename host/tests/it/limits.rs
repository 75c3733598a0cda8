//! Guests that want more than they may have. Each is ended by its bound; the honest call works before and after.

use crate::fixture::{Bench, Fixture, Rule, api, honest};
use portcullis_host::{Answer, Authorised, Bound, Consent, Error, Limits, Pool, Prompt, Val};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// Calls the abusive export between two honest calls.
async fn abuse(bench: &Bench, export: &str, arguments: &[Val]) -> Result<Vec<Val>, Error> {
    let view = bench.view().await;
    assert_eq!(honest(&view).await.expect("the control before"), 5);
    let outcome = view.call(&api(export), arguments).await;
    assert_eq!(honest(&view).await.expect("the control after"), 5);
    outcome
}

#[track_caller]
fn ended_by(outcome: Result<Vec<Val>, Error>, bound: Bound) {
    assert!(matches!(&outcome, Err(Error::Limit(hit)) if *hit == bound), "{outcome:?}");
}

/// By the bound, with room for a machine that has other things to do. That it is within two ticks,
/// `cargo xtask attacks` shows, which measures how busy the machine is meanwhile.
fn ended_in_time(begun: Instant, bound: Duration) {
    let took = begun.elapsed();
    assert!(took >= bound, "{took:?}");
    assert!(took < bound + Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn a_guest_that_loops_is_ended_by_the_operators_bound() {
    let bench = Bench::limited(limits(|limits| limits.run_max = 1));
    let view = bench.view().await;
    let begun = Instant::now();
    ended_by(view.call(&api("spin"), &[]).await, Bound::Time);
    ended_in_time(begun, Duration::from_secs(1));
    assert_eq!(honest(&view).await.expect("the control"), 5);
}

#[tokio::test]
async fn a_guest_that_loops_is_ended_by_the_grants_bound() {
    let bench = Bench::new();
    bench.signer.run_max.store(1, Ordering::SeqCst);
    let view = bench.view().await;
    let begun = Instant::now();
    ended_by(view.call(&api("spin"), &[]).await, Bound::Time);
    ended_in_time(begun, Duration::from_secs(1));
}

#[tokio::test]
async fn a_guest_that_loops_leaves_the_thread_to_others() {
    let bench = Bench::limited(limits(|limits| limits.run_max = 3));
    let (spinning, honest_one) = (bench.view().await, bench.view().await);
    let export = api("spin");
    let spin = spinning.call(&export, &[]);
    let others = async {
        let mut calls = 0;
        for _ in 0..10 {
            assert_eq!(honest(&honest_one).await.expect("called"), 5);
            calls += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (calls, Instant::now())
    };
    let ((outcome, ended), (calls, done)) = tokio::join!(async { (spin.await, Instant::now()) }, others);
    ended_by(outcome, Bound::Time);
    assert_eq!(calls, 10);
    assert!(done < ended, "the others were done while it was still spinning");
}

#[tokio::test]
async fn results_beyond_the_bound_are_refused_and_below_it_given() {
    let bench = Bench::limited(limits(|limits| limits.result = 4 << 20));
    let view = bench.view().await;
    let big = |bytes| view.call_typed::<(u32,), (Vec<u8>,)>(&*Box::leak(api("big").into_boxed_str()), (bytes,));
    assert_eq!(big(4 << 20).await.expect("the control").0.len(), 4 << 20);
    assert!(matches!(big((4 << 20) + 1).await, Err(Error::Limit(Bound::Data))));
    // The same as values, which take more in the host.
    assert_eq!(view.call(&api("big"), &[Val::U32(1 << 20)]).await.expect("the control").len(), 1);
    ended_by(view.call(&api("big"), &[Val::U32((4 << 20) + 1)]).await, Bound::Data);
    ended_by(abuse(&bench, "numbers", &[Val::U32(1 << 20)]).await, Bound::Data);
    assert_eq!(abuse(&bench, "numbers", &[Val::U32(10_000)]).await.expect("the control").len(), 1);
}

/// Never answers.
struct Asleep;

#[async_trait::async_trait]
impl Consent for Asleep {
    async fn ask(&self, prompt: &Prompt<'_>) -> Answer {
        std::future::pending::<()>().await;
        prompt.decline()
    }
}

async fn ask(view: &Authorised, operation: &str) -> Result<u32, Error> {
    let arguments = (operation.to_owned(), 1_u32, Vec::<u8>::new());
    view.call_typed::<(String, u32, Vec<u8>), (u32,)>(&api("ask"), arguments).await.map(|(answer,)| answer)
}

#[tokio::test]
async fn a_guest_that_stalls_in_a_host_call_is_ended() {
    let bench = Bench::of(&Fixture::new(), |b| b.consent(Asleep).limits(limits(|limits| limits.run_max = 1)));
    bench.signer.rule("locked", Rule::Timed(30));
    let view = bench.view().await;
    assert_eq!(ask(&view, "view").await.expect("the control: covered, so nobody is asked"), 0);
    let begun = Instant::now();
    assert!(matches!(ask(&view, "locked").await, Err(Error::Limit(Bound::Time))));
    ended_in_time(begun, Duration::from_secs(1));
    assert_eq!(honest(&view).await.expect("the control"), 5);
}

#[tokio::test]
async fn the_bounds_hold_in_a_pool_too() {
    let bench = Bench::of(&Fixture::new(), |builder| {
        builder.pool(Pool { stores: 4 }).limits(limits(|limits| limits.run_max = 1))
    });
    ended_by(abuse(&bench, "grow", &[]).await, Bound::Memory);
    ended_by(abuse(&bench, "recurse", &[]).await, Bound::Stack);
    ended_by(abuse(&bench, "spin", &[]).await, Bound::Time);
    // More than the pool has, one after another: slots come back, and come back empty.
    for _ in 0..10 {
        let view = bench.view().await;
        assert_eq!(view.call(&api("count"), &[]).await.expect("called"), [Val::U32(1)]);
    }
    let held: Vec<_> = futures::future::join_all((0..5).map(|_| bench.view())).await;
    let outcomes = futures::future::join_all(held.iter().map(honest)).await;
    assert!(outcomes.iter().filter(|outcome| outcome.is_ok()).count() <= 4, "never more than the pool has");
}

/// What was paid for is not lost if the machine has no room.
#[tokio::test]
async fn a_full_pool_draws_no_use() {
    let bench = Bench::of(&Fixture::new(), |builder| builder.pool(Pool { stores: 1 }));
    bench.signer.rule("view", Rule::Uses(1));
    let (keeps, waits) = (bench.view().await, bench.view().await);
    assert_eq!(honest(&keeps).await.expect("there is room for one"), 5);
    let full = honest(&waits).await.expect_err("its instance is kept");
    assert!(matches!(full, Error::PoolFull), "{full:?}");
    assert_eq!(waits.uses_left(), Some(1));
    keeps.reset().await;
    assert_eq!(honest(&waits).await.expect("there is room again"), 5);
    assert_eq!(waits.uses_left(), Some(0));
}
