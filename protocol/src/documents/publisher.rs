//! What a publisher signs about its own keys.

use crate::ids::{Origin, PublisherName};
use crate::jws::{Document, SelfSigned};
use crate::keys::PublicKey;
use crate::labels::{TYP_PUBLISHER, TYP_VOUCH};
use serde::{Deserialize, Serialize};

/// A claim to a name at one store, by the key that will sign the resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublisherClaim {
    /// The name claimed.
    pub name: PublisherName,
    /// The publisher key, which signs this.
    pub jwk: PublicKey,
    /// The store.
    pub origin: Origin,
    /// When, Unix seconds.
    pub iat: u64,
}

impl Document for PublisherClaim {
    const TYP: &'static str = TYP_PUBLISHER;
    const CHECKS_TEXTS: bool = true;
}

impl SelfSigned for PublisherClaim {
    fn key(&self) -> &PublicKey {
        &self.jwk
    }
}

/// A publisher key names its successor. Signed by the old key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vouch {
    /// The publisher.
    pub name: PublisherName,
    /// The successor.
    pub jwk: PublicKey,
    /// Grows by one with each vouch of a publisher, from 1.
    pub seq: u64,
    /// When, Unix seconds.
    pub iat: u64,
}

impl Document for Vouch {
    const TYP: &'static str = TYP_VOUCH;
    const CHECKS_TEXTS: bool = true;
}
