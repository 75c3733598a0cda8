//! What no crate can test alone.

mod attacks;
mod bench;
mod checked;
mod demo;
mod first_resource;
mod foreign;
mod pages;
mod public_api;
mod shelf;
