//! The standard streams of a resource, and the terminal that it shares with the host.

pub(crate) mod console;
pub(crate) mod endpoint;
pub(crate) mod outlet;
pub(crate) mod screen;
pub(crate) mod stdio;
