//! The refund of an order: the effect that ends when its provider has paid back.
//!
//! ```text
//! refunding  refunded → refunded · not yet asked → asked · refused → left to the operator
//! ```

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::billing::charges::unheard;
use crate::billing::orders;
use crate::billing::payment::{PaymentState, RefundState};
use crate::effects::{self, LONGEST, PATIENCE, pause};
use crate::store::{ClaimEffect, EffectClaim, EffectKind, EffectOf, EffectVerdict, Order, OrderPhase};
use portcullis_protocol::OrderId;

/// Pays an order back. The rights end first: a grant of theirs is refused from then on. Of a top-up what is left is
/// paid back, and leaves the balance first. A provider that takes longer is looked up until it is done.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Unacceptable`] if the order is not paid, if nothing of it is left, or
/// if its provider refuses to pay it back.
pub(super) async fn refund(core: &Core, id: &OrderId) -> Result<Order, ServiceError> {
    let (outcome, claim) = core.store.begin_refund(id).await?;
    let order = orders::refunded(outcome)?;
    if order.phase == OrderPhase::Refunded {
        return Ok(order);
    }
    if core.payments.get(&order.provider).is_none() {
        return Err(ServiceError::Unacceptable("the order's payment provider is not configured".into()));
    }
    let of = EffectOf::order(EffectKind::Refund, id);
    let claim = match claim {
        Some(claim) => claim,
        None => match effects::claim_patiently(core, of, true).await? {
            ClaimEffect::Claimed(claim) => claim,
            // Another process is about it, or was just now.
            ClaimEffect::Busy => return core.store.order(id).await?.ok_or(ServiceError::NotFound),
            ClaimEffect::Over => {
                let order = core.store.order(id).await?.ok_or(ServiceError::NotFound)?;
                return match order.phase {
                    OrderPhase::Refunding => {
                        Err(ServiceError::Failed(format!("there is no record of how {id} is paid back")))
                    }
                    _ => Ok(order),
                };
            }
        },
    };
    let tried = tokio::time::timeout(PATIENCE, attempt(core, &claim)).await;
    let tried = tried.unwrap_or_else(|_| Err(ServiceError::Failed("the payment provider did not answer".into())));
    match tried {
        Ok(None) => {}
        Ok(Some(verdict)) => {
            core.store.finish_effect(&claim, verdict).await?;
            if verdict == EffectVerdict::Failed {
                return Err(ServiceError::Unacceptable(
                    "the payment provider refuses to pay the order back: pay its buyer by another way. The rights have \
                     ended"
                        .into(),
                ));
            }
        }
        Err(error) => {
            core.store.finish_effect(&claim, EffectVerdict::Again(pause(&claim))).await?;
            return Err(error);
        }
    }
    core.store.order(id).await?.ok_or(ServiceError::NotFound)
}

/// Has the provider pay back, once: whoever is not the first asks what became of it before.
pub(crate) async fn attempt(core: &Core, claim: &EffectClaim) -> Result<Option<EffectVerdict>, ServiceError> {
    let order = core.store.order(&orders::of(claim)).await?.ok_or(ServiceError::NotFound)?;
    if order.phase != OrderPhase::Refunding {
        return Ok(Some(EffectVerdict::Done));
    }
    if order.refund().is_zero() {
        orders::finish_refund(core, &order, Some(claim)).await?;
        return Ok(None);
    }
    let Some(provider) = core.payments.get(&order.provider) else {
        // It may be configured again; until then the order is the operator's.
        return Ok(Some(EffectVerdict::Again(claim.now.plus(LONGEST))));
    };
    let payment = orders::payment(&order, claim);
    let before = match claim.is_first() {
        true => PaymentState::Settled,
        false => provider.look_up(&payment).await.map_err(unheard)?,
    };
    match before {
        PaymentState::Refunded => {
            orders::finish_refund(core, &order, Some(claim)).await?;
            Ok(None)
        }
        PaymentState::Pending => Ok(Some(EffectVerdict::Again(pause(claim)))),
        // It was not asked to pay back, or its answer was lost: under one key it does so once.
        PaymentState::Settled => match provider.refund(&payment, order.refund()).await.map_err(unheard)? {
            RefundState::Done => {
                orders::finish_refund(core, &order, Some(claim)).await?;
                Ok(None)
            }
            RefundState::Pending => Ok(Some(EffectVerdict::Again(pause(claim)))),
            RefundState::Refused => {
                tracing::error!(order = %order.id, "the payment provider refuses a refund: the operator has to see to it");
                Ok(Some(EffectVerdict::Failed))
            }
        },
        // What contradicts what is on record is for the operator.
        PaymentState::Unknown | PaymentState::Declined => {
            tracing::error!(
                order = %order.id,
                provider = order.provider,
                said = ?before,
                "the payment provider has no payment that it could pay back: the operator has to see to it"
            );
            Ok(Some(EffectVerdict::Failed))
        }
    }
}
