#[path = "it/client/mod.rs"]
mod client;
