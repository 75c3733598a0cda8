//! The ledger as the store keeps it: transfers, never changed and never deleted.

use super::StoreError;
use crate::clock::Timestamp;
use async_trait::async_trait;

pub use crate::ledger::{Balance, LedgerAccount, Transfer};

/// The ledger. It is written by the transactions of orders and of the cycle, and only read here.
#[async_trait]
pub trait Ledger {
    /// The balance of every account that was ever moved, by commodity. Each commodity sums to zero.
    async fn balances(&self) -> Result<Vec<Balance>, StoreError>;

    /// The transfers since a moment, oldest first, at most `limit`.
    async fn transfers(&self, since: Timestamp, limit: u32) -> Result<Vec<Transfer>, StoreError>;
}
