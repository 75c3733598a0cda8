//! What this crate asks of others: traits, and the plain data that passes through them.

pub(crate) mod bills;
pub(crate) mod consent;
pub(crate) mod gatekeeper;
pub(crate) mod progress;
pub(crate) mod transport;
