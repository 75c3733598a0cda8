//! What the gate answers a resource that does not get what it asks for: a typed error, or a trap if the host is at
//! fault.

use crate::ports::gatekeeper::Refused;
use crate::run::bindings::vault::VaultError;
use portcullis_protocol::Reason;
use wasmtime::component::ResourceTableError;

/// An error of `billing`: a refusal, which the resource sees, or a trap.
#[derive(Debug)]
pub(crate) enum GateError {
    Refused(Box<Refused>),
    Trap(wasmtime::Error),
}

impl From<Refused> for GateError {
    fn from(refused: Refused) -> Self {
        Self::Refused(Box::new(refused))
    }
}

impl From<Reason> for GateError {
    fn from(reason: Reason) -> Self {
        Refused::new(reason).into()
    }
}

impl From<ResourceTableError> for GateError {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

/// An error of `vault`: a typed one, which the resource sees, or a trap.
#[derive(Debug)]
pub(crate) enum VaultFailure {
    Refused(VaultError),
    Trap(wasmtime::Error),
}

impl From<VaultError> for VaultFailure {
    fn from(error: VaultError) -> Self {
        Self::Refused(error)
    }
}

impl From<ResourceTableError> for VaultFailure {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}
