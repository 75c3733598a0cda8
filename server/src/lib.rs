//! The billing authentication server of Portcullis: it says who may, releases the keys, and remembers what was paid.
//!
//! ```text
//!            edges                          core                          store
//!  router ─ proof ─ handlers ──▶ cycle · orders · answers ──▶ Store (trait) ──▶ Sqlite
//!  oauth · pages · publish          │        │                   one writer, group commits
//!  catalogue · files              rights   payment
//!                                 (pure)   (trait)
//! ```
//!
//! - [`cycle`]: steps 2 and 3, top to bottom, in the order of checks. Start reading there.
//! - [`orders`]: an order from the accepted offer to the receipt and back. [`top_ups`]: orders of prepaid money. [`payment`]: who moves the money.
//! - [`rights`]: each rights model, a pure function. [`ledger`]: double entry.
//! - [`store`]: what is remembered, by noun; transactions decide, never this process's memory.
//! - [`keys`], [`secrets`]: the server's keys, and what keeps the database worthless to a thief.
//! - [`Core`]: all of it together, what the edges are given.

#![forbid(unsafe_code)]

// The core.
pub mod answers;
mod asker;
pub mod clock;
pub mod currencies;
pub mod cycle;
pub mod faults;
pub mod keys;
pub mod ledger;
pub mod offers;
pub mod orders;
pub mod payment;
mod reissue;
pub mod rights;
pub mod secrets;
mod services;
pub mod store;
pub mod top_ups;

pub use answers::{No, Refusal};
pub use asker::{Asker, SignedIn};
pub use services::Core;

// The edges.
mod address;
mod api;
mod app;
mod auth;
mod body;
mod catalogue;
pub mod config;
mod connections;
mod directory;
mod email;
mod files;
mod forwarded;
pub mod log;
mod oauth;
mod pages;
mod passwords;
mod problem;
mod publish;
mod rate;
mod retention;
mod router;
mod search;
mod serve;
mod uploads;

pub use app::{App, Server};
pub use directory::{DATABASE, DamagedFile, MASTER_KEY, bind, damaged_files, open, open_store, remains};
pub use email::{BadEmail, Email};
pub use passwords::{BadPassword, HashFailed, Password, Passwords};
pub use router::router;
pub use serve::{Running, ServeError};
pub use uploads::Uploads;
