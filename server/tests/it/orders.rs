//! Orders: the price that was agreed to, charged once, for rights that come with the money.

use crate::metered::{booked, purse};
use crate::world::{World, count, fresh, order_request, reason};
use portcullis_protocol::wire::{OfferTerms, OrderState, PaymentMethod, TopUpRequest};
use portcullis_protocol::{Money, Reason, Rights};
use portcullis_server::billing::orders;
use portcullis_server::billing::payment::{
    Begun, Charge, Decision, Outcome, Payment, PaymentError, PaymentProvider, PaymentState, Payments, RefundState,
};
use portcullis_server::store::OrderPhase;
use portcullis_server::{Core, ServiceError};
use std::sync::Arc;
use tokio::sync::Semaphore;

#[tokio::test]
async fn a_price_that_changed_after_the_prompt_is_not_charged() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let (id, seen) = world.offer("view").await;
    let dearer = OfferTerms {
        id: Some(id),
        operation: "view".parse().expect("a name"),
        title: "view".into(),
        rights: Rights::Perpetual {},
        price: "499.00 EUR".parse().expect("a price"),
    };
    world.reprice(vec![dearer]).await;
    let request = order_request(seen, "ok");
    let refusal = match orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await {
        Err(ServiceError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal.reason, Reason::PaymentRequired);
    assert_eq!(refusal.offers[0].document().price.to_string(), "499.00 EUR");
    assert_eq!(refusal.offers[0].document().id, id, "the offer keeps its name");
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 0);

    // The same at step 2: what was agreed to has to be in force.
    world.buy(&machine, "view").await;
    let mut request = world.ask("view", 1);
    request.offer = Some(seen);
    assert_eq!(reason(world.authorise(&machine, &request).await), Reason::PaymentRequired);
    request.offer = Some(world.offer("view").await.1);
    world.authorise(&machine, &request).await.expect("the offer in force");
}

#[tokio::test]
async fn an_order_is_paid_once_however_often_it_is_sent() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let offer = world.offer("resize").await.1;
    let request = order_request(offer, "ok");
    let idempotency = fresh(&request);
    let one = orders::order(&world.core, &machine.asker, &request, &idempotency).await.expect("paid");
    let two = orders::order(&world.core, &machine.asker, &request, &idempotency).await.expect("the same");
    assert_eq!((one.order, &one.receipt), (two.order, &two.receipt));
    assert_eq!(world.remaining(&machine, "resize").await, 10);
    let stranger = world.machine("eve@example.org").await;
    assert!(matches!(orders::find(&world.core, &stranger.asker, &one.order).await, Err(ServiceError::NotFound)));
    assert_eq!(orders::find(&world.core, &machine.asker, &one.order).await.expect("found").receipt, one.receipt);
}

/// The server's decision, so it is signed: an unsigned no would leave the terminal asking for the same thing for a day.
#[tokio::test]
async fn what_cannot_be_ordered_is_refused_and_opens_nothing() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    world
        .price(&[
            ("preview", Rights::Free {}, "0.00 EUR"),
            ("view", Rights::Perpetual {}, "4.99 EUR"),
            ("resize", Rights::Metered {}, "0.02 EUR"),
        ])
        .await;
    let mut typo = order_request(world.offer("view").await.1, "ok");
    typo.payment.provider = "sandbx".into();
    let free = order_request(world.offer("preview").await.1, "ok");
    let metered = order_request(world.offer("resize").await.1, "ok");
    for request in [typo, free, metered] {
        let refused = orders::order(&world.core, &machine.asker, &request, &fresh(&request)).await;
        assert_eq!(reason(refused), Reason::PaymentRequired);
    }
    assert_eq!(count(&world, "SELECT count(*) FROM orders"), 0);
    world.buy(&machine, "view").await;
}

/// As for top-ups: see `metered.rs`.
#[tokio::test]
async fn an_order_by_a_provider_that_is_no_more_is_found_again() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let request = order_request(world.offer("view").await.1, "pending");
    let idempotency = fresh(&request);
    let opened = orders::order(&world.core, &machine.asker, &request, &idempotency).await.expect("pending");
    let without = Core { payments: Payments::none(), ..world.core.clone() };
    let found = orders::order(&without, &machine.asker, &request, &idempotency).await.expect("found again");
    assert_eq!((found.order, found.state), (opened.order, OrderState::Pending));
}

