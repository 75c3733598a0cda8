//! An order that moves to another terminal: which sealing is in force, who may have it, and what happens if nobody
//! seals once more.

use crate::codes::{BOOKS, Shop, acknowledged, after, books, bought, fetched, found, opened, play, refusal, state};
use crate::merchant_changes::{told, waits_to_be_told};
use crate::world::{Machine, World, holder, reason};
use portcullis_protocol::codes::{CodeState, Generation};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::RecipientRequest;
use portcullis_protocol::{Reason, ReleaseSecretKey};
use portcullis_server::ServiceError;
use portcullis_server::billing::payment::PaymentChange;
use portcullis_server::crypto::secrets::rng;
use portcullis_server::merchants::{self, delivery};
use portcullis_server::store::{CodeComplaint, CodeDecision, CodeOrder, CodeStep};

/// An order whose code is sealed for one terminal, and wanted at another one.
struct Moved {
    world: World,
    shop: Shop,
    first: Machine,
    second: Machine,
    /// The keys of the order, at either.
    old: ReleaseSecretKey,
    new: ReleaseSecretKey,
}

impl Moved {
    async fn new() -> Self {
        let world = World::new().await;
        let (shop, first) = (Shop::new(&world.core, "games").await, world.machine("ada@example.org").await);
        let second = world.machine_of(first.account).await;
        let (old, new) = (ReleaseSecretKey::generate(&mut rng()), ReleaseSecretKey::generate(&mut rng()));
        Self { world, shop, first, second, old, new }
    }

    async fn order(&self) -> CodeOrder {
        let paid = bought(&self.world, &self.first, &self.shop, &self.old).await;
        let verification = self.shop.verify(&self.world.core, &paid).await.expect("verified");
        let sealed = self.shop.seal(&verification, &["CODE"], Vec::new());
        self.shop.submit(&self.world.core, sealed).await.expect("accepted");
        let to = RecipientRequest { recipient: Octets(*self.new.public().as_bytes()), first: false };
        self.allow(&paid, &self.second).await;
        let moved = delivery::relocate(&self.world.core, &self.second.asker, &paid.id, &to).await.expect("moved");
        assert_eq!(moved.generation.get(), 2);
        found(&self.world, &paid.id).await
    }

    /// The account's holder lets a terminal take an order over.
    async fn allow(&self, order: &CodeOrder, machine: &Machine) {
        let holder = holder(&self.world.core, machine.account).await;
        let allowed = self.world.core.store.allow_code_order(&order.id, &holder, &machine.id).await;
        assert!(matches!(allowed, Ok(Some(CodeStep::Taken(_)))), "{allowed:?}");
    }
}

