//! What is left when a step fails or the process dies exactly there.

use crate::metered;
use crate::world::{Machine, World, keyed, open_core, order_request};
use portcullis_faulty::Faults;
use portcullis_protocol::Digest;
use portcullis_protocol::wire::{AuthorisationRequest, OrderState, VerificationRequest};
use portcullis_server::billing::{cycle, orders};
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::{Phase, Write};
use portcullis_server::{Asker, Core, ServiceError, SignedIn};
use std::path::Path;
use std::process::Command;

/// Buys ten uses and draws one, under keys that every attempt shares.
async fn purchase(core: &Core, asker: &Asker, plan: &Plan) -> Result<String, ServiceError> {
    let order = order_request(plan.offer.expect("an offer"), "ok");
    let paid = orders::order(core, asker, &order, &keyed("order", &order)).await?;
    assert_eq!(paid.state, OrderState::Paid);
    let request = plan.request.clone();
    let code = cycle::authorise(core, asker, &request, &keyed("authorise", &request)).await?;
    let request = VerificationRequest { code: code.code, request };
    let answer = cycle::verify(core, asker, &request, &keyed("verify", &request)).await?;
    Ok(answer.grant)
}

/// What an attempt needs to know, in a form that passes to another process.
#[derive(serde::Serialize, serde::Deserialize)]
struct Plan {
    /// What is ordered; without one, money is paid in and drawn.
    offer: Option<Digest>,
    request: AuthorisationRequest,
    token: String,
    seed: Vec<u8>,
}

impl Plan {
    fn of(machine: &Machine, offer: Option<Digest>, request: AuthorisationRequest) -> Self {
        Self { offer, request, token: machine.token.clone(), seed: machine.key.to_seed().to_vec() }
    }
}

async fn plan(world: &World, machine: &Machine) -> Plan {
    Plan::of(machine, Some(world.offer("resize").await.1), world.ask("resize", 1))
}

/// Lets another process do what is planned, on the same database, and die at this point.
fn die(world: &World, plan: &Plan, point: &str) {
    let file = world.folder.path().join("plan.json");
    std::fs::write(&file, serde_json::to_vec(plan).expect("json")).expect("written");
    let died = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "crash::child", "--ignored", "--nocapture", "--test-threads=1"])
        .env("CRASH_FOLDER", world.folder.path())
        .env("PORTCULLIS_FAULT", format!("{point}:kill"))
        .output()
        .expect("a child");
    assert!(died.status.code().is_none(), "{point}: the child died by a signal: {died:?}");
    // Its lease is over: nobody waits for it any more.
    world.core.clock.advance(4);
}

/// Every fault point that a purchase passes.
fn points() -> Vec<String> {
    let writes = [Write::OrderOpen, Write::OrderSettle, Write::Authorise, Write::Verify];
    let writes = writes.iter().flat_map(|write| Phase::ALL.map(|phase| format!("{}.{}", write.name(), phase.name())));
    writes.chain(["charge.before".to_owned(), "charge.after".to_owned()]).collect()
}

async fn whole(world: &World, machine: &Machine) {
    assert_eq!(world.remaining(machine, "resize").await, 9, "ten bought, one drawn, once");
    let balances = world.core.store.balances().await.expect("balances");
    let of = |account: &str| balances.iter().filter(|b| b.account.as_str() == account).map(|b| b.amount).sum::<i64>();
    assert_eq!((of("publisher:lumen"), of("provider:sandbox"), of("used")), (100, -100, 1));
    assert!(orders::open(&world.core).await.expect("orders").is_empty());
}

#[tokio::test]
async fn a_step_that_fails_is_repeated_and_nothing_is_doubled() {
    for point in points() {
        let world = World::new().await;
        let machine = world.machine("ada@example.org").await;
        let plan = plan(&world, &machine).await;
        world.faults.arm(&point, false);
        let failed = purchase(&world.core, &machine.asker, &plan).await;
        assert!(matches!(failed, Err(ServiceError::Failed(_))), "{point}: {failed:?}");
        let grant = purchase(&world.core, &machine.asker, &plan).await.expect("repeated");
        assert_eq!(purchase(&world.core, &machine.asker, &plan).await.expect("repeated again"), grant, "{point}");
        whole(&world, &machine).await;
    }
}

