//! The host's side of the three handles that a resource gets.

#![expect(unreachable_pub, reason = "the generated bindings re-export these types, and only they are to be seen")]

use crate::ports::gatekeeper::{HeldCode, Nonce};
use crate::run::active_grant::ActiveGrant;
use crate::run::part::Part;
use crate::run::spending::{RequestId, Reserved};
use portcullis_protocol::OperationName;
use std::sync::{Arc, Weak};

/// `status-code` in the host.
pub enum CodeHandle {
    /// Stands for a grant that is held already.
    Standing(Arc<ActiveGrant>),
    /// The server's.
    Requested(Box<RequestedCode>),
}

/// A status code of the server's.
pub struct RequestedCode {
    /// The code itself.
    pub(crate) code: Box<dyn HeldCode>,
    /// What tells its request from others.
    pub(crate) sent: RequestId,
    /// What it was requested for.
    pub(crate) operation: OperationName,
    /// The request's nonce.
    pub(crate) nonce: Nonce,
    /// What it holds of the prepaid balance.
    pub(crate) cost: Option<Reserved>,
}

/// `grant` in the host.
pub struct GrantHandle(pub(crate) Arc<ActiveGrant>);

/// `part` in the host. It does not keep its grant alive.
pub struct PartHandle {
    pub(crate) held: Weak<ActiveGrant>,
    pub(crate) reader: Part,
}
