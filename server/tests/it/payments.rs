//! Payments that are decided later: looked up by the server itself, told by webhooks, disputed; and means that are
//! saved.

use crate::metered::{booked, pay, purse};
use crate::world::{Machine, World, count, fresh, holder, keyed, order_request, reason};
use portcullis_protocol::wire::{OrderAnswer, OrderRequest, OrderState, PaymentStepKind};
use portcullis_protocol::{OrderId, Reason};
use portcullis_server::billing::payment::{Decision, PaymentChange, PaymentEvent, Payments, SANDBOX, Sandbox};
use portcullis_server::billing::{cycle, events, orders};
use portcullis_server::effects;
use portcullis_server::ops::faults::{Phase, Write};
use portcullis_server::store::{Buyer, OrderPhase};
use portcullis_server::{Core, ServiceError};

const DAY: i64 = 24 * 3600;

async fn order(world: &World, machine: &Machine, operation: &str, token: &str) -> OrderAnswer {
    let mut request = order_request(world.offer(operation).await.1, token);
    // Several of what is counted may be pending.
    request.again = operation == "resize";
    orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("ordered")
}

async fn phase(core: &Core, order: &OrderId) -> OrderPhase {
    core.store.order(order).await.expect("read").expect("an order").phase
}

/// Lets time pass and the server look, until nothing more is due.
async fn after(world: &World, seconds: i64) {
    world.core.clock.advance(seconds);
    while effects::round(&world.core).await.expect("looked up") > 0 {
        world.core.clock.advance(1);
    }
}

async fn play(core: &Core, order: OrderId, what: PaymentChange) -> OrderPhase {
    events::apply(core, SANDBOX, &PaymentEvent::new(order, what)).await.expect("heard").phase
}

async fn books<const N: usize>(world: &World, accounts: [&str; N]) -> [i64; N] {
    let balances = world.core.store.balances().await.expect("balances");
    accounts.map(|account| booked(&balances, account))
}

#[tokio::test]
async fn the_sandbox_plays_every_outcome_of_a_charge() {
    let world = World::new().await;
    for (token, at_once, step, then) in [
        ("ok", OrderState::Paid, None, OrderPhase::Paid),
        ("decline", OrderState::Declined, None, OrderPhase::Declined),
        ("nonsense", OrderState::Declined, None, OrderPhase::Declined),
        ("pending", OrderState::Pending, None, OrderPhase::Pending),
        ("pending+settle", OrderState::Pending, None, OrderPhase::Paid),
        ("pending+decline", OrderState::Pending, None, OrderPhase::Declined),
        ("redirect+settle", OrderState::Pending, Some(PaymentStepKind::Redirect), OrderPhase::Paid),
        ("redirect", OrderState::Pending, Some(PaymentStepKind::Redirect), OrderPhase::Pending),
        ("action+decline", OrderState::Pending, Some(PaymentStepKind::Action), OrderPhase::Declined),
    ] {
        let machine = world.machine(&format!("{token}@example.org")).await;
        let answer = order(&world, &machine, "view", token).await;
        let kind = answer.next.as_ref().map(|step| step.kind);
        assert_eq!((answer.state, kind), (at_once, step), "{token}");
        after(&world, 30).await;
        assert_eq!(phase(&world.core, &answer.order).await, then, "{token}");
        assert_eq!(world.run(&machine, "view").await.is_ok(), then == OrderPhase::Paid, "{token}");
        let found = orders::find(&world.core, &machine.asker, &answer.order).await.expect("found");
        assert_eq!(found.next.is_some(), then == OrderPhase::Pending && step.is_some(), "{token}: what is left to do");
    }
}

