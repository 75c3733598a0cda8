//! The command, typed as its users type it. What it says is in `tests/transcripts/`, error messages included; where
//! that changes on purpose: `PORTCULLIS_UPDATE=1 cargo test -p portcullis-cli`, then read the difference.
//!
//! If a store is needed, the real `portcullis-server` runs, from beside the command:
//! `cargo build -p portcullis-server`.

mod arguments;
mod author;
mod bills;
mod broken_line;
mod browser;
mod cache;
mod doctor;
mod filter;
mod gifts;
mod guest;
mod home;
mod json;
mod killed;
mod killed_server;
mod lent;
mod merchants;
mod metered;
mod offline;
mod paper;
mod project;
mod prompt;
mod publisher;
mod purchases;
mod screen;
mod sources;
mod stage;
mod streams;
mod terminals;
mod transcript;
mod user;
mod verify;
mod waiting;
