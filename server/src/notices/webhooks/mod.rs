//! Webhooks: messages of the outbox, delivered as effects and signed as Standard Webhooks says.
//!
//! ```text
//! webhook-id         the message: the same with every attempt
//! webhook-timestamp  of this attempt, seconds
//! webhook-signature  "v1,…" HMAC-SHA-256 · "v1a,…" Ed25519, of each key in force, separated by spaces
//! body               {"type", "timestamp", "iss", "aud": the endpoint's URL, "data"}
//! ```
//!
//! A receiver acts on a message once, by its identifier; it is sent until it is answered with 2xx, or until a later one
//! says that what it is about is final. 410 disables the endpoint.

pub mod keys;
mod signature;

pub use signature::sign;

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::crypto::secrets::random;
use crate::notices::outbound::{OutboundAnswer, OutboundError, WebhookUrl};
use crate::ops::clock::Timestamp;
use crate::ops::directory::moment;
use crate::store::{Attempt, Delivery, EffectClaim, EffectVerdict, Endpoint, EndpointKeys, EndpointState};
use portcullis_protocol::encoding::Octets;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// When a message is tried again after each attempt, in seconds. After the last it is given up, and can be replayed.
pub const RETRIES: [u64; 7] = [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600];
/// How soon an endpoint answers that is not slow: beyond that, few messages are under way to it at once.
const PROMPT: Duration = Duration::from_secs(3);
/// The status of an endpoint that wants nothing more.
const GONE: u16 = 410;

/// Delivers a message.
pub(crate) async fn attempt(core: &Core, claim: &EffectClaim) -> Result<Option<EffectVerdict>, ServiceError> {
    let Some(delivery) = core.store.delivery(claim).await? else { return Ok(Some(EffectVerdict::Failed)) };
    if delivery.endpoint.state != EndpointState::Active {
        return Ok(Some(EffectVerdict::Failed));
    }
    let begun = Instant::now();
    let status = match send(core, &delivery).await? {
        Ok(status) => Some(status),
        Err(error) => {
            tracing::info!(message = %delivery.message.id, %error, "a webhook was not delivered");
            None
        }
    };
    core.metrics.delivered(status);
    let took = begun.elapsed();
    let verdict = verdict(status, claim, took);
    let attempt = Attempt { status, verdict, in_time: status.is_some() && took <= PROMPT, gone: status == Some(GONE) };
    if attempt.gone {
        tracing::warn!(endpoint = %delivery.endpoint.id.0, "an endpoint answered 410 and is disabled");
    }
    core.store.finish_delivery(claim, attempt).await?;
    Ok(None)
}

/// What follows from an answer, after so long.
fn verdict(status: Option<u16>, claim: &EffectClaim, took: Duration) -> EffectVerdict {
    match status {
        Some(200..=299) => EffectVerdict::Done,
        Some(GONE) => EffectVerdict::Failed,
        _ => {
            let tried = usize::try_from(claim.tries.saturating_sub(1)).unwrap_or(usize::MAX);
            RETRIES
                .get(tried)
                .map_or(EffectVerdict::Failed, |pause| EffectVerdict::Again(claim.now.plus(took.as_secs() + pause)))
        }
    }
}

/// Signs a message anew and sends it. Returns the status of the answer.
async fn send(core: &Core, delivery: &Delivery) -> Result<Result<u16, OutboundError>, ServiceError> {
    let message = &delivery.message;
    let data: Value = serde_json::from_str(&message.data).map_err(|_| damaged())?;
    let said = Said { id: message.id.to_string(), kind: &message.kind, at: message.created, data: &data };
    let now = core.store.now().await?;
    let (to, headers, body) = signed(core, &delivery.endpoint, &delivery.keys, said, now)?;
    Ok(core.outbound.of(&delivery.endpoint.owner).tell(&to, &headers, body).await)
}

/// Sends a message that is not in the outbox, for whoever waits for its answer. It is not tried again.
pub(crate) async fn ask(
    core: &Core,
    endpoint: &Endpoint,
    kind: &str,
    data: &Value,
) -> Result<Result<OutboundAnswer, OutboundError>, ServiceError> {
    let now = core.store.now().await?;
    let mut keys = core.store.endpoint_keys(&endpoint.id).await?;
    keys.retain(|key| key.not_before <= now);
    let said = Said { id: Octets(random::<16>()).to_string(), kind, at: now, data };
    let (to, headers, body) = signed(core, endpoint, &keys, said, now)?;
    Ok(core.outbound.of(&endpoint.owner).post(&to, &headers, body).await)
}

/// What is said.
struct Said<'a> {
    id: String,
    kind: &'a str,
    at: Timestamp,
    data: &'a Value,
}

fn damaged() -> ServiceError {
    ServiceError::Failed("the outbox holds a message that cannot be read".into())
}

/// Where it goes, its headers and its body.
type Signed = (WebhookUrl, [(&'static str, String); 3], Vec<u8>);

fn signed(
    core: &Core,
    endpoint: &Endpoint,
    keys: &[EndpointKeys],
    said: Said<'_>,
    now: Timestamp,
) -> Result<Signed, ServiceError> {
    let to = WebhookUrl::stored(&endpoint.url).ok_or_else(damaged)?;
    let body = json!({
        "type": said.kind,
        "timestamp": moment(said.at).to_string(),
        "iss": core.origin,
        "aud": endpoint.url,
        "data": said.data,
    })
    .to_string();
    let (id, now) = (said.id, now.seconds());
    let mut signatures = Vec::new();
    for stored in keys {
        let opened = self::keys::open(&core.secrets, &endpoint.id, stored)?;
        signatures.extend(sign(&opened, &id, now, body.as_bytes()));
    }
    let headers =
        [("webhook-id", id), ("webhook-timestamp", now.to_string()), ("webhook-signature", signatures.join(" "))];
    Ok((to, headers, body.into_bytes()))
}
