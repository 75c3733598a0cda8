//! What a merchant does about an order: it asks what was ordered, submits the code, declines, and looks. Each request
//! has proved that it comes by the merchant's key; an order of another merchant does not exist for it.
//!
//! ```text
//! paid | notified ── verify ──▶ verified ── submit ──▶ code-received          decline: failed
//! ```

use super::{deadline, documents};
use crate::Core;
use crate::billing::answers::{Refusal, ServiceError};
use crate::store::{CodeFailure, CodeOrder, CodeStep, Merchant, MerchantId, NewCode};
use portcullis_protocol::codes::{CodeState, SealedBytes};
use portcullis_protocol::wire::{
    CodeSubmission, CodeSubmissionAnswer, MerchantOrder, MerchantOrdersAnswer, OrderVerificationAnswer,
    OrderVerificationRequest,
};
use portcullis_protocol::{More, OrderId, PublicKey, Reason, SealedCode, Thumbprint, Unverified};
use subtle::ConstantTimeEq as _;

/// How often an order is looked at again that changed meanwhile.
const LOOKS: usize = 8;
/// Orders on one page.
const PAGE: u32 = 50;
/// The longest reason for declining an order that is kept, in bytes.
const REASON: usize = 200;

/// The second interface: what was ordered. The same merchant that asks again gets the same answer.
///
/// # Errors
/// `order-unknown` if the order is not this merchant's, or nonce or request are not those of the order; which of it,
/// is not said. `order-closed` if no code is taken any more.
pub async fn verify(
    core: &Core,
    merchant: &Merchant,
    asked: &OrderVerificationRequest,
) -> Result<OrderVerificationAnswer, ServiceError> {
    for _ in 0..LOOKS {
        let order = of_merchant(core, &merchant.id, &asked.order).await?;
        let nonce = order.nonce.ok_or(Reason::OrderUnknown)?;
        let is_asked_for = bool::from(nonce.0.ct_eq(&asked.nonce.0)) && order.request == asked.request;
        if !is_asked_for {
            return Err(Reason::OrderUnknown.into());
        }
        let order = deadline::enforced(core, order).await?;
        let fresh = match &order.verification {
            Some(verification) => verification.clone(),
            None => documents::verification(core, &order).await?,
        };
        let recipient = order.recipient.ok_or_else(documents::damaged)?;
        match core.store.verify_code_order(&order.id, order.generation, &recipient, fresh).await? {
            CodeStep::Taken(order) => {
                let verification = order.verification.ok_or_else(documents::damaged)?;
                // What is over is not answered as if it were not.
                return match order.state {
                    Some(CodeState::Verified | CodeState::CodeReceived | CodeState::Delivered) => {
                        Ok(OrderVerificationAnswer { verification })
                    }
                    _ => Err(closed(core, &of_merchant(core, &merchant.id, &asked.order).await?).await?),
                };
            }
            CodeStep::Closed(order) | CodeStep::Differs(order) | CodeStep::NotAllowed(order) => {
                return Err(closed(core, &order).await?);
            }
            // Its terminal changed meanwhile.
            CodeStep::Mismatch => {}
            CodeStep::Unknown => return Err(Reason::OrderUnknown.into()),
        }
    }
    Err(ServiceError::UnderWay)
}

/// Takes a sealed code: checks what the merchant signed against the order, and accepts it once.
///
/// # Errors
/// `order-unknown`, `binding-mismatch`, `code-differs` and `order-closed`, the latter two with a document that says
/// what stands; [`ServiceError::Unacceptable`] if what is submitted is not what it says.
pub async fn submit(
    core: &Core,
    merchant: &Merchant,
    submitted: CodeSubmission,
) -> Result<CodeSubmissionAnswer, ServiceError> {
    let CodeSubmission { code: compact, enc, ciphertext } = submitted;
    let bytes = SealedBytes { enc, ciphertext };
    let unacceptable = |why: String| ServiceError::Unacceptable(format!("the code is not accepted: {why}").into());
    let unverified = Unverified::<SealedCode>::parse(&compact).map_err(|error| unacceptable(error.to_string()))?;
    let former = former_key(core, merchant, &unverified.kid()).await?;
    let signed = unverified.verify(former.as_ref().unwrap_or(&merchant.key));
    let signed = signed.map_err(|error| unacceptable(error.to_string()))?;
    let code = signed.document();
    if code.merchant != merchant.name || code.aud != core.origin {
        return Err(unacceptable("it is signed for another platform or name".into()));
    }
    let order = of_merchant(core, &merchant.id, &code.order).await?;
    if code.ciphertext != bytes.digest() {
        return Err(mismatch("`ciphertext` is not the digest of what was sent"));
    }
    // What was accepted before is compared by the store, with what was accepted.
    let is_repeated = order.accepted.as_ref().is_some_and(|accepted| accepted.generation == code.generation);
    // What an earlier key signed gets its answer again, and is not accepted any more.
    if former.is_some() && !is_repeated {
        return Err(unacceptable("sign it anew, over the same ciphertext, with the key in use".into()));
    }
    let order = deadline::enforced(core, order).await?;
    if !is_repeated {
        let verification = order.verification.as_deref().map(digest_of).transpose()?;
        if verification != Some(code.verification) {
            return match order.waits_for_merchant() {
                true => {
                    Err(mismatch("it answers no verification of this order that is in force: ask the second interface"))
                }
                false => Err(closed(core, &order).await?),
            };
        }
        if code.generation != order.generation || Some(code.recipient) != order.recipient {
            return Err(mismatch("generation or recipient are not those of the verification"));
        }
    }
    let new = NewCode {
        merchant: merchant.id,
        order: order.id,
        generation: code.generation,
        verification: order.verification.clone().unwrap_or_default(),
        code: compact.clone(),
        bytes,
        serials: code.serials.clone(),
    };
    match core.store.accept_code(new).await? {
        CodeStep::Taken(order) => {
            let accepted = documents::accepted(core, &order).await?.ok_or_else(documents::damaged)?;
            Ok(CodeSubmissionAnswer { accepted })
        }
        CodeStep::Differs(order) => {
            let more = document(documents::accepted(core, &order).await?);
            Err(Refusal::new(Reason::CodeDiffers).with_more(more).into())
        }
        CodeStep::Closed(order) | CodeStep::NotAllowed(order) => {
            Err(closed(core, &deadline::enforced(core, *order).await?).await?)
        }
        CodeStep::Mismatch => Err(mismatch("the order has changed, or its serials are not those of codes to sell")),
        CodeStep::Unknown => Err(Reason::OrderUnknown.into()),
    }
}

