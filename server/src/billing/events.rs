//! What providers say by themselves, through their webhooks: the same arrows as after a look-up, and disputes.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::billing::orders;
use crate::billing::payment::{Decision, PaymentChange, PaymentEvent};
use crate::store::{DisputeStep, Order, OrderPhase};

/// Does what follows from an event of a provider. An event that was heard before, or comes too late, changes nothing.
///
/// # Errors
/// [`ServiceError::NotFound`] for an order that is not this provider's; [`ServiceError::Unacceptable`] if the provider
/// has another amount than the order's; [`ServiceError::Failed`]: then the provider should say it again.
pub async fn apply(core: &Core, provider: &str, event: &PaymentEvent) -> Result<Order, ServiceError> {
    let order = core.store.order(&event.order).await?;
    // One provider says nothing of another one's orders.
    let order = order.filter(|order| order.provider == provider).ok_or(ServiceError::NotFound)?;
    let dispute = async |step| core.store.dispute(&order.id, step).await?.ok_or(ServiceError::NotFound);
    match event.what {
        PaymentChange::Settled(amount) if amount != order.amount() => {
            tracing::error!(order = %order.id, %amount, due = %order.amount(), "a payment of another amount was announced");
            Err(ServiceError::Unacceptable("the amount is not the order's".into()))
        }
        PaymentChange::Settled(_) => orders::decided(core, order, Decision::Settled, None).await,
        PaymentChange::Declined => orders::decided(core, order, Decision::Declined, None).await,
        PaymentChange::Refunded if matches!(order.phase, OrderPhase::Paid | OrderPhase::Refunding) => {
            orders::record_refund(core, &order).await
        }
        PaymentChange::Refunded => Ok(order),
        PaymentChange::Disputed => dispute(DisputeStep::Opened).await,
        PaymentChange::DisputeWon => dispute(DisputeStep::Won).await,
        PaymentChange::ChargedBack => dispute(DisputeStep::ChargedBack).await,
    }
}
