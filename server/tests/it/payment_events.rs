//! What providers say by themselves, in whatever order and however often: nobody has both the goods and the money, and
//! nobody is without both.

use crate::codes::{self, Shop};
use crate::metered::{accepted, booked, metered, pay, purse};
use crate::world::{Machine, World, count, fresh, holder, order_request};
use portcullis_protocol::codes::CodeState;
use portcullis_protocol::wire::OrderRequest;
use portcullis_protocol::{Money, OrderId, ReleaseSecretKey};
use portcullis_server::billing::events::{Consequence, consequence};
use portcullis_server::billing::ledger::sums;
use portcullis_server::billing::payment::{PaymentChange, PaymentEvent, SANDBOX};
use portcullis_server::billing::{events, orders};
use portcullis_server::crypto::secrets::rng;
use portcullis_server::store::{Buyer, OrderPhase};
use std::collections::BTreeSet;

fn event(order: OrderId, what: PaymentChange) -> PaymentEvent {
    PaymentEvent::new(order, what)
}

async fn play(world: &World, order: OrderId, what: PaymentChange) -> OrderPhase {
    events::apply(&world.core, SANDBOX, &event(order, what)).await.expect("heard").phase
}

fn settled(amount: &str) -> PaymentChange {
    PaymentChange::Settled(amount.parse().expect("an amount"))
}

async fn order(world: &World, machine: &Machine, operation: &str, token: &str) -> OrderId {
    let request = OrderRequest { again: true, ..order_request(world.offer(operation).await.1, token) };
    orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("ordered").order
}

async fn top_up(world: &World, machine: &Machine, amount: &str) -> OrderId {
    let request = pay(amount, "ok");
    orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("paid").order
}

async fn books<const N: usize>(world: &World, accounts: [&str; N]) -> [i64; N] {
    let balances = world.core.store.balances().await.expect("balances");
    accounts.map(|account| booked(&balances, account))
}

/// An attack: the payer disputes, is paid back, and the dispute is closed in the store's favour.
#[tokio::test]
async fn whoever_is_paid_back_while_he_disputes_does_not_have_the_goods_again() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let bought = world.buy(&machine, "resize").await.order;
    play(&world, bought, PaymentChange::Disputed).await;
    assert_eq!(play(&world, bought, PaymentChange::Refunded).await, OrderPhase::Refunded);
    assert_eq!(play(&world, bought, PaymentChange::DisputeWon).await, OrderPhase::Refunded);
    assert!(world.run(&machine, "resize").await.is_err(), "he has his money");
    assert_eq!(books(&world, ["provider:sandbox", "disputes", "publisher:lumen"]).await, [0, 0, 0]);
}

/// An attack: what ends a payment overtakes the word that there is one.
#[tokio::test]
async fn a_payment_that_ended_before_it_was_heard_of_gives_nothing() {
    let accounts = ["provider:sandbox", "refunds", "publisher:lumen", "disputes"];
    for given_up in [false, true] {
        for end in [PaymentChange::Refunded, PaymentChange::ChargedBack] {
            let world = World::new().await;
            let machine = world.machine("ada@example.org").await;
            let pending = order(&world, &machine, "view", "pending").await;
            if given_up {
                let buyer = Buyer::Browser(holder(&world.core, machine.account).await);
                orders::give_up(&world.core, buyer, &pending).await.expect("over");
            }
            assert_eq!(play(&world, pending, end).await, OrderPhase::Refunded, "{end:?}");
            assert_eq!(play(&world, pending, settled("4.99 EUR")).await, OrderPhase::Refunded, "{end:?}");
            assert!(world.run(&machine, "view").await.is_err(), "{end:?}");
            assert_eq!(books(&world, accounts).await, [0; 4], "{end:?}");
            assert_eq!(count(&world, "SELECT count(*) FROM effects WHERE state < 2"), 0, "nothing is left to do");
        }
        let world = World::new().await;
        let machine = world.machine("ada@example.org").await;
        let pending = order(&world, &machine, "view", "pending").await;
        play(&world, pending, PaymentChange::Disputed).await;
        assert_eq!(play(&world, pending, settled("4.99 EUR")).await, OrderPhase::Disputed);
        assert!(world.run(&machine, "view").await.is_err(), "barred from the beginning");
        assert_eq!(books(&world, accounts).await, [-499, 0, 0, 499]);
        // The control.
        assert_eq!(play(&world, pending, PaymentChange::DisputeWon).await, OrderPhase::Paid);
        world.run(&machine, "view").await.expect("paid, and nobody disputes it");
        assert_eq!(books(&world, accounts).await, [-499, 0, 499, 0]);
    }
}

