//! What no crate can test alone.

mod attacks;
mod first_resource;
mod foreign;
