//! `hosted`: a payment page somewhere else. The buyer is sent there with a signed description of the payment; what
//! becomes of it the page says by a signed webhook (Standard Webhooks, `v1`), and by nothing else.
//!
//! ```toml
//! [payment.hosted]
//! page = "https://pay.example/checkout"
//! secret = "whsec_…"      # base64 of at least 24 bytes, known to this server and the page
//! ```
//!
//! The page is opened with `order`, `amount` (minor units), `currency`, `return` and `signature`: hexadecimal
//! HMAC-SHA-256 of the first four, separated by newlines. The webhook's body is
//! `{"type": "payment.settled", "data": {"order", "amount"}}`; the other types are `payment.declined`,
//! `payment.refunded`, `dispute.opened`, `dispute.won` and `dispute.lost`. The header `webhook-id` names the event:
//! what is delivered again has the same one.

use super::{
    Begun, Charge, Outcome, Payment, PaymentChange, PaymentError, PaymentEvent, PaymentProvider, PaymentState,
    RefundState, WebhookRefused,
};
use crate::ops::clock::Timestamp;
use async_trait::async_trait;
use axum::http::HeaderMap;
use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_protocol::{Money, OrderId};
use serde::Deserialize;
use sha2::Sha256;
use std::sync::Arc;
use url::Url;
use zeroize::Zeroizing;

/// How far the clocks of the page and this server may be apart, in seconds, as Standard Webhooks proposes.
const TOLERANCE: u64 = 300;
/// The shortest secret, in bytes, as Standard Webhooks demands.
const SHORTEST_SECRET: usize = 24;

struct Hosted {
    page: Url,
    secret: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    page: String,
    secret: String,
}

/// Reads `[payment.hosted]`.
pub(super) fn from_settings(section: &toml::Value) -> Result<Option<Arc<dyn PaymentProvider>>, String> {
    let Settings { page, secret } = section
        .clone()
        .try_into()
        .map_err(|error: toml::de::Error| format!("must be a table with `page` and `secret`: {}", error.message()))?;
    let secret = Zeroizing::new(secret);
    let page = Url::parse(&page).map_err(|error| format!("`page` is not an address: {error}"))?;
    let is_local = page.host_str().is_some_and(|host| host == "localhost" || host == "127.0.0.1" || host == "[::1]");
    if page.scheme() != "https" && !(page.scheme() == "http" && is_local) {
        return Err("`page` must be an https address".into());
    }
    let secret = secret.strip_prefix("whsec_").and_then(|text| Base64::decode_vec(text).ok()).map(Zeroizing::new);
    let secret = secret.filter(|secret| secret.len() >= SHORTEST_SECRET);
    let secret = secret.ok_or("`secret` must be `whsec_` and the base64 of at least 24 bytes")?;
    Ok(Some(Arc::new(Hosted { page, secret })))
}

impl Hosted {
    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("any length is a key");
        mac.update(message);
        mac
    }

    fn checkout(&self, charge: &Charge) -> String {
        let (order, currency) = (charge.order.to_string(), charge.amount.currency().to_string());
        let (amount, back) = (charge.amount.minor_units().to_string(), charge.return_to());
        let signed = self.mac([&*order, &amount, &currency, &back].join("\n").as_bytes()).finalize().into_bytes();
        let signature: String = signed.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut page = self.page.clone();
        page.query_pairs_mut()
            .append_pair("order", &order)
            .append_pair("amount", &amount)
            .append_pair("currency", &currency)
            .append_pair("return", &back)
            .append_pair("signature", &signature);
        page.into()
    }

    /// Checks that the page wrote this, and not long ago. Returns the identifier of the message.
    fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<String, WebhookRefused> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(at), Some(signatures)) =
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
        else {
            return Err(WebhookRefused("the headers webhook-id, webhook-timestamp and webhook-signature are needed"));
        };
        let is_current = at.parse::<u64>().is_ok_and(|at| at.abs_diff(now.seconds()) <= TOLERANCE);
        let message = [id.as_bytes(), b".", at.as_bytes(), b".", body].concat();
        let is_signed = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,")).any(|signature| {
            // Compared in constant time.
            Base64::decode_vec(signature).is_ok_and(|tag| self.mac(&message).verify_slice(&tag).is_ok())
        });
        match is_signed && is_current {
            true => Ok(id.to_owned()),
            false => Err(WebhookRefused("the signature or its time is not valid")),
        }
    }
}

#[derive(Deserialize)]
struct Hook {
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    order: OrderId,
    amount: Option<Money>,
}

#[async_trait]
impl PaymentProvider for Hosted {
    fn name(&self) -> &'static str {
        "hosted"
    }

    fn title(&self) -> &str {
        self.page.host_str().unwrap_or("hosted")
    }

    async fn begin(&self, charge: &Charge) -> Result<Begun, PaymentError> {
        let outcome = Outcome::Redirect(self.checkout(charge));
        Ok(Begun { outcome, reference: Some(charge.order.to_string()), saved: None })
    }

    /// The page says what happens by itself, so there is never more to know.
    async fn look_up(&self, payment: &Payment) -> Result<PaymentState, PaymentError> {
        Ok(if payment.reference.is_some() { PaymentState::Pending } else { PaymentState::Unknown })
    }

    fn webhook(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Vec<PaymentEvent>, WebhookRefused> {
        let id = self.verify(headers, body, now)?;
        let malformed = WebhookRefused("not a payment event");
        let Hook { kind, data } = serde_json::from_slice(body).map_err(|_| malformed.clone())?;
        let what = match kind.as_str() {
            "payment.settled" => PaymentChange::Settled(data.amount.ok_or(malformed)?),
            "payment.declined" => PaymentChange::Declined,
            "payment.refunded" => PaymentChange::Refunded,
            "dispute.opened" => PaymentChange::Disputed,
            "dispute.won" => PaymentChange::DisputeWon,
            "dispute.lost" => PaymentChange::ChargedBack,
            // A type that this version does not know concerns nothing that it does.
            _ => return Ok(Vec::new()),
        };
        Ok(vec![PaymentEvent { id: Some(id), order: data.order, what }])
    }

    /// The page pays back by hand, and says when it has.
    async fn refund(&self, _payment: &Payment, _amount: Money) -> Result<RefundState, PaymentError> {
        Ok(RefundState::Pending)
    }
}
