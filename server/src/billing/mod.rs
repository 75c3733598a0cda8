//! Billing: the cycle, rights, offers, orders, payment and the ledger.

pub mod answers;
pub mod currencies;
pub mod cycle;
pub mod ledger;
pub mod offers;
pub mod orders;
pub mod payment;
pub(crate) mod reissue;
pub mod rights;
pub mod top_ups;
