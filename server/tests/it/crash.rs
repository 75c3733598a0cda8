//! What is left when a step fails or the process dies exactly there.

use crate::world::{Machine, World, keyed, open_core, order_request};
use portcullis_protocol::wire::{OrderState, VerificationRequest};
use portcullis_server::clock::Clock;
use portcullis_server::faults::{Faults, Phase, Write};
use portcullis_server::{Asker, Core, No, SignedIn, cycle, orders};
use std::path::Path;
use std::process::Command;

/// Buys ten uses and draws one, under keys that every attempt shares.
async fn purchase(core: &Core, asker: &Asker, world: &Plan) -> Result<String, No> {
    let order = order_request(world.offer.parse().expect("a digest"), "ok");
    let paid = orders::order(core, asker, &order, &keyed("order", &order)).await?;
    assert_eq!(paid.state, OrderState::Paid);
    let mut request = world.request.clone();
    request.quantity = 1;
    let code = cycle::authorise(core, asker, &request, &keyed("authorise", &request)).await?;
    let request = VerificationRequest { code: code.code, request };
    let answer = cycle::verify(core, asker, &request, &keyed("verify", &request)).await?;
    Ok(answer.grant)
}

/// What an attempt needs to know, in a form that passes to another process.
#[derive(serde::Serialize, serde::Deserialize)]
struct Plan {
    offer: String,
    request: portcullis_protocol::wire::AuthorisationRequest,
    token: String,
    seed: Vec<u8>,
}

async fn plan(world: &World, machine: &Machine) -> Plan {
    Plan {
        offer: world.offer("resize").await.1.to_string(),
        request: world.ask("resize", 1),
        token: machine.token.clone(),
        seed: machine.key.to_seed().to_vec(),
    }
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
        world.core.faults.arm(&point, false);
        let failed = purchase(&world.core, &machine.asker, &plan).await;
        assert!(matches!(failed, Err(No::Failed(_))), "{point}: {failed:?}");
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
        let file = world.folder.path().join("plan.json");
        std::fs::write(&file, serde_json::to_vec(&plan).expect("json")).expect("written");
        let died = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "crash::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env("CRASH_FOLDER", world.folder.path())
            .env("PORTCULLIS_FAULT", format!("{point}:kill"))
            .output()
            .expect("a child");
        assert!(died.status.code().is_none(), "{point}: the child died by a signal: {died:?}");
        let grant = purchase(&world.core, &machine.asker, &plan).await.expect("finished");
        assert_eq!(purchase(&world.core, &machine.asker, &plan).await.expect("repeated"), grant, "{point}");
        whole(&world, &machine).await;
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
        world.core.faults.arm(&point, false);
        assert!(matches!(orders::refund(&world.core, &order).await, Err(No::Failed(_))), "{point}");
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

/// The process that dies, started by the test above.
#[tokio::test]
#[ignore = "started by the test above"]
async fn child() {
    let Ok(folder) = std::env::var("CRASH_FOLDER") else { return };
    let folder = Path::new(&folder);
    let plan: Plan = serde_json::from_slice(&std::fs::read(folder.join("plan.json")).expect("a plan")).expect("json");
    let core = open_core(folder, Clock::default(), Faults::from_env()).await;
    let seed: [u8; 32] = plan.seed.as_slice().try_into().expect("a seed");
    let key = portcullis_protocol::SecretKey::from_seed(&seed);
    let signed_in: SignedIn = crate::world::signed_in(&core, &key, &plan.token).await.expect("signed in");
    let asker = signed_in.asker().expect("enrolled");
    let finished = purchase(&core, &asker, &plan).await;
    panic!("the fault point was not passed: {finished:?}");
}