/// What the configuration says is played whatever the order says.
#[tokio::test]
async fn the_configuration_can_choose_what_is_played() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let mut settings = portcullis_server::billing::payment::PaymentSettings::default();
    settings.set("sandbox", toml::Table::from_iter([("plays".to_owned(), toml::Value::from("decline"))]));
    let core = Core { payments: settings.providers().expect("providers"), ..world.core.clone() };
    let request = order_request(world.offer("view").await.1, "ok");
    let answer = orders::order(&core, &machine.asker, &request, &fresh(&request)).await.expect("answered");
    assert_eq!(answer.state, OrderState::Declined);
    settings.set("sandbox", toml::Table::from_iter([("plays".to_owned(), toml::Value::from("nonsense"))]));
    assert!(settings.providers().expect_err("no token").contains("payment.sandbox"));
    settings.set("sandbox", true);
    settings.set("till", true);
    assert!(settings.providers().expect_err("no provider").contains("till"));
}

#[tokio::test]
async fn an_order_that_nobody_pays_ends_after_a_day_and_late_money_goes_back() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let (never, late) =
        (order(&world, &machine, "view", "pending").await, order(&world, &machine, "resize", "pending+late").await);
    after(&world, DAY - 3600).await;
    assert_eq!(phase(&world.core, &never.order).await, OrderPhase::Pending, "not before its time");
    // A provider that does not answer has not said that it has no money.
    world.core.clock.advance(2 * 3600);
    for _ in 0..2 {
        world.faults.arm("look-up.before", false);
    }
    effects::round(&world.core).await.expect("a round");
    assert_eq!(phase(&world.core, &never.order).await, OrderPhase::Pending);
    after(&world, 3600).await;
    assert_eq!(phase(&world.core, &never.order).await, OrderPhase::Declined);
    after(&world, 3700).await;
    let found = orders::find(&world.core, &machine.asker, &late.order).await.expect("found");
    assert_eq!((found.state, found.receipt), (OrderState::Refunded, None), "the money came when the order had ended");
    // The refund is made by the server itself, too.
    after(&world, 3600).await;
    assert_eq!(phase(&world.core, &late.order).await, OrderPhase::Refunded);
    assert_eq!(books(&world, ["provider:sandbox", "refunds", "publisher:lumen"]).await, [0, 0, 0]);
    assert_eq!(reason(world.run(&machine, "resize").await), Reason::PaymentRequired);
    // The first is watched for a week, and then left alone.
    after(&world, 8 * DAY).await;
    assert_eq!(count(&world, "SELECT count(*) FROM effects WHERE state < 2"), 0);
    // It can be bought by now.
    world.buy(&machine, "view").await;
}

#[tokio::test]
async fn refunds_are_late_or_refused_and_the_server_finishes_them() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let late = order(&world, &machine, "view", "ok+refund-late").await.order;
    let answer = orders::refund(&world.core, &late).await.expect("taken on");
    assert_eq!((answer.state, phase(&world.core, &late).await), (OrderState::Refunded, OrderPhase::Refunding));
    assert!(world.run(&machine, "view").await.is_err(), "the rights end first");
    after(&world, 60).await;
    assert_eq!(phase(&world.core, &late).await, OrderPhase::Refunded);

    let refused = order(&world, &machine, "view", "ok+refund-refused").await.order;
    assert!(matches!(orders::refund(&world.core, &refused).await, Err(ServiceError::Unacceptable(_))));
    after(&world, 3600).await;
    assert_eq!(phase(&world.core, &refused).await, OrderPhase::Refunding, "left to the operator, and listed");
    assert!(orders::open(&world.core).await.expect("listed").iter().any(|order| order.id == refused));

    // However long a person takes: the refund is still there, and its provider is asked again.
    world.core.clock.advance(40 * DAY);
    world.core.store.sweep().await.expect("swept");
    assert!(matches!(orders::refund(&world.core, &refused).await, Err(ServiceError::Unacceptable(_))), "asked again");

    // Of a top-up, in part: what was not drawn.
    let request = pay("5.00 EUR", "ok+refund-late");
    let top_up = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("paid").order;
    orders::refund(&world.core, &top_up).await.expect("taken on");
    assert_eq!(play(&world.core, top_up, PaymentChange::Refunded).await, OrderPhase::Refunded);
    assert_eq!(purse(&world.core, &machine).await, (0, 0));
}

