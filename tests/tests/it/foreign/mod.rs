//! Agreement with tools of others: what this project writes, other people's programs read.
//!
//! `cargo xtask foreign` installs them. A test that lacks its tool fails and says so.

mod age;
mod client;
mod components;
mod ffmpeg;
mod jose;
mod merchant;
mod music;
mod pictures;
mod stage;
mod theme;
mod tools;
mod video;
mod webhooks;
