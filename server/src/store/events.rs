//! Events: what terminals, merchants and backends are told, each numbered for its receiver.
//!
//! The number comes from the receiver's own row, incremented in the transaction that causes the event: whoever has seen
//! event 7 of its epoch has seen all before it. A new epoch begins when a database is restored or copied, or when
//! an operator says so.

use super::StoreError;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{EpochId, TerminalId};
use std::sync::Arc;
use tokio::sync::Notify;

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Receiver {
    /// A terminal.
    Terminal(TerminalId),
    /// A merchant.
    Merchant(Octets<16>),
    /// A backend of somebody else, through a link.
    Backend(Octets<16>),
    /// The store's own backend.
    Store,
}

impl Receiver {
    /// Its number and identifier in the database.
    pub(crate) const fn columns(&self) -> (i64, [u8; 16]) {
        match self {
            Self::Terminal(id) => (0, *id.as_bytes()),
            Self::Merchant(id) => (1, id.0),
            Self::Backend(id) => (2, id.0),
            Self::Store => (3, [0; 16]),
        }
    }

    /// From the database.
    pub(crate) const fn from_columns(kind: i64, id: [u8; 16]) -> Option<Self> {
        Some(match kind {
            0 => Self::Terminal(TerminalId::from_bytes(id)),
            1 => Self::Merchant(Octets(id)),
            2 => Self::Backend(Octets(id)),
            3 => Self::Store,
            _ => return None,
        })
    }
}

/// An event as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its number, from 1.
    pub seq: u64,
    /// What happened.
    pub kind: String,
    /// To what: a JSON object.
    pub data: String,
    /// When.
    pub at: Timestamp,
}

/// Up to where a receiver has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The epoch.
    pub epoch: EpochId,
    /// The last event that it has seen; 0: none.
    pub seq: u64,
}

/// Some of the events of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The epoch they are of.
    pub epoch: EpochId,
    /// The events, oldest first.
    pub events: Vec<EventRecord>,
    /// The number of the last event there is.
    pub last: u64,
    /// Whether events between the cursor and the first of these are gone, or the cursor is of another epoch.
    pub is_gap: bool,
    /// When this was read.
    pub now: Timestamp,
}

/// Events.
#[async_trait]
pub trait Events {
    /// The events of a receiver after its cursor, at most `limit`; without a cursor, or with one of another epoch, from
    /// the oldest that is kept.
    async fn events(&self, receiver: &Receiver, after: Option<Cursor>, limit: u32) -> Result<EventPage, StoreError>;

    /// The epoch of this database.
    async fn epoch(&self) -> Result<EpochId, StoreError>;

    /// Begins a new epoch.
    async fn begin_epoch(&self) -> Result<EpochId, StoreError>;

    /// Is notified when a receiver may have another event, whichever process caused it.
    fn wake_of(&self, receiver: &Receiver) -> Arc<Notify>;

    /// Is notified when an effect may be due that this process caused.
    fn effects_wake(&self) -> Arc<Notify>;
}
