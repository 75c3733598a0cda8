//! What is wanted once is paid for once, however many requests ask for it.

use crate::database::Of;
use crate::metered::{pay, purse};
use crate::world::{Machine, World, count, fresh, keyed, order_request, reason};
use async_trait::async_trait;
use portcullis_protocol::wire::{OfferTerms, OrderAnswer, OrderState, UnpaidGoods, UnpaidOrder};
use portcullis_protocol::{Digest, Money, OrderId, Reason, Rights};
use portcullis_server::billing::orders;
use portcullis_server::billing::payment::{
    Begun, Charge, Decision, Outcome, Payment, PaymentError, PaymentProvider, PaymentState, RefundState,
};
use portcullis_server::store::{AccountPage, OrderPhase};
use portcullis_server::{Core, ServiceError, effects};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Notify;

/// The digest of the offer for an operation that is in force, on sale or not.
pub(crate) fn offer_in_force(world: &World, operation: &str) -> Digest {
    let sql = "SELECT digest FROM offers WHERE operation = ?1 AND ended_at IS NULL";
    let digest = world.database().bytes(sql, &[Of::Text(operation)]);
    Digest::from_bytes(digest.try_into().expect("a digest"))
}

async fn buy(
    core: &Core,
    world: &World,
    machine: &Machine,
    operation: &str,
    token: &str,
) -> Result<OrderAnswer, ServiceError> {
    let request = order_request(offer_in_force(world, operation), token);
    orders::order(core, &machine.asker, &request, &fresh(&request)).await
}

async fn buy_again(
    world: &World,
    machine: &Machine,
    operation: &str,
    token: &str,
) -> Result<OrderAnswer, ServiceError> {
    let mut request = order_request(offer_in_force(world, operation), token);
    request.again = true;
    orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await
}

#[tokio::test]
async fn what_is_on_order_for_good_is_not_ordered_twice() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let sibling = world.machine_of(machine.account).await;
    let first = buy(&world.core, &world, &machine, "view", "pending").await.expect("pending");
    let request = order_request(offer_in_force(&world, "view"), "ok");
    let idempotency = fresh(&request);
    // From another terminal of the account, by other means of payment: those are not used.
    let second = orders::order(&world.core, &sibling.asker, &request, &idempotency).await.expect("the same");
    assert_eq!((second.order, second.state), (first.order, OrderState::Pending));
    let stranger = world.machine("eve@example.org").await;
    assert_ne!(buy(&world.core, &world, &stranger, "view", "pending").await.expect("hers").order, first.order);

    orders::decide(&world.core, &first.order, Decision::Settled).await.expect("paid");
    let repeated = orders::order(&world.core, &sibling.asker, &request, &idempotency).await.expect("the same request");
    assert_eq!((repeated.order, repeated.state), (first.order, OrderState::Paid), "is told what became of it");
    let held = world.core.store.entitlements(&machine.account, AccountPage::new(0, 10)).await.expect("read");
    assert_eq!(held.rows.len(), 1);
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 2);
    world.run(&machine, "view").await.expect("paid once");
}

/// One intent is one order, also over two processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_orders_at_once_over_two_processes_are_one() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let cores = [world.core.clone(), world.second().await];
    let order = order_request(offer_in_force(&world, "view"), "pending");
    let money = pay("5.00 EUR", "pending");
    let tasks: Vec<_> = (0..40)
        .map(|index| {
            let (core, asker) = (cores[index % 2].clone(), machine.asker.clone());
            let (order, money) = (order.clone(), money.clone());
            tokio::spawn(async move {
                match index / 2 % 2 {
                    0 => {
                        orders::order(&core, &asker, &order, &fresh(&order)).await.map(|answer| ("order", answer.order))
                    }
                    _ => orders::order(&core, &asker, &money, &fresh(&money))
                        .await
                        .map(|answer| ("top-up", answer.order)),
                }
            })
        })
        .collect();
    let mut opened = BTreeSet::new();
    for task in tasks {
        let (kind, order) = task.await.expect("no panic").expect("answered");
        opened.insert((kind, order.to_string()));
    }
    assert_eq!(opened.len(), 2, "one order, one top-up: {opened:?}");
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 2);
}

