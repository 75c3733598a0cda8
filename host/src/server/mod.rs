//! A billing server as this terminal knows it: which keys it signs with, the sign-in, proven requests and signed
//! answers.

pub(crate) mod events;
#[cfg(feature = "http")]
pub(crate) mod http;
pub(crate) mod pending_sign_ins;
pub(crate) mod prover;
pub(crate) mod retry;
pub(crate) mod revocation_mark;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod terminal;
pub(crate) mod tokens;
pub(crate) mod trust;
