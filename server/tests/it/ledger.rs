//! The ledger: whatever happens, every commodity sums to zero, and what it says of an entitlement is what there is.

use crate::world::{Machine, World, fresh, order_request};
use portcullis_protocol::wire::{AuthorisationAnswer, AuthorisationRequest};
use portcullis_protocol::{OrderId, Rights};
use portcullis_server::billing::orders;
use portcullis_server::billing::payment::Decision;
use portcullis_server::store::{AccountPage, Balance};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;

/// Something that happens.
#[derive(Debug, Clone)]
enum Event {
    Buy { operation: &'static str, token: &'static str },
    Decide { order: usize, paid: bool },
    Hold { quantity: u32 },
    Verify { hold: usize },
    Refund { order: usize },
    Time { seconds: i64 },
    Sweep,
}

fn event() -> impl Strategy<Value = Event> {
    let operation = prop_oneof![Just("view"), Just("resize"), Just("resize")];
    let token = prop_oneof![Just("ok"), Just("ok"), Just("decline"), Just("pending")];
    prop_oneof![
        (operation, token).prop_map(|(operation, token)| Event::Buy { operation, token }),
        (any::<usize>(), any::<bool>()).prop_map(|(order, paid)| Event::Decide { order, paid }),
        (1_u32..6).prop_map(|quantity| Event::Hold { quantity }),
        (1_u32..6).prop_map(|quantity| Event::Hold { quantity }),
        any::<usize>().prop_map(|hold| Event::Verify { hold }),
        any::<usize>().prop_map(|hold| Event::Verify { hold }),
        any::<usize>().prop_map(|order| Event::Refund { order }),
        (1_i64..40).prop_map(|seconds| Event::Time { seconds }),
        Just(Event::Sweep),
    ]
}

#[derive(Default)]
struct Seen {
    orders: Vec<OrderId>,
    holds: Vec<(AuthorisationRequest, AuthorisationAnswer)>,
}

async fn happen(world: &World, machine: &Machine, seen: &mut Seen, event: Event) {
    match event {
        Event::Buy { operation, token } => {
            let mut request = order_request(world.offer(operation).await.1, token);
            // Also what gives nothing new: it is in the books like everything else.
            request.again = true;
            let answer = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await;
            seen.orders.push(answer.expect("an order").order);
        }
        Event::Decide { order, paid } if !seen.orders.is_empty() => {
            let state = if paid { Decision::Settled } else { Decision::Declined };
            orders::decide(&world.core, &seen.orders[order % seen.orders.len()], state).await.expect("decided");
        }
        Event::Hold { quantity } => {
            let request = world.ask("resize", quantity);
            if let Ok(code) = world.authorise(machine, &request).await {
                seen.holds.push((request, code));
            }
        }
        Event::Verify { hold } if !seen.holds.is_empty() => {
            let (request, code) = &seen.holds[hold % seen.holds.len()];
            let _ = world.verify(machine, request, code).await;
        }
        Event::Refund { order } if !seen.orders.is_empty() => {
            let _ = orders::refund(&world.core, &seen.orders[order % seen.orders.len()]).await;
        }
        Event::Time { seconds } => world.core.clock.advance(seconds),
        Event::Sweep => {
            world.core.store.sweep().await.expect("swept");
        }
        Event::Decide { .. } | Event::Verify { .. } | Event::Refund { .. } => {}
    }
}

fn sums(balances: &[Balance]) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for balance in balances {
        *sums.entry(balance.commodity.to_string()).or_default() += balance.amount;
    }
    sums
}

async fn check(world: &World, machine: &Machine) {
    let balances = world.core.store.balances().await.expect("balances");
    assert!(sums(&balances).values().all(|sum| *sum == 0), "{balances:?}");
    let entitlements =
        world.core.store.entitlements(&machine.account, AccountPage::new(0, 1000)).await.expect("entitlements").rows;
    for entitlement in &entitlements {
        let Rights::Uses { count } = entitlement.rights else { continue };
        let account = format!("entitlement:{}", entitlement.id.0);
        let balance: i64 =
            balances.iter().filter(|b| b.account.as_str() == account).map(|balance| balance.amount).sum();
        let left = i64::from(count) - i64::try_from(entitlement.used).expect("small");
        assert_eq!(balance, if entitlement.revoked.is_some() { 0 } else { left });
        assert!(entitlement.used + entitlement.held <= u64::from(count));
    }
}

#[test]
fn every_commodity_sums_to_zero_whatever_happens() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let events = prop::collection::vec(event(), 5..40);
    let result = runner.run(&events, |events| {
        runtime.block_on(async {
            let world = World::new().await;
            let machine = world.machine("ada@example.org").await;
            let mut seen = Seen::default();
            for event in events {
                happen(&world, &machine, &mut seen, event).await;
                check(&world, &machine).await;
            }
        });
        Ok(())
    });
    result.expect("holds");
}

#[tokio::test]
async fn a_sale_and_its_refund_leave_nothing_but_their_trace() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let order = world.buy(&machine, "resize").await.order;
    world.run(&machine, "resize").await.expect("granted");
    let amount = |balances: &[Balance], account: &str, commodity: &str| {
        let found = balances.iter().find(|b| b.account.as_str() == account && b.commodity.to_string() == commodity);
        found.map_or(0, |balance| balance.amount)
    };
    let balances = world.core.store.balances().await.expect("balances");
    assert_eq!(amount(&balances, "publisher:lumen", "EUR"), 100);
    assert_eq!(amount(&balances, "provider:sandbox", "EUR"), -100);
    assert_eq!((amount(&balances, "issued", "uses"), amount(&balances, "used", "uses")), (-10, 1));
    for _ in 0..2 {
        orders::refund(&world.core, &order).await.expect("refunded, once");
    }
    let balances = world.core.store.balances().await.expect("balances");
    assert_eq!(amount(&balances, "publisher:lumen", "EUR"), 0);
    assert_eq!((amount(&balances, "used", "uses"), amount(&balances, "withdrawn", "uses")), (1, 9));
    let transfers = world.core.store.transfers(0, 100).await;
    assert_eq!(transfers.expect("transfers").len(), 5);
}

#[tokio::test]
async fn the_ledger_is_only_appended_to() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.buy(&machine, "resize").await;
    let db = world.database();
    for sql in [
        "UPDATE ledger SET amount = 1",
        "DELETE FROM ledger",
        "INSERT INTO ledger (at, giver, taker, amount, commodity, subject) VALUES (0, 'a', 'b', 0, 'EUR', x'')",
        "INSERT INTO ledger (at, giver, taker, amount, commodity, subject) VALUES (0, 'a', 'b', -5, 'EUR', x'')",
        "INSERT INTO ledger (at, giver, taker, amount, commodity, subject) VALUES (0, 'a', 'a', 5, 'EUR', x'')",
        "UPDATE entitlements SET used = 11",
        "UPDATE entitlements SET held = -1",
    ] {
        assert!(db.try_change(sql, &[]).is_err(), "{sql}");
    }
    let well_formed =
        "INSERT INTO ledger (at, giver, taker, amount, commodity, subject) VALUES (0, 'a', 'b', 5, 'EUR', x'')";
    assert_eq!(db.change(well_formed, &[]), 1, "the control");
}
