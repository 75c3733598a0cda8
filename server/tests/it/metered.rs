//! `metered`: money moves only under the offer that the user accepted, and only what there is.

use crate::world::{Machine, World, count, fresh, keyed, reason};
use portcullis_protocol::wire::{
    AuthorisationAnswer, AuthorisationRequest, OfferTerms, OrderState, PaymentMethod, TopUpRequest, VerificationRequest,
};
use portcullis_protocol::{Currency, Digest, Money, OrderId, Reason, Rights, TopUpReceipt, Unverified};
use portcullis_server::billing::payment::{Decision, PaymentChange, PaymentEvent, Payments, SANDBOX};
use portcullis_server::billing::prepaid::Prepaid;
use portcullis_server::billing::{balances, cycle, events, orders};
use portcullis_server::ops::faults::{Phase, Write};
use portcullis_server::store::{AccountPage, Balance, GoodsKind};
use portcullis_server::{Asker, Core, ServiceError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;

/// A world in which `resize` costs so much per unit, and `view` is sold for good.
pub(crate) async fn metered(price: &str) -> World {
    let world = World::new().await;
    world.price(&[("view", Rights::Perpetual {}, "4.99 EUR"), ("resize", Rights::Metered {}, price)]).await;
    world
}

pub(crate) fn pay(amount: &str, token: &str) -> TopUpRequest {
    let payment = PaymentMethod { provider: "sandbox".into(), token: token.into() };
    TopUpRequest { amount: amount.parse().expect("an amount"), payment, again: false }
}

pub(crate) async fn top_up(world: &World, machine: &Machine, amount: &str) {
    let request = pay(amount, "ok");
    let answer = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("paid in");
    assert_eq!(answer.state, OrderState::Paid);
}

/// A request under the offer in force.
pub(crate) async fn accepted(world: &World, quantity: u32) -> AuthorisationRequest {
    let mut request = world.ask("resize", quantity);
    request.offer = Some(world.offer("resize").await.1);
    request
}

/// What is left and what is held, in minor units of the euro.
pub(crate) async fn purse(core: &Core, machine: &Machine) -> (i64, i64) {
    let balances = core.store.prepaid(&machine.account).await.expect("balances");
    balances.first().map_or((0, 0), |balance: &Prepaid| (balance.amount, balance.held))
}

pub(crate) fn booked(balances: &[Balance], account: &str) -> i64 {
    let of = |balance: &&Balance| balance.account.as_str() == account && balance.commodity.to_string() == "EUR";
    balances.iter().filter(of).map(|balance| balance.amount).sum()
}

#[tokio::test]
async fn a_unit_is_held_at_step_2_and_debited_at_step_3() {
    let world = metered("0.02 EUR").await;
    let machine = world.machine("ada@example.org").await;
    top_up(&world, &machine, "5.00 EUR").await;
    let request = accepted(&world, 3).await;
    let code = world.authorise(&machine, &request).await.expect("held");
    assert_eq!(purse(&world.core, &machine).await, (500, 6));
    let answer = world.verify(&machine, &request, &code).await.expect("granted");
    assert_eq!(purse(&world.core, &machine).await, (494, 0));
    let opened = world.open(&machine, request, &code, answer);
    let grant = opened.grant.document();
    assert_eq!((grant.model.as_str(), grant.limits.uses, grant.limits.units), ("metered", None, Some(3)));
    assert_eq!(grant.exp - grant.iat, 300);
    let balances = world.core.store.balances().await.expect("balances");
    let prepaid = format!("prepaid:{}", machine.account);
    assert_eq!(
        ["provider:sandbox", &prepaid, "publisher:lumen"].map(|account| booked(&balances, account)),
        [-500, 494, 6]
    );
}

#[tokio::test]
async fn without_the_offer_of_today_no_money_moves() {
    let world = metered("0.02 EUR").await;
    let machine = world.machine("ada@example.org").await;
    top_up(&world, &machine, "5.00 EUR").await;

    // No offer accepted, the offer of something else, an invented one.
    for offer in [None, Some(world.offer("view").await.1), Some(Digest::of(b"an offer"))] {
        let request = AuthorisationRequest { offer, ..world.ask("resize", 1) };
        let ServiceError::Refused(refusal) = world.authorise(&machine, &request).await.expect_err("not accepted")
        else {
            panic!("no refusal")
        };
        assert_eq!(refusal.reason, Reason::PaymentRequired);
        assert!(refusal.offers[0].document().rights.is_paid_per_unit());
    }
    // The offer of yesterday.
    let yesterday = accepted(&world, 1).await;
    let (id, _) = world.offer("resize").await;
    let dearer = OfferTerms {
        id: Some(id),
        operation: "resize".parse().expect("a name"),
        title: "resize".into(),
        rights: Rights::Metered {},
        price: "5.00 EUR".parse().expect("a price"),
    };
    world.reprice(vec![dearer]).await;
    let ServiceError::Refused(refusal) = world.authorise(&machine, &yesterday).await.expect_err("stale") else {
        panic!("no refusal")
    };
    assert_eq!(refusal.reason, Reason::PaymentRequired);
    assert_eq!(refusal.offers[0].document().price.to_string(), "5.00 EUR");
    assert_eq!(purse(&world.core, &machine).await, (500, 0));
    // The control.
    world.authorise(&machine, &accepted(&world, 1).await).await.expect("the offer of today");
    assert_eq!(purse(&world.core, &machine).await, (500, 500));
}

#[tokio::test]
async fn what_was_held_is_what_is_debited_whatever_becomes_of_the_price() {
    let world = metered("0.02 EUR").await;
    let machine = world.machine("ada@example.org").await;
    top_up(&world, &machine, "5.00 EUR").await;
    let request = accepted(&world, 1).await;
    let code = world.authorise(&machine, &request).await.expect("held");
    world.price(&[("resize", Rights::Metered {}, "4.00 EUR")]).await;
    world.verify(&machine, &request, &code).await.expect("granted");
    assert_eq!(purse(&world.core, &machine).await, (498, 0));
    // And where the operation is not for sale any more.
    let request = accepted(&world, 1).await;
    let code = world.authorise(&machine, &request).await.expect("held");
    world.price(&[]).await;
    world.verify(&machine, &request, &code).await.expect("granted");
    assert_eq!(purse(&world.core, &machine).await, (98, 0));
}

#[tokio::test]
async fn a_balance_never_covers_more_than_is_in_it() {
    let world = metered("0.02 EUR").await;
    let machine = world.machine("ada@example.org").await;
    assert_eq!(reason(world.authorise(&machine, &accepted(&world, 1).await).await), Reason::BalanceTooLow);
    top_up(&world, &machine, "0.05 EUR").await;
    for quantity in [3, 1_000_000] {
        let refused = world.authorise(&machine, &accepted(&world, quantity).await).await;
        assert_eq!(reason(refused), Reason::BalanceTooLow);
    }
    let code = world.authorise(&machine, &accepted(&world, 2).await).await.expect("held");
    assert_eq!(reason(world.authorise(&machine, &accepted(&world, 1).await).await), Reason::BalanceTooLow);

    // A code that is never verified gives its hold back, and is worth nothing then.
    let request = accepted(&world, 2).await;
    world.core.clock.advance(31);
    assert_eq!(purse(&world.core, &machine).await, (5, 0));
    assert_eq!(reason(world.verify(&machine, &request, &code).await), Reason::StatusCodeExpired);
    world.authorise(&machine, &request).await.expect("held again");
    world.core.clock.advance(31);
    world.core.store.sweep().await.expect("swept");
    assert_eq!(count(&world, "SELECT sum(held) FROM prepaid"), 0);
    assert_eq!(purse(&world.core, &machine).await, (5, 0));
}

#[tokio::test]
async fn a_product_beyond_what_money_can_be_is_refused() {
    let world = metered("10000000000.00 EUR").await;
    let machine = world.machine("ada@example.org").await;
    top_up(&world, &machine, "10000000000.00 EUR").await;
    for quantity in [2, 1_000_000] {
        let refused = world.authorise(&machine, &accepted(&world, quantity).await).await;
        assert_eq!(reason(refused), Reason::BalanceTooLow);
    }
    world.authorise(&machine, &accepted(&world, 1).await).await.expect("the control");
}

#[tokio::test]
async fn nobody_pays_for_what_he_has_and_nobody_for_another() {
    let world = metered("0.02 EUR").await;
    let (machine, stranger) = (world.machine("ada@example.org").await, world.machine("eve@example.org").await);
    top_up(&world, &machine, "5.00 EUR").await;
    assert_eq!(reason(world.authorise(&stranger, &accepted(&world, 1).await).await), Reason::BalanceTooLow);
    // Uses bought before come first, also under the accepted offer.
    world.price(&[("resize", Rights::Uses { count: 1 }, "1.00 EUR")]).await;
    world.buy(&machine, "resize").await;
    world.price(&[("resize", Rights::Metered {}, "0.02 EUR")]).await;
    for (balance, model) in [(500, "uses"), (498, "metered")] {
        let request = accepted(&world, 1).await;
        let code = world.authorise(&machine, &request).await.expect("held");
        let answer = world.verify(&machine, &request, &code).await.expect("granted");
        assert_eq!(world.open(&machine, request, &code, answer).grant.document().model, model);
        assert_eq!(purse(&world.core, &machine).await, (balance, 0));
    }
}

#[tokio::test]
async fn a_metered_offer_costs_something_and_is_not_ordered() {
    let world = metered("0.02 EUR").await;
    let machine = world.machine("ada@example.org").await;
    let order = crate::world::order_request(world.offer("resize").await.1, "ok");
    let answer = orders::order(&world.core, &machine.asker, &order, &fresh(&order)).await;
    assert_eq!(reason(answer), Reason::PaymentRequired);
    let terms = OfferTerms {
        id: None,
        operation: "resize".parse().expect("a name"),
        title: "resize".into(),
        rights: Rights::Metered {},
        price: "0.00 EUR".parse().expect("a price"),
    };
    let (publisher, name) = ("lumen".parse().expect("a name"), "alpine-lake".parse().expect("a name"));
    let list =
        portcullis_server::billing::offers::replace(&world.core, &world.owner, &publisher, &name, vec![terms]).await;
    assert!(matches!(list, Err(ServiceError::Unacceptable(_))));
}

#[tokio::test]
async fn a_top_up_is_paid_once_and_has_a_receipt() {
    let world = metered("0.02 EUR").await;
    let machine = world.machine("ada@example.org").await;
    let request = pay("5.00 EUR", "ok");
    let idempotency = fresh(&request);
    let one = orders::order(&world.core, &machine.asker, &request, &idempotency).await.expect("paid");
    let two = orders::order(&world.core, &machine.asker, &request, &idempotency).await.expect("the same");
    assert_eq!((one.order, &one.receipt), (two.order, &two.receipt));
    assert_eq!(purse(&world.core, &machine).await, (500, 0));
    let receipt = Unverified::<TopUpReceipt>::parse(one.receipt.as_deref().expect("a receipt")).expect("a receipt");
    let key = world.core.keys.signing_key(world.core.clock.now()).expect("a key").public().clone();
    let receipt = receipt.verify(&key).expect("signed");
    assert_eq!(receipt.document().amount.to_string(), "5.00 EUR");
    assert_eq!(
        world
            .core
            .store
            .receipts(&machine.account, GoodsKind::TopUp, AccountPage::new(0, 100))
            .await
            .expect("receipts")
            .rows
            .len(),
        1
    );
    assert!(
        world
            .core
            .store
            .receipts(&machine.account, GoodsKind::Rights, AccountPage::new(0, 100))
            .await
            .expect("receipts")
            .rows
            .is_empty()
    );

    // Another amount under the same key is another request.
    let other = pay("6.00 EUR", "ok");
    let reused = keyed(idempotency.key.as_str(), &other);
    assert!(matches!(orders::order(&world.core, &machine.asker, &other, &reused).await, Err(ServiceError::KeyReused)));

    // Declined, pending, nothing, too much.
    let ask = async |amount, token| {
        let request = pay(amount, token);
        orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await
    };
    assert_eq!(ask("1.00 EUR", "decline").await.expect("declined").state, OrderState::Declined);
    let pending = ask("1.00 EUR", "pending").await.expect("pending");
    assert_eq!(purse(&world.core, &machine).await, (500, 0));
    assert_eq!(orders::open(&world.core).await.expect("open").len(), 1);
    for _ in 0..2 {
        orders::decide(&world.core, &pending.order, Decision::Settled).await.expect("decided, once");
    }
    assert_eq!(purse(&world.core, &machine).await, (600, 0));
    assert_eq!(reason(ask("0.00 EUR", "ok").await), Reason::PaymentRequired);
    assert_eq!(reason(ask("10000000000.00 EUR", "ok").await), Reason::PaymentRequired);
    // What is under way counts: it may have been charged.
    ask("9999999994.00 EUR", "pending").await.expect("as much as fits");
    assert_eq!(reason(ask("0.01 EUR", "ok").await), Reason::PaymentRequired);
}

/// What a request has opened it finds again, whatever is configured by then: else its terminal would forget the order,
/// and pay a second time by other means.
#[tokio::test]
async fn a_top_up_by_a_provider_that_is_no_more_is_found_again() {
    let world = metered("1.00 EUR").await;
    let machine = world.machine("ada@example.org").await;
    let request = pay("5.00 EUR", "pending");
    let idempotency = fresh(&request);
    let opened = orders::order(&world.core, &machine.asker, &request, &idempotency).await.expect("pending");
    let without = Core { payments: Payments::none(), ..world.core.clone() };
    let found = orders::order(&without, &machine.asker, &request, &idempotency).await.expect("found again");
    assert_eq!((found.order, found.state), (opened.order, OrderState::Pending));
    let another = orders::order(&without, &machine.asker, &request, &fresh(&request)).await;
    assert_eq!(reason(another), Reason::PaymentRequired, "the control");
    assert_eq!(orders::open(&world.core).await.expect("open").len(), 1);
}

#[tokio::test]
async fn an_account_has_balances_in_a_few_currencies() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let currencies: Vec<Currency> = Currency::active().take(17).collect();
    let core = Core {
        currencies: serde_json::from_value(serde_json::json!(currencies)).expect("active ones"),
        ..world.core.clone()
    };
    let one = |currency: &Currency| {
        let mut request = pay("1.00 EUR", "ok");
        request.amount = Money::new(100, *currency).expect("in range");
        request
    };
    for currency in &currencies[..16] {
        let request = one(currency);
        orders::order(&core, &machine.asker, &request, &fresh(&request)).await.expect("paid in");
    }
    let request = one(&currencies[16]);
    let refused = orders::order(&core, &machine.asker, &request, &fresh(&request)).await;
    assert_eq!(reason(refused), Reason::PaymentRequired);
    let request = one(&currencies[0]);
    orders::order(&core, &machine.asker, &request, &fresh(&request)).await.expect("one that it has");
    assert_eq!(balances::balances(&world.core, &machine.asker).await.expect("balances").balances.len(), 16);
}

