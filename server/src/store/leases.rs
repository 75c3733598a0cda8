//! Leases: which server process works on a repeatable request.
//!
//! Each process that serves holds a numbered lease, renewed every second and over three seconds later, by the
//! database's time. A request in progress names the lease under which it was begun. When that lease is over, because
//! its process died or stood still, whoever is asked again takes the request over under a lease of its own; from then
//! on the database refuses every write of the process before, however late that wakes up.

use super::{AnswerScope, StoreError};
use async_trait::async_trait;
use portcullis_protocol::IdempotencyKey;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

tokio::task_local! {
    static FENCE: Claim;
}

/// A request, and the lease under which it is being worked on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Claim {
    pub(crate) scope: AnswerScope,
    pub(crate) key: IdempotencyKey,
    pub(crate) lease: i64,
}

/// The right to do what a repeatable request asks, as long as nobody has taken it over.
#[derive(Debug)]
pub struct Fence {
    pub(crate) claim: Claim,
    running: Running,
}

impl Fence {
    /// Runs `work`. Every write of the store in it is conditional, in its own transaction, on this request not having
    /// been taken over; it fails with [`StoreError::TakenOver`] otherwise.
    pub async fn guard<F: Future>(&self, work: F) -> F::Output {
        FENCE.scope(self.claim.clone(), work).await
    }

    /// What the calling task's writes depend on.
    pub(crate) fn current() -> Option<Claim> {
        FENCE.try_with(Clone::clone).ok()
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        self.running.requests().remove(&self.claim);
    }
}

/// The requests that this process is working on. A row that names this process's lease and is not among them was left
/// behind, by a panic or by an answer that could not be written: nobody has to wait for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<Claim>>>);

impl Running {
    /// `None` when this process is working on it already.
    pub(crate) fn begin(&self, claim: &Claim) -> Option<Fence> {
        let new = self.requests().insert(claim.clone());
        new.then(|| Fence { claim: claim.clone(), running: self.clone() })
    }

    pub(crate) fn has(&self, claim: &Claim) -> bool {
        self.requests().contains(claim)
    }

    fn requests(&self) -> std::sync::MutexGuard<'_, HashSet<Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lease of this process.
#[async_trait]
pub trait Leases {
    /// Ends every lease: of a database that was restored no process is alive.
    async fn end_leases(&self) -> Result<(), StoreError>;

    /// Takes a lease when this process holds none. From then on it is renewed until the store is closed.
    async fn hold_lease(&self) -> Result<(), StoreError>;
}
