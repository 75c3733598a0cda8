//! `sandbox`: moves no money. The payer's token says what it answers: `ok`, `decline` or `pending`.

use super::{Charge, ChargeState, PaymentError, PaymentProvider};
use async_trait::async_trait;
use portcullis_protocol::{Money, OrderId};

/// The sandbox.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sandbox;

#[async_trait]
impl PaymentProvider for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    async fn charge(&self, charge: &Charge) -> Result<ChargeState, PaymentError> {
        Ok(match charge.token.as_str() {
            "ok" => ChargeState::Paid,
            "pending" => ChargeState::Pending,
            _ => ChargeState::Declined,
        })
    }

    async fn refund(&self, _order: &OrderId, _amount: Money) -> Result<(), PaymentError> {
        Ok(())
    }
}
