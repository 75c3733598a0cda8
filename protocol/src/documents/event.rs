//! Events: what a receiver is told, and heartbeats.

use crate::documents::More;
use crate::ids::{Digest, EpochId};
use crate::jws::Document;
use crate::labels::TYP_EVENT;
use serde::{Deserialize, Serialize};

/// An event, or a heartbeat, signed for the request that it is sent in answer to. In a stream and in an answer to a
/// pull it is the same document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// SHA-256 of the compact proof that came with the request.
    pub req: Digest,
    /// The epoch that it is numbered in.
    pub epoch: EpochId,
    /// Its number among those of the receiver, from 1; of a heartbeat the number of the last event there is.
    pub seq: u64,
    /// Server time, Unix seconds.
    pub iat: u64,
    /// What happened; a heartbeat has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<EventBody>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventBody {
    /// What, in words with dots between them: `order.paid`. Whoever does not know it goes on to the next.
    #[serde(rename = "type")]
    pub kind: String,
    /// When, Unix seconds of the server.
    pub at: u64,
    /// To what. Open: whoever does not know a member ignores it.
    pub data: More,
}

impl Document for Event {
    const TYP: &'static str = TYP_EVENT;
}
