//! What no crate can test alone.

mod attacks;
mod foreign;
