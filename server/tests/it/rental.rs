//! `rental`: started within one time of buying, used within another of the first use.

use crate::world::{Machine, World, count, fresh, order_request, reason};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{OrderState, VerificationRequest};
use portcullis_protocol::{Reason, Rights};
use portcullis_server::billing::entitlement::{Entitlement, EntitlementId};
use portcullis_server::billing::rights::{Ask, Decision, Granting, bought, bounds, of};
use portcullis_server::billing::{cycle, orders};
use portcullis_server::ops::clock::Timestamp;
use portcullis_server::store::AccountPage;

const RENTAL: Rights = Rights::Rental { start_within: 1000, use_within: 100 };
const BOUGHT: i64 = 1_800_000_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(BOUGHT + millis)
}

fn rental() -> Entitlement {
    Entitlement {
        id: EntitlementId(Octets([1; 16])),
        publisher: "lumen".parse().expect("a name"),
        name: "lake".parse().expect("a name"),
        operation: "view".parse().expect("a name"),
        rights: RENTAL,
        holding: bought(&RENTAL, at(0)).expect("it is ordered"),
        used: 0,
        held: 0,
        revoked: None,
        since: at(0),
    }
}

/// What a grant is bounded by at a moment: its life, and whether it starts the rental. The decision agrees.
fn granted(held: &Entitlement, now: Timestamp) -> Result<(u64, Option<u64>), Reason> {
    let granting = Granting { rights: &held.rights, entitlement: Some(held), quantity: 1, now };
    let bounds = bounds(granting).map(|bounds| (bounds.life, bounds.begins));
    if let Decision::Refuse(refused) = of(held, Ask { quantity: 1, accepted: None, now }) {
        assert_eq!(bounds, Err(refused));
    }
    bounds
}

#[test]
fn both_times_end_to_the_millisecond() {
    let mut held = rental();
    assert_eq!(granted(&held, at(0)), Ok((30, Some(100))));
    assert_eq!(granted(&held, at(999_999)), Ok((30, Some(100))));
    assert_eq!(granted(&held, at(1_000_000)), Err(Reason::EntitlementExpired));

    (held.holding.starts, held.holding.ends) = (Some(at(999_999)), Some(at(1_099_999)));
    assert_eq!(granted(&held, at(1_000_000)), Ok((30, None)));
    assert_eq!(granted(&held, at(1_090_000)), Ok((9, None)), "a grant does not outlive the rental");
    assert_eq!(granted(&held, at(1_098_999)), Ok((1, None)));
    assert_eq!(granted(&held, at(1_099_000)), Err(Reason::EntitlementExpired), "less than a second is left");
    assert_eq!(granted(&held, at(1_099_999)), Err(Reason::EntitlementExpired));

    let brief = Rights::Rental { start_within: 1000, use_within: 5 };
    let held = Entitlement { rights: brief, ..rental() };
    assert_eq!(granted(&held, at(0)), Ok((5, Some(5))));
}

async fn world() -> (World, Machine) {
    let world = World::new().await;
    world.price(&[("view", RENTAL, "2.00 EUR")]).await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "view").await;
    (world, machine)
}

async fn window(world: &World, machine: &Machine) -> (Option<Timestamp>, Option<Timestamp>) {
    let page = AccountPage::new(0, 10);
    let held = world.core.store.entitlements(&machine.account, page).await.expect("entitlements").rows.remove(0);
    (held.holding.starts, held.holding.ends)
}

#[tokio::test]
async fn it_starts_with_the_first_grant_and_ends_by_the_clock_of_the_store() {
    let (world, machine) = world().await;
    // A code that is not verified starts nothing.
    world.authorise(&machine, &world.ask("view", 1)).await.expect("held");
    assert_eq!(window(&world, &machine).await.0, None);
    world.core.clock.advance(995);
    let first = world.run(&machine, "view").await.expect("in time");
    let grant = first.grant.document();
    assert_eq!((grant.model.as_str(), grant.exp - grant.iat, grant.limits.uses), ("rental", 30, None));
    let (starts, ends) = window(&world, &machine).await;
    assert_eq!(ends, starts.map(|starts| starts.plus(100)));
    world.core.clock.advance(95);
    let last = world.run(&machine, "view").await.expect("as often as wanted");
    let ends = ends.expect("an end");
    assert!(last.grant.document().exp <= ends.seconds(), "no grant outlives it");
    assert_eq!(window(&world, &machine).await.1, Some(ends), "it starts once");
    world.core.clock.advance(10);
    assert_eq!(reason(world.run(&machine, "view").await), Reason::EntitlementExpired);
    // Rented again, it is a rental of its own.
    world.buy(&machine, "view").await;
    world.run(&machine, "view").await.expect("a new one");
}

