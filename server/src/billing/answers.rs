//! What a service answers, and how it is signed: bound to the proof of the request, with server time.

use crate::billing::offers;
use crate::crypto::keys::{Keys, KeysError};
use crate::crypto::secrets::SecretError;
use crate::ops::clock::Timestamp;
use crate::store::{ResourceFacts, StoreError};
use portcullis_protocol::wire::{Problem, Signed};
use portcullis_protocol::{Answer, Digest, More, Offer, Reason, RefusalAnswer, Verified};
use serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;

/// A no that the registry of refusals knows. To be signed.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The one reason.
    pub reason: Reason,
    /// What exactly, where the reason's own text does not say it all.
    pub detail: Option<String>,
    /// Offers that would turn the answer.
    pub offers: Vec<Verified<Offer>>,
    /// Seconds to wait.
    pub retry_after: Option<u32>,
    /// What else the reason has to say.
    pub more: More,
}

impl Refusal {
    /// A refusal that its reason explains.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        Self { reason, detail: None, offers: Vec::new(), retry_after: None, more: More::new() }
    }

    /// A version is withdrawn, for the reason that its publisher or the operator gave.
    #[must_use]
    pub fn withdrawn(resource: &ResourceFacts) -> Self {
        let refusal = Self::new(Reason::ResourceWithdrawn);
        match resource.withdrawn_reason.as_str() {
            "" => refusal,
            reason => refusal.because(format!("The reason that was given: {reason}")),
        }
    }

    /// With what exactly is wrong. Never holds what the caller sent.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With offers that would turn it.
    #[must_use]
    pub fn with_offers(mut self, offers: Vec<Verified<Offer>>) -> Self {
        self.offers = offers;
        self
    }

    /// With a time to wait, in seconds.
    #[must_use]
    pub fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl Refusal {
    /// With what else the reason has to say: members that whoever does not know them ignores.
    #[must_use]
    pub fn with_more(mut self, more: More) -> Self {
        self.more = more;
        self
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

/// Why a service did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A refusal, to be signed and sent.
    #[error("refused: {}", .0.reason)]
    Refused(Box<Refusal>),
    /// The first request with this Idempotency-Key is under way: 409.
    #[error("a request with this Idempotency-Key is under way: repeat it in a moment")]
    UnderWay,
    /// The Idempotency-Key was used for another request: 422.
    #[error("this Idempotency-Key was used for another request: take a new one")]
    KeyReused,
    /// Understood, and not acceptable: 422. Repeats nothing of the request.
    #[error("{0}")]
    Unacceptable(Cow<'static, str>),
    /// There is no such thing, or it is somebody else's: 404.
    #[error("not found")]
    NotFound,
    /// The server failed: 500. The text is for its log; outside it says nothing but that.
    #[error("{0}")]
    Failed(String),
}

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<Reason> for ServiceError {
    fn from(reason: Reason) -> Self {
        Refusal::new(reason).into()
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<SecretError> for ServiceError {
    fn from(error: SecretError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<KeysError> for ServiceError {
    fn from(error: KeysError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Signs an answer to the request whose proof has the digest `req`.
///
/// # Errors
/// [`KeysError::NoSigningKey`].
pub fn sign<B: Serialize + DeserializeOwned>(
    keys: &Keys,
    req: Digest,
    now: Timestamp,
    body: B,
) -> Result<Signed, KeysError> {
    let answer = Answer { req, iat: now.seconds(), body };
    Ok(Signed { signed: Verified::sign(answer, &*keys.signing_key(now)?).compact().to_owned() })
}

/// Signs a refusal to the request whose proof has the digest `req`, as the problem details that carry it.
///
/// # Errors
/// [`KeysError::NoSigningKey`].
pub fn sign_refusal(keys: &Keys, req: Digest, now: Timestamp, refusal: &Refusal) -> Result<Problem, KeysError> {
    let reason = refusal.reason;
    let answer = RefusalAnswer {
        req,
        iat: now.seconds(),
        reason,
        detail: refusal.detail.clone(),
        offers: offers::carried(&refusal.offers),
        retry_after: refusal.retry_after,
        more: refusal.more.clone(),
    };
    Ok(Problem {
        instance: None,
        kind: format!("urn:portcullis:refusal:{reason}"),
        title: reason.title().to_owned(),
        status: reason.http_status(),
        detail: refusal.detail.clone().unwrap_or_else(|| reason.advice().to_owned()),
        reason: Some(reason),
        signed: Some(Verified::sign(answer, &*keys.signing_key(now)?).compact().to_owned()),
    })
}
