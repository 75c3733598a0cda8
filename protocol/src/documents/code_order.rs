//! What platform and merchant sign of an order of electronic codes.

use crate::codes::{CodeContext, Generation, Quantity};
use crate::encoding::Octets;
use crate::ids::{CodeSerial, Digest, MerchantName, OrderId, Origin};
use crate::jws::Document;
use crate::labels::{TYP_CODE_ACCEPTED, TYP_CODE_RECEIPT, TYP_ORDER_REFUNDED, TYP_SEALED_CODE, TYP_VERIFICATION};
use crate::money::Money;
use serde::{Deserialize, Serialize};

/// The answer of the second interface, signed by the platform: what the merchant is to deliver, for how much, to which
/// key, until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// The platform.
    pub iss: Origin,
    /// The merchant.
    pub merchant: MerchantName,
    /// The order.
    pub order: OrderId,
    /// The digest of the product, as it was when it was ordered.
    pub product: Digest,
    /// How many codes.
    pub quantity: Quantity,
    /// What was paid for all of them.
    pub amount: Money,
    /// The X25519 key of the order.
    pub recipient: Octets<32>,
    /// For which sealing of the code this is.
    pub generation: Generation,
    /// Until when a code is taken, Unix seconds.
    pub deadline: u64,
    /// The digest of the payment request that was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// When, Unix seconds.
    pub iat: u64,
}

impl Document for Verification {
    const TYP: &'static str = TYP_VERIFICATION;
}

/// What the merchant has sealed, signed by the merchant: the terminal checks it under the key that it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedCode {
    /// The merchant.
    pub merchant: MerchantName,
    /// The platform.
    pub aud: Origin,
    /// The order.
    pub order: OrderId,
    /// Which sealing of its code.
    pub generation: Generation,
    /// The digest of the verification that it answers.
    pub verification: Digest,
    /// The key that it is sealed to.
    pub recipient: Octets<32>,
    /// [`ciphertext_digest`](crate::codes::ciphertext_digest) of what was sealed.
    pub ciphertext: Digest,
    /// The serials of codes that can be redeemed at the platform, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<CodeSerial>,
    /// When, Unix seconds.
    pub iat: u64,
}

impl SealedCode {
    /// What was sealed belongs to this.
    #[must_use]
    pub const fn context(&self) -> CodeContext<'_> {
        let Self { order, merchant, generation, verification, .. } = self;
        CodeContext { order, merchant, generation: *generation, verification }
    }
}

impl Document for SealedCode {
    const TYP: &'static str = TYP_SEALED_CODE;
    const CHECKS_TEXTS: bool = true;
}

/// A code was accepted for the order, signed by the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeAccepted {
    /// The platform.
    pub iss: Origin,
    /// The merchant.
    pub merchant: MerchantName,
    /// The order.
    pub order: OrderId,
    /// Which sealing.
    pub generation: Generation,
    /// The digest of what was sealed.
    pub ciphertext: Digest,
    /// When it was accepted, Unix seconds.
    pub at: u64,
    /// The money went back all the same. The buyer has the code: it must not be sold again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reversed: bool,
    /// When this was signed, Unix seconds.
    pub iat: u64,
}

impl Document for CodeAccepted {
    const TYP: &'static str = TYP_CODE_ACCEPTED;
}

/// No code was ever accepted for the order, and none will be: the merchant may sell what it set aside. Signed by the
/// platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRefunded {
    /// The platform.
    pub iss: Origin,
    /// The merchant.
    pub merchant: MerchantName,
    /// The order.
    pub order: OrderId,
    /// The digest of the payment request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// When that was decided, Unix seconds.
    pub at: u64,
    /// When this was signed, Unix seconds.
    pub iat: u64,
}

impl Document for OrderRefunded {
    const TYP: &'static str = TYP_ORDER_REFUNDED;
}

/// A paid order of codes, signed by the platform. It names no account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeReceipt {
    /// The platform.
    pub iss: Origin,
    /// The order.
    pub order: OrderId,
    /// The merchant.
    pub merchant: MerchantName,
    /// The digest of the product.
    pub product: Digest,
    /// How many codes.
    pub quantity: Quantity,
    /// What was charged for all of them.
    pub amount: Money,
    /// When, Unix seconds.
    pub iat: u64,
}

impl Document for CodeReceipt {
    const TYP: &'static str = TYP_CODE_RECEIPT;
}
