//! What no crate can test alone.

mod attacks;
mod bench;
mod demo;
mod first_resource;
mod foreign;
mod pages;
mod shelf;
