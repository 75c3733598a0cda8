//! Who works on a repeatable request: one process at a time, and none that has lost it.

use crate::database::{self, Of, Place};
use crate::terminal::rng;
use crate::world::{World, fresh, now_ms};
use portcullis_protocol::AccountId;
use portcullis_server::crypto::secrets::TokenRole;
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::FaultPoints;
use portcullis_server::store::{AnswerScope, BeginOutcome, Fence, NewInvitation, SessionId, StoreError};
use std::time::{Duration, Instant};

fn scope() -> AnswerScope {
    AnswerScope::Session(SessionId(portcullis_protocol::encoding::Octets([7; 16])))
}

/// The right to do what was asked.
pub(crate) fn begun(outcome: Result<BeginOutcome, StoreError>) -> Fence {
    match outcome {
        Ok(BeginOutcome::Begun(fence)) => fence,
        other => panic!("not begun: {other:?}"),
    }
}

fn in_progress(outcome: Result<BeginOutcome, StoreError>) -> bool {
    matches!(outcome, Ok(BeginOutcome::InProgress))
}

fn invitation(world: &World) -> NewInvitation {
    let id = AccountId::generate(now_ms(), &mut rng());
    let token = world.core.secrets.hash_token(TokenRole::Invitation, &id.to_string());
    NewInvitation { token, operator: false, life: 60 }
}

#[tokio::test]
async fn what_a_dead_process_began_is_taken_over_within_three_seconds() {
    let world = World::new().await;
    let (first, second) = (world.second().await.store, world.second().await.store);
    let request = fresh(&"body");
    let fence = begun(first.begin_answer(scope(), &request).await);
    assert!(in_progress(second.begin_answer(scope(), &request).await), "while it lives nobody else begins");
    // It dies: nothing is finished, nothing given back, nothing renewed any more.
    drop((first, fence));
    let died = Instant::now();
    let fence = loop {
        match second.begin_answer(scope(), &request).await {
            Ok(BeginOutcome::InProgress) => tokio::time::sleep(Duration::from_millis(50)).await,
            outcome => break begun(outcome),
        }
        assert!(died.elapsed() < Duration::from_secs(20), "never taken over");
    };
    // Three seconds by the database; the rest is for a busy machine.
    assert!(died.elapsed() < Duration::from_secs(8), "{:?}", died.elapsed());
    second.finish_answer(fence, Some("{}".into())).await.expect("finished");
}

#[tokio::test]
async fn a_process_that_lives_keeps_what_it_began() {
    let world = World::new().await;
    let (first, second) = (world.second().await.store, world.second().await.store);
    let request = fresh(&"body");
    let fence = begun(first.begin_answer(scope(), &request).await);
    tokio::time::sleep(Duration::from_millis(4500)).await;
    assert!(in_progress(second.begin_answer(scope(), &request).await), "its lease was renewed");
    let written = fence.guard(first.create_invitation(invitation(&world))).await;
    written.expect("what it does meanwhile is written");
    first.finish_answer(fence, Some("{}".into())).await.expect("finished");
    assert!(matches!(second.begin_answer(scope(), &request).await, Ok(BeginOutcome::Answered(_))));
}

#[tokio::test]
async fn an_old_fence_writes_nothing() {
    let world = World::new().await;
    let (first, second) = (world.second().await.store, world.second().await.store);
    let request = fresh(&"body");
    let old = begun(first.begin_answer(scope(), &request).await);
    // It stands still for longer than its lease, and another process is asked.
    world.core.clock.advance(4);
    let new = begun(second.begin_answer(scope(), &request).await);
    let invited = invitation(&world);
    let token = invited.token;
    let late = old.guard(first.create_invitation(invited.clone())).await;
    assert!(matches!(late, Err(StoreError::TakenOver(_))), "{late:?}");
    assert!(first.invitation(&token).await.expect("read").is_none(), "nothing was written");
    let late = first.finish_answer(old, Some("\"old\"".into())).await;
    assert!(matches!(late, Err(StoreError::TakenOver(_))), "{late:?}");
    // The control: whoever took it over writes, and its answer is the answer.
    new.guard(second.create_invitation(invited)).await.expect("written");
    assert!(second.invitation(&token).await.expect("read").is_some());
    second.finish_answer(new, Some("\"new\"".into())).await.expect("finished");
    let answered = first.begin_answer(scope(), &request).await;
    assert!(
        matches!(&answered, Ok(BeginOutcome::Answered(portcullis_server::store::StoredAnswer::Body(body))) if body == "\"new\""),
        "{answered:?}"
    );
}

/// A panic, or an answer that could not be written, leaves a row behind in a process that goes on.
#[tokio::test]
async fn what_a_living_process_let_go_is_begun_again_at_once() {
    let world = World::new().await;
    let (first, second) = (world.second().await.store, world.second().await.store);
    let request = fresh(&"body");
    drop(begun(first.begin_answer(scope(), &request).await));
    let fence = begun(first.begin_answer(scope(), &request).await);
    drop(fence);
    // Another process cannot know, and waits for the lease.
    assert!(in_progress(second.begin_answer(scope(), &request).await));
    // One that ends properly gives its lease back.
    first.close().await.expect("closed");
    begun(second.begin_answer(scope(), &request).await);
}

#[tokio::test]
async fn a_clock_that_is_set_back_lets_no_dead_process_live_on() {
    let world = World::new().await;
    let (first, second) = (world.second().await.store, world.second().await.store);
    let request = fresh(&"body");
    let fence = begun(first.begin_answer(scope(), &request).await);
    drop((first, fence));
    world.core.clock.advance(-3600);
    begun(second.begin_answer(scope(), &request).await);
}

/// Whoever changes the master key a moment after a server was stopped is not told that it runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_given_back_is_not_renewed() {
    let folder = tempfile::tempdir().expect("a folder");
    database::choose(folder.path());
    let place = Place::of(folder.path(), "server.db");
    // Whoever renews it has its turn between the two steps of closing.
    let slow = FaultPoints::watched_by(|point| {
        if point == "lease.end.after-commit" {
            std::thread::sleep(Duration::from_millis(2500));
        }
        Ok(())
    });
    let store = place.open(Clock::default(), slow).expect("a store");
    store.hold_lease().await.expect("held");
    let live = || {
        let now = i64::try_from(now_ms()).expect("a time");
        place.number("SELECT count(*) FROM leases WHERE ends_at > ?1", &[Of::Int(now)])
    };
    assert_eq!(live(), 1, "the control");
    store.close().await.expect("closed");
    assert_eq!(live(), 0);
}
