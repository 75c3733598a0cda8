//! Billing: the cycle, rights, offers, orders, payment and the ledger.

pub mod answers;
pub mod balances;
pub(crate) mod charges;
pub mod currencies;
pub mod cycle;
pub mod entitlement;
pub mod events;
pub mod ledger;
pub mod offer_revision;
pub mod offers;
pub mod orders;
pub mod payment;
pub mod prepaid;
pub(crate) mod refunds;
pub(crate) mod reissue;
pub mod rights;
