//! The public keys that sign the webhooks of an endpoint.

use crate::encoding::Octets;
use crate::ids::Origin;
use crate::jws::Document;
use crate::labels::TYP_WEBHOOK_KEYS;
use serde::{Deserialize, Serialize};

/// The keys of an endpoint, signed by the server: those that sign now, and one that will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookKeys {
    /// The billing server.
    pub iss: Origin,
    /// The endpoint.
    pub endpoint: Octets<16>,
    /// The keys, oldest first.
    pub keys: Vec<WebhookKey>,
    /// When this was signed, Unix seconds of the server.
    pub iat: u64,
}

/// A key of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookKey {
    /// `whpk_` and the base64 of an Ed25519 public key, as Standard Webhooks writes it.
    pub key: String,
    /// From when it signs, Unix seconds of the server.
    pub from: u64,
    /// Until when it signs, if another one follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

impl Document for WebhookKeys {
    const TYP: &'static str = TYP_WEBHOOK_KEYS;
}
