//! The charge of an order: the effect that ends when its provider has decided.
//!
//! ```text
//! pending    settled → paid · declined → declined · undecided → again later, until the order's time is over: declined
//! declined   ended unpaid or given up, but the money came late → refunding          watched for a week
//! ```
//!
//! Whoever opens an order claims its charge in the same transaction and has the provider begin. From then on the server
//! looks it up. An answer that is not heard is asked for again: an order ends at its deadline only when its provider
//! says that it has no money.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::billing::orders;
use crate::billing::payment::{Begun, Charge, Decision, Outcome, PaymentProvider, PaymentState, SAVED, SavedMeans};
use crate::effects::{self, LONGEST, PATIENCE, pause};
use crate::store::{
    ClaimEffect, EffectClaim, EffectKind, EffectOf, EffectVerdict, Order, OrderPhase, PaymentRecord, StoredMeans,
};
use portcullis_protocol::limits::MAX_STEP_URL;
use portcullis_protocol::wire::{PaymentStep, PaymentStepKind};
use std::sync::Arc;
use zeroize::Zeroizing;

/// When an order is looked up after its provider has said that it does not know yet, in seconds.
const LOOK: u64 = 2;
/// How often an order that ended unpaid is looked up, in seconds: the money may come late.
pub(crate) const LATE: u64 = 3600;
/// For how long after its end an order is watched for late money, in seconds: a week, in which slow transfers arrive.
pub(crate) const WATCHED: u64 = 7 * 24 * 3600;
/// What the references of saved means are sealed as.
pub(crate) const MEANS: &str = "saved means";

/// Has the provider begin with a pending order, under the claim of whoever opened it; a request that is repeated claims
/// the charge anew. Returns the order as it then stands.
pub(crate) async fn begin(
    core: &Core,
    order: Order,
    claim: Option<EffectClaim>,
    token: &str,
) -> Result<Order, ServiceError> {
    // The same request as before, answered with what became of it; or one that was lost on the way and goes on.
    if order.phase != OrderPhase::Pending {
        return Ok(order);
    }
    // While its provider is not configured, the order waits for the operator, who knows what became of it.
    let Some(provider) = core.payments.get(&order.provider).cloned() else { return Ok(order) };
    let of = EffectOf::order(EffectKind::Charge, &order.id);
    let claim = match claim {
        Some(claim) => claim,
        None => match effects::claim_patiently(core, of, false).await? {
            ClaimEffect::Claimed(claim) => claim,
            ClaimEffect::Over => return core.store.order(&order.id).await?.ok_or(ServiceError::NotFound),
            ClaimEffect::Busy => return Err(ServiceError::UnderWay),
        },
    };
    // A buyer who goes away does not break it off.
    let (core, token) = (core.clone(), Zeroizing::new(token.to_owned()));
    let begun = tokio::spawn(async move {
        let begun = tokio::time::timeout(PATIENCE, ask(&core, &provider, &order.id, &claim, &token)).await;
        let begun = begun.unwrap_or_else(|_| {
            Err(ServiceError::Failed(format!("the payment provider did not answer within {} s", PATIENCE.as_secs())))
        });
        if begun.is_err() {
            // Nobody knows what became of it: it is looked up.
            let again = core.store.finish_effect(&claim, EffectVerdict::Again(pause(&claim))).await;
            if let Err(error) = again {
                tracing::warn!(effect = %claim.id, %error, "a charge is looked up when its claim is over");
            }
        }
        begun
    });
    match begun.await {
        Ok(begun) => begun,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ServiceError::Failed("a charge was broken off".into())),
    }
}

/// Asks what became of an earlier attempt, if there was one; begins if there was none.
async fn ask(
    core: &Core,
    provider: &Arc<dyn PaymentProvider>,
    order: &portcullis_protocol::OrderId,
    claim: &EffectClaim,
    token: &str,
) -> Result<Order, ServiceError> {
    let order = core.store.order(order).await?.ok_or(ServiceError::NotFound)?;
    if order.phase != OrderPhase::Pending {
        core.store.finish_effect(claim, EffectVerdict::Again(claim.now.plus(LATE))).await?;
        return Ok(order);
    }
    if order.amount().is_zero() {
        return orders::decided(core, order, Decision::Settled, Some(claim)).await;
    }
    if !claim.is_first() {
        let state = provider.look_up(&orders::payment(&order, claim)).await.map_err(unheard)?;
        match state {
            PaymentState::Settled => return orders::decided(core, order, Decision::Settled, Some(claim)).await,
            PaymentState::Declined | PaymentState::Refunded => {
                return orders::decided(core, order, Decision::Declined, Some(claim)).await;
            }
            // What its buyer has to do was never heard: asked under the same key, the provider says it again.
            PaymentState::Pending if order.reference.is_none() && order.next.is_none() => {}
            PaymentState::Pending => {
                core.store.finish_effect(claim, EffectVerdict::Again(claim.now.plus(LOOK))).await?;
                return Ok(order);
            }
            PaymentState::Unknown => {}
        }
    }
    let charge = Charge {
        key: claim.id,
        order: order.id,
        amount: order.amount(),
        token: token.to_owned(),
        origin: core.origin.clone(),
    };
    let begun = if token == SAVED {
        match saved_means(core, &order).await? {
            Some(means) => provider.charge_saved(&means, &charge).await,
            // Forgotten since the order was opened.
            None => Ok(Outcome::Declined.into()),
        }
    } else {
        provider.begin(&charge).await
    };
    heard(core, order, begun.map_err(unheard)?, claim).await
}

