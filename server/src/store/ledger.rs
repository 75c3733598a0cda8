//! The ledger as the store keeps it: transfers, never changed and never deleted.

use super::StoreError;
use async_trait::async_trait;

pub use crate::billing::ledger::{Balance, LedgerAccount, Transfer};

/// The ledger. It is written by the transactions of orders and of the cycle, and only read here.
#[async_trait]
pub trait Ledger {
    /// The balance of every account that was ever moved, by commodity. Each commodity sums to zero.
    async fn balances(&self) -> Result<Vec<Balance>, StoreError>;

    /// Transfers, oldest first: at most `limit` after the one of this number; 0 begins with the first.
    async fn transfers(&self, after: i64, limit: u32) -> Result<Vec<Transfer>, StoreError>;
}