/// One process at a time looks an order up; one that died is followed by another; nothing is doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_look_up_what_there_is_once() {
    let world = World::new().await;
    let other = world.second().await;
    let machine = world.machine("ada@example.org").await;
    let mut placed = Vec::new();
    for _ in 0..20 {
        placed.push(order(&world, &machine, "resize", "pending+settle").await.order);
    }
    world.core.clock.advance(30);
    let (one, two) = tokio::join!(effects::round(&world.core), effects::round(&other));
    assert_eq!(one.expect("a round") + two.expect("a round"), 20, "each was taken once");
    for order in &placed {
        assert_eq!(phase(&other, order).await, OrderPhase::Paid);
    }
    assert_eq!(world.remaining(&machine, "resize").await, 200);
    assert_eq!(books(&world, ["publisher:lumen", "provider:sandbox"]).await, [2000, -2000]);

    // A process takes an order and dies: once its lease is over the other one goes on.
    let left = order(&world, &machine, "resize", "pending+settle").await.order;
    world.core.clock.advance(30);
    assert_eq!(world.core.store.claim_effects(10, 0).await.expect("claimed").len(), 1);
    assert_eq!(effects::round(&other).await.expect("a round"), 0, "it is in good hands");
    world.core.store.close().await.expect("closed");
    assert_eq!(effects::round(&other).await.expect("a round"), 1);
    assert_eq!(phase(&other, &left).await, OrderPhase::Paid);
}

#[tokio::test]
async fn a_look_up_that_fails_anywhere_is_made_again_and_nothing_is_doubled() {
    let writes = [Write::EffectClaim, Write::OrderSettle, Write::EffectFinish];
    let writes = writes.iter().flat_map(|write| Phase::ALL.map(|phase| format!("{}.{}", write.name(), phase.name())));
    for point in writes.chain(["look-up.before".to_owned(), "look-up.after".to_owned()]) {
        let world = World::new().await;
        let machine = world.machine("ada@example.org").await;
        let order = order(&world, &machine, "resize", "pending+settle").await.order;
        world.core.clock.advance(30);
        world.faults.arm(&point, false);
        drop(effects::round(&world.core).await);
        after(&world, 120).await;
        assert_eq!(phase(&world.core, &order).await, OrderPhase::Paid, "{point}");
        assert_eq!(world.remaining(&machine, "resize").await, 10, "{point}");
        assert_eq!(books(&world, ["publisher:lumen", "provider:sandbox"]).await, [100, -100], "{point}");
    }
}

#[tokio::test]
async fn a_dispute_bars_the_rights_and_the_ledger_shows_it() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let accounts = ["publisher:lumen", "disputes", "provider:sandbox"];
    let bought = world.buy(&machine, "resize").await.order;
    world.run(&machine, "resize").await.expect("paid");
    assert_eq!(play(&world.core, bought, PaymentChange::Disputed).await, OrderPhase::Disputed);
    assert!(world.run(&machine, "resize").await.is_err(), "barred");
    assert_eq!(books(&world, accounts).await, [0, 100, -100]);
    assert!(matches!(orders::refund(&world.core, &bought).await, Err(ServiceError::Unacceptable(_))), "not twice");
    // Won: as much as was left is there again.
    assert_eq!(play(&world.core, bought, PaymentChange::DisputeWon).await, OrderPhase::Paid);
    assert_eq!((world.remaining(&machine, "resize").await, books(&world, accounts).await), (9, [100, 0, -100]));
    world.run(&machine, "resize").await.expect("back");
    // Lost, and said twice.
    play(&world.core, bought, PaymentChange::Disputed).await;
    for _ in 0..2 {
        assert_eq!(play(&world.core, bought, PaymentChange::ChargedBack).await, OrderPhase::ChargedBack);
    }
    assert_eq!(books(&world, accounts).await, [0, 0, 0]);
    assert!(world.run(&machine, "resize").await.is_err());
    let uses = world.core.store.balances().await.expect("balances");
    assert_eq!(uses.iter().filter(|b| b.commodity.to_string() == "uses").map(|b| b.amount).sum::<i64>(), 0);
    let found = orders::find(&world.core, &machine.asker, &bought).await.expect("found");
    assert_eq!(found.state, OrderState::Refunded);

    // What is held for good comes back as well, and is barred at once when nobody announced the dispute.
    let for_good = world.buy(&machine, "view").await.order;
    play(&world.core, for_good, PaymentChange::Disputed).await;
    assert!(world.run(&machine, "view").await.is_err());
    play(&world.core, for_good, PaymentChange::DisputeWon).await;
    world.run(&machine, "view").await.expect("back");
    assert_eq!(play(&world.core, for_good, PaymentChange::ChargedBack).await, OrderPhase::ChargedBack);
    assert!(world.run(&machine, "view").await.is_err());
    assert_eq!(books(&world, accounts).await, [0, 0, 0]);
}

