//! What a database is asked for by monitoring: its own work, and what it remembers in sums that cost the same however
//! much it remembers.

use super::{OrderPhase, StoreError};
use crate::billing::ledger::Commodity;
use async_trait::async_trait;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Writes of a transaction: one of 1, 2, 4, … 64.
const SIZES: u16 = 7;

/// What a database counts of its commits.
#[derive(Debug, Clone)]
pub struct Commits {
    /// Writes that were committed together. PostgreSQL gathers the commits of its connections itself: one each.
    pub sizes: Histogram,
    /// Writes that were run again, because another transaction was in the way or the connection broke.
    pub repeated: Counter,
}

impl Default for Commits {
    fn default() -> Self {
        Self { sizes: Histogram::new(exponential_buckets(1.0, 2.0, SIZES)), repeated: Counter::default() }
    }
}

/// The work of a database in this process.
#[derive(Debug, Clone)]
pub struct StoreWork {
    /// Jobs that wait for a connection now, by queue.
    pub waiting: Vec<(&'static str, usize)>,
    /// Its commits.
    pub commits: Commits,
}

/// Sums of what is remembered, the same in every process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFigures {
    /// Orders, by where they stand.
    pub orders: Vec<(OrderPhase, i64)>,
    /// What the accounts of the ledger hold together, by their class (`publisher`, `prepaid`), as of some minutes ago.
    pub books: Vec<(String, Commodity, i64)>,
    /// Transfers that `books` do not have yet.
    pub behind: u64,
    /// Orders of codes that are past their deadline and wait for a person, as far as they are counted.
    pub held_up: u64,
    /// For how long the first of them has been past it, in seconds.
    pub held_up_seconds: u64,
    /// Rows of the audit log.
    pub audit_rows: u64,
    /// Rows of it that the newest head covers.
    pub audit_signed: u64,
}

/// Figures of a store.
#[async_trait]
pub trait Figures {
    /// The work of this process's connections.
    fn work(&self) -> StoreWork;

    /// Sums of what is remembered: some hundred rows, whatever there is.
    async fn figures(&self) -> Result<StoreFigures, StoreError>;

    /// Adds transfers to the sums of the books, some thousands at once. Returns whether there are more.
    async fn fold_books(&self) -> Result<bool, StoreError>;
}
