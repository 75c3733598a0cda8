//! The statement with which a terminal enrols.

use crate::encoding::Octets;
use crate::ids::Origin;
use crate::jws::{Document, SelfSigned};
use crate::keys::{PublicKey, Thumbprint};
use crate::labels::TYP_ENROLMENT;
use serde::{Deserialize, Serialize};

/// A terminal's keys, stated by the terminal, for one server and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The terminal's Ed25519 key, which signs this and every proof.
    pub jwk: PublicKey,
    /// The terminal's X25519 public key, to which part keys are released (RFC 9180).
    pub x25519: Octets<32>,
    /// The server's origin.
    pub origin: Origin,
    /// The server's root key.
    pub root: Thumbprint,
    /// What the user calls the terminal, at most 120 bytes.
    pub label: String,
    /// When it was stated, Unix seconds.
    pub iat: u64,
}

impl Document for Enrolment {
    const TYP: &'static str = TYP_ENROLMENT;
}

impl SelfSigned for Enrolment {
    fn key(&self) -> &PublicKey {
        &self.jwk
    }
}