#[tokio::test]
async fn a_sealing_stays_in_force_for_its_own_terminal_until_the_next_one_is_accepted() {
    let moved = Moved::new().await;
    let (world, core) = (&moved.world, &moved.world.core);
    let order = moved.order().await;
    // The terminal that was not lost after all has its code.
    let answer = fetched(world, &moved.first, &order.id).await;
    assert_eq!((answer.info.generation, answer.info.sealed), (Generation::FIRST, Some(Generation::FIRST)));
    assert_eq!(answer.info.recipient.expect("a key").0, *moved.old.public().as_bytes());
    let delivery = answer.delivery.expect("a delivery");
    assert_eq!(opened(&delivery, core, &moved.shop, &moved.old), "CODE");
    let answer = fetched(world, &moved.second, &order.id).await;
    assert!(answer.delivery.is_none(), "not yet sealed for the other one");
    assert_eq!(
        (answer.info.generation.get(), answer.info.recipient.expect("a key").0),
        (2, *moved.new.public().as_bytes())
    );
    let said = acknowledged(&found(world, &order.id).await, true);
    let strange = delivery::acknowledge(core, &moved.second.asker, &order.id, &said).await;
    assert!(matches!(strange, Err(ServiceError::NotFound)), "nor does the other one acknowledge it: {strange:?}");
    delivery::acknowledge(core, &moved.first.asker, &order.id, &said).await.expect("acknowledged");
    // Nothing is sealed any more, and nothing happens when its time is over.
    let verified = moved.shop.verify(core, &found(world, &order.id).await).await;
    assert_eq!(reason(verified), Reason::OrderClosed);
    after(world, 700).await;
    assert_eq!(state(world, &order.id).await, CodeState::Acknowledged);
    // The merchant, which was asked to seal it once more, is told that nothing is to be sealed.
    assert_eq!(told(world, &order, "order.closed"), 1);
    let shown = merchants::orders::show(core, &moved.shop.merchant, &order.id).await.expect("shown");
    assert_eq!((shown.generation, shown.nonce), (Generation::FIRST, None));

    // The control: sealed once more, it is the other terminal's, and no longer the first one's.
    let order = moved.order().await;
    let verification = moved.shop.verify(core, &order).await.expect("verified");
    moved.shop.submit(core, moved.shop.seal(&verification, &["CODE"], Vec::new())).await.expect("accepted");
    assert!(fetched(world, &moved.first, &order.id).await.delivery.is_none());
    let delivery = fetched(world, &moved.second, &order.id).await.delivery.expect("a delivery");
    assert_eq!(opened(&delivery, core, &moved.shop, &moved.new), "CODE");
    let stale = delivery::acknowledge(core, &moved.first.asker, &order.id, &said).await;
    assert_eq!(reason(stale), Reason::BindingMismatch, "of the sealing before");
    assert_eq!(books(world, BOOKS).await, [-4000, 0, 4000, 0, 0], "each is paid once");
}

#[tokio::test]
async fn another_sealing_has_a_deadline_of_its_own_and_ends_in_a_dispute() {
    let moved = Moved::new().await;
    let (world, core) = (&moved.world, &moved.world.core);
    let order = moved.order().await;
    world.core.clock.advance(500);
    // Long after the payment: what counts is when it was moved.
    let order = {
        let third = world.machine_of(moved.first.account).await;
        let to = RecipientRequest { recipient: Octets(*moved.new.public().as_bytes()), first: false };
        moved.allow(&order, &third).await;
        delivery::relocate(core, &third.asker, &order.id, &to).await.expect("moved once more");
        found(world, &order.id).await
    };
    // What was said of the move before is not said any more: its nonce is worth nothing.
    assert_eq!((told(world, &order, "order.reseal"), waits_to_be_told(world, &order)), (2, 1));
    let verification = moved.shop.verify(core, &order).await.expect("verified");
    let now = core.clock.now().seconds();
    assert!(verification.document().deadline >= now + 598, "a merchant that looks at it has time");
    after(world, 300).await;
    assert_eq!(state(world, &order.id).await, CodeState::CodeReceived, "the deadline of the move before is off");
    moved.shop.submit(core, moved.shop.seal(&verification, &["CODE"], Vec::new())).await.expect("in time");
    after(world, 700).await;
    assert_eq!(state(world, &order.id).await, CodeState::CodeReceived, "nothing happens after that");

    // A merchant that does not answer: whoever wants the code is not left with nothing.
    let order = moved.order().await;
    let verification = moved.shop.verify(core, &order).await.expect("verified");
    world.core.clock.advance(602);
    let late = moved.shop.submit(core, moved.shop.seal(&verification, &["LATE"], Vec::new())).await;
    assert_eq!(refusal(late).0, Reason::OrderClosed, "before the server's own round, too");
    let unanswered = moved.order().await;
    after(world, 700).await;
    for id in [&order.id, &unanswered.id] {
        let order = found(world, id).await;
        assert_eq!((order.state, order.complaint), (Some(CodeState::Disputed), Some(CodeComplaint::NotSealedAgain)));
        assert!(fetched(world, &moved.first, id).await.delivery.is_none(), "in a dispute nothing is delivered");
    }
    // A person decides: the first terminal has it after all, or the buyer his money.
    core.store.decide_code_order(&order.id, CodeDecision::Keep).await.expect("decided");
    assert!(fetched(world, &moved.first, &order.id).await.delivery.is_some());
    core.store.decide_code_order(&unanswered.id, CodeDecision::Reverse).await.expect("decided");
    after(world, 60).await;
    assert_eq!(state(world, &unanswered.id).await, CodeState::Reversed);
    assert_eq!(books(world, BOOKS).await, [-4000, 0, 4000, 0, 0]);
}

