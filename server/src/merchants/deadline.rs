//! What happens when no code comes: the order fails, and its refund begins in the same transaction; one whose code
//! was not sealed once more in time is disputed. It is an effect that is due at the deadline of each sealing; whoever
//! looks at an order that is late does not wait for it. While its merchant is suspended a person decides, and nothing
//! happens by itself.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::store::{CodeFailure, CodeOrder, CodeStep, EffectClaim, EffectVerdict};
use portcullis_protocol::OrderId;
use portcullis_protocol::codes::Generation;

/// How often an order is looked at that waits for a person, in seconds.
const LOOK: u64 = 60;

/// The deadline of an order has come.
pub(crate) async fn attempt(core: &Core, claim: &EffectClaim) -> Result<Option<EffectVerdict>, ServiceError> {
    let order = OrderId::from_bytes(claim.of.subject.0);
    let sealing = u32::try_from(claim.of.part).ok().and_then(|part| Generation::new(part).ok());
    let sealing = sealing.ok_or_else(super::documents::damaged)?;
    Ok(Some(match core.store.fail_code_order(&order, CodeFailure::Late(sealing)).await? {
        CodeStep::Closed(order)
            if order.generation == sealing && (order.waits_for_merchant() || order.awaits_key()) =>
        {
            // By this clock there is a moment left.
            EffectVerdict::Again(claim.now.plus(if order.is_held_up && !order.awaits_key() { LOOK } else { 1 }))
        }
        _ => EffectVerdict::Done,
    }))
}

/// The order as it stands once its deadline has been looked at.
pub(super) async fn enforced(core: &Core, order: CodeOrder) -> Result<CodeOrder, ServiceError> {
    let now = core.store.now().await?;
    if !order.waits_for_merchant() || order.deadline.is_none_or(|deadline| deadline >= now) {
        return Ok(order);
    }
    match core.store.fail_code_order(&order.id, CodeFailure::Late(order.generation)).await? {
        CodeStep::Taken(order) | CodeStep::Closed(order) | CodeStep::Differs(order) | CodeStep::NotAllowed(order) => {
            Ok(*order)
        }
        CodeStep::Mismatch | CodeStep::Unknown => Err(ServiceError::NotFound),
    }
}
