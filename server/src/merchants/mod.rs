//! Merchants: who sells electronic codes through this server, and how an order becomes a code in its buyer's hands.
//!
//! ```text
//! registration   a name, a key, an endpoint that has shown to be the merchant's; the operator's approval
//! products       what is sold, and what one customer is asked to pay
//! orders         the second interface, the sealed code, the merchant's view: paid → … → code-received
//! delivery       the buyer's view: code-received → delivered → acknowledged
//! deadline       what happens when no code comes
//! redemption     codes for resources of this server itself
//! ```
//!
//! The states are [`CodeState`](portcullis_protocol::codes::CodeState); `store::transactions::code_orders` writes
//! each by its table. Buying goes the way of everything that is bought ([`crate::billing::orders`]).

pub(crate) mod catching_up;
pub(crate) mod deadline;
pub mod delivery;
mod documents;
pub mod orders;
pub mod products;
pub mod redemption;
pub mod registration;