/// Two orders stand behind the same right for good. The first is disputed, and the second takes its place; the dispute
/// is won, and then the second goes: the first has to carry again, whose row was there before.
#[tokio::test]
async fn an_order_whose_dispute_was_won_stands_behind_the_right_again() {
    for last in [PaymentChange::ChargedBack, PaymentChange::Refunded] {
        let world = World::new().await;
        let machine = world.machine("ada@example.org").await;
        let first = world.buy(&machine, "view").await.order;
        let request = OrderRequest { again: true, ..order_request(world.offer("view").await.1, "ok") };
        let second = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("paid").order;
        play(&world.core, first, PaymentChange::Disputed).await;
        world.run(&machine, "view").await.expect("the second order carries");
        play(&world.core, first, PaymentChange::DisputeWon).await;
        match last {
            PaymentChange::Refunded => drop(orders::refund(&world.core, &second).await.expect("paid back")),
            last => assert_eq!(play(&world.core, second, last).await, OrderPhase::ChargedBack),
        }
        world.run(&machine, "view").await.expect("the first order carries again");
        orders::refund(&world.core, &first).await.expect("paid back");
        assert!(world.run(&machine, "view").await.is_err(), "nothing stands behind it any more");
        assert_eq!(books(&world, ["publisher:lumen", "provider:sandbox"]).await, [0, 0]);
    }
}

#[tokio::test]
async fn prepaid_money_that_is_charged_back_leaves_the_balance_and_what_was_drawn_is_a_loss() {
    let world = crate::metered::metered("0.02 EUR").await;
    let machine = world.machine("ada@example.org").await;
    let request = pay("1.00 EUR", "ok");
    let order = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("paid").order;
    let asked = crate::metered::accepted(&world, 1).await;
    let code = world.authorise(&machine, &asked).await.expect("held");
    world.verify(&machine, &asked, &code).await.expect("granted");
    let accounts = ["provider:sandbox", "disputes", "losses", "publisher:lumen"];
    play(&world.core, order, PaymentChange::Disputed).await;
    assert_eq!((purse(&world.core, &machine).await, books(&world, accounts).await), ((0, 0), [-100, 98, 0, 2]));
    play(&world.core, order, PaymentChange::DisputeWon).await;
    assert_eq!((purse(&world.core, &machine).await, books(&world, accounts).await), ((98, 0), [-100, 0, 0, 2]));
    play(&world.core, order, PaymentChange::ChargedBack).await;
    assert_eq!((purse(&world.core, &machine).await, books(&world, accounts).await), ((0, 0), [0, 0, -2, 2]));
}

