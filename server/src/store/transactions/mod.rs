//! What the store does, each transaction and each statement written once, for whatever database it runs on.
//!
//! The statements are in the SQL that every database understands. Whatever a transaction decides on is a condition of
//! its own write, or lies under a [`Lock`](super::database::Lock) that it takes first.

mod accounts;
mod answers;
mod approvals;
pub(super) mod audit;
mod code_notices;
mod code_orders;
mod cycle;
mod devices;
pub(crate) mod effects;
mod entitlements;
pub(crate) mod events;
mod figures;
mod grants;
pub(super) mod identity;
mod keys;
pub(super) mod leases;
pub(super) mod ledger;
mod listed_products;
mod merchants;
mod notices;
mod offers;
mod orders;
mod overview;
mod payment_events;
mod prepaid;
mod publishers;
mod redemptions;
mod resources;
mod rewrap;
mod saved_means;
pub(super) mod search;
mod sessions;
mod shelves;
mod sweep;
mod terminals;
pub(crate) mod webhooks;
mod withdrawal;

use super::database::{Database, Lock, Tx, TxError, TxResult};
use super::{Store, StoreError};
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use async_trait::async_trait;

/// Batches of one sweep, each in a transaction of its own. What is left then is left to the next sweep.
const SWEEPS: usize = 50;
/// Orders of codes that one sweep keeps since nobody has acknowledged their codes.
const LAPSED: u32 = 500;

#[async_trait]
impl<D: Database> Store for D {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.read("time", |tx| Ok(tx.now())).await
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        let mut released = 0;
        for _ in 0..SWEEPS {
            let swept = self.write(Write::Sweep, sweep::sweep).await?;
            released += swept.released;
            if !swept.more {
                break;
            }
        }
        // Each by itself, under the lock of its account: there are few.
        for order in self.read("orders of codes", |tx| code_orders::unacknowledged(tx, LAPSED)).await? {
            self.write(Write::CodeLapse, move |tx| code_orders::lapse(tx, &order)).await?;
        }
        Ok(released)
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.lease().is_held() {
            self.lease().stop_renewing();
            let lease = self.lease().clone();
            match self.commit(Write::LeaseEnd, move |tx| lease.end(tx)).await {
                Ok(()) | Err(StoreError::Closed) => {}
                // It ends by itself.
                Err(error) => tracing::warn!(%error, "the lease of this process was not given back"),
            }
        }
        Database::close(self).await;
        Ok(())
    }
}
