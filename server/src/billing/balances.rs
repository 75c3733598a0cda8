//! Prepaid balances: what an account has paid in by top-ups, which are orders of money ([`crate::billing::orders`]),
//! and from which metered operations draw.

use crate::billing::answers::ServiceError;
use crate::{Asker, Core};
use portcullis_protocol::limits::MAX_MINOR_UNITS;
use portcullis_protocol::wire::{BalanceInfo, BalancesAnswer};
use portcullis_protocol::{Currency, Money};

/// What the account has paid in and not drawn.
///
/// # Errors
/// [`ServiceError::Failed`].
pub async fn balances(core: &Core, asker: &Asker) -> Result<BalancesAnswer, ServiceError> {
    let balances = core.store.prepaid(asker.account()).await?;
    let info = |amount, held, currency| {
        Ok::<_, ServiceError>(BalanceInfo { amount: money(amount, currency)?, held: money(held, currency)? })
    };
    let balances = balances.into_iter().map(|balance| info(balance.amount, balance.held, balance.currency));
    Ok(BalancesAnswer { balances: balances.collect::<Result<Vec<_>, _>>()?.into() })
}

fn money(amount: i64, currency: Currency) -> Result<Money, ServiceError> {
    Money::new(amount, currency)
        .map_err(|_| ServiceError::Failed(format!("a balance is beyond {MAX_MINOR_UNITS} minor units")))
}