#[tokio::test]
async fn what_gives_nothing_new_is_bought_by_those_who_say_so() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    buy(&world.core, &world, &machine, "view", "ok").await.expect("bought");
    assert_eq!(reason(buy(&world.core, &world, &machine, "view", "ok").await), Reason::ConfirmationRequired);
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 1);
    assert_eq!(buy_again(&world, &machine, "view", "ok").await.expect("confirmed").state, OrderState::Paid);
    assert_eq!(count(&world, "SELECT count(*) FROM entitlements"), 1, "both orders stand behind it");

    // Uses of what is held for good.
    let terms = |operation: &str, rights, price: &str| (operation.to_owned(), rights, price.to_owned());
    let list = [
        terms("view", Rights::Uses { count: 3 }, "1.00 EUR"),
        terms("resize", Rights::Uses { count: 10 }, "1.00 EUR"),
        terms("preview", Rights::Perpetual {}, "0.50 EUR"),
    ];
    let list: Vec<_> =
        list.iter().map(|(operation, rights, price)| (operation.as_str(), *rights, price.as_str())).collect();
    world.price(&list).await;
    assert_eq!(reason(buy(&world.core, &world, &machine, "view", "ok").await), Reason::ConfirmationRequired);
    // What is free besides.
    let other = world.machine("bob@example.org").await;
    let free = OfferTerms {
        id: None,
        operation: "preview".parse().expect("a name"),
        title: "preview".into(),
        rights: Rights::Free {},
        price: "0.00 EUR".parse().expect("a price"),
    };
    let paid = OfferTerms { rights: Rights::Perpetual {}, price: "0.50 EUR".parse().expect("a price"), ..free.clone() };
    let offers = world.reprice(vec![paid, free]).await;
    let priced = offers.iter().find(|offer| !offer.document().rights.is_given()).expect("the paid one").digest();
    let request = order_request(priced, "ok");
    let refused = orders::order(&world.core, &other.asker, &request, &fresh(&request)).await;
    assert_eq!(reason(refused), Reason::ConfirmationRequired);
}

#[tokio::test]
async fn uses_are_bought_as_often_as_wanted() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    for _ in 0..2 {
        buy(&world.core, &world, &machine, "resize", "ok").await.expect("bought");
    }
    let pending = [
        buy(&world.core, &world, &machine, "resize", "pending").await.expect("pending").order,
        buy_again(&world, &machine, "resize", "pending").await.expect("confirmed").order,
    ];
    for order in pending {
        orders::decide(&world.core, &order, Decision::Settled).await.expect("paid");
    }
    assert_eq!(world.remaining(&machine, "resize").await, 40);
}

/// The order that a refusal names as the one in the way.
fn in_the_way<T: std::fmt::Debug>(refused: Result<T, ServiceError>) -> Option<OrderId> {
    let Err(ServiceError::Refused(refusal)) = refused else { panic!("not refused: {refused:?}") };
    assert_eq!(refusal.reason, Reason::ConfirmationRequired);
    refusal.more.get("order").and_then(|order| order.as_str()?.parse().ok())
}

/// Nobody but the buyer knows whether more uses are wanted, or the same ones twice.
#[tokio::test]
async fn more_of_what_is_counted_is_ordered_beside_a_pending_order_only_by_who_says_so() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let sibling = world.machine_of(machine.account).await;
    let first = buy(&world.core, &world, &machine, "resize", "pending").await.expect("pending").order;
    // Also from another terminal, at another price, and while a confirmed one is the newest.
    assert_eq!(in_the_way(buy(&world.core, &world, &machine, "resize", "ok").await), Some(first));
    assert_eq!(in_the_way(buy(&world.core, &world, &sibling, "resize", "ok").await), Some(first));
    let second = buy_again(&world, &machine, "resize", "pending").await.expect("confirmed").order;
    world.price(&[("resize", Rights::Uses { count: 20 }, "2.00 EUR")]).await;
    assert_eq!(in_the_way(buy(&world.core, &world, &machine, "resize", "ok").await), Some(second));
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 2, "a refusal opens nothing");
    // The controls: another account, and once both are decided.
    let stranger = world.machine("eve@example.org").await;
    buy(&world.core, &world, &stranger, "resize", "ok").await.expect("hers");
    orders::decide(&world.core, &second, Decision::Settled).await.expect("paid");
    assert_eq!(in_the_way(buy(&world.core, &world, &machine, "resize", "ok").await), Some(first));
    orders::give_up(&world.core, &machine.asker, &first).await.expect("given up");
    assert_eq!(buy(&world.core, &world, &machine, "resize", "ok").await.expect("bought").state, OrderState::Paid);
    assert_eq!(world.remaining(&machine, "resize").await, 30);
}

