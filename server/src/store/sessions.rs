//! Sessions of terminals: their DPoP-bound tokens.

use super::{NewTokens, StoreError, Terminal};
use crate::crypto::secrets::TokenHash;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, TerminalId, Thumbprint};

/// Seconds within which a session has to enrol its terminal. `portcullis login` does it at once; a session that has not
/// by then has ended, so that no sign-in lives on without a terminal that its owner can see and revoke.
pub const ENROL_WITHIN: u64 = 600;

/// Sessions of one kind that are listed, the newest: many more than a person has, and few enough for one read.
pub const SESSIONS_LISTED: u32 = 1000;

/// A session: one sign-in on one terminal. It names the session to its owner, and opens nothing.
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

/// A session that has not ended, as its account's owner sees it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The session.
    pub id: SessionId,
    /// What the user called the terminal when it asked.
    pub label: String,
    /// The only key with which its tokens may be used.
    pub key: Thumbprint,
    /// When it began.
    pub created: Timestamp,
    /// When its tokens were last renewed.
    pub used: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// The terminal of its key, once enrolled.
    pub terminal: Option<TerminalId>,
}

/// What a sign-out everywhere ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignedOut {
    /// Sessions of terminals.
    pub sessions: usize,
    /// Browser sessions.
    pub browsers: usize,
    /// Device codes that were approved and not yet used.
    pub codes: usize,
}

/// What became of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The new tokens are stored.
    Refreshed,
    /// It was used before, longer ago than an answer can be lost: the whole session has ended.
    Reused,
    /// Its session was renewed thousands of times, and has ended.
    TooOften,
    /// Unknown, another key's, past its time, or its session has ended.
    Unknown,
}

/// Sessions of terminals.
#[async_trait]
pub trait Sessions {
    /// Whom an access token speaks for, if it is good and its session has not ended. A token of a revoked terminal or
    /// of a suspended account is found too, so that it can be told so.
    async fn authenticate(&self, access: &TokenHash) -> Result<Option<Authenticated>, StoreError>;

    /// Uses a refresh token with the key it is bound to: once, and again where the answer may have got lost.
    async fn refresh_session(
        &self,
        refresh: &TokenHash,
        key: &Thumbprint,
        tokens: NewTokens,
    ) -> Result<RefreshOutcome, StoreError>;

    /// Ends the session of an access or refresh token. Nothing happens if there is none.
    async fn end_session(&self, token: &TokenHash, key: &Thumbprint) -> Result<(), StoreError>;

    /// The sessions of an account that have not ended, newest first, [`SESSIONS_LISTED`] at most.
    async fn sessions(&self, account: &AccountId) -> Result<Vec<Session>, StoreError>;

    /// Ends a session of an account. False if the account has none of this identifier that goes on.
    async fn end_session_of(&self, account: &AccountId, session: SessionId) -> Result<bool, StoreError>;

    /// Ends every session of an account: terminals, browsers, and device codes that were approved and not yet used.
    async fn sign_out_everywhere(&self, account: &AccountId) -> Result<SignedOut, StoreError>;
}
