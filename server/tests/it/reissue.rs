//! A grant that was paid for and never arrived is issued once more, and not twice.

use crate::metered::{accepted, booked, metered, purse, top_up};
use crate::world::{Machine, World, count, fresh, keyed, reason};
use portcullis_protocol::encoding::from_base64url;
use portcullis_protocol::limits::REISSUE_LIFE;
use portcullis_protocol::wire::{AuthorisationRequest, VerificationAnswer, VerificationRequest};
use portcullis_protocol::{Grant, GrantId, Reason, Unverified};
use portcullis_server::billing::{cycle, orders};
use portcullis_server::crypto::keys::{self, Rotation};
use portcullis_server::store::{GrantState, Idempotency};
use portcullis_server::{Core, ServiceError};
use std::collections::BTreeSet;

/// Step 3 as it was sent once: the answer may have got lost.
struct Sent {
    request: VerificationRequest,
    idempotency: Idempotency,
}

impl Sent {
    async fn again(&self, core: &Core, machine: &Machine) -> Result<VerificationAnswer, ServiceError> {
        cycle::verify(core, &machine.asker, &self.request, &self.idempotency).await
    }
}

async fn send(world: &World, machine: &Machine, request: AuthorisationRequest) -> (Sent, VerificationAnswer) {
    let code = world.authorise(machine, &request).await.expect("held");
    let request = VerificationRequest { code: code.code, request };
    let sent = Sent { idempotency: fresh(&request), request };
    let answer = sent.again(&world.core, machine).await.expect("granted");
    (sent, answer)
}

fn grant(answer: &VerificationAnswer) -> GrantId {
    let payload = from_base64url(answer.grant.split('.').nth(1).expect("a payload")).expect("base64url");
    serde_json::from_slice::<Grant>(&payload).expect("a grant").jti
}

async fn state(world: &World, machine: &Machine, grant: &GrantId) -> GrantState {
    world.core.store.grant(&machine.id, grant).await.expect("read").1.expect("a grant").state
}

#[tokio::test]
async fn an_answer_that_was_lost_for_400_seconds_costs_no_use() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let (sent, lost) = send(&world, &machine, world.ask("resize", 2)).await;
    world.core.clock.advance(400);
    let again = sent.again(&world.core, &machine).await.expect("issued once more");
    let code = portcullis_protocol::wire::AuthorisationAnswer { code: sent.request.code.clone(), expires: 0 };
    let opened = world.open(&machine, sent.request.request.clone(), &code, again.clone());
    let document = opened.grant.document();
    assert_eq!((document.limits.uses, document.exp - document.iat), (Some(2), 300));
    assert_eq!(opened.keys[0].1, world.file_keys[0].1);
    assert_eq!(world.remaining(&machine, "resize").await, 8, "debited once");
    assert_eq!(state(&world, &machine, &grant(&lost)).await, GrantState::Superseded);
    assert_eq!(reason(cycle::redeliver(&world.core, &machine.asker, &grant(&lost)).await), Reason::StatusCodeSpent);

    // While it lives it is the answer, wherever it is asked for; and it is a grant like any other.
    let second = world.second().await;
    assert_eq!(sent.again(&second, &machine).await.expect("the same").grant, again.grant);
    assert_eq!(cycle::redeliver(&second, &machine.asker, &grant(&again)).await.expect("again").grant, again.grant);
    // Once is the bound, however long nobody acknowledges it.
    for _ in 0..3 {
        world.core.clock.advance(400);
        assert_eq!(sent.again(&world.core, &machine).await.expect("the stored answer").grant, again.grant);
    }
    assert_eq!(count(&world, "SELECT count(*) FROM grants"), 2);
    assert_eq!(world.remaining(&machine, "resize").await, 8);
}

#[tokio::test]
async fn money_that_was_drawn_for_a_lost_grant_is_drawn_once() {
    let world = metered("0.05 EUR").await;
    let machine = world.machine("ada@example.org").await;
    top_up(&world, &machine, "1.00 EUR").await;
    let (sent, lost) = send(&world, &machine, accepted(&world, 4).await).await;
    world.core.clock.advance(301);
    let again = sent.again(&world.core, &machine).await.expect("issued once more");
    assert_ne!(grant(&again), grant(&lost));
    assert_eq!(purse(&world.core, &machine).await, (80, 0));
    let balances = world.core.store.balances().await.expect("balances");
    assert_eq!(booked(&balances, "publisher:lumen"), 20);
}

#[tokio::test]
async fn what_was_acknowledged_taken_back_or_costs_nothing_is_not_issued_again() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let order = world.buy(&machine, "resize").await.order;
    let (acknowledged, answer) = send(&world, &machine, world.ask("resize", 1)).await;
    cycle::acknowledge(&world.core, &machine.asker, &grant(&answer)).await.expect("acknowledged");
    let (free, preview) = send(&world, &machine, world.ask("preview", 1)).await;
    let (refunded, _) = send(&world, &machine, world.ask("resize", 1)).await;
    world.core.clock.advance(400);
    assert_eq!(acknowledged.again(&world.core, &machine).await.expect("the stored answer").grant, answer.grant);
    assert_eq!(free.again(&world.core, &machine).await.expect("the stored answer").grant, preview.grant);
    orders::refund(&world.core, &order).await.expect("refunded");
    assert_eq!(reason(refunded.again(&world.core, &machine).await), Reason::EntitlementRevoked);
    assert_eq!(count(&world, "SELECT count(*) FROM grants"), 3);
}