#[tokio::test]
async fn an_order_that_is_given_up_ends_unpaid_and_what_is_paid_for_it_all_the_same_goes_back() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let stranger = world.machine("eve@example.org").await;
    for token in ["pending+settle", "redirect+settle"] {
        let order = buy(&world.core, &world, &machine, "view", token).await.expect("pending").order;
        let foreign = orders::give_up(&world.core, &stranger.asker, &order).await;
        assert!(matches!(foreign, Err(ServiceError::NotFound)), "{foreign:?}");
        let before = books(&world).await;
        // The control: it is pending, and twice is once.
        assert_eq!(orders::find(&world.core, &machine.asker, &order).await.expect("found").state, OrderState::Pending);
        for _ in 0..2 {
            let given = orders::give_up(&world.core, &machine.asker, &order).await.expect("given up");
            assert_eq!((given.state, given.next.is_none()), (OrderState::Declined, true));
        }
        // The provider has the money after all: it goes back, by the server itself, and nothing is given for it.
        world.core.clock.advance(10);
        while effects::round(&world.core).await.expect("a round") > 0 {}
        let order = world.core.store.order(&order).await.expect("read").expect("an order");
        assert_eq!(order.phase, OrderPhase::Refunded, "{token}");
        assert_eq!(books(&world).await, before, "{token}");
    }
    assert_eq!(count(&world, "SELECT count(*) FROM entitlements"), 0);
    // What is paid is not given up any more.
    let paid = buy(&world.core, &world, &machine, "view", "ok").await.expect("bought").order;
    assert_eq!(orders::give_up(&world.core, &machine.asker, &paid).await.expect("answered").state, OrderState::Paid);
    world.run(&machine, "view").await.expect("it stays");
}

async fn books(world: &World) -> Vec<(String, String, i64)> {
    let balances = world.core.store.balances().await.expect("balances");
    let mut books: Vec<_> = balances
        .into_iter()
        .map(|balance| (balance.account.as_str().to_owned(), balance.commodity.to_string(), balance.amount))
        .filter(|(_, _, amount)| *amount != 0)
        .collect();
    books.sort();
    books
}

/// A buyer gives an order up at one process while its provider pays it at another: it is paid and stays so, or it ended
/// and the money goes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_order_is_given_up_or_paid_and_its_money_is_never_lost() {
    let world = World::new().await;
    let second = world.second().await;
    let machine = world.machine("ada@example.org").await;
    let (mut paid, mut back) = (0, 0);
    for round in 0..12 {
        let order = buy(&world.core, &world, &machine, "resize", "pending").await.expect("pending").order;
        let (decided, given) = tokio::join!(
            orders::decide(&second, &order, Decision::Settled),
            orders::give_up(&world.core, &machine.asker, &order),
        );
        let (decided, given) = (decided.expect("decided"), given.expect("answered"));
        match decided.state {
            OrderState::Paid => {
                assert_eq!(given.state, OrderState::Paid, "round {round}");
                paid += 1;
            }
            state => {
                assert_eq!((state, given.state), (OrderState::Refunded, OrderState::Declined), "round {round}");
                back += 1;
            }
        }
        while effects::round(&world.core).await.expect("a round") > 0 {}
        let phase = world.core.store.order(&order).await.expect("read").expect("an order").phase;
        assert!(matches!(phase, OrderPhase::Paid | OrderPhase::Refunded), "round {round}: {phase:?}");
    }
    println!("{paid} paid, {back} paid back");
    let uses = if paid == 0 { 0 } else { world.remaining(&machine, "resize").await };
    assert_eq!(uses, 10 * paid);
}

/// A provider that takes its time to begin.
#[derive(Clone)]
struct Slow {
    begun: Arc<Notify>,
    go: Arc<Notify>,
    says: Outcome,
    later: PaymentState,
}

#[async_trait]
impl PaymentProvider for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn begin(&self, charge: &Charge) -> Result<Begun, PaymentError> {
        self.begun.notify_one();
        self.go.notified().await;
        Ok(Begun { outcome: self.says.clone(), reference: Some(charge.order.to_string()), saved: None })
    }

    async fn look_up(&self, payment: &Payment) -> Result<PaymentState, PaymentError> {
        assert_eq!(payment.reference, Some(payment.order.to_string()), "its own name for it was written down");
        Ok(if payment.refunding.is_some() { PaymentState::Refunded } else { self.later })
    }

    async fn refund(&self, _payment: &Payment, _amount: Money) -> Result<RefundState, PaymentError> {
        Ok(RefundState::Done)
    }
}

