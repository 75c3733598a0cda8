//! Who is told what: events for whoever is connected, webhooks for whoever has an endpoint.

pub(crate) mod events;
pub mod outbound;
pub mod webhooks;
