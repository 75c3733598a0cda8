//! What the command lines of several programs share.

#![forbid(unsafe_code)]

mod identifiers;

pub use identifiers::admit_identifiers;
