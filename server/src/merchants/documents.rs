//! What this server signs of an order of codes.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::store::CodeOrder;
use portcullis_protocol::codes::CodeState;
use portcullis_protocol::{CodeAccepted, OrderRefunded, Verification, Verified};

/// What the merchant is to deliver.
pub(super) async fn verification(core: &Core, order: &CodeOrder) -> Result<String, ServiceError> {
    let now = core.store.now().await?;
    let deadline = order.deadline.ok_or_else(damaged)?;
    let verification = Verification {
        iss: core.origin.clone(),
        merchant: order.merchant_name.clone(),
        order: order.id,
        product: order.product_digest,
        quantity: order.quantity,
        amount: order.amount,
        recipient: order.recipient.ok_or_else(damaged)?,
        generation: order.generation,
        deadline: deadline.seconds(),
        request: order.request,
        iat: now.seconds(),
    };
    Ok(Verified::sign(verification, &*core.keys.signing_key(now)?).compact().to_owned())
}

/// A code was accepted. The same for the same code, while the signing key is.
pub(super) async fn accepted(core: &Core, order: &CodeOrder) -> Result<Option<String>, ServiceError> {
    let Some(accepted) = &order.accepted else { return Ok(None) };
    let is_reversed = order.state == Some(CodeState::Reversed);
    let at = accepted.at.seconds();
    // Not before its key signed, or nobody would believe it.
    let (key, since) = core.keys.signing_key_since(core.store.now().await?)?;
    let said = if is_reversed { order.changed.seconds() } else { at };
    let document = CodeAccepted {
        iss: core.origin.clone(),
        merchant: order.merchant_name.clone(),
        order: order.id,
        generation: accepted.generation,
        ciphertext: accepted.digest,
        at,
        reversed: is_reversed,
        iat: said.max(since.seconds()),
    };
    Ok(Some(Verified::sign(document, &key).compact().to_owned()))
}

/// What the merchant can show of an order that is over for it: that a code was accepted, or that none ever was.
/// `None` while one may come.
pub(super) async fn outcome(core: &Core, order: &CodeOrder) -> Result<Option<String>, ServiceError> {
    match order.state {
        Some(CodeState::Failed | CodeState::Refunding | CodeState::Refunded | CodeState::ChargedBack) => {
            let at = order.changed.seconds();
            let (key, since) = core.keys.signing_key_since(core.store.now().await?)?;
            let document = OrderRefunded {
                iss: core.origin.clone(),
                merchant: order.merchant_name.clone(),
                order: order.id,
                request: order.request,
                at,
                iat: at.max(since.seconds()),
            };
            Ok(Some(Verified::sign(document, &key).compact().to_owned()))
        }
        _ => accepted(core, order).await,
    }
}

pub(super) fn damaged() -> ServiceError {
    ServiceError::Failed("an order of codes lacks what its state says that it has".into())
}