/// An attack: a code holds the balance while its payment is disputed, charged back or paid back by the provider.
#[tokio::test]
async fn money_that_a_code_holds_leaves_the_balance_as_well() {
    let accounts = ["provider:sandbox", "disputes", "refunds", "losses", "publisher:lumen"];
    for (what, then) in [
        (PaymentChange::Disputed, [-100, 100, 0, 0, 0]),
        (PaymentChange::ChargedBack, [0; 5]),
        (PaymentChange::Refunded, [0; 5]),
    ] {
        // Of all of it, and of all but one cent.
        for held in [100, 99] {
            let world = metered("0.01 EUR").await;
            let machine = world.machine("ada@example.org").await;
            let paid = top_up(&world, &machine, "1.00 EUR").await;
            let request = accepted(&world, held).await;
            let code = world.authorise(&machine, &request).await.expect("held");
            play(&world, paid, what).await;
            assert!(world.verify(&machine, &request, &code).await.is_err(), "{what:?}: nothing is held any more");
            world.core.clock.advance(60);
            assert_eq!(purse(&world.core, &machine).await, (0, 0), "{what:?} {held}");
            assert_eq!(books(&world, accounts).await, then, "{what:?} {held}");
            if what == PaymentChange::Disputed {
                play(&world, paid, PaymentChange::ChargedBack).await;
                assert_eq!(books(&world, accounts).await, [0; 5], "nothing of it is lost");
            }
        }
    }
}

/// What a hold does not have to give is left alone.
#[tokio::test]
async fn a_hold_stands_if_the_balance_covers_both() {
    let world = metered("0.01 EUR").await;
    let machine = world.machine("ada@example.org").await;
    let [one, _other] = [top_up(&world, &machine, "1.00 EUR").await, top_up(&world, &machine, "2.00 EUR").await];
    let request = accepted(&world, 200).await;
    let code = world.authorise(&machine, &request).await.expect("held");
    play(&world, one, PaymentChange::Disputed).await;
    assert_eq!(purse(&world.core, &machine).await, (200, 200));
    world.verify(&machine, &request, &code).await.expect("paid for by the other top-up");
}

/// The provider pays a top-up back by itself that was drawn, partly or wholly: the books say what it has paid.
#[tokio::test]
async fn a_drawn_top_up_that_its_provider_pays_back_is_a_loss() {
    for (drawn, lost) in [(2, 2), (100, 100)] {
        let world = metered("0.01 EUR").await;
        let machine = world.machine("ada@example.org").await;
        let paid = top_up(&world, &machine, "1.00 EUR").await;
        let request = accepted(&world, drawn).await;
        let code = world.authorise(&machine, &request).await.expect("held");
        world.verify(&machine, &request, &code).await.expect("drawn");
        for _ in 0..2 {
            assert_eq!(play(&world, paid, PaymentChange::Refunded).await, OrderPhase::Refunded);
        }
        assert_eq!(purse(&world.core, &machine).await, (0, 0));
        let accounts = ["provider:sandbox", "refunds", "losses", "publisher:lumen"];
        assert_eq!(books(&world, accounts).await, [0, 0, -lost, lost]);
    }
}

/// Of three orders of one right for good each can be disputed, charged back and paid back, whichever carries it.
#[tokio::test]
async fn a_third_order_of_a_right_for_good_can_be_taken_back_after_a_dispute_was_won() {
    for end in [PaymentChange::Disputed, PaymentChange::ChargedBack, PaymentChange::Refunded] {
        let world = World::new().await;
        let machine = world.machine("ada@example.org").await;
        let mut bought = Vec::new();
        for _ in 0..3 {
            bought.push(order(&world, &machine, "view", "ok").await);
        }
        play(&world, bought[0], PaymentChange::Disputed).await;
        play(&world, bought[0], PaymentChange::DisputeWon).await;
        let ended = events::apply(&world.core, SANDBOX, &event(bought[2], end)).await;
        assert_ne!(ended.expect("taken back").phase, OrderPhase::Paid, "{end:?}");
        world.run(&machine, "view").await.expect("the others carry it");
        for id in &bought[..2] {
            orders::refund(&world.core, id).await.expect("paid back");
        }
        assert!(world.run(&machine, "view").await.is_err(), "nothing stands behind it any more");
    }
}

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counted,
    ForGood,
    TopUp,
    Codes,
    DeliveredCodes,
}

const PHASES: [OrderPhase; 7] = [
    OrderPhase::Pending,
    OrderPhase::Paid,
    OrderPhase::Declined,
    OrderPhase::Refunding,
    OrderPhase::Refunded,
    OrderPhase::Disputed,
    OrderPhase::ChargedBack,
];

