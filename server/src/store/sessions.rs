//! Sessions of terminals: their DPoP-bound tokens.

use super::{NewTokens, StoreError, Terminal};
use crate::clock::Timestamp;
use crate::secrets::TokenHash;
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, Thumbprint};

/// A session: one sign-in on one terminal. Never leaves the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub Octets<16>);

/// Whom an access token speaks for.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// The session.
    pub session: SessionId,
    /// Whose.
    pub account: AccountId,
    /// Since when the account is suspended, if it is.
    pub suspended: Option<Timestamp>,
    /// Whether the account may do what operators do.
    pub operator: bool,
    /// The only key with which the token may be used.
    pub key: Thumbprint,
    /// The terminal of that key and account, once enrolled.
    pub terminal: Option<Terminal>,
}

/// What became of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The new tokens are stored.
    Refreshed,
    /// It was used before, longer ago than an answer can be lost: the whole session has ended.
    Reused,
    /// Unknown, another key's, past its time, or its session has ended.
    Unknown,
}

/// Sessions of terminals.
#[async_trait]
pub trait Sessions {
    /// Whom an access token speaks for, where it is good and its session has not ended.
    async fn authenticate(&self, access: &TokenHash) -> Result<Option<Authenticated>, StoreError>;

    /// Uses a refresh token with the key it is bound to: once, and again where the answer may have got lost.
    async fn refresh_session(
        &self,
        refresh: &TokenHash,
        key: &Thumbprint,
        tokens: NewTokens,
    ) -> Result<RefreshOutcome, StoreError>;

    /// Ends the session of an access or refresh token. Nothing happens where there is none.
    async fn end_session(&self, token: &TokenHash, key: &Thumbprint) -> Result<(), StoreError>;
}
