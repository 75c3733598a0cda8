//! The first interface: webhooks of the store (Standard Webhooks 1.0). What one says is believed if one of its
//! signatures verifies, it is of now, and it is for this shop from its store. Even then it names an order and nothing
//! else: what was ordered is asked for at the second interface.

use crate::database::Notice;
use crate::delivery::Desk;
use crate::steps::Step;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::wire::{OwnershipProof, WebhookKeys};
use portcullis_protocol::{OrderId, Origin, Ownership, PublicKey, Verified};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use std::sync::Arc;
use zeroize::Zeroizing;

/// How far off a webhook's time may be, in seconds.
const WINDOW: u64 = 300;
/// The longest identifier of a message that is stored, in bytes.
const MAX_ID: usize = 128;
/// The most signatures that are looked at: of a few keys in force, two each.
const MAX_SIGNATURES: usize = 16;

/// Why a webhook is not believed. Whoever sent it is told, and nothing of what is expected instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unbelieved {
    #[error("webhook-id, webhook-timestamp and webhook-signature are needed, once each")]
    Headers,
    #[error("webhook-timestamp is more than five minutes off")]
    Time,
    #[error("no signature verifies under a key of this endpoint")]
    Signature,
    #[error("the body is not a message {{type, timestamp, iss, aud, data}}")]
    Form,
    #[error("the message is for another endpoint, or from another store")]
    Address,
}

impl Unbelieved {
    const fn status(self) -> StatusCode {
        match self {
            Self::Signature | Self::Time => StatusCode::UNAUTHORIZED,
            Self::Headers | Self::Form | Self::Address => StatusCode::BAD_REQUEST,
        }
    }
}

/// A webhook as it arrived, its time within the window.
#[derive(Debug)]
pub(crate) struct Arrived<'a> {
    pub(crate) id: &'a str,
    timestamp: &'a str,
    signatures: &'a str,
    body: &'a [u8],
}

/// What a believed webhook says.
#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    iss: Origin,
    aud: String,
    pub(crate) data: Value,
}

impl<'a> Arrived<'a> {
    pub(crate) fn read(headers: &'a HeaderMap, body: &'a [u8], now: u64) -> Result<Self, Unbelieved> {
        let one = |name: &str| {
            let mut values = headers.get_all(name).iter();
            let value = values.next().and_then(|value| value.to_str().ok()).ok_or(Unbelieved::Headers)?;
            if values.next().is_none() { Ok(value) } else { Err(Unbelieved::Headers) }
        };
        let (id, timestamp, signatures) = (one("webhook-id")?, one("webhook-timestamp")?, one("webhook-signature")?);
        let is_plain = |c: u8| c.is_ascii_graphic();
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(is_plain) {
            return Err(Unbelieved::Headers);
        }
        let at: u64 = timestamp.parse().map_err(|_| Unbelieved::Headers)?;
        if at.abs_diff(now) > WINDOW {
            return Err(Unbelieved::Time);
        }
        Ok(Self { id, timestamp, signatures, body })
    }

    /// Whether one signature verifies under one of these keys, in the time of that key.
    pub(crate) fn is_signed_by(&self, keys: &[WebhookKeys], now: u64) -> bool {
        let message = [self.id.as_bytes(), b".", self.timestamp.as_bytes(), b".", self.body].concat();
        let in_force =
            |key: &&WebhookKeys| key.from <= now + WINDOW && key.until.is_none_or(|until| now < until + WINDOW);
        let keys: Vec<&WebhookKeys> = keys.iter().filter(in_force).collect();
        self.signatures.split(' ').take(MAX_SIGNATURES).any(|signature| match signature.split_once(',') {
            Some(("v1", mac)) => keys.iter().any(|key| is_mac(&key.v1, &message, mac)),
            Some(("v1a", signature)) => keys.iter().any(|key| is_signature(&key.v1a, &message, signature)),
            // A scheme that came later.
            _ => false,
        })
    }

    /// What it says, to this endpoint by this store.
    pub(crate) fn message(&self, store: &Origin, endpoint: &str) -> Result<Message, Unbelieved> {
        let message: Message = serde_json::from_slice(self.body).map_err(|_| Unbelieved::Form)?;
        if message.iss == *store && message.aud == endpoint { Ok(message) } else { Err(Unbelieved::Address) }
    }
}

/// HMAC-SHA-256 under the shared secret, compared in constant time.
fn is_mac(secret: &str, message: &[u8], mac: &str) -> bool {
    let secret = secret.strip_prefix("whsec_").and_then(|secret| Base64::decode_vec(secret).ok()).map(Zeroizing::new);
    let (Some(secret), Ok(mac)) = (secret, Base64::decode_vec(mac)) else { return false };
    let Ok(mut computed) = Hmac::<Sha256>::new_from_slice(&secret) else { return false };
    computed.update(message);
    computed.verify_slice(&mac).is_ok()
}