/// Every event about an order of an amount.
fn every_event(amount: Money) -> [PaymentChange; 6] {
    // Another one does not compile before it stands here.
    match PaymentChange::Declined {
        PaymentChange::Settled(_)
        | PaymentChange::Declined
        | PaymentChange::Refunded
        | PaymentChange::Disputed
        | PaymentChange::DisputeWon
        | PaymentChange::ChargedBack => {}
    }
    [
        PaymentChange::Settled(amount),
        PaymentChange::Declined,
        PaymentChange::Refunded,
        PaymentChange::Disputed,
        PaymentChange::DisputeWon,
        PaymentChange::ChargedBack,
    ]
}

/// Buys something of a kind, so that it comes to a phase.
async fn in_phase(world: &World, shop: &Shop, machine: &Machine, kind: Kind, phase: OrderPhase) -> OrderId {
    let token = match phase {
        OrderPhase::Pending => "pending",
        OrderPhase::Declined => "decline",
        OrderPhase::Refunding => "ok+refund-late",
        _ => "ok",
    };
    let id = match kind {
        Kind::Counted => order(world, machine, "resize", token).await,
        Kind::ForGood => order(world, machine, "view", token).await,
        Kind::TopUp => {
            let request = pay("1.00 EUR", token);
            orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("ordered").order
        }
        Kind::Codes | Kind::DeliveredCodes => {
            let key = ReleaseSecretKey::generate(&mut rng());
            codes::order(world, machine, codes::wanted(shop.product, &key, token)).await.expect("ordered").order
        }
    };
    if kind == Kind::DeliveredCodes && !matches!(phase, OrderPhase::Pending | OrderPhase::Declined) {
        shop.deliver(&world.core, &id).await.expect("delivered");
    }
    match phase {
        OrderPhase::Pending | OrderPhase::Paid | OrderPhase::Declined => {}
        OrderPhase::Refunding | OrderPhase::Refunded => drop(orders::refund(&world.core, &id).await.expect("begun")),
        OrderPhase::Disputed => assert_eq!(play(world, id, PaymentChange::Disputed).await, phase),
        OrderPhase::ChargedBack => assert_eq!(play(world, id, PaymentChange::ChargedBack).await, phase),
    }
    assert_eq!(world.core.store.order(&id).await.expect("read").expect("there").phase, phase, "{kind:?}");
    id
}

/// The provider has the money of what is paid, disputed or on its way back, and of nothing else; nothing is lost.
async fn books_agree(world: &World, orders: &[OrderId], about: &str) {
    let (mut open, mut disputed) = (0, 0);
    for id in orders {
        let order = world.core.store.order(id).await.expect("read").expect("there");
        let amount = order.amount().minor_units();
        match order.phase {
            OrderPhase::Paid | OrderPhase::Refunding => open += amount,
            OrderPhase::Disputed => (open, disputed) = (open + amount, disputed + amount),
            OrderPhase::Pending | OrderPhase::Declined | OrderPhase::Refunded | OrderPhase::ChargedBack => {}
        }
    }
    let balances = world.core.store.balances().await.expect("balances");
    assert!(sums(&balances).values().all(|sum| *sum == 0), "{about}: {balances:?}");
    let accounts = ["provider:sandbox", "disputes", "losses"].map(|account| booked(&balances, account));
    assert_eq!(accounts, [-open, disputed, 0], "{about}");
}

