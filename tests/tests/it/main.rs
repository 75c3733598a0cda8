//! What no crate can test alone.

mod attacks;
mod bad_merchants;
mod bench;
mod bills;
mod checked;
mod codes;
mod demo;
mod events;
mod first_resource;
mod foreign;
mod future;
mod house;
mod merchant;
mod money;
mod needs;
mod operations;
mod pages;
mod pages_in_a_browser;
mod public_api;
mod shelf;
mod watch;
mod weight;
