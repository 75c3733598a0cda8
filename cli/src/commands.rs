//! The verbs, one file each, by whom they are for.

pub(crate) mod machine;
pub(crate) mod publisher;
pub(crate) mod user;
