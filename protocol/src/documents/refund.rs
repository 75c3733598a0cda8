//! The receipt of a refund: what was paid back of an order.

use crate::ids::{OrderId, Origin};
use crate::jws::Document;
use crate::labels::TYP_REFUND;
use crate::money::Money;
use serde::{Deserialize, Serialize};

/// An order that was paid back, signed by the server once its payment provider has confirmed it. It names no account:
/// whoever holds it can show what the store says went back, without asking the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefundReceipt {
    /// The billing server.
    pub iss: Origin,
    /// The order.
    pub order: OrderId,
    /// What was paid back: of a top-up, what was left of it.
    pub amount: Money,
    /// When it was paid back, Unix seconds of the server.
    pub at: u64,
    /// When this was signed, Unix seconds of the server.
    pub iat: u64,
}

impl Document for RefundReceipt {
    const TYP: &'static str = TYP_REFUND;
}
