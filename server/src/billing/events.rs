//! What providers say by themselves, through their webhooks. Events are delivered at least once, and in any order, so
//! there is something to do for each of them in each state of an order, and [`consequence`] is the one place that says
//! what:
//!
//! ```text
//!                  pending      paid            declined    refunding  refunded  disputed        charged back
//! settled          paid (1)     –               refunding   –          –         –               –
//! declined         declined     !               –           –          –         !               –
//! refunded         refunded     refunded        refunded    refunded   –         refunded        !
//! dispute opened   noted        disputed (2)    –           –          –         –               –
//! dispute won      noted        noted           –           –          –         paid (3)        !
//! charged back     refunded     charged back    refunded    refunded   !         charged back    –
//!
//! –  it is so already, or has been overtaken: nothing changes
//! !  it contradicts what is on record: nothing changes, and the operator compares the order with the provider
//! (1) disputed, if a dispute was noted; refunding, if nothing can be given for the money any more
//! (2) nothing changes, if it was noted that the dispute was won
//! (3) refunding, if it is an order of codes for which there never was a code
//! ```
//!
//! What is noted stands on the order until it follows from another event: a dispute of a payment that is not heard to
//! be settled yet, and the end of a dispute that is not heard to be open yet. So the order comes to the same state in
//! whatever order a payment and its dispute are told of. An order may be disputed more than once: events about disputes
//! are remembered by the provider's own names for them, and one that is delivered again changes nothing. Every other
//! event changes nothing when it is heard again.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::billing::orders;
use crate::billing::payment::{Decision, PaymentChange, PaymentEvent};
use crate::store::{Order, OrderPhase};

/// What follows from an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// The order comes to this state.
    Moves(OrderPhase),
    /// It is noted on the order, until what it follows is heard.
    Noted,
    /// It is so already, or has been overtaken.
    Nothing,
    /// It contradicts what is on record. That is for the operator.
    Contradiction,
}

/// What follows from an event for an order in a state, as the table above has it.
#[must_use]
pub const fn consequence(event: PaymentChange, phase: OrderPhase) -> Consequence {
    use Consequence::{Contradiction, Moves, Noted, Nothing};
    use OrderPhase::{ChargedBack, Declined, Disputed, Paid, Pending, Refunded, Refunding};
    match (event, phase) {
        (PaymentChange::Settled(_), Pending) => Moves(Paid),
        (PaymentChange::Settled(_), Declined) => Moves(Refunding),
        (PaymentChange::Settled(_), Paid | Refunding | Refunded | Disputed | ChargedBack) => Nothing,
        (PaymentChange::Declined, Pending) => Moves(Declined),
        (PaymentChange::Declined, Paid | Disputed) => Contradiction,
        (PaymentChange::Declined, Declined | Refunding | Refunded | ChargedBack) => Nothing,
        (PaymentChange::Refunded, Pending | Paid | Declined | Refunding | Disputed) => Moves(Refunded),
        (PaymentChange::Refunded, Refunded) => Nothing,
        (PaymentChange::Refunded, ChargedBack) => Contradiction,
        (PaymentChange::Disputed, Pending) => Noted,
        (PaymentChange::Disputed, Paid) => Moves(Disputed),
        (PaymentChange::Disputed, Declined | Refunding | Refunded | Disputed | ChargedBack) => Nothing,
        (PaymentChange::DisputeWon, Pending | Paid) => Noted,
        (PaymentChange::DisputeWon, Disputed) => Moves(Paid),
        (PaymentChange::DisputeWon, Declined | Refunding | Refunded) => Nothing,
        (PaymentChange::DisputeWon, ChargedBack) => Contradiction,
        (PaymentChange::ChargedBack, Pending | Declined | Refunding) => Moves(Refunded),
        (PaymentChange::ChargedBack, Paid | Disputed) => Moves(ChargedBack),
        (PaymentChange::ChargedBack, Refunded) => Contradiction,
        (PaymentChange::ChargedBack, ChargedBack) => Nothing,
    }
}

/// Does what follows from an event of a provider.
///
/// # Errors
/// [`ServiceError::NotFound`] for an order that is not this provider's; [`ServiceError::Unacceptable`] if the provider
/// has another amount than the order's; [`ServiceError::Failed`]: then the provider should say it again.
pub async fn apply(core: &Core, provider: &str, event: &PaymentEvent) -> Result<Order, ServiceError> {
    let order = core.store.order(&event.order).await?;
    // One provider says nothing of another one's orders.
    let order = order.filter(|order| order.provider == provider).ok_or(ServiceError::NotFound)?;
    let before = order.phase;
    let (order, follows) = match event.what {
        PaymentChange::Settled(amount) if amount != order.amount() => {
            tracing::error!(order = %order.id, %amount, due = %order.amount(), "a payment of another amount was announced");
            return Err(ServiceError::Unacceptable("the amount is not the order's".into()));
        }
        PaymentChange::Settled(_) => {
            (orders::decided(core, order, Decision::Settled, None).await?, consequence(event.what, before))
        }
        PaymentChange::Declined => {
            (orders::decided(core, order, Decision::Declined, None).await?, consequence(event.what, before))
        }
        PaymentChange::Refunded | PaymentChange::Disputed | PaymentChange::DisputeWon | PaymentChange::ChargedBack => {
            core.store.hear_event(event).await?.ok_or(ServiceError::NotFound)?
        }
    };
    if follows == Consequence::Contradiction {
        tracing::error!(
            order = %order.id, provider, event = ?event.what, state = order.phase.word(),
            "a payment provider contradicts what is on record: compare the order with the provider"
        );
    }
    Ok(order)
}
