//! Making sealed resources.