/// The provider is still being asked when the buyer gives the order up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_provider_says_of_an_order_that_was_given_up_meanwhile_is_heard() {
    for (says, later, ends) in [
        (Outcome::Settled, PaymentState::Settled, OrderPhase::Refunded),
        (Outcome::Pending, PaymentState::Settled, OrderPhase::Refunded),
        (Outcome::Redirect("https://pay.example/".into()), PaymentState::Pending, OrderPhase::Declined),
        (Outcome::Declined, PaymentState::Declined, OrderPhase::Declined),
        (Outcome::Pending, PaymentState::Declined, OrderPhase::Declined),
    ] {
        let world = World::new().await;
        let machine = world.machine("ada@example.org").await;
        let slow = Slow { begun: Arc::default(), go: Arc::default(), says: says.clone(), later };
        let core = Core { payments: world.core.payments.clone().with(slow.clone()), ..world.core.clone() };
        let before = books(&world).await;
        let mut request = order_request(offer_in_force(&world, "view"), "any");
        request.payment.provider = "slow".into();
        let (asking, asker) = (core.clone(), machine.asker.clone());
        let asked = tokio::spawn(async move { orders::order(&asking, &asker, &request, &fresh(&request)).await });
        slow.begun.notified().await;
        let page = core.store.orders_of(&machine.account, AccountPage::new(0, 10)).await.expect("read");
        let order = page.rows[0].id;
        let given = orders::give_up(&core, &machine.asker, &order).await.expect("given up");
        assert_eq!(given.state, OrderState::Declined);
        slow.go.notify_one();
        let answer = asked.await.expect("no panic").expect("answered");
        assert!(matches!(answer.state, OrderState::Declined | OrderState::Refunded), "{says:?}: {:?}", answer.state);
        assert!(answer.next.is_none(), "{says:?}: there is nothing to pay any more");
        core.clock.advance(10);
        while effects::round(&core).await.expect("a round") > 0 {}
        let found = core.store.order(&order).await.expect("read").expect("an order");
        assert_eq!(found.phase, ends, "{says:?}");
        assert_eq!(books(&world).await, before, "{says:?}");
        let failed = count(&world, "SELECT count(*) FROM effects WHERE state = 3");
        assert_eq!(failed, 0, "{says:?}: nothing is left to the operator");
    }
}

/// Orders that are never paid cost their account nothing, and the provider is asked about each.
#[tokio::test]
async fn an_account_has_few_orders_that_are_not_paid() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let mut pending = Vec::new();
    for _ in 0..20 {
        pending.push(buy_again(&world, &machine, "resize", "pending").await.expect("pending").order);
    }
    for refused in
        [buy_again(&world, &machine, "resize", "ok").await, buy(&world.core, &world, &machine, "view", "ok").await, {
            let request = pay("5.00 EUR", "ok");
            orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await
        }]
    {
        let Err(ServiceError::Refused(refusal)) = refused else { panic!("not refused: {refused:?}") };
        assert_eq!(refusal.reason, Reason::PaymentRequired);
        assert!(refusal.detail.is_some_and(|said| said.contains("give one up")));
    }
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 20);
    // The controls: somebody else's order, and one place that is free again.
    let stranger = world.machine("eve@example.org").await;
    buy(&world.core, &world, &stranger, "view", "ok").await.expect("hers");
    orders::give_up(&world.core, &machine.asker, &pending[0]).await.expect("given up");
    buy(&world.core, &world, &machine, "view", "ok").await.expect("bought");
    // Each of them is listed, the newest first, and nobody else's.
    let unpaid: Vec<OrderId> = unpaid(&world, &machine).await.iter().map(|order| order.order).collect();
    assert!(unpaid.iter().rev().eq(&pending[1..]), "{unpaid:?}");
}

async fn unpaid(world: &World, machine: &Machine) -> Vec<UnpaidOrder> {
    orders::unpaid(&world.core, &machine.asker).await.expect("listed")
}

