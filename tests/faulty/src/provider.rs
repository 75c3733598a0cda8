//! A payment provider with faults around it: what is lost before it hears, and what is lost of its answer.

use crate::Faults;
use async_trait::async_trait;
use axum::http::HeaderMap;
use portcullis_protocol::Money;
use portcullis_server::billing::payment::{
    Begun, Charge, Payment, PaymentError, PaymentEvent, PaymentProvider, PaymentState, RefundState, SavedMeans,
    WebhookRefused,
};
use portcullis_server::ops::clock::Timestamp;
use std::sync::Arc;

/// The fault points around a provider.
pub const PROVIDER_STEPS: &[&str] = &[
    "charge.before",
    "charge.after",
    "look-up.before",
    "look-up.after",
    "provider-refund.before",
    "provider-refund.after",
];

/// A provider that does what the one inside does, if no fault strikes before or after.
pub struct Faulty<P: PaymentProvider + ?Sized> {
    inner: Arc<P>,
    faults: Faults,
}

impl<P: PaymentProvider + ?Sized> Faulty<P> {
    /// Puts faults around a provider.
    #[must_use]
    pub const fn new(inner: Arc<P>, faults: Faults) -> Self {
        Self { inner, faults }
    }

    async fn around<T>(
        &self,
        before: &str,
        call: impl Future<Output = Result<T, PaymentError>> + Send,
        after: &str,
    ) -> Result<T, PaymentError> {
        self.pass(before)?;
        let answer = call.await?;
        self.pass(after)?;
        Ok(answer)
    }

    fn pass(&self, name: &str) -> Result<(), PaymentError> {
        let failed = |error: portcullis_server::ops::faults::Faulted| PaymentError {
            provider: self.inner.name().to_owned(),
            cause: error.to_string(),
        };
        self.faults.pass(name).map_err(failed)
    }
}

#[async_trait]
impl<P: PaymentProvider + ?Sized> PaymentProvider for Faulty<P> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn title(&self) -> &str {
        self.inner.title()
    }

    async fn begin(&self, charge: &Charge) -> Result<Begun, PaymentError> {
        self.around("charge.before", self.inner.begin(charge), "charge.after").await
    }

    async fn charge_saved(&self, means: &SavedMeans, charge: &Charge) -> Result<Begun, PaymentError> {
        self.around("charge.before", self.inner.charge_saved(means, charge), "charge.after").await
    }

    async fn look_up(&self, payment: &Payment) -> Result<PaymentState, PaymentError> {
        self.around("look-up.before", self.inner.look_up(payment), "look-up.after").await
    }

    fn webhook(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Vec<PaymentEvent>, WebhookRefused> {
        self.inner.webhook(headers, body, now)
    }

    async fn refund(&self, payment: &Payment, amount: Money) -> Result<RefundState, PaymentError> {
        self.around("provider-refund.before", self.inner.refund(payment, amount), "provider-refund.after").await
    }
}
