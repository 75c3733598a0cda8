//! What every service is given.

use crate::billing::currencies::Currencies;
use crate::billing::payment::Payments;
use crate::catalogue::objects::Objects;
use crate::crypto::keys::Keys;
use crate::crypto::secrets::Secrets;
use crate::notices::outbound::Outbound;
use crate::ops::clock::Clock;
use crate::ops::faults::FaultPoints;
use crate::ops::metrics::Metrics;
use crate::store::Store;
use portcullis_protocol::Origin;
use std::sync::Arc;

/// The core of a server: its store, its keys, its name. One per process; services take it by reference.
#[derive(Clone)]
pub struct Core {
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// Where sealed files lie.
    pub objects: Arc<Objects>,
    /// What it signs and opens with.
    pub keys: Arc<Keys>,
    /// What keeps the database worthless to a thief.
    pub secrets: Secrets,
    /// How it is called.
    pub origin: Origin,
    /// Who moves money.
    pub payments: Payments,
    /// What it sells in.
    pub currencies: Currencies,
    /// How many redemption codes that nobody has redeemed an account may have.
    pub gift_codes: u64,
    /// Time, where no transaction decides.
    pub clock: Clock,
    /// FaultPoints, for tests.
    pub faults: FaultPoints,
    /// Requests to addresses that others chose.
    pub outbound: Outbound,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Core({})", self.origin)
    }
}
