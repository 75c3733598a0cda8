//! Leases, and who works on what.

use super::answers::scope_bytes;
use super::identity::OpenedWith;
use super::{Database, Lock, Tx, TxError, TxResult};
use crate::ops::faults::Write;
use crate::store::database::WeakJobs;
use crate::store::{Claim, ClaimsAtWork, Leases, Running, StoreError};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// How long a lease lasts, in seconds: as long as a request of a process that died waits for another one.
const LIFE: u64 = 3;
/// How often it is renewed. A commit or two may be slow before it ends.
const RENEWAL: Duration = Duration::from_secs(1);
/// How long ended leases stay on record, in seconds: for whoever looks into what happened. One that is gone is over.
const KEEP: u64 = 24 * 3600;

/// The lease of this process, and what it is working on.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessLease {
    /// 0 before the first.
    number: Arc<AtomicI64>,
    kept: Arc<AtomicBool>,
    /// Whether it is given back: from then on it is not renewed.
    is_over: Arc<AtomicBool>,
    pub(super) running: Running,
    pub(super) at_work: ClaimsAtWork,
}

impl ProcessLease {
    /// The lease in force, a new one when the last is over. In a transaction that is rolled back its number is lost,
    /// and the next call takes another one.
    pub(super) fn current(&self, tx: &Tx<'_>) -> TxResult<i64> {
        let number = self.number.load(Ordering::SeqCst);
        if is_live(tx, number)? {
            return Ok(number);
        }
        // Another thread of this process may be taking one.
        tx.lock(Lock::Leases)?;
        let number = self.number.load(Ordering::SeqCst);
        if is_live(tx, number)? {
            return Ok(number);
        }
        let sql = "INSERT INTO leases (ends_at) VALUES (?1) RETURNING number";
        let number = tx.one(sql, [tx.now().plus(LIFE).millis()], |row| row.get(0))?.ok_or(TxError::Damaged)?;
        self.number.store(number, Ordering::SeqCst);
        Ok(number)
    }

    /// Whether somebody may still be working on a request that names this lease.
    pub(super) fn works_on(&self, tx: &Tx<'_>, claim: &Claim) -> TxResult<bool> {
        let own = claim.lease == self.number.load(Ordering::SeqCst);
        Ok(is_live(tx, claim.lease)? && (!own || self.running.has(claim)))
    }

    /// The number that [`ProcessLease::current`] returned last.
    pub(super) fn number(&self) -> i64 {
        self.number.load(Ordering::SeqCst)
    }

    fn renew(&self, tx: &Tx<'_>) -> TxResult<()> {
        // Before it is asked whether it is over: another connection may be giving it back.
        tx.lock(Lock::Leases)?;
        if self.is_over.load(Ordering::SeqCst) {
            return Ok(());
        }
        let number = self.current(tx)?;
        // Not one that has ended meanwhile.
        let sql = "UPDATE leases SET ends_at = ?2 WHERE number = ?1 AND ends_at > ?3";
        tx.change(sql, (number, tx.now().plus(LIFE).millis(), tx.now().millis()))?;
        tx.change("UPDATE server SET seen_at = ?1 WHERE seen_at < ?1", [tx.now().millis()])?;
        Ok(())
    }

    /// Renews it from a thread of its own, which waits for nothing else, until the store is closed.
    pub(super) fn keep(&self, renewer: WeakJobs<Write>, key: &OpenedWith) {
        if self.kept.swap(true, Ordering::SeqCst) {
            return;
        }
        let (lease, key) = (self.clone(), key.clone());
        let keeper = std::thread::Builder::new().name("store-lease".into());
        let started = keeper.spawn(move || {
            loop {
                std::thread::sleep(RENEWAL);
                let (renewing, key) = (lease.clone(), key.clone());
                let renew = move |tx: &Tx<'_>| {
                    key.verify(tx)?;
                    renewing.renew(tx)
                };
                match renewer.run(Write::LeaseRenew, Write::LeaseRenew.name(), renew) {
                    Ok(()) => {}
                    Err(StoreError::Closed) => return,
                    Err(error @ StoreError::KeyChanged) => {
                        tracing::error!(%error, "this process has no lease any more");
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "the lease of this process was not renewed"),
                }
            }
        });
        if let Err(error) = started {
            self.kept.store(false, Ordering::SeqCst);
            tracing::error!(%error, "no thread to renew the lease of this process");
        }
    }

    /// It is to be given back: whatever renews it comes too late.
    pub(super) fn stop_renewing(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Nobody has to wait for this process any more.
    pub(super) fn end(&self, tx: &Tx<'_>) -> TxResult<()> {
        // Whoever renews it has done so, or finds that it is over.
        tx.lock(Lock::Leases)?;
        // It stays this process's until that is committed: the transaction may be run again.
        let number = self.number.load(Ordering::SeqCst);
        tx.change("UPDATE leases SET ends_at = ?2 WHERE number = ?1 AND ends_at > ?2", (number, tx.now().millis()))?;
        Ok(())
    }

    /// Whether there is one to give back.
    pub(super) fn is_held(&self) -> bool {
        self.number.load(Ordering::SeqCst) != 0
    }
}

/// By how many seconds a lease may have been renewed after the moment at which a transaction runs that sees it: no
/// statement waits longer.
const SLACK: u64 = 60;

/// A lease that ends later than one can is not live either: the clock was set back since.
fn is_live(tx: &Tx<'_>, number: i64) -> TxResult<bool> {
    let sql = "SELECT 1 FROM leases WHERE number = ?1 AND ends_at > ?2 AND ends_at <= ?3";
    let longest = tx.now().plus(LIFE + SLACK).millis();
    let live = tx.one(sql, (number, tx.now().millis(), longest), |_| Ok(()))?;
    Ok(live.is_some())
}

/// Whether the request is still the claim's. Read in the transaction that writes for it.
pub(crate) fn holds(tx: &Tx<'_>, claim: &Claim) -> TxResult<bool> {
    tx.lock(Lock::Request(scope_bytes(&claim.scope), claim.key.as_str()))?;
    let sql = "SELECT 1 FROM answers WHERE scope = ?1 AND key = ?2 AND kind = 0 AND lease = ?3";
    let held = tx.one(sql, (scope_bytes(&claim.scope), claim.key.as_str(), claim.lease), |_| Ok(()))?;
    Ok(held.is_some())
}

/// Deletes leases that ended long ago.
pub(super) fn sweep(tx: &Tx<'_>) -> TxResult<()> {
    tx.change("DELETE FROM leases WHERE ends_at < ?1", [tx.now().minus(KEEP).millis()])?;
    Ok(())
}

#[async_trait]
impl<D: Database> Leases for D {
    async fn end_leases(&self) -> Result<(), StoreError> {
        self.write(Write::LeaseEnd, |tx| {
            tx.change("UPDATE leases SET ends_at = ?1 WHERE ends_at > ?1", [tx.now().millis()])?;
            Ok(())
        })
        .await
    }

    async fn hold_lease(&self) -> Result<(), StoreError> {
        let lease = self.lease().clone();
        self.write(Write::LeaseRenew, move |tx| lease.renew(tx)).await?;
        self.lease().keep(self.renewer(), self.opened_with());
        Ok(())
    }
}
