//! What a server is built from, beside its configuration.

use crate::billing::payment::Payments;
use crate::ops::clock::Clock;
use crate::ops::faults::FaultPoints;
use std::sync::Arc;

/// Puts something between a server and its payment providers.
pub type AroundPayments = Arc<dyn Fn(Payments) -> Payments + Send + Sync>;

/// The parts that whoever embeds a server may choose. The default is what `portcullis-server` runs with.
#[derive(Clone)]
pub struct Parts {
    /// The clock.
    pub clock: Clock,
    /// Who is told that a fault point is passed.
    pub faults: FaultPoints,
    /// What stands around the payment providers that the configuration names.
    pub payments: Option<AroundPayments>,
}

impl Default for Parts {
    fn default() -> Self {
        Self { clock: Clock::system(), faults: FaultPoints::none(), payments: None }
    }
}

impl Parts {
    /// The providers as the server uses them.
    pub(crate) fn around(&self, payments: Payments) -> Payments {
        match &self.payments {
            Some(around) => around(payments),
            None => payments,
        }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("clock", &self.clock).field("faults", &self.faults).finish_non_exhaustive()
    }
}
