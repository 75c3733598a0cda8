//! Prepaid money: what accounts paid in, to be drawn by the unit.

use super::StoreError;
use async_trait::async_trait;
use portcullis_protocol::{AccountId, Currency};

/// The prepaid balance of an account in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepaid {
    /// The currency.
    pub currency: Currency,
    /// What is left, in minor units, holds not taken off.
    pub amount: i64,
    /// What codes hold that can still be verified, in minor units.
    pub held: i64,
}

impl Prepaid {
    /// What is neither drawn nor held, in minor units.
    #[must_use]
    pub const fn left(&self) -> i64 {
        self.amount.saturating_sub(self.held)
    }
}

/// Prepaid money. It is written by the transactions of orders and of the cycle, and only read here.
#[async_trait]
pub trait Purse {
    /// The balances of an account, by currency.
    async fn prepaid(&self, account: &AccountId) -> Result<Vec<Prepaid>, StoreError>;
}
