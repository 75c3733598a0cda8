//! What happens when no code comes: the order fails, and its refund begins in the same transaction. It is an effect
//! that is due at the deadline; whoever looks at an order that is late does not wait for it.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::store::{CodeFailure, CodeOrder, CodeStep, EffectClaim, EffectVerdict};
use portcullis_protocol::OrderId;
use portcullis_protocol::codes::CodeState;

/// The deadline of an order has come.
pub(crate) async fn attempt(core: &Core, claim: &EffectClaim) -> Result<Option<EffectVerdict>, ServiceError> {
    let order = OrderId::from_bytes(claim.of.subject.0);
    Ok(Some(match core.store.fail_code_order(&order, CodeFailure::Late).await? {
        // By this clock there is a moment left.
        CodeStep::Closed(order) if order.state.is_some_and(CodeState::waits_for_code) => {
            EffectVerdict::Again(claim.now.plus(1))
        }
        _ => EffectVerdict::Done,
    }))
}

/// The order as it stands once its deadline has been looked at.
pub(super) async fn enforced(core: &Core, order: CodeOrder) -> Result<CodeOrder, ServiceError> {
    let waits = order.state.is_some_and(CodeState::waits_for_code);
    let now = core.store.now().await?;
    if !waits || order.deadline.is_none_or(|deadline| deadline >= now) {
        return Ok(order);
    }
    match core.store.fail_code_order(&order.id, CodeFailure::Late).await? {
        CodeStep::Taken(order) | CodeStep::Closed(order) | CodeStep::Differs(order) => Ok(*order),
        CodeStep::Mismatch | CodeStep::Unknown => Err(ServiceError::NotFound),
    }
}
