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

use super::transactions::audit;
use super::transactions::identity::OpenedWith;
use super::transactions::leases::{self, ProcessLease};
use super::wakes::Wakes;
use super::{Fence, StoreError, StoreWork};
use crate::audit::Attribution;
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

    /// The master key that this process opened it with.
    fn opened_with(&self) -> &OpenedWith;

    /// What its connections do in this process.
    fn work(&self) -> StoreWork;

    /// Who is told of what was committed.
    fn wakes(&self) -> &Wakes;

    /// From now on those who wait are told of what other processes commit, too.
    fn follow(&self);

    /// As [`Database::commit`], unless the master key was changed since this process opened the database: what it
    /// seals could be opened by nobody any more.
    fn commit_with_key<T: Send + 'static>(
        &self,
        write: Write,
        work: impl Work<T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        let key = self.opened_with().clone();
        self.commit(write, move |tx| {
            key.verify(tx)?;
            work(tx)
        })
    }

    /// Writes in one transaction, and answers after its commit. What is written for a repeatable request is written
    /// only while that request is this process's: see [`Fence`]. What is changed for an operator is changed together
    /// with a row of the audit log that says what he does: see [`Act`](crate::audit::Act).
    fn write<T: Send + 'static>(
        &self,
        write: Write,
        work: impl Work<T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        async move {
            let (claim, attribution) = (Fence::current(), Attribution::current());
            if claim.is_none() && attribution.is_none() {
                return self.commit_with_key(write, work).await;
            }
            let of = attribution.clone();
            let held = move |tx: &Tx<'_>| {
                if let Some(claim) = &claim
                    && !leases::holds(tx, claim)?
                {
                    return Ok(None);
                }
                let done = work(tx)?;
                Ok(Some((done, attribute(tx, of.as_ref())?)))
            };
            let (done, is_told) =
                self.commit_with_key(write, held).await?.ok_or(StoreError::TakenOver(write.name()))?;
            if let (true, Some(Attribution::Act(act))) = (is_told, attribution) {
                act.written();
            }
            Ok(done)
        }
    }
}

/// Writes down what an operator does, once, if the transaction changes something. Returns whether it did.
fn attribute(tx: &Tx<'_>, of: Option<&Attribution>) -> TxResult<bool> {
    match of {
        Some(_) if !tx.has_changed() => Ok(false),
        Some(Attribution::Act(act)) if !act.is_written() => audit::append(tx, act).map(|()| true),
        // A mistake in this program: a command has to say what it does.
        Some(Attribution::Missing) => Err(TxError::Database("an operator's change that no audit row tells".into())),
        Some(Attribution::Act(_)) | None => Ok(false),
    }
}
