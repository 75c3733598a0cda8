//! What a terminal gets from a store: the catalogue and orders, what is installed, what is streamed, what is published.

pub(crate) mod candidate_file;
pub(crate) mod codes;
pub(crate) mod download;
pub(crate) mod file_judge;
pub(crate) mod install_source;
pub(crate) mod installed;
pub(crate) mod library;
pub(crate) mod merchant_desk;
pub(crate) mod merchant_pin;
pub(crate) mod open_streams;
pub(crate) mod ordered_codes;
pub(crate) mod payment_step;
pub(crate) mod publisher_pin;
pub(crate) mod publishing;
pub(crate) mod purchase;
pub(crate) mod range_cache;
pub(crate) mod range_reader;
pub(crate) mod replacement;
pub(crate) mod resumable_fetch;
pub(crate) mod storefront;
pub(crate) mod streaming;
pub(crate) mod taken_from;
pub(crate) mod version_marks;
