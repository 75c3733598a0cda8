//! The verbs, one file each.

pub(crate) mod build;
pub(crate) mod completions;
pub(crate) mod keygen;
pub(crate) mod new;
