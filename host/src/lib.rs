//! The Portcullis runtime as a library. To be written.

#![forbid(unsafe_code)]

// The engine half: load, authorise, call.
mod gatekeeper;

// The client half: the cycle over the wire.
mod clock;

pub use clock::{Clock, SystemClock};
pub use gatekeeper::{CycleRequest, Gatekeeper, HeldCode, Nonce, Refused, Released};
