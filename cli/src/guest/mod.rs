//! Guests: how they are compiled, for each language.

pub(crate) mod toolchain;
