//! The grant: the signed result of a verification.

use crate::encoding::{BoundedOctets, Octets};
use crate::ids::{Digest, GrantId, OperationName, Origin, PairwiseId, PartName, PublisherName, ResourceName};
use crate::jws::Document;
use crate::keys::Thumbprint;
use crate::labels::{GRANT_CONFIRMATION, TYP_GRANT};
use crate::limits::MAX_NONCE;
use crate::version::Version;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Who may do what, until when. It holds no key and no identity of the account or the terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The billing server.
    pub iss: Origin,
    /// Names this grant.
    pub jti: GrantId,
    /// The user as this publisher sees him.
    pub sub: PairwiseId,
    /// Confirms the terminal: [`confirmation`] of the grant nonce, which travels beside the grant, and its thumbprint.
    pub cnf: Digest,
    /// The resource digest.
    pub resource: Digest,
    /// The publisher's name.
    pub publisher: PublisherName,
    /// The resource's name.
    pub name: ResourceName,
    /// The resource's version.
    pub version: Version,
    /// The operation.
    pub operation: OperationName,
    /// The parts that this grant releases, in the order of the released keys.
    pub parts: Vec<PartName>,
    /// The rights model under which it was given.
    pub model: String,
    /// What bounds it.
    pub limits: GrantLimits,
    /// The nonce of the request, repeated.
    pub nonce: BoundedOctets<MAX_NONCE>,
    /// When it was issued, Unix seconds of the server.
    pub iat: u64,
    /// Until when new calls may begin, Unix seconds of the server.
    pub exp: u64,
    /// How long a call that began in time may run, in seconds.
    pub run_max: u32,
}

impl Document for Grant {
    const TYP: &'static str = TYP_GRANT;
}

/// Bounds of a grant beyond its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantLimits {
    /// How many calls may begin under it. Absent: as many as time allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// How many units may be drawn. Absent: the operation is not metered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
}

/// The value of `cnf`: SHA-256(label ‖ grant nonce ‖ terminal thumbprint). It lets the terminal that was served, and
/// nobody else, recognise the grant as its own, and differs from grant to grant.
#[must_use]
pub fn confirmation(grant_nonce: &Octets<16>, terminal: &Thumbprint) -> Digest {
    Digest::from_bytes(
        Sha256::new()
            .chain_update(GRANT_CONFIRMATION)
            .chain_update(grant_nonce.0)
            .chain_update(terminal.as_bytes())
            .finalize()
            .into(),
    )
}
