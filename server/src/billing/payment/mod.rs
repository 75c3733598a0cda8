//! Who moves money: payment providers behind one trait, one file per provider.
//!
//! ```text
//! begin | charge_saved ─▶ Settled | Declined | Pending | Redirect(url) | Action(url)
//! look_up              ─▶ Settled | Declined | Pending | Refunded | Unknown   asked until the order is final
//! webhook              ─▶ events: settled, declined, refunded, disputed …     the provider speaks up by itself
//! refund               ─▶ Done | Pending | Refused
//! ```
//!
//! Everything that a provider is asked to do is an effect ([`crate::effects`]), whose identifier is its key: under one
//! key it charges once and pays back once, however often it is asked. A new provider is a file here and a line in
//! `PROVIDERS`.

mod hosted;
mod sandbox;
mod settings;

pub use sandbox::{NAME as SANDBOX, Sandbox};
pub use settings::PaymentSettings;

use crate::ops::clock::Timestamp;
use crate::store::EffectId;
use async_trait::async_trait;
use axum::http::HeaderMap;
use portcullis_protocol::{Money, OrderId, Origin};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Makes a provider from its section of the configuration; `None` when the section switches it off.
type Make = fn(&toml::Value) -> Result<Option<Arc<dyn PaymentProvider>>, String>;

/// Every provider that a configuration can name.
const PROVIDERS: &[(&str, Make)] = &[("hosted", hosted::from_settings), ("sandbox", sandbox::from_settings)];

/// The token that stands for the means of payment that the account last saved with the provider.
pub const SAVED: &str = "saved";

/// An order to be charged. A provider charges it once, however often it is asked.
#[derive(Clone)]
pub struct Charge {
    /// The key under which it is charged.
    pub key: EffectId,
    /// The order.
    pub order: OrderId,
    /// The amount, as this server computed it.
    pub amount: Money,
    /// The provider's token for the payer's means.
    pub token: String,
    /// This server.
    pub origin: Origin,
}

impl Charge {
    /// Where the buyer's browser returns to from the provider's pages.
    #[must_use]
    pub fn return_to(&self) -> String {
        format!("{}/account/orders/{}", self.origin, self.order)
    }
}

impl std::fmt::Debug for Charge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Charge({}, {}, token redacted)", self.order, self.amount)
    }
}

/// An order that a provider was asked to charge.
#[derive(Debug, Clone)]
pub struct Payment {
    /// The key under which the provider was asked: to charge the order, or once that has begun, to pay it back.
    pub key: EffectId,
    /// The order.
    pub order: OrderId,
    /// What was to be charged.
    pub amount: Money,
    /// The provider's own name for the payment; absent when its answer was never heard.
    pub reference: Option<String>,
    /// Whether the order has ended unpaid.
    pub has_ended: bool,
    /// What is to be paid back, once that has begun.
    pub refunding: Option<Money>,
}

/// What became of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider has the money.
    Settled,
    /// It will not have it.
    Declined,
    /// It does not know yet.
    Pending,
    /// The buyer pays at this address.
    Redirect(String),
    /// The buyer has to confirm the payment at this address.
    Action(String),
}

/// A provider's answer to a charge.
#[derive(Debug, Clone)]
pub struct Begun {
    /// What became of it.
    pub outcome: Outcome,
    /// The provider's own name for the payment.
    pub reference: Option<String>,
    /// Means of payment that the buyer let the provider keep.
    pub saved: Option<SavedMeans>,
}

impl From<Outcome> for Begun {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, reference: None, saved: None }
    }
}

/// Means of payment that a provider keeps for an account. Whoever has the reference and the provider's credentials can
/// charge them, so it is sealed at rest.
#[derive(Clone)]
pub struct SavedMeans {
    /// The provider's reference to them.
    pub reference: Zeroizing<String>,
    /// What the account's owner knows them by, such as the last digits of a card.
    pub label: String,
}

impl std::fmt::Debug for SavedMeans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SavedMeans({:?}, reference redacted)", self.label)
    }
}