#[tokio::test]
async fn a_declined_order_gives_nothing_and_a_pending_one_is_listed_until_it_is_decided() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let offer = world.offer("view").await.1;
    let declined = order_request(offer, "decline");
    let answer = orders::order(&world.core, &machine.asker, &declined, &fresh(&declined)).await.expect("answered");
    assert_eq!((answer.state, answer.receipt), (OrderState::Declined, None));
    assert_eq!(reason(world.run(&machine, "view").await), Reason::PaymentRequired);

    let pending = order_request(offer, "pending");
    let answer = orders::order(&world.core, &machine.asker, &pending, &fresh(&pending)).await.expect("answered");
    assert_eq!(answer.state, OrderState::Pending);
    assert_eq!(reason(world.run(&machine, "view").await), Reason::PaymentRequired);
    let open = orders::open(&world.core).await.expect("listed");
    assert_eq!(open.iter().map(|order| order.id).collect::<Vec<_>>(), [answer.order]);
    assert!(matches!(orders::refund(&world.core, &answer.order).await, Err(ServiceError::Unacceptable(_))));

    let decided = orders::decide(&world.core, &answer.order, Decision::Settled).await.expect("decided");
    assert_eq!(decided.state, OrderState::Paid);
    // What is decided stays decided.
    let again = orders::decide(&world.core, &answer.order, Decision::Declined).await.expect("decided");
    assert_eq!(again.state, OrderState::Paid);
    assert!(orders::open(&world.core).await.expect("listed").is_empty());
    world.run(&machine, "view").await.expect("paid");
}

/// A provider that takes its time: it says that it is asked, and has the money once it may answer.
#[derive(Clone)]
struct Slow {
    asked: Arc<Semaphore>,
    may_answer: Arc<Semaphore>,
    paid_back: Arc<Semaphore>,
}

#[async_trait::async_trait]
impl PaymentProvider for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn begin(&self, _: &Charge) -> Result<Begun, PaymentError> {
        self.asked.add_permits(1);
        self.may_answer.acquire().await.expect("open").forget();
        Ok(Outcome::Settled.into())
    }

    async fn look_up(&self, _: &Payment) -> Result<PaymentState, PaymentError> {
        Ok(PaymentState::Pending)
    }

    async fn refund(&self, _: &Payment, _: Money) -> Result<RefundState, PaymentError> {
        self.paid_back.add_permits(1);
        Ok(RefundState::Done)
    }
}

/// The operator settles an order as declined while its charge is under way, and then the provider has the money. It
/// gives nothing, since its buyer was told so, stands in the books and in `reconcile`, and goes back.
#[tokio::test]
async fn what_is_paid_after_it_was_settled_as_declined_is_seen_and_paid_back() {
    let world = World::new().await;
    let machine = world.machine("ada@example.org").await;
    let new = || Arc::new(Semaphore::new(0));
    let slow = Slow { asked: new(), may_answer: new(), paid_back: new() };
    let core = Core { payments: Payments::none().with(slow.clone()), ..world.core.clone() };
    let payment = PaymentMethod { provider: "slow".into(), token: "ok".into() };
    let mut rights = order_request(world.offer("view").await.1, "ok");
    rights.payment = payment.clone();
    let money = TopUpRequest { amount: "4.99 EUR".parse().expect("an amount"), payment, again: false };

    for top_up in [false, true] {
        let ordered = async {
            if top_up {
                orders::order(&core, &machine.asker, &money, &fresh(&money)).await
            } else {
                orders::order(&core, &machine.asker, &rights, &fresh(&rights)).await
            }
        };
        let settled = async {
            slow.asked.acquire().await.expect("open").forget();
            let order = orders::open(&core).await.expect("listed")[0].id;
            let declined = orders::decide(&core, &order, Decision::Declined).await.expect("settled");
            assert_eq!(declined.state, OrderState::Declined);
            slow.may_answer.add_permits(1);
        };
        let (answer, ()) = tokio::join!(ordered, settled);
        let answer = answer.expect("answered");
        assert_eq!((answer.state, &answer.receipt), (OrderState::Refunded, &None), "nothing is given");

        let open = orders::open(&core).await.expect("listed");
        let open: Vec<_> = open.iter().map(|order| (order.id, order.phase)).collect();
        assert_eq!(open, [(answer.order, OrderPhase::Refunding)]);
        let accounts = ["provider:slow", "refunds", "publisher:lumen"];
        let books = async || {
            let balances = core.store.balances().await.expect("balances");
            accounts.map(|account| booked(&balances, account))
        };
        assert_eq!(books().await, [-499, 499, 0]);
        // The provider says it once more, as it does to a request that is repeated.
        orders::decide(&core, &answer.order, Decision::Settled).await.expect("heard");
        assert_eq!(books().await, [-499, 499, 0]);
        for _ in 0..2 {
            orders::refund(&core, &answer.order).await.expect("paid back, once");
        }
        assert_eq!((books().await, slow.paid_back.available_permits()), ([0, 0, 0], 1));
        slow.paid_back.forget_permits(1);
        orders::decide(&core, &answer.order, Decision::Settled).await.expect("heard");
        assert_eq!(books().await, [0, 0, 0]);
        assert!(orders::open(&core).await.expect("listed").is_empty());
    }
    assert_eq!(reason(world.run(&machine, "view").await), Reason::PaymentRequired);
    assert_eq!(purse(&core, &machine).await, (0, 0));

    // The control: not settled meanwhile, it is sold.
    slow.may_answer.add_permits(1);
    let sold = orders::order(&core, &machine.asker, &rights, &fresh(&rights)).await.expect("paid");
    assert_eq!(sold.state, OrderState::Paid);
    world.run(&machine, "view").await.expect("paid");
}