#[tokio::test]
async fn a_dispute_that_the_bank_decides_says_nothing_of_the_code_itself() {
    let moved = Moved::new().await;
    let (world, core) = (&moved.world, &moved.world.core);
    // While it is to be sealed once more, and after the terminal could not read it: before the bank hears of it or
    // after.
    let (wanted, unreadable, after_all) = (moved.order().await, moved.order().await, moved.order().await);
    let cannot = |order: &CodeOrder| acknowledged(order, false);
    delivery::acknowledge(core, &moved.first.asker, &unreadable.id, &cannot(&unreadable)).await.expect("heard");
    for order in [&wanted, &unreadable, &after_all] {
        play(core, order.id, PaymentChange::Disputed).await;
    }
    delivery::acknowledge(core, &moved.first.asker, &after_all.id, &cannot(&after_all)).await.expect("heard");
    for order in [&wanted, &unreadable, &after_all] {
        play(core, order.id, PaymentChange::DisputeWon).await;
        assert_eq!(state(world, &order.id).await, CodeState::Disputed, "nobody has decided about the code");
    }
    assert_eq!(books(world, BOOKS).await, [-6000, 0, 6000, 0, 0], "the money is where it was");
    core.store.decide_code_order(&wanted.id, CodeDecision::Keep).await.expect("decided");
    for order in [&unreadable, &after_all] {
        core.store.decide_code_order(&order.id, CodeDecision::Reverse).await.expect("decided");
    }
    after(world, 60).await;
    assert_eq!(books(world, BOOKS).await, [-2000, 0, 2000, 0, 0]);
    // The control: what was acknowledged and nobody disputes is kept. What a person decided stays decided.
    let fine = bought(world, &moved.first, &moved.shop, &moved.old).await;
    moved.shop.deliver(core, &fine.id).await.expect("delivered");
    for order in [&fine, &wanted] {
        play(core, order.id, PaymentChange::Disputed).await;
        play(core, order.id, PaymentChange::DisputeWon).await;
        assert_eq!(state(world, &order.id).await, CodeState::Kept);
    }
    let again = delivery::acknowledge(core, &moved.first.asker, &wanted.id, &cannot(&wanted)).await;
    assert_eq!(reason(again), Reason::OrderClosed);
}

#[tokio::test]
async fn what_was_sealed_is_deleted_a_month_after_the_end_and_that_it_was_accepted_stays() {
    let moved = Moved::new().await;
    let (world, core) = (&moved.world, &moved.world.core);
    let done = bought(world, &moved.first, &moved.shop, &moved.old).await;
    moved.shop.deliver(core, &done.id).await.expect("delivered");
    let said = acknowledged(&found(world, &done.id).await, true);
    delivery::acknowledge(core, &moved.first.asker, &done.id, &said).await.expect("acknowledged");
    let waits = bought(world, &moved.first, &moved.shop, &moved.old).await;
    moved.shop.deliver(core, &waits.id).await.expect("delivered");
    core.store.sweep().await.expect("swept");
    assert!(fetched(world, &moved.first, &done.id).await.delivery.is_some(), "the same terminal may ask again");
    core.clock.advance(31 * 24 * 3600);
    core.store.sweep().await.expect("swept");
    let order = found(world, &done.id).await;
    assert!(order.accepted.expect("still accepted").sealed.is_none());
    assert!(fetched(world, &moved.first, &done.id).await.delivery.is_none());
    let shown = merchants::orders::show(core, &moved.shop.merchant, &done.id).await.expect("shown");
    assert!(shown.document.is_some(), "the merchant can still show it");
    assert!(found(world, &waits.id).await.accepted.expect("accepted").sealed.is_some(), "the control: it waits");
}