/// Each event in each phase of an order of one kind, as the table says, and once more.
async fn every_pair(kind: Kind) {
    let world = World::new().await;
    let shop = Shop::new(&world.core, "games").await;
    let mut placed = Vec::new();
    for phase in PHASES {
        for index in 0..6 {
            let machine = world.machine(&format!("{}{index}@example.org", phase.word())).await;
            let id = in_phase(&world, &shop, &machine, kind, phase).await;
            placed.push(id);
            let amount = world.core.store.order(&id).await.expect("read").expect("there").amount();
            let what = every_event(amount)[index];
            let about = format!("{what:?} of {kind:?} that is {}", phase.word());
            let then = match consequence(what, phase) {
                // What never had a code is not paid for again.
                Consequence::Moves(OrderPhase::Paid) if phase == OrderPhase::Disputed && kind == Kind::Codes => {
                    OrderPhase::Refunding
                }
                Consequence::Moves(to) => to,
                Consequence::Noted | Consequence::Nothing | Consequence::Contradiction => phase,
            };
            let event = PaymentEvent { id: Some(format!("msg_{}", placed.len())), ..PaymentEvent::new(id, what) };
            for _ in 0..2 {
                let order = events::apply(&world.core, SANDBOX, &event).await.expect("heard");
                assert_eq!(order.phase, then, "{about}");
                books_agree(&world, &placed, &about).await;
                let is_paid = then == OrderPhase::Paid;
                match kind {
                    Kind::Counted => assert_eq!(world.run(&machine, "resize").await.is_ok(), is_paid, "{about}"),
                    Kind::ForGood => assert_eq!(world.run(&machine, "view").await.is_ok(), is_paid, "{about}"),
                    Kind::TopUp => {
                        let there = if is_paid { 100 } else { 0 };
                        assert_eq!(purse(&world.core, &machine).await, (there, 0), "{about}");
                    }
                    Kind::Codes | Kind::DeliveredCodes => {
                        let state = codes::found(&world, &id).await.state;
                        let is_open = state.is_some_and(|state| match kind {
                            Kind::Codes => matches!(state, CodeState::Paid | CodeState::Notified),
                            _ => matches!(state, CodeState::CodeReceived | CodeState::Kept),
                        });
                        let never_had_one = kind == Kind::DeliveredCodes && state == Some(CodeState::Paid);
                        assert_eq!(is_open || never_had_one, is_paid, "{about}: {state:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn every_event_in_every_phase_of_counted_rights_does_what_the_table_says() {
    every_pair(Kind::Counted).await;
}

#[tokio::test]
async fn every_event_in_every_phase_of_rights_for_good_does_what_the_table_says() {
    every_pair(Kind::ForGood).await;
}

#[tokio::test]
async fn every_event_in_every_phase_of_a_top_up_does_what_the_table_says() {
    every_pair(Kind::TopUp).await;
}

#[tokio::test]
async fn every_event_in_every_phase_of_codes_does_what_the_table_says() {
    every_pair(Kind::Codes).await;
}

#[tokio::test]
async fn every_event_in_every_phase_of_delivered_codes_does_what_the_table_says() {
    every_pair(Kind::DeliveredCodes).await;
}

/// Every order of these, each once: equal ones are not told apart.
fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let firsts: BTreeSet<usize> = of.iter().copied().collect();
    let with = |first: usize| {
        let mut rest = of.to_vec();
        rest.remove(rest.iter().position(|other| *other == first).expect("one of them"));
        permutations(&rest).into_iter().map(move |rest| [vec![first], rest].concat())
    };
    firsts.into_iter().flat_map(with).collect()
}

/// However often, and in whatever order what happened is told: it comes to the same.
#[tokio::test]
async fn events_in_any_order_and_more_than_once_come_to_the_same() {
    let world = metered("0.01 EUR").await;
    let amount: Money = "1.00 EUR".parse().expect("an amount");
    let (opened, won, lost) = (PaymentChange::Disputed, PaymentChange::DisputeWon, PaymentChange::ChargedBack);
    let (paid, refunded) = (PaymentChange::Settled(amount), PaymentChange::Refunded);
    let (mut placed, mut told) = (Vec::new(), 0);
    for (happened, is_paid) in [
        (vec![paid, opened, won], true),
        (vec![paid, opened, lost], false),
        (vec![paid, refunded], false),
        (vec![paid, lost], false),
        (vec![paid, opened, refunded, won], false),
        (vec![paid, opened, refunded, lost], false),
    ] {
        let all: Vec<usize> = (0..happened.len()).collect();
        let deliveries: Vec<Vec<usize>> = match happened.len() {
            // Each twice, wherever.
            0..4 => permutations(&[all.clone(), all].concat()),
            // In any order, and then all of it again, from behind.
            _ => permutations(&all)
                .into_iter()
                .map(|once| once.iter().chain(once.iter().rev()).copied().collect())
                .collect(),
        };
        for delivered in deliveries {
            told += 1;
            let machine = world.machine(&format!("buyer{told}@example.org")).await;
            let request = pay("1.00 EUR", "pending");
            let id =
                orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await.expect("ordered").order;
            placed.push(id);
            let about = delivered.iter().map(|index| format!("{:?} ", happened[*index])).collect::<String>();
            for index in delivered {
                let event =
                    PaymentEvent { id: Some(format!("msg_{told}_{index}")), ..PaymentEvent::new(id, happened[index]) };
                events::apply(&world.core, SANDBOX, &event).await.expect("heard");
            }
            let phase = world.core.store.order(&id).await.expect("read").expect("there").phase;
            let is_over = matches!(phase, OrderPhase::Refunded | OrderPhase::ChargedBack);
            assert_eq!((phase == OrderPhase::Paid, is_over), (is_paid, !is_paid), "{about}: {phase:?}");
            assert_eq!(purse(&world.core, &machine).await.0, if is_paid { 100 } else { 0 }, "{about}");
        }
    }
    books_agree(&world, &placed, "all of them").await;
    assert!(told > 200, "the control: {told} deliveries");
}