/// Ed25519 under the published key.
fn is_signature(public: &str, message: &[u8], signature: &str) -> bool {
    let octets = |text: &str| Base64::decode_vec(text).ok();
    let public = public.strip_prefix("whpk_").and_then(octets).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let signature = octets(signature).and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    let (Some(public), Some(signature)) = (public, signature) else { return false };
    PublicKey::from_bytes(&public).is_ok_and(|key| key.verify(message, &Octets(signature)).is_ok())
}

/// Takes a webhook.
pub(crate) async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    match hear(&desk, &headers, &body).await {
        Ok(answer) => answer,
        Err(Failure::Unbelieved(why)) => {
            tracing::info!(%why, "a webhook was refused");
            (why.status(), why.to_string()).into_response()
        }
        Err(Failure::Own(error)) => {
            tracing::error!(error = format!("{error:#}"), "a webhook was not taken");
            // It comes again.
            (StatusCode::SERVICE_UNAVAILABLE, "try again later").into_response()
        }
    }
}

enum Failure {
    Unbelieved(Unbelieved),
    Own(anyhow::Error),
}

impl From<Unbelieved> for Failure {
    fn from(why: Unbelieved) -> Self {
        Self::Unbelieved(why)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Own(error)
    }
}

async fn hear(desk: &Desk, headers: &HeaderMap, body: &[u8]) -> Result<Response, Failure> {
    let now = crate::now();
    let arrived = Arrived::read(headers, body, now)?;
    let mut is_signed = arrived.is_signed_by(&desk.shop.database.webhook_keys().await?, now);
    if !is_signed && desk.learn_keys().await {
        is_signed = arrived.is_signed_by(&desk.shop.database.webhook_keys().await?, now);
    }
    if !is_signed {
        return Err(Unbelieved::Signature.into());
    }
    let settings = &desk.shop.settings;
    let message = arrived.message(&settings.store, settings.webhook.as_str())?;
    let member = |name: &str| message.data.get(name).and_then(Value::as_str).ok_or(Unbelieved::Form);
    let order = || -> Result<OrderId, Unbelieved> { member("order")?.parse().map_err(|_| Unbelieved::Form) };
    let nonce = || -> Result<Octets<32>, Unbelieved> { member("nonce")?.parse().map_err(|_| Unbelieved::Form) };
    let notice = match message.kind.as_str() {
        "endpoint.challenge" => {
            let challenge = member("challenge")?.parse().map_err(|_| Unbelieved::Form)?;
            let ownership = Ownership {
                merchant: settings.name.clone(),
                challenge,
                url: settings.webhook.clone(),
                platform: settings.store.clone(),
                iat: now,
            };
            let ownership = Verified::sign(ownership, &desk.shop.key).compact().to_owned();
            tracing::info!("the endpoint was challenged, and has proved that it is the merchant's");
            return Ok(Json(OwnershipProof { ownership }).into_response());
        }
        "order.paid" | "order.reseal" => {
            Notice { message: arrived.id.to_owned(), order: order()?, nonce: Some(nonce()?) }
        }
        "order.closed" => Notice { message: arrived.id.to_owned(), order: order()?, nonce: None },
        kind => {
            tracing::info!(kind, "a webhook of a type that this shop does not know is ignored");
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    };
    let (order, around) = (notice.order, (Step::NotificationBeforeCommit, Step::NotificationAfterCommit));
    let is_new = desk.shop.database.notify(&desk.watch, around, notice).await?;
    tracing::info!(%order, kind = message.kind, is_new, "a webhook was taken");
    // Answered before the code is made. A webhook that comes a second time is answered like the first.
    desk.wake();
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_protocol::SecretKey;

    const NOW: u64 = 1_800_000_000;

    fn keys() -> (WebhookKeys, [u8; 32], SecretKey) {
        let (secret, key) = ([5; 32], SecretKey::from_seed(&[6; 32]));
        let v1 = format!("whsec_{}", Base64::encode_string(&secret));
        let v1a = format!("whpk_{}", Base64::encode_string(&key.public().to_bytes()));
        (WebhookKeys { v1, v1a, from: NOW - 100, until: None }, secret, key)
    }

    fn headers(id: &str, timestamp: u64, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", id.parse().expect("a value"));
        headers.insert("webhook-timestamp", timestamp.to_string().parse().expect("a value"));
        headers.insert("webhook-signature", signature.parse().expect("a value"));
        headers
    }

    fn by_secret(secret: &[u8], id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key");
        mac.update(&[format!("{id}.{timestamp}.").as_bytes(), body].concat());
        format!("v1,{}", Base64::encode_string(&mac.finalize().into_bytes()))
    }

    fn by_key(key: &SecretKey, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signed = key.sign(&[format!("{id}.{timestamp}.").as_bytes(), body].concat());
        format!("v1a,{}", Base64::encode_string(&signed.0))
    }

    fn is_believed(headers: &HeaderMap, body: &[u8], keys: &[WebhookKeys]) -> bool {
        Arrived::read(headers, body, NOW).is_ok_and(|arrived| arrived.is_signed_by(keys, NOW))
    }

    #[test]
    fn one_good_signature_of_either_scheme_is_enough_and_no_forgery_is() {
        let (known, secret, key) = keys();
        let known = [known];
        let body = br#"{"type":"order.paid"}"#;
        let (mac, signature) = (by_secret(&secret, "m1", NOW, body), by_key(&key, "m1", NOW, body));
        assert!(is_believed(&headers("m1", NOW, &mac), body, &known), "v1");
        assert!(is_believed(&headers("m1", NOW, &signature), body, &known), "v1a");
        let both = format!("v9,AAAA v1,AAAA {signature}");
        assert!(is_believed(&headers("m1", NOW, &both), body, &known), "beside others");
        for good in [&mac, &signature] {
            assert!(!is_believed(&headers("m2", NOW, good), body, &known), "another message");
            assert!(!is_believed(&headers("m1", NOW + 1, good), body, &known), "another time");
            assert!(!is_believed(&headers("m1", NOW, good), br#"{"type":"order.paid "}"#, &known), "another body");
            assert!(!is_believed(&headers("m1", NOW, good), body, &[]), "no key");
        }
        let other = SecretKey::from_seed(&[7; 32]);
        assert!(!is_believed(&headers("m1", NOW, &by_secret(&[9; 32], "m1", NOW, body)), body, &known));
        assert!(!is_believed(&headers("m1", NOW, &by_key(&other, "m1", NOW, body)), body, &known));
        // The scheme is not the sender's to choose: a public key is no secret.
        let confused = by_secret(&key.public().to_bytes(), "m1", NOW, body);
        assert!(!is_believed(&headers("m1", NOW, &confused), body, &known));
        for bit in 0..512 {
            let mut flipped = key.sign(&[format!("m1.{NOW}.").as_bytes(), body].concat()).0;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let forged = format!("v1a,{}", Base64::encode_string(&flipped));
            assert!(!is_believed(&headers("m1", NOW, &forged), body, &known), "bit {bit}");
        }
    }

    #[test]
    fn an_old_webhook_is_refused_and_so_is_one_of_an_old_key() {
        let (mut known, secret, _) = keys();
        let body = b"{}";
        let at = |time: u64| headers("m1", time, &by_secret(&secret, "m1", time, body));
        for (time, good) in [(NOW - 300, true), (NOW + 300, true), (NOW - 301, false), (NOW + 301, false)] {
            assert_eq!(Arrived::read(&at(time), body, NOW).is_ok(), good, "{time}");
        }
        known.until = Some(NOW - 1000);
        assert!(!is_believed(&at(NOW), body, &[known.clone()]), "its key has ended");
        (known.until, known.from) = (None, NOW + 1000);
        assert!(!is_believed(&at(NOW), body, &[known]), "its key has not begun");
    }

    #[test]
    fn headers_are_there_once_and_plain() {
        let body = b"{}";
        let mut twice = headers("m1", NOW, "v1,AAAA");
        twice.append("webhook-id", "m2".parse().expect("a value"));
        assert_eq!(Arrived::read(&twice, body, NOW).expect_err("twice"), Unbelieved::Headers);
        assert_eq!(Arrived::read(&HeaderMap::new(), body, NOW).expect_err("none"), Unbelieved::Headers);
        for id in [String::new(), "x".repeat(129), "a b".into()] {
            assert_eq!(Arrived::read(&headers(&id, NOW, "v1,AAAA"), body, NOW).expect_err("bad"), Unbelieved::Headers);
        }
    }

    #[test]
    fn a_message_is_for_this_endpoint_by_this_store() {
        let store: Origin = "https://store.example".parse().expect("an origin");
        let said = |iss: &str, aud: &str| {
            let body =
                serde_json::json!({"type": "t", "timestamp": "", "iss": iss, "aud": aud, "data": {}}).to_string();
            let headers = headers("m1", NOW, "v1,AAAA");
            let arrived = Arrived::read(&headers, body.as_bytes(), NOW).expect("headers");
            arrived.message(&store, "https://games.example/hook").map(drop)
        };
        said("https://store.example", "https://games.example/hook").expect("the control");
        assert_eq!(said("https://other.example", "https://games.example/hook"), Err(Unbelieved::Address));
        assert_eq!(said("https://store.example", "https://films.example/hook"), Err(Unbelieved::Address));
        assert_eq!(said("nonsense", "https://games.example/hook"), Err(Unbelieved::Form));
    }
}
