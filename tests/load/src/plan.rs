//! What the generator is told: which server, who asks, and for what.

use anyhow::{Context as _, Result};
use portcullis_protocol::encoding::{BoundedOctets, Octets};
use portcullis_protocol::wire::AuthorisationRequest;
use portcullis_protocol::{Digest, OperationName, Origin, PublicKey};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// A server and its customers. The file holds their secrets, which are worth nothing anywhere else.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) origin: Origin,
    pub(crate) root: PublicKey,
    pub(crate) resource: Digest,
    /// What the customers have bought.
    pub(crate) bought: OperationName,
    /// What they have not.
    pub(crate) unpaid: OperationName,
    /// The parts that the grant releases, with their keys.
    pub(crate) parts: Vec<(String, Octets<16>)>,
    pub(crate) customers: Vec<Customer>,
}

/// An enrolled terminal of an account that has bought the operation.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) seed: Octets<32>,
    pub(crate) release: Octets<32>,
    pub(crate) token: String,
}

impl Plan {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text).context("not a plan")
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        fs::write(file, serde_json::to_vec(self)?).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The request of step 1.
    pub(crate) fn request(&self, operation: &OperationName, nonce: [u8; 16]) -> Result<AuthorisationRequest> {
        let nonce = BoundedOctets::new(nonce.to_vec()).ok().context("a nonce is short")?;
        let (resource, operation) = (self.resource, operation.clone());
        Ok(AuthorisationRequest { resource, operation, quantity: 1, offer: None, nonce })
    }
}