/// What ends by itself comes before what keeps; while it runs, nothing else is taken.
#[tokio::test]
async fn it_is_taken_before_uses_and_they_are_there_when_it_has_ended() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.price(&[("view", Rights::Uses { count: 2 }, "1.00 EUR")]).await;
    world.buy(&machine, "view").await;
    let model = async || {
        let granted = world.run(&machine, "view").await.expect("held");
        granted.grant.document().model.as_str().to_owned()
    };
    assert_eq!(model().await, "uses", "the control: nothing else is held");
    world.price(&[("view", RENTAL, "2.00 EUR")]).await;
    world.buy(&machine, "view").await;
    assert_eq!(model().await, "rental");
    assert_eq!(model().await, "rental");
    world.core.clock.advance(200);
    assert_eq!(model().await, "uses", "one is left");
    assert_eq!(reason(world.run(&machine, "view").await), Reason::EntitlementExhausted);
}

#[tokio::test]
async fn one_that_was_never_started_ends_with_its_first_time() {
    let (world, machine) = world().await;
    world.core.clock.advance(990);
    let request = world.ask("view", 1);
    let code = world.authorise(&machine, &request).await.expect("held in time");
    world.core.clock.advance(15);
    assert_eq!(reason(world.verify(&machine, &request, &code).await), Reason::EntitlementExpired);
    assert_eq!(reason(world.run(&machine, "view").await), Reason::EntitlementExpired);
    assert_eq!(window(&world, &machine).await.0, None);
}

#[tokio::test]
async fn two_processes_start_it_once() {
    let (world, machine) = world().await;
    let other = world.second().await;
    let mut sent = Vec::new();
    for _ in 0..8 {
        let request = world.ask("view", 1);
        let code = world.authorise(&machine, &request).await.expect("held").code;
        let request = VerificationRequest { code, request };
        sent.push((fresh(&request), request));
    }
    let verify = sent.iter().enumerate().map(|(at, (key, request))| {
        let core = if at % 2 == 0 { &world.core } else { &other };
        cycle::verify(core, &machine.asker, request, key)
    });
    let answers = futures::future::join_all(verify).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let (starts, ends) = window(&world, &machine).await;
    assert_eq!(ends, starts.map(|starts| starts.plus(100)));
    assert_eq!(count(&world, "SELECT count(*) FROM entitlements WHERE starts_at IS NOT NULL"), 1);
}

#[tokio::test]
async fn a_lost_answer_starts_it_once_and_costs_nothing_of_it() {
    let (world, machine) = world().await;
    let request = world.ask("view", 1);
    let code = world.authorise(&machine, &request).await.expect("held").code;
    let request = VerificationRequest { code, request };
    let key = fresh(&request);
    let lost = cycle::verify(&world.core, &machine.asker, &request, &key).await.expect("granted");
    let window_then = window(&world, &machine).await;
    world.core.clock.advance(20);
    let again = cycle::verify(&world.second().await, &machine.asker, &request, &key).await.expect("the same");
    assert_eq!(again.grant, lost.grant);
    assert_eq!(window(&world, &machine).await, window_then);
    // After the grant has ended, a new cycle gives another within the same time.
    world.core.clock.advance(40);
    world.run(&machine, "view").await.expect("in time");
    assert_eq!(window(&world, &machine).await, window_then);
}

#[tokio::test]
async fn what_is_rented_is_not_rented_twice_by_mistake() {
    let (world, machine) = world().await;
    let mut request = order_request(world.offer("view").await.1, "ok");
    let again = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await;
    assert_eq!(reason(again), Reason::ConfirmationRequired);
    request.again = true;
    let again = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("confirmed");
    assert_eq!(again.state, OrderState::Paid);
    // What ends does not stand in the way of what does not.
    world.price(&[("view", Rights::Perpetual {}, "9.00 EUR")]).await;
    world.buy(&machine, "view").await;
    let opened = world.run(&machine, "view").await.expect("for good");
    assert_eq!(opened.grant.document().model, "perpetual");
    // A refund takes the rental back, and nothing else.
    assert_eq!(count(&world, "SELECT count(*) FROM entitlements WHERE starts_at IS NOT NULL"), 0);
}

#[tokio::test]
async fn a_refunded_rental_opens_nothing() {
    let (world, machine) = world().await;
    world.run(&machine, "view").await.expect("rented");
    let order = count(&world, "SELECT count(*) FROM orders WHERE state = 1");
    assert_eq!(order, 1);
    let held =
        world.core.store.entitlements(&machine.account, AccountPage::new(0, 1)).await.expect("one").rows.remove(0);
    let order = portcullis_protocol::OrderId::from_bytes(held.id.0.0);
    orders::refund(&world.core, &order).await.expect("paid back");
    assert_eq!(reason(world.run(&machine, "view").await), Reason::EntitlementRevoked);
}
