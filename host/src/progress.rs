//! What takes time, told while it happens.

use portcullis_protocol::{OperationName, PartName};

/// A step that a person may have to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The billing server is asked for a grant.
    Requesting(&'a OperationName),
    /// A code part is decrypted and checked.
    Opening(&'a PartName),
    /// A code part is compiled: the longest step of a first start.
    Compiling(&'a PartName),
    /// Everything is there; calls can begin.
    Ready(&'a OperationName),
}

/// Is told each step as it begins. Must return at once.
pub trait Progress: Send + Sync {
    /// `step` begins.
    fn step(&self, step: Step<'_>);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn step(&self, _: Step<'_>) {}
}
