//! What no crate can test alone.

mod foreign;
