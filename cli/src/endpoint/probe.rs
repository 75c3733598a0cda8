//! Messages to a merchant's endpoint, as the store sends them, or wrong in one way.

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{Origin, WebhookUrl};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a store waits for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// As much of an answer as a store reads of one to a challenge.
const MOST: usize = 16 * 1024;

/// Who is written to, and what a store signs with.
pub(super) struct Probe {
    http: reqwest::Client,
    webhook: WebhookUrl,
    secret: Zeroizing<Vec<u8>>,
    origin: Origin,
}

/// A message before it is signed. Every field can be set wrong.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) timestamp: u64,
    pub(super) body: String,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) took: Duration,
}

impl Answer {
    pub(super) const fn is_taken(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

impl Probe {
    /// `None` if the secret is not one.
    pub(super) fn new(webhook: &WebhookUrl, secret: &str, origin: &Origin) -> Option<Self> {
        let secret = Base64::decode_vec(secret.strip_prefix("whsec_")?).ok()?;
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE).build().ok()?;
        Some(Self { http, webhook: webhook.clone(), secret: Zeroizing::new(secret), origin: origin.clone() })
    }

    /// A message that this store sends now to this endpoint.
    pub(super) fn message(&self, kind: &str, data: &Value, now: u64) -> Message {
        self.message_of(kind, data, now, self.origin.as_str(), self.webhook.as_str())
    }

    /// The same, by whoever and for whomever.
    pub(super) fn message_of(&self, kind: &str, data: &Value, now: u64, iss: &str, aud: &str) -> Message {
        let moment = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_secs(now)).to_string();
        let body = json!({"type": kind, "timestamp": moment, "iss": iss, "aud": aud, "data": data}).to_string();
        Message { id: Octets(crate::random::bytes::<16>()).to_string(), timestamp: now, body }
    }

    /// The signature of a message under the secret.
    pub(super) fn signature(&self, message: &Message) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("any length is a key");
        mac.update(format!("{}.{}.{}", message.id, message.timestamp, message.body).as_bytes());
        format!("v1,{}", Base64::encode_string(&mac.finalize().into_bytes()))
    }

    /// Sends a message with its own signature.
    pub(super) async fn tell(&self, message: &Message) -> Result<Answer, String> {
        self.send(message, Some(&self.signature(message))).await
    }

    /// Sends a message with whatever for a signature.
    pub(super) async fn send(&self, message: &Message, signature: Option<&str>) -> Result<Answer, String> {
        let begun = Instant::now();
        let mut request = self
            .http
            .post(self.webhook.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", message.timestamp.to_string())
            .body(message.body.clone());
        if let Some(signature) = signature {
            request = request.header("webhook-signature", signature);
        }
        let mut answer = request.send().await.map_err(|error| unreachable(&error))?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| unreachable(&error))? {
            body.extend_from_slice(&piece);
            if body.len() > MOST {
                return Err(format!("its answer is longer than {} KiB, which is what a store reads", MOST / 1024));
            }
        }
        Ok(Answer { status, body, took: begun.elapsed() })
    }
}

/// Why there is no answer, in words. The address may hold a secret of its owner.
fn unreachable(error: &reqwest::Error) -> String {
    let mut chain = vec![error.to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        chain.push(inner.to_string());
        cause = inner.source();
    }
    let text = chain.join(": ").to_lowercase();
    if error.is_timeout() {
        format!("no answer within {} s", PATIENCE.as_secs())
    } else if text.contains("certificate") || text.contains("tls") {
        "its certificate is not one that is trusted for this name, or it does not speak TLS".into()
    } else if error.is_connect() {
        "nobody listens there".into()
    } else {
        "the connection broke".into()
    }
}
