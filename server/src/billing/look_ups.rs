//! Payments that are not final are looked up at their providers by the server itself.
//!
//! ```text
//! pending    settled → paid · declined → declined · undecided → again later, until the order's time is over: declined
//! refunding  refunded → refunded · not yet asked → asked again · refused → left to the operator
//! declined   ended unpaid, but the money came late → refunding          watched for a week
//! ```
//!
//! An order is taken by one process at a time, under that process's lease; each arrow is one conditional write all the
//! same, so a look-up that two processes make by accident does nothing twice. An answer that is not heard is asked for
//! again: an order ends at its deadline only when its provider says that it has no money.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::billing::orders;
use crate::billing::payment::{Decision, PaymentProvider, PaymentState, RefundState};
use crate::ops::clock::Timestamp;
use crate::store::{Order, OrderPhase};
use futures::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;

/// Orders that one round takes.
const TAKEN: u32 = 64;
/// Providers that are waited for at once.
const AT_ONCE: usize = 8;
/// How long a provider is waited for: less than an order stays taken.
const PATIENCE: Duration = Duration::from_secs(30);
/// The shortest and the longest time between two look-ups of an order, in seconds.
const SHORTEST: u64 = 2;
const LONGEST: u64 = 600;
/// The same for an order that ended unpaid.
const LATE: u64 = 3600;
/// For how long after its end an order is watched for late money, in seconds: a week, in which slow transfers arrive.
const WATCHED: u64 = 7 * 24 * 3600;

/// Looks up what is due by now. Returns how many orders that were.
///
/// # Errors
/// [`ServiceError::Failed`] if the store fails. A provider that does not answer is asked again later.
pub async fn round(core: &Core) -> Result<usize, ServiceError> {
    let taken = core.store.take_look_ups(TAKEN).await?;
    let (now, lease, count) = (taken.now, taken.lease, taken.orders.len());
    let looks = taken.orders.into_iter().map(|order| async move {
        let id = order.id;
        let next = match look(core, order, now).await {
            Ok(next) => next,
            Err(Missed { why, next }) => {
                tracing::warn!(order = %id, error = %why, "a payment could not be looked up; it is asked about again");
                Some(next)
            }
        };
        core.store.finish_look_up(&id, lease, next).await
    });
    let finished: Vec<_> = futures::stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
    finished.into_iter().collect::<Result<(), _>>()?;
    Ok(count)
}

/// A look-up that came to nothing, and when it is made again.
struct Missed {
    why: String,
    next: Timestamp,
}

/// Looks an order up, and does what follows. Returns when it is looked up again, if it is.
async fn look(core: &Core, order: Order, now: Timestamp) -> Result<Option<Timestamp>, Missed> {
    let next = now.plus(pause(order.looks, order.phase));
    let missed = |why: String| Missed { why, next };
    let Some(provider) = core.payments.get(&order.provider) else {
        // It may be configured again; until then the order is the operator's.
        return Ok(Some(now.plus(LONGEST)));
    };
    let seen = tokio::time::timeout(PATIENCE, act(core, provider, order, now));
    match seen.await {
        Ok(Ok(Verdict::Again)) => Ok(Some(next)),
        Ok(Ok(Verdict::Over)) => Ok(None),
        Ok(Err(error)) => Err(missed(error.to_string())),
        Err(_) => Err(missed(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

/// Whether there is more to see.
enum Verdict {
    Again,
    Over,
}

async fn act(
    core: &Core,
    provider: &Arc<dyn PaymentProvider>,
    order: Order,
    now: Timestamp,
) -> Result<Verdict, ServiceError> {
    // Nothing was to be paid, so nobody has to be asked: the process that opened it died.
    if order.phase == OrderPhase::Pending && order.amount().is_zero() {
        orders::decided(core, order, Decision::Settled).await?;
        return Ok(Verdict::Over);
    }
    let payment = orders::payment(&order);
    let state = provider.look_up(&payment).await.map_err(|error| ServiceError::Failed(error.to_string()))?;
    match (order.phase, state) {
        (OrderPhase::Pending | OrderPhase::Declined, PaymentState::Settled) => {
            orders::decided(core, order, Decision::Settled).await?;
        }
        (OrderPhase::Pending, PaymentState::Declined | PaymentState::Refunded) => {
            orders::decided(core, order, Decision::Declined).await?;
        }
        (OrderPhase::Pending, PaymentState::Pending | PaymentState::Unknown) => {
            if order.ends <= now {
                orders::ended(core, &order).await?;
            }
        }
        (OrderPhase::Declined, PaymentState::Pending | PaymentState::Unknown) => {
            if order.ends.plus(WATCHED) <= now {
                return Ok(Verdict::Over);
            }
        }
        (OrderPhase::Refunding, PaymentState::Refunded) => drop(orders::finish_refund(core, &order).await?),
        // It was not asked to pay back, or its answer was lost: it does so once.
        (OrderPhase::Refunding, PaymentState::Settled) => match orders::pay_back(core, &order).await? {
            RefundState::Done => drop(orders::finish_refund(core, &order).await?),
            RefundState::Pending => {}
            RefundState::Refused => {
                tracing::error!(order = %order.id, "the payment provider refuses a refund: the operator has to see to it");
                return Ok(Verdict::Over);
            }
        },
        (OrderPhase::Refunding, PaymentState::Pending) => {}
        // A decision that contradicts what is on record is for the operator; so is what is final.
        (OrderPhase::Refunding, PaymentState::Unknown | PaymentState::Declined)
        | (OrderPhase::Declined, PaymentState::Declined | PaymentState::Refunded)
        | (OrderPhase::Paid | OrderPhase::Refunded | OrderPhase::Disputed | OrderPhase::ChargedBack, _) => {
            return Ok(Verdict::Over);
        }
    }
    // A change of state has set what comes next itself; then this has no effect.
    Ok(Verdict::Again)
}

/// How long until the next look-up, in seconds: twice as long as before, within bounds.
fn pause(looks: u32, phase: OrderPhase) -> u64 {
    match phase {
        OrderPhase::Declined => LATE,
        _ => SHORTEST.saturating_mul(1_u64.checked_shl(looks.min(32)).unwrap_or(u64::MAX)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_and_is_bounded() {
        let pauses: Vec<u64> = (0..12).map(|looks| pause(looks, OrderPhase::Pending)).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
        assert_eq!(pause(u32::MAX, OrderPhase::Refunding), LONGEST);
        assert_eq!(pause(0, OrderPhase::Declined), LATE);
    }
}
