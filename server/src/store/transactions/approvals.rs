//! Approvals.

use super::{Database, Lock, TxResult};
use crate::ops::faults::Write;
use crate::store::database::Row;
use crate::store::database::row::{bytes, text, time};
use crate::store::{ApprovalRequest, Approvals, StoreError};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, PublisherName};

fn request(row: &Row<'_>) -> TxResult<ApprovalRequest> {
    Ok(ApprovalRequest { account: bytes(row, 0, AccountId::from_bytes)?, name: text(row, 1)?, asked: time(row, 2)? })
}

#[async_trait]
impl<D: Database> Approvals for D {
    async fn ask_approval(&self, account: &AccountId, name: &PublisherName) -> Result<bool, StoreError> {
        let (account, name) = (*account, name.clone());
        self.write(Write::PublisherAsk, move |tx| {
            tx.lock(Lock::Account(&account))?;
            let sql = "SELECT 1 FROM approvals WHERE account = ?1 AND approved_at IS NOT NULL";
            if tx.one(sql, [account.as_bytes()], |_| Ok(()))?.is_some() {
                return Ok(true);
            }
            tx.change(
                "INSERT INTO approvals (account, name, asked_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (account) DO UPDATE SET name = excluded.name, asked_at = excluded.asked_at",
                (account.as_bytes(), name.as_str(), tx.now().millis()),
            )?;
            Ok(false)
        })
        .await
    }

    async fn approve(&self, account: &AccountId) -> Result<(), StoreError> {
        let account = *account;
        self.write(Write::PublisherApprove, move |tx| {
            tx.lock(Lock::Account(&account))?;
            tx.change(
                "INSERT INTO approvals (account, approved_at) VALUES (?1, ?2)
                 ON CONFLICT (account) DO UPDATE SET approved_at = coalesce(approvals.approved_at, excluded.approved_at)",
                (account.as_bytes(), tx.now().millis()),
            )?;
            tx.log("publisher approved", Some(&account), None, &[])
        })
        .await
    }

    async fn approval_requests(
        &self,
        name: Option<&PublisherName>,
        limit: u32,
    ) -> Result<Vec<ApprovalRequest>, StoreError> {
        let name = name.cloned();
        self.read("approvals", move |tx| match &name {
            Some(name) => tx.all(
                "SELECT account, name, asked_at FROM approvals WHERE approved_at IS NULL AND name = ?1
                 ORDER BY asked_at DESC LIMIT ?2",
                (name.as_str(), limit),
                request,
            ),
            None => tx.all(
                "SELECT account, name, asked_at FROM approvals WHERE approved_at IS NULL AND asked_at > 0
                 ORDER BY asked_at DESC LIMIT ?1",
                [limit],
                request,
            ),
        })
        .await
    }
}