/// An attack: one provider, or a forged event, decides on what is another's; the control is the true one.
#[tokio::test]
async fn events_of_another_provider_or_another_amount_settle_nothing() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let pending = order(&world, &machine, "view", "pending").await.order;
    let settled = |amount: &str| PaymentChange::Settled(amount.parse().expect("an amount"));
    let foreign = PaymentEvent::new(pending, settled("4.99 EUR"));
    assert!(matches!(events::apply(&world.core, "till", &foreign).await, Err(ServiceError::NotFound)));
    for amount in ["0.01 EUR", "4.99 USD"] {
        let short = PaymentEvent::new(pending, settled(amount));
        assert!(
            matches!(events::apply(&world.core, SANDBOX, &short).await, Err(ServiceError::Unacceptable(_))),
            "{amount}"
        );
    }
    assert_eq!(phase(&world.core, &pending).await, OrderPhase::Pending);
    assert_eq!(play(&world.core, pending, settled("4.99 EUR")).await, OrderPhase::Paid);
    // Out of order, and too late.
    assert_eq!(play(&world.core, pending, PaymentChange::Declined).await, OrderPhase::Paid);
    assert_eq!(play(&world.core, pending, PaymentChange::DisputeWon).await, OrderPhase::Paid);
}

#[tokio::test]
async fn saved_means_pay_again_and_are_sealed() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let offer = world.offer("resize").await.1;
    let request = order_request(offer, "saved");
    let refused = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await;
    assert_eq!(reason(refused), Reason::PaymentRequired);
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 0);
    order(&world, &machine, "resize", "ok+save").await;
    assert_eq!(order(&world, &machine, "resize", "saved").await.state, OrderState::Paid);
    // Nobody else's.
    let stranger = world.machine("eve@example.org").await;
    assert_eq!(
        reason(orders::order(&world.core, &stranger.asker, &request, &fresh(&request)).await),
        Reason::PaymentRequired
    );
    // Those that want the user, and those that pay no more, take the place of the ones before.
    order(&world, &machine, "resize", "ok+save-action").await;
    let action = order(&world, &machine, "resize", "saved").await;
    assert_eq!(action.next.map(|step| step.kind), Some(PaymentStepKind::Action));
    order(&world, &machine, "resize", "ok+save-decline").await;
    assert_eq!(order(&world, &machine, "resize", "saved").await.state, OrderState::Declined);
    let stored = world.core.store.saved_means(&machine.account, SANDBOX).await.expect("read").expect("saved");
    assert!(!stored.reference.as_bytes().windows(7).any(|window| window == b"decline"), "sealed");
    assert!(world.core.store.forget_means(&machine.account, SANDBOX).await.expect("forgotten"));
    assert_eq!(
        reason(orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await),
        Reason::PaymentRequired
    );
}

/// A browser buys as a terminal does: the same orders, once per key.
#[tokio::test]
async fn a_browser_buys_on_the_same_path() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let buyer = Buyer::Browser(holder(&world.core, machine.account).await);
    let request = order_request(world.offer("view").await.1, "ok");
    let key = keyed("a-form", &request);
    let one = orders::order(&world.core, buyer, &request, &key).await.expect("bought");
    let two = orders::order(&world.core, buyer, &request, &key).await.expect("the same");
    assert_eq!((one.order, one.state), (two.order, OrderState::Paid));
    world.run(&machine, "view").await.expect("on the account's terminal");
    let code = cycle::authorise(&world.core, &machine.asker, &world.ask("view", 1), &key).await;
    code.expect("the keys of browsers and terminals never meet");
    world.core.store.set_suspended(&machine.account, true).await.expect("suspended");
    let refused = orders::order(&world.core, buyer, &request, &keyed("another", &request)).await;
    assert_eq!(reason(refused), Reason::AccountSuspended);
}

/// Two providers side by side: the buyer's choice is the order's.
#[tokio::test]
async fn the_buyer_chooses_among_providers() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let core = Core { payments: Payments::none(), ..world.core.clone() };
    let request = order_request(world.offer("view").await.1, "ok");
    assert_eq!(reason(orders::order(&core, &machine.asker, &request, &fresh(&request)).await), Reason::PaymentRequired);
    let payments = Payments::none().with(Sandbox::default());
    assert_eq!(payments.all().map(|provider| provider.name().to_owned()).collect::<Vec<_>>(), ["sandbox"]);
    let decided = order(&world, &machine, "view", "pending").await.order;
    orders::decide(&world.core, &decided, Decision::Settled).await.expect("by the operator, as ever");
    world.run(&machine, "view").await.expect("paid");
}
