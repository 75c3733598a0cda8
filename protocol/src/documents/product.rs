//! What a merchant sells, and what it asks one customer to pay.

use crate::codes::{Quantity, TimeToDeliver};
use crate::encoding::Octets;
use crate::ids::{Description, Digest, MerchantName, Origin, ProductName, Title};
use crate::jws::Document;
use crate::labels::{TYP_PAYMENT_REQUEST, TYP_PRODUCT};
use crate::money::{Money, MoneyError};
use serde::{Deserialize, Serialize};

/// A product, signed by its merchant for one platform. Its digest names this revision of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// The merchant.
    pub merchant: MerchantName,
    /// The platform.
    pub aud: Origin,
    /// The product.
    pub name: ProductName,
    /// What buyers read.
    pub title: Title,
    /// What buyers read about it.
    pub description: Description,
    /// What one code costs.
    pub price: Money,
    /// How long the merchant has from payment to code.
    pub deadline: TimeToDeliver,
    /// When, Unix seconds.
    pub iat: u64,
}

impl Product {
    /// What so many codes cost.
    ///
    /// # Errors
    /// [`MoneyError`] if it is more than money can be.
    pub fn amount(&self, quantity: Quantity) -> Result<Money, MoneyError> {
        self.price.checked_mul(quantity.get())
    }
}

impl Document for Product {
    const TYP: &'static str = TYP_PRODUCT;
    const CHECKS_TEXTS: bool = true;
}

/// What a merchant asks to be paid, by whoever opens it, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentRequest {
    /// The merchant.
    pub merchant: MerchantName,
    /// The platform.
    pub aud: Origin,
    /// Makes the request one of its own.
    pub jti: Octets<16>,
    /// The digest of the product.
    pub product: Digest,
    /// How many codes.
    pub quantity: Quantity,
    /// What they cost together.
    pub amount: Money,
    /// When, Unix seconds.
    pub iat: u64,
    /// Until when it can be paid, Unix seconds.
    pub exp: u64,
}

impl Document for PaymentRequest {
    const TYP: &'static str = TYP_PAYMENT_REQUEST;
    const CHECKS_TEXTS: bool = true;
}