#[tokio::test]
async fn what_is_not_paid_is_listed_until_it_is_decided() {
    let world = World::new().await;
    let (machine, stranger) = (world.machine("ada@example.org").await, world.machine("eve@example.org").await);
    buy(&world.core, &world, &machine, "view", "ok").await.expect("paid");
    let rights = buy(&world.core, &world, &machine, "resize", "pending").await.expect("pending");
    let request = pay("5.00 EUR", "redirect");
    let money = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("pending");
    // At another terminal of the account as well.
    let sibling = world.machine_of(machine.account).await;
    for asking in [&machine, &sibling] {
        let listed = unpaid(&world, asking).await;
        let [first, second] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!(
            (first.order, &first.goods, first.next.clone()),
            (money.order, &UnpaidGoods::TopUp {}, money.next.clone())
        );
        assert!(first.next.is_some() && first.until > first.at && first.amount.to_string() == "5.00 EUR", "{first:?}");
        assert_eq!((second.order, second.next.as_ref()), (rights.order, None));
        let UnpaidGoods::Rights { operation, .. } = &second.goods else { panic!("{second:?}") };
        assert_eq!(operation.as_str(), "resize");
    }
    assert_eq!(unpaid(&world, &stranger).await, []);
    orders::decide(&world.core, &money.order, Decision::Settled).await.expect("decided");
    orders::give_up(&world.core, &machine.asker, &rights.order).await.expect("given up");
    assert_eq!(unpaid(&world, &machine).await, []);
}

/// Whoever orders and gives up again and again has the provider asked about each for a week.
#[tokio::test]
async fn an_account_has_few_orders_that_ended_unpaid_and_are_still_asked_about() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    for _ in 0..100 {
        let order = buy_again(&world, &machine, "resize", "pending").await.expect("pending").order;
        orders::give_up(&world.core, &machine.asker, &order).await.expect("given up");
    }
    let Err(ServiceError::Refused(refusal)) = buy_again(&world, &machine, "resize", "ok").await else {
        panic!("one more is not refused")
    };
    assert_eq!(refusal.reason, Reason::PaymentRequired);
    // The control: once nobody asks any more, there is room again.
    let sql = "UPDATE effects SET state = 2, next_at = NULL, ended_at = 1, lease = NULL WHERE kind = 'charge'";
    world.database().run(sql);
    buy_again(&world, &machine, "resize", "ok").await.expect("bought");
}

#[tokio::test]
async fn what_is_on_order_on_other_terms_is_not_ordered_beside_it() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let first = buy(&world.core, &world, &machine, "view", "pending").await.expect("pending").order;
    world.price(&[("view", Rights::Perpetual {}, "3.99 EUR")]).await;
    assert_eq!(in_the_way(buy(&world.core, &world, &machine, "view", "ok").await), Some(first));
    buy_again(&world, &machine, "view", "ok").await.expect("confirmed");
}

/// Orders of a time without this rule may both be pending, and something else may be bought while one is: the second
/// payment goes back, unless it was confirmed.
#[tokio::test]
async fn of_two_that_were_pending_before_one_is_paid_back() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let pending = async |world: &World| {
        let order = buy(&world.core, world, &machine, "view", "pending").await.expect("pending").order;
        world.database().change("UPDATE orders SET intent = NULL", &[]);
        order
    };
    let (first, second) = (pending(&world).await, pending(&world).await);
    assert_ne!(first, second);
    let confirmed = buy_again(&world, &machine, "view", "pending").await.expect("pending").order;
    let mut states = Vec::new();
    for order in [first, second, confirmed] {
        states.push(orders::decide(&world.core, &order, Decision::Settled).await.expect("decided").state);
    }
    assert_eq!(states, [OrderState::Paid, OrderState::Refunded, OrderState::Paid]);
    let open = orders::open(&world.core).await.expect("listed");
    assert_eq!(open.iter().map(|order| (order.id, order.phase)).collect::<Vec<_>>(), [(second, OrderPhase::Refunding)]);
    orders::refund(&world.core, &second).await.expect("paid back");
    world.run(&machine, "view").await.expect("the first one stands");
}