#[tokio::test]
async fn a_process_that_dies_anywhere_leaves_a_purchase_that_can_be_finished() {
    for point in points() {
        let world = World::new().await;
        let machine = world.machine("ada@example.org").await;
        let plan = plan(&world, &machine).await;
        die(&world, &plan, &point);
        let grant = purchase(&world.core, &machine.asker, &plan).await.expect("finished");
        assert_eq!(purchase(&world.core, &machine.asker, &plan).await.expect("repeated"), grant, "{point}");
        whole(&world, &machine).await;
    }
}

#[tokio::test]
async fn a_process_that_dies_anywhere_with_prepaid_money_loses_and_doubles_none() {
    for point in metered::points() {
        let world = metered::metered("0.02 EUR").await;
        let machine = world.machine("ada@example.org").await;
        let plan = Plan::of(&machine, None, metered::accepted(&world, 1).await);
        die(&world, &plan, &point);
        metered::round_trip(&world.core, &machine.asker, &plan.request).await.expect("finished");
        metered::went_round(&world, &machine, &point).await;
    }
}

#[tokio::test]
async fn a_refund_that_fails_anywhere_is_listed_and_can_be_finished() {
    let writes = [Write::RefundBegin, Write::RefundFinish];
    let writes = writes.iter().flat_map(|write| Phase::ALL.map(|phase| format!("{}.{}", write.name(), phase.name())));
    for point in writes.chain(["provider-refund.before".to_owned(), "provider-refund.after".to_owned()]) {
        let world = World::new().await;
        let machine = world.machine("ada@example.org").await;
        let order = world.buy(&machine, "view").await.order;
        world.faults.arm(&point, false);
        assert!(matches!(orders::refund(&world.core, &order).await, Err(ServiceError::Failed(_))), "{point}");
        // Paid, on its way back (and listed), or paid back: never paid back with the rights still there.
        let runs = world.run(&machine, "view").await.is_ok();
        let open = orders::open(&world.core).await.expect("orders").iter().any(|open| open.id == order);
        let state = orders::find(&world.core, &machine.asker, &order).await.expect("found").state;
        assert_eq!(runs, state == OrderState::Paid, "{point}");
        assert!(!(runs && open), "{point}");
        for _ in 0..2 {
            let refunded = orders::refund(&world.core, &order).await.expect("finished");
            assert_eq!(refunded.state, OrderState::Refunded, "{point}");
        }
        assert!(orders::open(&world.core).await.expect("orders").is_empty(), "{point}");
        let balances = world.core.store.balances().await.expect("balances");
        assert!(balances.iter().all(|balance| balance.amount == 0), "{point}: {balances:?}");
    }
}

/// The process that dies, started by [`die`].
#[tokio::test]
#[ignore = "started by other tests"]
async fn child() {
    let Ok(folder) = std::env::var("CRASH_FOLDER") else { return };
    let folder = Path::new(&folder);
    let plan: Plan = serde_json::from_slice(&std::fs::read(folder.join("plan.json")).expect("a plan")).expect("json");
    let core = open_core(folder, Clock::default(), Faults::from_env()).await;
    let seed: [u8; 32] = plan.seed.as_slice().try_into().expect("a seed");
    let key = portcullis_protocol::SecretKey::from_seed(&seed);
    let signed_in: SignedIn = crate::world::signed_in(&core, &key, &plan.token).await.expect("signed in");
    let asker = signed_in.asker().expect("enrolled");
    match plan.offer {
        Some(_) => drop(purchase(&core, &asker, &plan).await.expect("done")),
        None => metered::round_trip(&core, &asker, &plan.request).await.expect("done"),
    }
    panic!("the fault point was not passed");
}