/// The key that signs for the merchant no more, if this is one that has vouched for the next.
pub(super) async fn former_key(
    core: &Core,
    merchant: &Merchant,
    kid: &Thumbprint,
) -> Result<Option<PublicKey>, ServiceError> {
    if merchant.key.thumbprint() == *kid {
        return Ok(None);
    }
    let vouches = core.store.merchant_vouches(&merchant.id).await?;
    Ok(vouches.into_iter().map(|vouch| vouch.by).find(|key| key.thumbprint() == *kid))
}

/// There is no code for the order: its buyer is paid back.
///
/// # Errors
/// `order-unknown`; `order-closed` if a code was accepted.
pub async fn decline(
    core: &Core,
    merchant: &Merchant,
    order: &OrderId,
    reason: &str,
) -> Result<MerchantOrder, ServiceError> {
    if reason.len() > REASON || reason.chars().any(portcullis_protocol::text::disturbs) {
        let rule = "the reason must have at most 200 bytes, without control, direction or invisible characters";
        return Err(ServiceError::Unacceptable(rule.into()));
    }
    let why = CodeFailure::Declined { merchant: merchant.id, reason: reason.to_owned() };
    match core.store.fail_code_order(order, why).await? {
        CodeStep::Taken(order) => shown(core, &order).await,
        CodeStep::Closed(order) | CodeStep::Differs(order) | CodeStep::NotAllowed(order) => {
            Err(closed(core, &order).await?)
        }
        CodeStep::Mismatch | CodeStep::Unknown => Err(Reason::OrderUnknown.into()),
    }
}

/// An order, as its merchant sees it.
///
/// # Errors
/// `order-unknown`.
pub async fn show(core: &Core, merchant: &Merchant, order: &OrderId) -> Result<MerchantOrder, ServiceError> {
    let order = of_merchant(core, &merchant.id, order).await?;
    shown(core, &deadline::enforced(core, order).await?).await
}

/// The orders of a merchant that are not final, oldest first.
///
/// # Errors
/// [`ServiceError::Failed`].
pub async fn open(
    core: &Core,
    merchant: &Merchant,
    after: Option<&OrderId>,
) -> Result<MerchantOrdersAnswer, ServiceError> {
    let mut found = core.store.open_code_orders(Some(&merchant.id), after, PAGE.saturating_add(1)).await?;
    let has_more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let mut orders = Vec::with_capacity(found.len());
    for order in &found {
        orders.push(shown(core, order).await?);
    }
    let next = found.last().filter(|_| has_more).map(|order| order.id);
    Ok(MerchantOrdersAnswer { orders: orders.into(), next })
}

async fn shown(core: &Core, order: &CodeOrder) -> Result<MerchantOrder, ServiceError> {
    Ok(MerchantOrder {
        order: order.id,
        state: order.state.ok_or(Reason::OrderUnknown)?.into(),
        product: order.product_digest,
        quantity: order.quantity,
        amount: order.amount,
        // Once nothing is wanted any more it is the one that was accepted.
        generation: match &order.accepted {
            Some(accepted) if !order.waits_for_merchant() => accepted.generation,
            _ => order.generation,
        },
        // What the webhook says, for a merchant that has not heard it. A key that may be stolen reads none.
        nonce: order.nonce.filter(|_| order.waits_for_merchant() && !order.is_held_up),
        sealed: order.accepted.as_ref().map(|accepted| accepted.generation),
        deadline: order.deadline.ok_or_else(documents::damaged)?.seconds(),
        request: order.request,
        document: documents::outcome(core, order).await?,
    })
}

/// An order that is paid for, of this merchant.
async fn of_merchant(core: &Core, merchant: &MerchantId, order: &OrderId) -> Result<CodeOrder, ServiceError> {
    match core.store.code_order(order).await? {
        // One whose key is still to be made is nothing to a merchant.
        Some(order) if order.merchant == *merchant && order.nonce.is_some() => Ok(order),
        _ => Err(Reason::OrderUnknown.into()),
    }
}

/// The digest of the verification that was answered.
fn digest_of(compact: &str) -> Result<portcullis_protocol::Digest, ServiceError> {
    let payload = compact.split('.').nth(1).ok_or_else(documents::damaged)?;
    let payload = portcullis_protocol::encoding::from_base64url(payload).map_err(|_| documents::damaged())?;
    Ok(portcullis_protocol::Digest::of(&payload))
}

async fn closed(core: &Core, order: &CodeOrder) -> Result<ServiceError, ServiceError> {
    let more = document(documents::outcome(core, order).await?);
    Ok(Refusal::new(Reason::OrderClosed).with_more(more).into())
}

fn document(document: Option<String>) -> More {
    More::from_iter(document.map(|document| ("document".to_owned(), document.into())))
}

fn mismatch(why: &str) -> ServiceError {
    Refusal::new(Reason::BindingMismatch).because(why).into()
}
