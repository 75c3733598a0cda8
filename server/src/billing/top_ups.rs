//! Top-ups: orders of money. They go the way of every order (see [`crate::billing::orders`]); what they give is an amount in the
//! account's prepaid balance, from which metered operations draw.

use crate::billing::answers::No;
use crate::billing::orders::{Placed, answer, before, charged, has_provider, never, placed};
use crate::crypto::secrets::rng;
use crate::store::{Idempotency, NewTopUp};
use crate::{Asker, Core};
use portcullis_protocol::limits::MAX_MINOR_UNITS;
use portcullis_protocol::wire::{BalanceInfo, BalancesAnswer, OrderAnswer, TopUpRequest};
use portcullis_protocol::{Currency, Money, OrderId};

/// Pays money into the account's prepaid balance.
///
/// # Errors
/// `payment-required` where it cannot be: of nothing, in a currency that the store does not sell in, by a provider that
/// is not there, beyond what a balance can be; [`No`].
pub async fn top_up(
    core: &Core,
    asker: &Asker,
    request: &TopUpRequest,
    idempotency: &Idempotency,
) -> Result<OrderAnswer, No> {
    match opened(core, asker, request, idempotency).await? {
        Placed::Own(order) => charged(core, order, &request.payment.token).await,
        Placed::Joined(order) => Ok(answer(&order)),
    }
}

/// What the account has paid in and not drawn.
///
/// # Errors
/// [`No::Failed`].
pub async fn balances(core: &Core, asker: &Asker) -> Result<BalancesAnswer, No> {
    let balances = core.store.prepaid(asker.account()).await?;
    let info = |amount, held, currency| {
        Ok::<_, No>(BalanceInfo { amount: money(amount, currency)?, held: money(held, currency)? })
    };
    let balances = balances.into_iter().map(|balance| info(balance.amount, balance.held, balance.currency));
    Ok(BalancesAnswer { balances: balances.collect::<Result<_, _>>()? })
}

fn money(amount: i64, currency: Currency) -> Result<Money, No> {
    Money::new(amount, currency).map_err(|_| No::Failed(format!("a balance is beyond {MAX_MINOR_UNITS} minor units")))
}

/// Opens a top-up, or finds the one that the same request opened, or that is pending for the same amount.
async fn opened(core: &Core, asker: &Asker, request: &TopUpRequest, idempotency: &Idempotency) -> Result<Placed, No> {
    // What this request has opened stands, whatever is configured by now.
    if let Some(placed) = before(core.store.order_begun(asker.terminal(), idempotency).await?)? {
        return Ok(placed);
    }
    if request.amount.is_zero() {
        return Err(never("a top-up is of more than nothing"));
    }
    core.currencies.check(request.amount).map_err(|error| never(format!("{error}; nothing was charged")))?;
    has_provider(core, &request.payment)?;
    let top_up = NewTopUp {
        id: OrderId::generate(core.store.now().await?.id_millis(), &mut rng()),
        account: *asker.account(),
        terminal: *asker.terminal(),
        amount: request.amount,
        provider: request.payment.provider.clone(),
        again: request.again,
        request: idempotency.clone(),
    };
    placed(core.store.open_top_up(top_up).await?)?.ok_or(No::UnderWay)
}
