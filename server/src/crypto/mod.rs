//! The server's keys and secrets.

mod ephemerals;
pub mod keys;
pub mod secrets;