#[tokio::test]
async fn a_refund_pays_back_what_is_left_and_no_more() {
    let world = metered("1.00 EUR").await;
    let machine = world.machine("ada@example.org").await;
    let request = pay("5.00 EUR", "ok");
    let order = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("paid").order;
    let draw = accepted(&world, 1).await;
    let code = world.authorise(&machine, &draw).await.expect("held");
    world.verify(&machine, &draw, &code).await.expect("drawn");
    let draw = accepted(&world, 2).await;
    let held = world.authorise(&machine, &draw).await.expect("held");
    for _ in 0..2 {
        orders::refund(&world.core, &order).await.expect("paid back, once");
    }
    assert_eq!(purse(&world.core, &machine).await, (200, 200), "what a code holds stays");
    world.verify(&machine, &draw, &held).await.expect("the hold stands");
    assert_eq!(purse(&world.core, &machine).await, (0, 0));
    let balances = world.core.store.balances().await.expect("balances");
    assert_eq!(
        ["provider:sandbox", "refunds", "publisher:lumen"].map(|account| booked(&balances, account)),
        [-300, 0, 300]
    );
    // Of a further top-up that is drawn nothing can be paid back.
    let order = orders::order(&world.core, &machine.asker, &pay("1.00 EUR", "ok"), &fresh(&"x")).await.expect("paid");
    let draw = accepted(&world, 1).await;
    let code = world.authorise(&machine, &draw).await.expect("held");
    world.verify(&machine, &draw, &code).await.expect("drawn");
    assert!(matches!(orders::refund(&world.core, &order.order).await, Err(ServiceError::Unacceptable(_))));
}

