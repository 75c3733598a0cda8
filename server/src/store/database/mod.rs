//! The seam between rules and databases. Above it are transactions, each written once, in SQL that every database
//! understands; below it are connections. No type of a database's driver is known here.

mod error;
mod jobs;
pub(crate) mod row;
mod tx;
mod value;

pub(crate) use error::{TxError, TxResult};
pub(crate) use jobs::{Failure, Job, Jobs, WeakJobs, Work};
pub(crate) use row::{Cell, Columns, Row};
pub(crate) use tx::{Lock, Locks, Statements, Tx};
pub(crate) use value::Value;

use super::transactions::leases::{self, ProcessLease};
use super::{Fence, StoreError};
use crate::ops::faults::Write;

/// A database that the store's transactions run on.
pub(crate) trait Database: std::fmt::Debug + Send + Sync + 'static {
    /// Reads a few rows of one snapshot.
    fn read<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl Work<T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Reads many rows of one snapshot, in a way that holds nothing else up.
    fn read_many<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl Work<T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Writes in one transaction, and answers after its commit.
    fn commit<T: Send + 'static>(
        &self,
        write: Write,
        work: impl Work<T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// The way to whatever renews the lease of this process: no write that waits for another one is before it.
    fn renewer(&self) -> WeakJobs<Write>;

    /// Takes no more writes and waits for those under way.
    fn close(&self) -> impl Future<Output = ()> + Send;

    /// The lease of this process.
    fn lease(&self) -> &ProcessLease;

    /// Writes in one transaction, and answers after its commit. What is written for a repeatable request is written
    /// only while that request is this process's: see [`Fence`].
    fn write<T: Send + 'static>(
        &self,
        write: Write,
        work: impl Work<T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        async move {
            let Some(claim) = Fence::current() else { return self.commit(write, work).await };
            let held = move |tx: &Tx<'_>| match leases::holds(tx, &claim)? {
                true => work(tx).map(Some),
                false => Ok(None),
            };
            self.commit(write, held).await?.ok_or(StoreError::TakenOver(write.name()))
        }
    }
}