#[tokio::test]
async fn only_the_same_request_of_the_same_terminal_is_answered_so() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let (sent, _) = send(&world, &machine, world.ask("resize", 1)).await;
    world.core.clock.advance(400);
    let sibling = world.machine_of(machine.account).await;
    assert_eq!(reason(sent.again(&world.core, &sibling).await), Reason::StatusCodeUnknown);
    let other = fresh(&sent.request);
    let other = cycle::verify(&world.core, &machine.asker, &sent.request, &other).await;
    assert_eq!(reason(other), Reason::StatusCodeSpent);
    let mut more = sent.request.clone();
    more.request.quantity = 5;
    let reused = keyed(sent.idempotency.key.as_str(), &more);
    assert!(matches!(cycle::verify(&world.core, &machine.asker, &more, &reused).await, Err(ServiceError::KeyReused)));
    world.core.store.withdraw(&world.owner, &world.resource, String::new()).await.expect("withdrawn");
    assert_eq!(reason(sent.again(&world.core, &machine).await), Reason::ResourceWithdrawn);
    assert_eq!(count(&world, "SELECT count(*) FROM grants"), 1);
}

/// One conditional write: however many ask at once, over two processes, one grant comes of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_ask_at_once_one_is_answered_with_a_new_grant() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let (sent, lost) = send(&world, &machine, world.ask("resize", 1)).await;
    world.core.clock.advance(400);
    let cores = [world.core.clone(), world.second().await];
    let tasks: Vec<_> = (0..40)
        .map(|index| {
            let (core, asker) = (cores[index % 2].clone(), machine.asker.clone());
            let (request, idempotency) = (sent.request.clone(), sent.idempotency.clone());
            tokio::spawn(async move { cycle::verify(&core, &asker, &request, &idempotency).await })
        })
        .collect();
    let mut grants = BTreeSet::new();
    for task in tasks {
        grants.insert(task.await.expect("no panic").expect("answered").grant);
    }
    assert_eq!(grants.len(), 1);
    assert!(!grants.contains(&lost.grant));
    assert_eq!(count(&world, "SELECT count(*) FROM grants"), 2);
    assert_eq!(world.remaining(&machine, "resize").await, 9);
}

#[tokio::test]
async fn it_can_be_asked_for_within_thirty_days() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let (early, _) = send(&world, &machine, world.ask("resize", 1)).await;
    let (late, lost) = send(&world, &machine, world.ask("resize", 1)).await;
    world.core.clock.advance(REISSUE_LIFE.cast_signed() - 60);
    for _ in 0..3 {
        world.core.store.sweep().await.expect("swept");
    }
    // The terminal stays enrolled; its sign-in was renewed meanwhile.
    let again = early.again(&world.core, &machine).await.expect("issued once more");
    assert_eq!(count(&world, "SELECT count(*) FROM grants"), 3);
    assert_ne!(again.grant, lost.grant);
    world.core.clock.advance(120);
    assert_eq!(late.again(&world.core, &machine).await.expect("the stored answer").grant, lost.grant);
    assert_eq!(count(&world, "SELECT count(*) FROM grants"), 3);
    // Later it is forgotten, and its code with it.
    world.core.clock.advance(2 * 24 * 3600);
    world.core.store.sweep().await.expect("swept");
    assert_eq!(reason(late.again(&world.core, &machine).await), Reason::StatusCodeUnknown);
}

/// The key that signed it ended at once, so no terminal believes the grant, though it has not ended.
#[tokio::test]
async fn a_grant_of_a_stolen_signing_key_is_issued_by_its_successor() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let (sent, lost) = send(&world, &machine, world.ask("resize", 1)).await;
    let core = &world.core;
    keys::rotate_signing_key(&*core.store, &core.secrets, Rotation::Stolen).await.expect("rotated");
    core.keys.refresh(&*core.store, &core.secrets).await.expect("taken up");
    core.clock.advance(1);
    let again = sent.again(core, &machine).await.expect("issued once more");
    let signer = |answer: &VerificationAnswer| Unverified::<Grant>::parse(&answer.grant).expect("a grant").kid();
    assert_ne!(signer(&again), signer(&lost));
    assert!(core.keys.has_ended(&signer(&lost), core.clock.now()));
    assert!(!core.keys.has_ended(&signer(&again), core.clock.now()));
    assert_eq!(world.remaining(&machine, "resize").await, 9);
    // Once, also by a further rotation.
    keys::rotate_signing_key(&*core.store, &core.secrets, Rotation::Stolen).await.expect("rotated");
    core.keys.refresh(&*core.store, &core.secrets).await.expect("taken up");
    core.clock.advance(1);
    assert_eq!(sent.again(core, &machine).await.expect("the stored answer").grant, again.grant);
}