/// Where a payment stands at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentState {
    /// The provider was never asked to charge the order, as far as it knows.
    Unknown,
    /// It has not decided; or it has not finished to pay the order back.
    Pending,
    /// It has the money.
    Settled,
    /// It will not have it.
    Declined,
    /// It has paid back what it was asked to.
    Refunded,
}

/// What became of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundState {
    /// The money is on its way to the buyer.
    Done,
    /// The provider has taken the refund on and says later that it is done.
    Pending,
    /// The provider does not pay it back: somebody has to see to it.
    Refused,
}

/// A decision on a pending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The provider has the money.
    Settled,
    /// It will not have it.
    Declined,
}

/// What a provider says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentEvent {
    /// The provider's own name for the event, the same however often it is delivered. Each event without one is new.
    pub id: Option<String>,
    /// The order.
    pub order: OrderId,
    /// What happened.
    pub what: PaymentChange,
}

impl PaymentEvent {
    /// An event that is delivered once.
    #[must_use]
    pub const fn new(order: OrderId, what: PaymentChange) -> Self {
        Self { id: None, order, what }
    }
}

/// What happened to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentChange {
    /// The provider has this amount of money for it.
    Settled(Money),
    /// It will not have the money.
    Declined,
    /// It has paid the order back: all of it, or what the store had asked it to.
    Refunded,
    /// The payer disputes the payment: the provider holds the money back until it is decided. Said once of each
    /// dispute.
    Disputed,
    /// The dispute was decided for the store. Said once of each dispute.
    DisputeWon,
    /// The payment was charged back: the payer has the money.
    ChargedBack,
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

/// Why a webhook's content is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebhookRefused(pub &'static str);

/// A payment provider.
#[async_trait]
pub trait PaymentProvider: Send + Sync {
    /// Its name in orders, in the ledger and in the path of its webhook.
    fn name(&self) -> &str;

    /// What buyers read.
    fn title(&self) -> &str {
        self.name()
    }

    /// What a buyer chooses from on the store's pages: the token that it is charged with, and what he reads behind the
    /// provider's title. A provider with pages of its own has one entry, and asks for the rest there.
    fn choices(&self) -> &'static [(&'static str, &'static str)] {
        &[("page", "on the payment provider's page")]
    }

    /// Charges an order, once, or says where its buyer goes to pay.
    async fn begin(&self, charge: &Charge) -> Result<Begun, PaymentError>;

    /// Charges an order, once, with means that the buyer let the provider keep. The token of the charge is not used.
    async fn charge_saved(&self, _means: &SavedMeans, _charge: &Charge) -> Result<Begun, PaymentError> {
        Ok(Outcome::Declined.into())
    }

    /// Where a payment stands.
    async fn look_up(&self, payment: &Payment) -> Result<PaymentState, PaymentError>;

    /// Reads what the provider sends to `POST /webhooks/{name}`. Only what is proven to be the provider's, and to be
    /// said about `now`, is believed.
    ///
    /// # Errors
    /// [`WebhookRefused`] when it is not.
    fn webhook(
        &self,
        _headers: &HeaderMap,
        _body: &[u8],
        _now: Timestamp,
    ) -> Result<Vec<PaymentEvent>, WebhookRefused> {
        Err(WebhookRefused("this payment provider sends no webhooks"))
    }

    /// Pays back so much of an order, once.
    async fn refund(&self, payment: &Payment, amount: Money) -> Result<RefundState, PaymentError>;
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
    pub fn with(self, provider: impl PaymentProvider + 'static) -> Self {
        self.with_shared(Arc::new(provider))
    }

    /// With a further provider that others have, too.
    #[must_use]
    pub fn with_shared(mut self, provider: Arc<dyn PaymentProvider>) -> Self {
        self.0.insert(provider.name().to_owned(), provider);
        self
    }

    /// The provider of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn PaymentProvider>> {
        self.0.get(name)
    }

    /// All of them, by name: what a buyer chooses from.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn PaymentProvider>> {
        self.0.values()
    }
}

impl std::fmt::Debug for Payments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