#[tokio::test]
async fn a_suspended_account_draws_nothing_and_pays_nothing_in() {
    let world = metered("1.00 EUR").await;
    let machine = world.machine("ada@example.org").await;
    top_up(&world, &machine, "5.00 EUR").await;
    let draw = accepted(&world, 1).await;
    let code = world.authorise(&machine, &draw).await.expect("held");
    world.core.store.set_suspended(&machine.account, true).await.expect("suspended");
    assert_eq!(reason(world.verify(&machine, &draw, &code).await), Reason::AccountSuspended);
    assert_eq!(reason(world.authorise(&machine, &draw).await), Reason::AccountSuspended);
    world.core.clock.advance(31);
    assert_eq!(purse(&world.core, &machine).await, (500, 0));
}

/// Many terminals of one account, over two stores on one file: together they draw what there is, and not a cent more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_draws_empty_a_balance_exactly() {
    const UNITS: usize = 20;
    let world = metered("0.05 EUR").await;
    let machine = world.machine("ada@example.org").await;
    top_up(&world, &machine, "1.03 EUR").await;
    let cores = [world.core.clone(), world.second().await];
    let request = accepted(&world, 1).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..UNITS * 2 {
        let (core, asker, request) = (cores[number % 2].clone(), machine.asker.clone(), request.clone());
        tasks.spawn(async move {
            let step_2 = fresh(&request);
            let code = loop {
                match cycle::authorise(&core, &asker, &request, &step_2).await {
                    Err(ServiceError::UnderWay) => {}
                    answer => break answer,
                }
            };
            let Ok(code) = code else {
                assert_eq!(reason(code), Reason::BalanceTooLow);
                return false;
            };
            let request = VerificationRequest { code: code.code, request };
            cycle::verify(&core, &asker, &request, &fresh(&request)).await.expect("what is held is granted");
            true
        });
    }
    let granted = tasks.join_all().await.into_iter().filter(|granted| *granted).count();
    assert_eq!(granted, UNITS);
    assert_eq!(purse(&world.core, &machine).await, (3, 0));
    let balances = world.core.store.balances().await.expect("balances");
    assert_eq!(booked(&balances, "publisher:lumen"), 100);
    let left: Money = "0.03 EUR".parse().expect("an amount");
    assert_eq!(booked(&balances, &format!("prepaid:{}", machine.account)), left.minor_units());
}

