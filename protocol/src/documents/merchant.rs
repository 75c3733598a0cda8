//! What a merchant signs about itself.

use crate::encoding::Octets;
use crate::ids::{MerchantName, Origin, Title, WebhookUrl};
use crate::jws::{Document, SelfSigned};
use crate::keys::PublicKey;
use crate::labels::{TYP_MERCHANT, TYP_MERCHANT_VOUCH, TYP_OWNERSHIP};
use serde::{Deserialize, Serialize};

/// A claim to a name at one platform, by the key that will sign everything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantClaim {
    /// The name claimed.
    pub name: MerchantName,
    /// What buyers read.
    pub title: Title,
    /// The merchant's key, which signs this.
    pub jwk: PublicKey,
    /// The platform.
    pub origin: Origin,
    /// Where the merchant is told of orders.
    pub webhook: WebhookUrl,
    /// When, Unix seconds.
    pub iat: u64,
}

impl Document for MerchantClaim {
    const TYP: &'static str = TYP_MERCHANT;
    const CHECKS_TEXTS: bool = true;
}

impl SelfSigned for MerchantClaim {
    fn key(&self) -> &PublicKey {
        &self.jwk
    }
}

/// The answer to a platform's challenge, by the key of the merchant: an endpoint that only repeats what it is sent, or
/// what another endpoint answered, is not the merchant's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ownership {
    /// The merchant.
    pub merchant: MerchantName,
    /// What the platform sent.
    pub challenge: Octets<32>,
    /// Where it was sent.
    pub url: WebhookUrl,
    /// The platform.
    pub platform: Origin,
    /// When, Unix seconds.
    pub iat: u64,
}

impl Document for Ownership {
    const TYP: &'static str = TYP_OWNERSHIP;
    const CHECKS_TEXTS: bool = true;
}

/// A merchant key names its successor. Signed by the old key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantVouch {
    /// The merchant.
    pub merchant: MerchantName,
    /// The successor.
    pub jwk: PublicKey,
    /// Grows by one with each vouch of a merchant, from 1.
    pub seq: u64,
    /// When, Unix seconds.
    pub iat: u64,
}

impl Document for MerchantVouch {
    const TYP: &'static str = TYP_MERCHANT_VOUCH;
    const CHECKS_TEXTS: bool = true;
}
