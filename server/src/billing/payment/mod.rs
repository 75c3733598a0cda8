//! Who moves money: a payment provider behind a trait. One file per provider.

mod sandbox;

pub use sandbox::Sandbox;

use async_trait::async_trait;
use portcullis_protocol::{Money, OrderId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A charge. Its order names it: a provider charges an order once, however often it is asked.
#[derive(Clone)]
pub struct Charge {
    /// The order.
    pub order: OrderId,
    /// The amount, as this server computed it.
    pub amount: Money,
    /// The provider's token for the payer's means.
    pub token: String,
}

impl std::fmt::Debug for Charge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Charge({}, {}, token redacted)", self.order, self.amount)
    }
}

/// What a provider decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeState {
    /// It has the money.
    Paid,
    /// It will not have it.
    Declined,
    /// It does not know yet.
    Pending,
}

/// A provider could not be asked, or its answer was not heard. Nothing is known; it may be asked again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the payment provider {provider} did not answer: {cause}")]
pub struct PaymentError {
    /// The provider.
    pub provider: String,
    /// Why. Holds no token.
    pub cause: String,
}

/// A payment provider.
#[async_trait]
pub trait PaymentProvider: Send + Sync {
    /// Its name in orders and in the ledger.
    fn name(&self) -> &str;

    /// Charges an order, once.
    async fn charge(&self, charge: &Charge) -> Result<ChargeState, PaymentError>;

    /// Pays an order back, once.
    async fn refund(&self, order: &OrderId, amount: Money) -> Result<(), PaymentError>;
}

/// The providers of a server, by name.
#[derive(Clone, Default)]
pub struct Payments(BTreeMap<String, Arc<dyn PaymentProvider>>);

impl Payments {
    /// No provider: only what is free can be had.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// With a further provider.
    #[must_use]
    pub fn with(mut self, provider: impl PaymentProvider + 'static) -> Self {
        self.0.insert(provider.name().to_owned(), Arc::new(provider));
        self
    }

    /// The provider of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn PaymentProvider>> {
        self.0.get(name)
    }
}

impl std::fmt::Debug for Payments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
