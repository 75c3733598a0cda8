//! A purchase: what is bought, how it is paid, and whether its buyer insists. Every kind of goods goes the same way;
//! only the address and the body of its request differ.

use crate::codes::Quantity;
use crate::encoding::Octets;
use crate::ids::Digest;
use crate::money::Money;
use crate::wire::{CodeOrderRequest, OrderRequest, PaymentMethod, TopUpRequest};
use serde::{Deserialize, Serialize, Serializer};

/// What is bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goods {
    /// The rights of an offer.
    Rights {
        /// The digest of the signed offer that the buyer agreed to.
        offer: Digest,
    },
    /// Money for the account's prepaid balance.
    TopUp {
        /// How much, above zero.
        amount: Money,
    },
    /// Electronic codes of a merchant.
    Codes {
        /// The digest of the product, in the revision that the buyer agreed to.
        product: Digest,
        /// How many.
        quantity: Quantity,
        /// The X25519 key of the order, to which they are sealed.
        recipient: Octets<32>,
        /// The digest of the payment request that is paid, if they are bought by one.
        request: Option<Digest>,
    },
}

impl Goods {
    /// Where it is ordered.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        match self {
            Self::Rights { .. } => crate::paths::ORDERS,
            Self::TopUp { .. } => crate::paths::TOP_UPS,
            Self::Codes { .. } => crate::paths::CODES,
        }
    }
}

/// A purchase. Serialized, it is the body that is sent to [`Goods::path`].
#[derive(Debug, Clone)]
pub struct Purchase {
    /// What is bought.
    pub goods: Goods,
    /// How it is paid.
    pub payment: PaymentMethod,
    /// The buyer knows that it gives nothing new, or that the same is on order, and wants it all the same.
    pub again: bool,
}

impl From<OrderRequest> for Purchase {
    fn from(OrderRequest { offer, payment, again }: OrderRequest) -> Self {
        Self { goods: Goods::Rights { offer }, payment, again }
    }
}

impl From<TopUpRequest> for Purchase {
    fn from(TopUpRequest { amount, payment, again }: TopUpRequest) -> Self {
        Self { goods: Goods::TopUp { amount }, payment, again }
    }
}

impl From<CodeOrderRequest> for Purchase {
    fn from(request: CodeOrderRequest) -> Self {
        let CodeOrderRequest { product, quantity, recipient, request, payment, again } = request;
        Self { goods: Goods::Codes { product, quantity, recipient, request }, payment, again }
    }
}

impl From<&OrderRequest> for Purchase {
    fn from(request: &OrderRequest) -> Self {
        request.clone().into()
    }
}

impl From<&TopUpRequest> for Purchase {
    fn from(request: &TopUpRequest) -> Self {
        request.clone().into()
    }
}

impl Serialize for Purchase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (payment, again) = (self.payment.clone(), self.again);
        match self.goods {
            Goods::Rights { offer } => OrderRequest { offer, payment, again }.serialize(serializer),
            Goods::TopUp { amount } => TopUpRequest { amount, payment, again }.serialize(serializer),
            Goods::Codes { product, quantity, recipient, request } => {
                CodeOrderRequest { product, quantity, recipient, request, payment, again }.serialize(serializer)
            }
        }
    }
}

/// What the buyer has to do before the provider decides: open an address in a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PaymentStep {
    /// What happens there.
    pub kind: PaymentStepKind,
    /// The address.
    pub url: String,
}

/// What happens at the address of a [`PaymentStep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PaymentStepKind {
    /// The buyer chooses how to pay, and pays.
    Redirect,
    /// The buyer confirms a payment that has begun.
    Action,
    /// Something that this version does not know.
    #[serde(other)]
    Other,
}
