//! Terminals: the keys of machines, each belonging to one account.

use super::{Holder, SessionId, StoreError};
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::{AccountId, PublicKey, ReleasePublicKey, TerminalId, Thumbprint};

/// A terminal to be enrolled, by the account that is signed in on it.
#[derive(Debug, Clone)]
pub struct NewTerminal {
    /// Its identifier, if it is new.
    pub id: TerminalId,
    /// Whose.
    pub account: AccountId,
    /// The session that enrols it.
    pub session: SessionId,
    /// Its Ed25519 key.
    pub key: PublicKey,
    /// Its X25519 key.
    pub release: ReleasePublicKey,
    /// What the user calls it.
    pub label: String,
    /// The compact statement it made.
    pub statement: String,
    /// How many terminals an account may enrol within a day.
    pub most_per_day: u32,
}

/// What became of an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolOutcome {
    /// Enrolled, under this identifier. The same key of the same account keeps the one it had.
    Enrolled(TerminalId),
    /// This key of this account was revoked.
    Revoked,
    /// The session has ended, or took too long to enrol.
    SignedOut,
    /// The account has enrolled as many as it may, for now.
    TooMany {
        /// Seconds until one more is allowed.
        retry_after: u32,
    },
}

/// A terminal.
#[derive(Debug, Clone)]
pub struct Terminal {
    /// Its identifier.
    pub id: TerminalId,
    /// Its key.
    pub key: Thumbprint,
    /// Its X25519 key.
    pub release: ReleasePublicKey,
    /// What the user calls it.
    pub label: String,
    /// When it enrolled.
    pub enrolled: Timestamp,
    /// Since when it is revoked, if it is.
    pub revoked: Option<Timestamp>,
}

/// What became of a preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresetOutcome {
    /// It is another one now.
    Changed,
    /// It was the same before.
    Same,
    /// The account has no such terminal, or it was revoked.
    Unknown,
    /// The browser was signed out meanwhile.
    SignedOut,
}

/// Terminals.
#[async_trait]
pub trait Terminals {
    /// Enrols a terminal.
    async fn enrol(&self, terminal: NewTerminal) -> Result<EnrolOutcome, StoreError>;

    /// Terminals of an account, those in use or those that were revoked, newest first: at most `limit` before the one
    /// given.
    async fn terminals(
        &self,
        account: &AccountId,
        revoked: bool,
        before: Option<TerminalId>,
        limit: u32,
    ) -> Result<Vec<Terminal>, StoreError>;

    /// A terminal of an account.
    async fn terminal(&self, account: &AccountId, terminal: &TerminalId) -> Result<Option<Terminal>, StoreError>;

    /// The terminal that makes the keys of what the account buys in a browser, if one was preset and was not revoked.
    async fn preset_terminal(&self, account: &AccountId) -> Result<Option<Terminal>, StoreError>;

    /// Presets a terminal of an account, or none.
    async fn set_preset(&self, holder: &Holder, terminal: Option<&TerminalId>) -> Result<PresetOutcome, StoreError>;

    /// Revokes a terminal of an account: its sessions end, its holds are released and its grants are revoked. False
    /// if the account has no such terminal.
    async fn revoke_terminal(&self, account: &AccountId, terminal: &TerminalId) -> Result<bool, StoreError>;
}
