//! Device codes (RFC 8628): how a terminal becomes somebody's.

use super::{Holder, SessionId, StoreError};
use crate::crypto::secrets::TokenHash;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::{AccountId, Thumbprint};

/// A device code to be made, bound to the key that proved itself.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// The keyed hash of the device code.
    pub device: TokenHash,
    /// The keyed hash of the user code.
    pub user: TokenHash,
    /// The terminal's key.
    pub key: Thumbprint,
    /// What the user calls the terminal.
    pub label: String,
    /// How long it is good for, in seconds.
    pub life: u64,
    /// Seconds between polls, at least.
    pub interval: u32,
}

/// Where a device code stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// The user has not decided.
    Pending,
    /// Approved by this account.
    Approved,
    /// Denied.
    Denied,
    /// Made into a session.
    Used,
}

/// A device code as the approval page shows it.
#[derive(Debug, Clone)]
pub struct Device {
    /// The terminal's key: its fingerprint words are compared.
    pub key: Thumbprint,
    /// What the user calls the terminal.
    pub label: String,
    /// Where it stands.
    pub state: DeviceState,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// What the user says to a terminal that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is signed in to this account, if the browser that says so still is.
    Approve(Holder),
    /// It is not.
    Deny,
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecideOutcome {
    /// It stands.
    Decided,
    /// The code is unknown, past its time or decided already.
    Gone,
    /// The browser that approves was signed out meanwhile.
    SignedOut,
}

/// A pair of tokens to be stored as keyed hashes.
#[derive(Debug, Clone)]
pub struct NewTokens {
    /// The access token.
    pub access: TokenHash,
    /// How long it is good for, in seconds.
    pub access_life: u64,
    /// The refresh token.
    pub refresh: TokenHash,
    /// How long it is good for, in seconds.
    pub refresh_life: u64,
}

/// What a poll finds (RFC 8628 section 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollOutcome {
    /// Approved: the session has begun, the tokens are stored.
    Session {
        /// Whose.
        account: AccountId,
        /// The session.
        session: SessionId,
    },
    /// Not decided.
    Pending,
    /// Not decided, and asked too soon.
    SlowDown,
    /// Denied.
    Denied,
    /// Past its time.
    Expired,
    /// Unknown, used, or another key's.
    Unknown,
}

/// Device codes.
#[async_trait]
pub trait Devices {
    /// Makes a device code. False where its user code is in use: draw another one.
    async fn create_device(&self, device: NewDevice) -> Result<bool, StoreError>;

    /// The device code of a user code, whatever its state.
    async fn device(&self, user: &TokenHash) -> Result<Option<Device>, StoreError>;

    /// The user decides.
    async fn decide_device(&self, user: &TokenHash, decision: Decision) -> Result<DecideOutcome, StoreError>;

    /// The terminal polls; an approved code becomes a session with these tokens, once. Asked again within two minutes,
    /// by the same key, it is the same session: the tokens have to be the same too.
    async fn poll_device(
        &self,
        device: &TokenHash,
        key: &Thumbprint,
        session: SessionId,
        tokens: NewTokens,
    ) -> Result<PollOutcome, StoreError>;
}
