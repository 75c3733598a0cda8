//! Approvals.

use super::Sqlite;
use super::row::{bytes, text, time};
use crate::faults::Write;
use crate::store::{ApprovalRequest, Approvals, StoreError};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, PublisherName};

#[async_trait]
impl Approvals for Sqlite {
    async fn ask_approval(&self, account: &AccountId, name: &PublisherName) -> Result<bool, StoreError> {
        let (account, name) = (*account, name.clone());
        self.write(Write::PublisherAsk, move |tx| {
            let sql = "SELECT 1 FROM approvals WHERE account = ?1 AND approved_at IS NOT NULL";
            if tx.one(sql, [account.as_bytes()], |_| Ok(()))?.is_some() {
                return Ok(true);
            }
            tx.change(
                "INSERT INTO approvals (account, name, asked_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (account) DO UPDATE SET name = excluded.name, asked_at = excluded.asked_at",
                (account.as_bytes(), name.as_str(), tx.now.millis()),
            )?;
            Ok(false)
        })
        .await
    }

    async fn approve(&self, account: &AccountId) -> Result<(), StoreError> {
        let account = *account;
        self.write(Write::PublisherApprove, move |tx| {
            tx.change(
                "INSERT INTO approvals (account, approved_at) VALUES (?1, ?2)
                 ON CONFLICT (account) DO UPDATE SET approved_at = coalesce(approved_at, excluded.approved_at)",
                (account.as_bytes(), tx.now.millis()),
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
        let name = name.map(PublisherName::as_str);
        self.read("approvals", |tx| {
            let sql = "SELECT account, name, asked_at FROM approvals
                       WHERE approved_at IS NULL AND (?1 IS NULL OR name = ?1) ORDER BY asked_at DESC LIMIT ?2";
            tx.all(sql, (name, limit), |row| {
                Ok(ApprovalRequest {
                    account: bytes(row, 0, AccountId::from_bytes)?,
                    name: text(row, 1)?,
                    asked: time(row, 2)?,
                })
            })
        })
    }
}
