//! The kinds of resources.

/// What a store sorts by: a kind that nobody knows is found by nobody.
pub(crate) const KINDS: [&str; 5] = ["software", "picture", "music", "theme", "video"];
