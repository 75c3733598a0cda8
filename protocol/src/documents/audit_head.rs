//! A head of a server's audit log: how long the log was at some time, and what its last row covered.

use crate::ids::{Digest, Origin};
use crate::jws::Document;
use crate::labels::TYP_AUDIT_HEAD;
use serde::{Deserialize, Serialize};

/// What a server says of its own audit log, signed. The digest of a row covers every row before it, so whoever keeps a
/// head notices if one of them is changed or goes missing later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditHead {
    /// The billing server.
    pub iss: Origin,
    /// The number of the last row; 0 if there is none.
    pub number: u64,
    /// The digest of that row; of an empty log, the digest that stands before its first row.
    pub digest: Digest,
    /// When this was signed, Unix seconds of the server.
    pub iat: u64,
}

impl Document for AuditHead {
    const TYP: &'static str = TYP_AUDIT_HEAD;
}
