//! The server's keys and secrets.

mod ephemerals;
pub mod keys;
pub(crate) mod known_keys;
pub mod secrets;
