//! From what the command line names to a resource, its export and the file that the result goes to.

pub(crate) mod destination;
pub(crate) mod invocation;
pub(crate) mod location;
pub(crate) mod publisher_key;
pub(crate) mod standing;
pub(crate) mod target;
pub(crate) mod usage;