/// Something that happens to one account.
#[derive(Debug, Clone)]
enum Event {
    TopUp { cents: i64, token: &'static str },
    Decide { order: usize, paid: bool },
    Hold { quantity: u32 },
    Verify { hold: usize },
    Refund { order: usize },
    TakeBack(usize, PaymentChange),
    Reprice { cents: i64 },
    Time { seconds: i64 },
    Sweep,
}

fn event() -> impl Strategy<Value = Event> {
    let token = prop_oneof![Just("ok"), Just("ok"), Just("decline"), Just("pending")];
    prop_oneof![
        (1_i64..200, token).prop_map(|(cents, token)| Event::TopUp { cents, token }),
        (any::<usize>(), any::<bool>()).prop_map(|(order, paid)| Event::Decide { order, paid }),
        (1_u32..8).prop_map(|quantity| Event::Hold { quantity }),
        (1_u32..8).prop_map(|quantity| Event::Hold { quantity }),
        any::<usize>().prop_map(|hold| Event::Verify { hold }),
        any::<usize>().prop_map(|hold| Event::Verify { hold }),
        any::<usize>().prop_map(|order| Event::Refund { order }),
        (any::<usize>(), prop_oneof![Just(PaymentChange::ChargedBack), Just(PaymentChange::Refunded)])
            .prop_map(|(order, what)| Event::TakeBack(order, what)),
        (1_i64..30).prop_map(|cents| Event::Reprice { cents }),
        // Far from the 30 s of a hold, because real time passes too.
        prop_oneof![Just(20_i64), Just(40)].prop_map(|seconds| Event::Time { seconds }),
        Just(Event::Sweep),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Pending,
    Paid,
    Declined,
    /// Paid after it was declined, and not yet paid back.
    Late,
    Done,
}

/// What should be: a balance, holds with their end, top-ups with their state. Nothing else.
#[derive(Default)]
struct Model {
    now: i64,
    price: i64,
    balance: i64,
    drawn: i64,
    lost: i64,
    orders: Vec<(OrderId, i64, Stands)>,
    holds: Vec<Hold>,
}

struct Hold {
    request: AuthorisationRequest,
    code: AuthorisationAnswer,
    cost: i64,
    expires: i64,
    spent: bool,
}

impl Model {
    fn held(&self) -> i64 {
        let good = |hold: &&Hold| !hold.spent && hold.expires > self.now;
        self.holds.iter().filter(good).map(|hold| hold.cost).sum()
    }

    async fn happen(&mut self, world: &World, machine: &Machine, event: Event) {
        match event {
            Event::TopUp { cents, token } => {
                let mut request = pay(&format!("{}.{:02} EUR", cents / 100, cents % 100), token);
                // Of one amount two may be pending: each of them is one in the model.
                request.again = true;
                let answer = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await;
                let stands = match token {
                    "ok" => Stands::Paid,
                    "pending" => Stands::Pending,
                    _ => Stands::Declined,
                };
                self.balance += if stands == Stands::Paid { cents } else { 0 };
                self.orders.push((answer.expect("answered").order, cents, stands));
            }
            Event::Decide { order, paid } if !self.orders.is_empty() => {
                let index = order % self.orders.len();
                let (id, cents, stands) = self.orders[index];
                let state = if paid { Decision::Settled } else { Decision::Declined };
                orders::decide(&world.core, &id, state).await.expect("decided");
                self.balance += if stands == Stands::Pending && paid { cents } else { 0 };
                self.orders[index].2 = match stands {
                    Stands::Pending if paid => Stands::Paid,
                    Stands::Pending => Stands::Declined,
                    Stands::Declined if paid => Stands::Late,
                    decided => decided,
                };
            }
            Event::Hold { quantity } => {
                let request = accepted(world, quantity).await;
                let cost = self.price * i64::from(quantity);
                let covered = cost <= self.balance - self.held();
                match world.authorise(machine, &request).await {
                    Ok(code) => {
                        assert!(covered, "{cost} of {} with {} held", self.balance, self.held());
                        self.holds.push(Hold { request, code, cost, expires: self.now + 30, spent: false });
                    }
                    refused => {
                        assert_eq!(reason(refused), Reason::BalanceTooLow);
                        assert!(!covered, "{cost} of {} with {} held", self.balance, self.held());
                    }
                }
            }
            Event::Verify { hold } if !self.holds.is_empty() => {
                let index = hold % self.holds.len();
                let hold = &mut self.holds[index];
                let granted = world.verify(machine, &hold.request, &hold.code).await.is_ok();
                assert_eq!(granted, !hold.spent && hold.expires > self.now);
                if granted {
                    hold.spent = true;
                    self.balance -= hold.cost;
                    self.drawn += hold.cost;
                }
            }
            Event::Refund { order } if !self.orders.is_empty() => {
                let index = order % self.orders.len();
                let (id, cents, stands) = self.orders[index];
                let back = cents.min(self.balance - self.held());
                let refunded = orders::refund(&world.core, &id).await.is_ok();
                if stands == Stands::Paid && back > 0 {
                    assert!(refunded);
                    self.balance -= back;
                    self.orders[index].2 = Stands::Done;
                } else if stands == Stands::Late {
                    assert!(refunded);
                    self.orders[index].2 = Stands::Done;
                }
            }
            // The provider takes the money of an order back by itself: as a charge-back, or paying back.
            Event::TakeBack(order, what) if !self.orders.is_empty() => {
                let index = order % self.orders.len();
                let (id, cents, stands) = self.orders[index];
                events::apply(&world.core, SANDBOX, &PaymentEvent::new(id, what)).await.expect("heard");
                if stands == Stands::Paid {
                    // What is held is taken if the rest does not do.
                    if self.balance - self.held() < cents {
                        self.holds.iter_mut().for_each(|hold| hold.spent = true);
                    }
                    let there = cents.min(self.balance);
                    self.balance -= there;
                    self.lost += cents - there;
                }
                self.orders[index].2 = Stands::Done;
            }
            Event::Reprice { cents } => {
                self.price = cents;
                world.price(&[("resize", Rights::Metered {}, &format!("0.{cents:02} EUR"))]).await;
            }
            Event::Time { seconds } => {
                self.now += seconds;
                world.core.clock.advance(seconds);
            }
            Event::Sweep => {
                world.core.store.sweep().await.expect("swept");
            }
            Event::Decide { .. } | Event::Verify { .. } | Event::Refund { .. } | Event::TakeBack(..) => {}
        }
    }

    /// Store, ledger and model say the same.
    async fn check(&self, world: &World, machine: &Machine) {
        assert_eq!(purse(&world.core, machine).await, (self.balance, self.held()));
        assert!(self.balance >= self.held());
        let balances = world.core.store.balances().await.expect("balances");
        let mut sums = BTreeMap::<String, i64>::new();
        for balance in &balances {
            *sums.entry(balance.commodity.to_string()).or_default() += balance.amount;
        }
        assert!(sums.values().all(|sum| *sum == 0), "{balances:?}");
        assert_eq!(booked(&balances, &format!("prepaid:{}", machine.account)), self.balance);
        assert_eq!(booked(&balances, "publisher:lumen"), self.drawn);
        assert_eq!(booked(&balances, "losses"), -self.lost);
        let late = self.orders.iter().filter(|(_, _, stands)| *stands == Stands::Late);
        assert_eq!(booked(&balances, "refunds"), late.map(|(_, cents, _)| cents).sum::<i64>());
    }
}

#[test]
fn whatever_happens_the_balance_is_what_a_simple_model_says() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let events = prop::collection::vec(event(), 5..40);
    let result = runner.run(&events, |events| {
        runtime.block_on(async {
            let world = metered("0.07 EUR").await;
            let machine = world.machine("ada@example.org").await;
            let mut model = Model { price: 7, ..Model::default() };
            for event in events {
                model.happen(&world, &machine, event).await;
                model.check(&world, &machine).await;
            }
        });
        Ok(())
    });
    result.expect("holds");
}

/// Pays 5.00 EUR in, draws one unit and has the rest paid back, under keys that every attempt shares.
pub(crate) async fn round_trip(core: &Core, asker: &Asker, request: &AuthorisationRequest) -> Result<(), ServiceError> {
    let pay = pay("5.00 EUR", "ok");
    let order = orders::order(core, asker, &pay, &keyed("top-up", &pay)).await?;
    let code = cycle::authorise(core, asker, request, &keyed("authorise", request)).await?;
    let verification = VerificationRequest { code: code.code, request: request.clone() };
    cycle::verify(core, asker, &verification, &keyed("verify", &verification)).await?;
    orders::refund(core, &order.order).await?;
    Ok(())
}

/// Every fault point that a round trip passes.
pub(crate) fn points() -> Vec<String> {
    let writes = [
        Write::TopUpOpen,
        Write::OrderSettle,
        Write::Authorise,
        Write::Verify,
        Write::RefundBegin,
        Write::RefundFinish,
    ];
    let writes = writes.iter().flat_map(|write| Phase::ALL.map(|phase| format!("{}.{}", write.name(), phase.name())));
    let steps = ["charge.before", "charge.after", "provider-refund.before", "provider-refund.after"];
    writes.chain(steps.map(str::to_owned)).collect()
}

/// One unit was drawn, once, and the rest is back.
pub(crate) async fn went_round(world: &World, machine: &Machine, point: &str) {
    assert_eq!(purse(&world.core, machine).await, (0, 0), "{point}");
    let balances = world.core.store.balances().await.expect("balances");
    let booked = ["provider:sandbox", "refunds", "publisher:lumen"].map(|account| booked(&balances, account));
    assert_eq!(booked, [-2, 0, 2], "{point}");
}

#[tokio::test]
async fn a_step_that_fails_is_repeated_and_no_money_is_lost_or_doubled() {
    for point in points() {
        let world = metered("0.02 EUR").await;
        let machine = world.machine("ada@example.org").await;
        let request = accepted(&world, 1).await;
        world.faults.arm(&point, false);
        let failed = round_trip(&world.core, &machine.asker, &request).await;
        assert!(matches!(failed, Err(ServiceError::Failed(_))), "{point}: {failed:?}");
        round_trip(&world.core, &machine.asker, &request).await.expect("repeated");
        went_round(&world, &machine, &point).await;
    }
}