#[tokio::test]
async fn a_top_up_that_is_pending_is_not_paid_twice() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let top_up = async |amount: &str, token: &str, again: bool| {
        let mut request = pay(amount, token);
        request.again = again;
        orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("answered")
    };
    let first = top_up("5.00 EUR", "pending", false).await;
    assert_eq!(top_up("5.00 EUR", "ok", false).await.order, first.order);
    assert_ne!(top_up("6.00 EUR", "ok", false).await.order, first.order, "another amount");
    let again = top_up("5.00 EUR", "pending", true).await;
    assert_ne!(again.order, first.order, "confirmed");
    for order in [first.order, again.order] {
        orders::decide(&world.core, &order, Decision::Settled).await.expect("paid");
    }
    assert_eq!(purse(&world.core, &machine).await, (1600, 0));
    // One that is paid is no more in the way of the next.
    for _ in 0..2 {
        top_up("5.00 EUR", "ok", false).await;
    }
    assert_eq!(purse(&world.core, &machine).await, (2600, 0));
}

/// Nobody gains anything by a second one of what costs nothing.
#[tokio::test]
async fn what_costs_nothing_is_had_once() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world.price(&[("preview", Rights::Perpetual {}, "0.00 EUR")]).await;
    buy(&world.core, &world, &machine, "preview", "ok").await.expect("had");
    assert_eq!(reason(buy(&world.core, &world, &machine, "preview", "ok").await), Reason::ConfirmationRequired);
    assert_eq!(reason(buy_again(&world, &machine, "preview", "ok").await), Reason::ConfirmationRequired);
    assert_eq!(count(&world, "SELECT count(*) FROM entitlements"), 1);
}

/// A trial is no supply: also of what is counted, or ends, and by whichever offer.
#[tokio::test]
async fn a_trial_at_no_charge_is_had_once() {
    let world = World::new().await;
    let paid = ("resize", Rights::Uses { count: 10 }, "1.00 EUR");
    let more = Rights::Uses { count: 2 };
    for trial in [Rights::Uses { count: 1 }, Rights::Rental { start_within: 1000, use_within: 100 }] {
        let machine = world.machine(&format!("{}@example.org", trial.model())).await;
        world.price(&[("preview", trial, "0.00 EUR"), paid]).await;
        buy(&world.core, &world, &machine, "preview", "ok").await.expect("had");
        world.run(&machine, "preview").await.expect("tried");
        world.core.clock.advance(2000);
        assert_eq!(reason(buy(&world.core, &world, &machine, "preview", "ok").await), Reason::ConfirmationRequired);
        assert_eq!(reason(buy_again(&world, &machine, "preview", "ok").await), Reason::ConfirmationRequired);
        world.price(&[("preview", more, "0.00 EUR"), paid]).await;
        assert_eq!(reason(buy_again(&world, &machine, "preview", "ok").await), Reason::ConfirmationRequired);
        // The controls: what is paid for, at once and after that, and somebody else.
        buy(&world.core, &world, &machine, "resize", "ok").await.expect("bought");
        world.price(&[("preview", more, "0.50 EUR"), paid]).await;
        buy(&world.core, &world, &machine, "preview", "ok").await.expect("bought");
    }
}

/// Each order is a row for good, and a request at the provider: whoever has none paid opens some a day.
#[tokio::test]
async fn an_account_opens_some_orders_a_day_that_end_unpaid() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let mut declined = 0;
    let refused = loop {
        match buy(&world.core, &world, &machine, "resize", "decline").await {
            Ok(answer) => assert_eq!(answer.state, OrderState::Declined),
            Err(refused) => break refused,
        }
        declined += 1;
        assert!(declined <= 200, "no end");
    };
    assert_eq!(declined, 200);
    let ServiceError::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.reason, Reason::PaymentRequired);
    assert!(refused.detail.is_some_and(|said| said.contains("a day")));
    // The controls: somebody else, and a day later.
    let stranger = world.machine("eve@example.org").await;
    buy(&world.core, &world, &stranger, "resize", "ok").await.expect("hers");
    world.core.clock.advance(24 * 3600 + 1);
    buy(&world.core, &world, &machine, "resize", "ok").await.expect("bought");
}

/// A key names one request: with another wish it is another request.
#[tokio::test]
async fn a_confirmed_order_is_another_request() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let request = order_request(offer_in_force(&world, "view"), "ok");
    let mut again = request.clone();
    again.again = true;
    let written = |request| serde_json::to_string(request).expect("json");
    assert!(
        !written(&request).contains("again") && written(&again).contains("again"),
        "left out unless it says something"
    );
    orders::order(&world.core, &machine.asker, &request, &keyed("key", &request)).await.expect("bought");
    let reused = orders::order(&world.core, &machine.asker, &again, &keyed("key", &again)).await;
    assert!(matches!(reused, Err(ServiceError::KeyReused)));
}
