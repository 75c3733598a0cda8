//! Stored answers: how a request that is repeated gets the answer it got before.

use super::{Fence, GrantRecord, Order, StoreError};
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::{AccountId, CodeId, Digest, IdempotencyKey, TerminalId};

/// What identifies a repeatable request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key.
    pub key: IdempotencyKey,
    /// SHA-256 of method, path and exact body: see [`Idempotency::of`].
    pub request: Digest,
}

impl Idempotency {
    /// The identity of a request: the same key with another method, path or body is another request.
    #[must_use]
    pub fn of(key: IdempotencyKey, method: &str, path: &str, body: Digest) -> Self {
        let mut bytes = Vec::with_capacity(method.len() + path.len() + 34);
        bytes.extend_from_slice(method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(path.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(body.as_bytes());
        Self { key, request: Digest::of(&bytes) }
    }
}

/// Whose key it is: keys of different terminals never meet. Before a terminal is enrolled, its key stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerScope {
    /// An enrolled terminal.
    Terminal(TerminalId),
    /// A signed-in key.
    Session(super::SessionId),
    /// An account, in a browser.
    Account(AccountId),
    /// A merchant.
    Merchant(super::MerchantId),
}

/// What was answered before. It is made into the same answer again, in a fresh envelope.
#[derive(Debug, Clone)]
pub enum StoredAnswer {
    /// To step 2: a status code, which is computed again.
    Authorised {
        /// The code's row.
        code: CodeId,
        /// Until when it can be verified.
        expires: Timestamp,
    },
    /// To step 3.
    Granted(Box<GrantRecord>),
    /// To an order, as it now stands.
    Ordered(Box<Order>),
    /// To an order that was on order already: the one that another request opened, as it now stands.
    Joined(Box<Order>),
    /// To anything else: the JSON body, sealed.
    Body(String),
}

/// What a repeatable request finds.
#[derive(Debug, Clone)]
pub enum Begun {
    /// It is new.
    New,
    /// It was answered.
    Answered(StoredAnswer),
    /// It is under way.
    InProgress,
    /// The key was used for another request.
    OtherRequest,
}

/// What becomes of a repeatable request that is begun.
#[derive(Debug)]
pub enum BeginOutcome {
    /// It is now in progress, and this process's to do. [`Answers::finish_answer`] ends it.
    Begun(Fence),
    /// It was answered.
    Answered(StoredAnswer),
    /// It is in progress, here or in another process that is alive.
    InProgress,
    /// The key was used for another request.
    OtherRequest,
}

/// Stored answers of requests that are no part of the cycle and no orders: those store theirs in their own transaction.
#[async_trait]
pub trait Answers {
    /// Begins a repeatable request, or takes it over from a process whose lease is over.
    async fn begin_answer(&self, scope: AnswerScope, request: &Idempotency) -> Result<BeginOutcome, StoreError>;

    /// Ends it with an answer, or with `None` when it failed and may be tried again.
    ///
    /// # Errors
    /// [`StoreError::TakenOver`]: another process does it now, and this answer is not stored.
    async fn finish_answer(&self, fence: Fence, body: Option<String>) -> Result<(), StoreError>;
}
