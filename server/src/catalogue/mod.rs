//! What a store sells: publishing, sealed files, listing and search.

pub(crate) mod cover;
pub(crate) mod files;
pub(crate) mod listing;
pub(crate) mod objects;
mod picture;
pub(crate) mod publish;
pub(crate) mod search;
pub(crate) mod uploads;
pub(crate) mod usage;
