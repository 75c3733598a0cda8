//! The outbox: messages to endpoints, enqueued in the transaction that causes them and delivered as effects.

use super::{EffectClaim, EffectId, EffectVerdict, Receiver, StoreError};
use crate::crypto::secrets::Sealed;
use crate::effects::state::EffectState;
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;

/// The identifier of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EndpointId(pub Octets<16>);

/// Whether an endpoint is sent anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// It is.
    Active,
    /// It answered 410: its messages are listed, and delivered when its owner enables it and has them replayed.
    Disabled,
    /// It is not any more.
    Removed,
}

/// An endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its identifier.
    pub id: EndpointId,
    /// Whose.
    pub owner: Receiver,
    /// Where.
    pub url: String,
    /// Whether it is sent anything.
    pub state: EndpointState,
    /// Since when.
    pub created: Timestamp,
}

/// Keys of an endpoint, sealed to it.
#[derive(Debug, Clone)]
pub struct EndpointKeys {
    /// Their number, from 1.
    pub number: i64,
    /// For `v1`: HMAC-SHA-256.
    pub secret: Sealed,
    /// For `v1a`: the seed of an Ed25519 key.
    pub seed: Sealed,
    /// Its public half.
    pub public: [u8; 32],
    /// From when they sign.
    pub not_before: Timestamp,
    /// Until when, if others follow.
    pub ends: Option<Timestamp>,
}

/// Keys to be added to an endpoint.
#[derive(Debug, Clone)]
pub struct NewEndpointKeys {
    /// For `v1`.
    pub secret: Sealed,
    /// For `v1a`.
    pub seed: Sealed,
    /// Its public half.
    pub public: [u8; 32],
}

/// An endpoint to be added. Its first keys sign at once.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// Its identifier.
    pub id: EndpointId,
    /// Whose.
    pub owner: Receiver,
    /// Where: a checked address.
    pub url: String,
    /// Its keys.
    pub keys: NewEndpointKeys,
}

/// A message to all endpoints of an owner.
#[derive(Debug, Clone)]
pub struct NewMessage<'a> {
    /// What happened: words with dots between them, `order.paid`.
    pub kind: &'a str,
    /// What it is about. Once that is final, deliveries are not tried again.
    pub subject: Octets<16>,
    /// What is said of it: a JSON object, which holds no secret.
    pub data: String,
}

/// A message of an endpoint.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its identifier, the `webhook-id`.
    pub id: EffectId,
    /// Its place among those of the endpoint, from 1.
    pub seq: i64,
    /// What happened.
    pub kind: String,
    /// What is said of it.
    pub data: String,
    /// When.
    pub created: Timestamp,
    /// Where its delivery stands.
    pub state: EffectState,
    /// How often that was tried.
    pub tries: u32,
    /// The HTTP status that the last attempt was answered with, if any.
    pub status: Option<i64>,
}

/// What is to be delivered.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// To where.
    pub endpoint: Endpoint,
    /// What.
    pub message: Message,
    /// The keys that sign by now, oldest first.
    pub keys: Vec<EndpointKeys>,
}

/// What came of a replay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Messages that are delivered again.
    pub count: u32,
    /// From where to go on, if there may be more.
    pub next: Option<i64>,
}

/// What an attempt was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What follows.
    pub verdict: EffectVerdict,
    /// Whether an answer came soon enough for the endpoint to be sent as many messages at once as any other.
    pub in_time: bool,
    /// Whether the endpoint wants nothing more.
    pub gone: bool,
}

/// The outbox.
#[async_trait]
pub trait Webhooks {
    /// Adds an endpoint. Returns false if its owner has as many as it may.
    async fn add_endpoint(&self, endpoint: NewEndpoint) -> Result<bool, StoreError>;

    /// The endpoints of an owner that were not removed.
    async fn endpoints_of(&self, owner: &Receiver) -> Result<Vec<Endpoint>, StoreError>;

    /// Endpoints that were not removed: at most `limit` after the one given.
    async fn endpoints(&self, after: Option<EndpointId>, limit: u32) -> Result<Vec<Endpoint>, StoreError>;

    /// An endpoint, also one that was removed.
    async fn endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// Enables, disables or removes an endpoint. Returns false if there is none, or it was removed.
    async fn set_endpoint(&self, id: &EndpointId, state: EndpointState) -> Result<bool, StoreError>;

    /// The keys of an endpoint that sign by now or will: oldest first.
    async fn endpoint_keys(&self, id: &EndpointId) -> Result<Vec<EndpointKeys>, StoreError>;

    /// Adds keys, which sign a day later; those before them sign for two days more. Returns from when, or `None` if
    /// there is no such endpoint or new keys wait already.
    async fn rotate_endpoint_keys(
        &self,
        id: &EndpointId,
        keys: NewEndpointKeys,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// The messages of an endpoint after a place, oldest first: at most `limit`.
    async fn messages(&self, id: &EndpointId, after: i64, limit: u32) -> Result<Vec<Message>, StoreError>;

    /// Has messages of an endpoint delivered again, from a place on, whatever became of them: at most `limit`.
    async fn replay(&self, id: &EndpointId, from: i64, limit: u32) -> Result<Replayed, StoreError>;

    /// What a claim of kind [`Webhook`](super::EffectKind::Webhook) is to deliver.
    async fn delivery(&self, claim: &EffectClaim) -> Result<Option<Delivery>, StoreError>;

    /// Writes down an attempt. Returns false if the claim is not in force any more.
    async fn finish_delivery(&self, claim: &EffectClaim, attempt: Attempt) -> Result<bool, StoreError>;
}
