//! Prepaid money: what accounts paid in, to be drawn by the unit.

use super::StoreError;
use crate::billing::prepaid::Prepaid;
use async_trait::async_trait;
use portcullis_protocol::AccountId;

/// Prepaid money. It is written by the transactions of orders and of the cycle, and only read here.
#[async_trait]
pub trait Purse {
    /// The balances of an account, by currency.
    async fn prepaid(&self, account: &AccountId) -> Result<Vec<Prepaid>, StoreError>;
}