/// Writes down what the provider answered.
async fn heard(core: &Core, order: Order, begun: Begun, claim: &EffectClaim) -> Result<Order, ServiceError> {
    let Begun { outcome, reference, saved } = begun;
    let step = |kind, url: &String| {
        if url.len() > MAX_STEP_URL {
            tracing::error!(order = %order.id, provider = order.provider, "the provider's address is too long to be shown");
            return None;
        }
        Some(PaymentStep { kind, url: url.clone() })
    };
    let next = match &outcome {
        Outcome::Redirect(url) => step(PaymentStepKind::Redirect, url),
        Outcome::Action(url) => step(PaymentStepKind::Action, url),
        Outcome::Settled | Outcome::Declined | Outcome::Pending => None,
    };
    let decision = match outcome {
        Outcome::Settled => Some(Decision::Settled),
        Outcome::Declined => Some(Decision::Declined),
        Outcome::Pending | Outcome::Redirect(_) | Outcome::Action(_) => None,
    };
    // What settles at once and is known by the order alone is written in one transaction.
    let is_recorded = decision.is_none() || reference.is_some() || saved.is_some();
    let order = if is_recorded {
        let saved = saved.map(|means| seal(core, &order, &means));
        let record = PaymentRecord { reference, next, saved };
        let again = decision.is_none().then(|| claim.now.plus(LOOK));
        core.store.record_payment(&order.id, record, claim, again).await?.ok_or(ServiceError::NotFound)?
    } else {
        order
    };
    match decision {
        Some(decision) => orders::decided(core, order, decision, Some(claim)).await,
        None => Ok(order),
    }
}

/// Looks a charge up, and does what follows.
pub(crate) async fn attempt(core: &Core, claim: &EffectClaim) -> Result<Option<EffectVerdict>, ServiceError> {
    let order = core.store.order(&orders::of(claim)).await?.ok_or(ServiceError::NotFound)?;
    let Some(provider) = core.payments.get(&order.provider) else {
        // It may be configured again; until then the order is the operator's.
        return Ok(Some(EffectVerdict::Again(claim.now.plus(LONGEST))));
    };
    // Nothing was to be paid, so nobody has to be asked: the process that opened it died.
    if order.phase == OrderPhase::Pending && order.amount().is_zero() {
        orders::decided(core, order, Decision::Settled, Some(claim)).await?;
        return Ok(None);
    }
    let state = provider.look_up(&orders::payment(&order, claim)).await.map_err(unheard)?;
    match (order.phase, state) {
        (OrderPhase::Pending | OrderPhase::Declined, PaymentState::Settled) => {
            orders::decided(core, order, Decision::Settled, Some(claim)).await?;
            Ok(None)
        }
        (OrderPhase::Pending, PaymentState::Declined | PaymentState::Refunded) => {
            orders::decided(core, order, Decision::Declined, Some(claim)).await?;
            Ok(None)
        }
        (OrderPhase::Pending, PaymentState::Pending | PaymentState::Unknown) if order.ends <= claim.now => {
            orders::ended(core, &order, claim).await?;
            Ok(None)
        }
        (OrderPhase::Pending, PaymentState::Pending | PaymentState::Unknown) => {
            Ok(Some(EffectVerdict::Again(pause(claim))))
        }
        (OrderPhase::Declined, PaymentState::Pending | PaymentState::Unknown)
            if order.ends.plus(WATCHED) > claim.now =>
        {
            Ok(Some(EffectVerdict::Again(claim.now.plus(LATE))))
        }
        // It was given up, or ended unpaid, and its provider agrees.
        (OrderPhase::Declined, PaymentState::Declined) => Ok(Some(EffectVerdict::Done)),
        // A decision that contradicts what is on record is for the operator.
        (OrderPhase::Declined, PaymentState::Refunded) => {
            tracing::error!(
                order = %order.id,
                provider = order.provider,
                "the payment provider has paid an order back that was never paid: the operator has to look at it"
            );
            Ok(Some(EffectVerdict::Failed))
        }
        // Its week is over.
        (OrderPhase::Declined, PaymentState::Pending | PaymentState::Unknown) => Ok(Some(EffectVerdict::Failed)),
        (
            OrderPhase::Paid
            | OrderPhase::Refunding
            | OrderPhase::Refunded
            | OrderPhase::Disputed
            | OrderPhase::ChargedBack,
            _,
        ) => Ok(Some(EffectVerdict::Done)),
    }
}

pub(super) fn unheard(error: crate::billing::payment::PaymentError) -> ServiceError {
    ServiceError::Failed(error.to_string())
}

fn seal(core: &Core, order: &Order, means: &SavedMeans) -> StoredMeans {
    let reference = core.secrets.seal(MEANS, order.account.as_bytes(), means.reference.as_bytes());
    StoredMeans { reference, label: means.label.clone() }
}

async fn saved_means(core: &Core, order: &Order) -> Result<Option<SavedMeans>, ServiceError> {
    let Some(stored) = core.store.saved_means(&order.account, &order.provider).await? else { return Ok(None) };
    let opened = core.secrets.unseal(MEANS, order.account.as_bytes(), &stored.reference)?;
    let reference =
        String::from_utf8(opened.to_vec()).map_err(|_| ServiceError::Failed("saved means are no text".into()))?;
    Ok(Some(SavedMeans { reference: Zeroizing::new(reference), label: stored.label }))
}
