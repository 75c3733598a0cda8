//! The server's keys and secrets.

pub mod keys;
pub mod secrets;
