//! Answers to a terminal. Every one is signed and bound to the proof of the request that it answers.

use crate::ids::Digest;
use crate::jws::Document;
use crate::labels::{TYP_ANSWER, TYP_REFUSAL};
use crate::refusal::Reason;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A positive answer: `B` is one of the bodies of [`crate::wire`]. The envelope is closed; whether the body is, the
/// body says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer<B> {
    /// SHA-256 of the compact proof (the `DPoP` header's value) that came with the request.
    pub req: Digest,
    /// Server time, Unix seconds.
    pub iat: u64,
    /// What was asked for.
    pub body: B,
}

impl<B: Serialize + DeserializeOwned> Document for Answer<B> {
    const TYP: &'static str = TYP_ANSWER;
}

/// What a reason has to say beside its words: an open JSON object.
pub type More = serde_json::Map<String, serde_json::Value>;

/// A signed no. Its members are closed but for [`RefusalAnswer::more`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusalAnswer {
    /// SHA-256 of the compact proof that came with the request.
    pub req: Digest,
    /// Server time, Unix seconds.
    pub iat: u64,
    /// The one reason.
    pub reason: Reason,
    /// What exactly, for a person, where the reason's own text does not say it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Signed offers (compact JWS) that would turn the answer; with `payment-required`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<String>,
    /// Seconds to wait; with `rate-limited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// What else the reason has to say. Open: whoever does not know a member ignores it.
    #[serde(default, skip_serializing_if = "More::is_empty")]
    pub more: More,
}

impl Document for RefusalAnswer {
    const TYP: &'static str = TYP_REFUSAL;
}
