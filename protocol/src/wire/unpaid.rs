//! What an account has on order and has not paid.

use crate::codes::Quantity;
use crate::ids::{MerchantName, OperationName, OrderId, PublisherName, ResourceName, TerminalId, Title};
use crate::listed::Listed;
use crate::money::Money;
use crate::purchase::PaymentStep;
use serde::{Deserialize, Serialize};

/// Answer to `GET /v1/orders`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnpaidOrdersAnswer {
    /// The orders whose payment is not decided, newest first. An account has few of them.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<UnpaidOrder>))]
    pub orders: Listed<UnpaidOrder>,
}

/// An order whose payment is not decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnpaidOrder {
    /// The order.
    pub order: OrderId,
    /// What it is for.
    pub goods: UnpaidGoods,
    /// What it costs.
    pub amount: Money,
    /// When it was opened, Unix seconds.
    pub at: u64,
    /// By when it has to be paid, Unix seconds.
    pub until: u64,
    /// What the buyer has to do before the provider decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<PaymentStep>,
}

/// What an unpaid order is for, by the store's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum UnpaidGoods {
    /// Rights in a resource.
    Rights {
        /// The publisher.
        publisher: PublisherName,
        /// The resource.
        name: ResourceName,
        /// The operation.
        operation: OperationName,
        /// The title of the offer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<Title>,
    },
    /// Money for the prepaid balance.
    TopUp {},
    /// Electronic codes.
    Codes {
        /// The merchant.
        merchant: MerchantName,
        /// The title of the product.
        title: Title,
        /// How many.
        quantity: Quantity,
        /// The terminal that they come to, once they are paid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terminal: Option<TerminalId>,
    },
}
