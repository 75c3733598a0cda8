//! Receipts: what was bought, for how much; what was paid in.

use crate::ids::{Digest, OperationName, OrderId, Origin, PublisherName, ResourceName};
use crate::jws::Document;
use crate::labels::{TYP_RECEIPT, TYP_TOP_UP};
use crate::money::Money;
use crate::rights::Rights;
use serde::{Deserialize, Serialize};

/// A paid order, signed by the server. It names no account: whoever holds it can show what was bought, not who.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The billing server.
    pub iss: Origin,
    /// The order.
    pub order: OrderId,
    /// The digest of the offer accepted.
    pub offer: Digest,
    /// The publisher.
    pub publisher: PublisherName,
    /// The resource.
    pub name: ResourceName,
    /// The operation.
    pub operation: OperationName,
    /// What was bought.
    pub rights: Rights,
    /// What was charged.
    pub price: Money,
    /// When, Unix seconds of the server.
    pub iat: u64,
}

impl Document for Receipt {
    const TYP: &'static str = TYP_RECEIPT;
}

/// A paid top-up of a prepaid balance, signed by the server. It names no account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopUpReceipt {
    /// The billing server.
    pub iss: Origin,
    /// The order.
    pub order: OrderId,
    /// What was charged, and added to the balance.
    pub amount: Money,
    /// When, Unix seconds of the server.
    pub iat: u64,
}

impl Document for TopUpReceipt {
    const TYP: &'static str = TYP_TOP_UP;
}
