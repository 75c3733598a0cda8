//! What takes time, and what a resource is refused, told while it happens.

use crate::ports::gatekeeper::Refused;
use portcullis_protocol::{OperationName, PartName, SignedManifest};

/// A step that a person may have to wait for, or one that its author wants to know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The billing server is asked for a grant.
    Requesting(&'a OperationName),
    /// It judged that the operation is payable; its billing status code is being verified.
    Verifying(&'a OperationName),
    /// A code part is decrypted and checked.
    Opening(&'a PartName),
    /// A code part is compiled: the longest step of a first start.
    Compiling(&'a PartName),
    /// More of a resource that is not installed has arrived from its store. Told again and again.
    Streaming {
        /// Bytes of the sealed file that are here.
        arrived: u64,
        /// Bytes of the sealed file.
        total: u64,
    },
    /// Everything is there; calls can begin.
    Ready(&'a OperationName),
    /// The resource asked for an operation from inside and was refused. It may go on without it.
    OperationRefused {
        /// What it asked for: a text of the resource's own, cut to 64 characters that disturb no screen.
        operation: &'a str,
        /// Why not.
        refused: &'a Refused,
    },
    /// The resource asked for a part and did not get it.
    PartRefused {
        /// What it asked for: a text of the resource's own, cut to 64 characters that disturb no screen.
        part: &'a str,
        /// Why not.
        cause: PartRefusal,
    },
}

/// Why a resource did not get a part: `portcullis:gate/vault.vault-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartRefusal {
    /// The manifest has no part of this name.
    NoSuchPart,
    /// The grant does not release it.
    NotGranted,
    /// The grant has ended.
    Expired,
    /// It is not what the publisher signed.
    Damaged,
}

/// Is told each step as it begins, from whichever thread it begins on. Must return at once.
pub trait Progress: Send + Sync {
    /// `step` of `resource` begins. A runtime prepares several resources at once, so steps of different ones mix.
    fn step(&self, resource: &SignedManifest, step: Step<'_>);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn step(&self, _: &SignedManifest, _: Step<'_>) {}
}

impl<P: Progress + ?Sized> Progress for std::sync::Arc<P> {
    fn step(&self, resource: &SignedManifest, step: Step<'_>) {
        (**self).step(resource, step);
    }
}
