//! The billing authentication server of Portcullis: it says who may, releases the keys, and remembers what was paid.
//!
//! ```text
//!            edges                          core                          store
//!  router ─ proof ─ handlers ──▶ cycle · orders · answers ──▶ Store (trait) ──▶ Sqlite, Postgres
//!  oauth · pages · publish          │        │                   transactions, written once
//!  catalogue · objects            rights   payment
//!                                 (pure)   (trait)
//! ```
//!
//! - [`billing::cycle`]: steps 2 and 3, top to bottom, in the order of checks. Start reading there.
//! - [`billing::orders`]: an order from the purchase to the receipt and back, whatever is bought.
//!   [`billing::payment`]: who moves the money. [`billing::events`]: what providers decide later.
//! - [`effects`]: what is done outside the database, by whichever process has claimed it. `notices`: who is told.
//! - [`merchants`]: electronic codes that others sell through this server.
//! - [`billing::rights`]: each rights model, a pure function. [`billing::ledger`]: double entry.
//! - [`store`]: what is remembered, by noun; transactions decide, never this process's memory.
//! - [`crypto::keys`], [`crypto::secrets`]: the server's keys, and what keeps the database worthless to a thief.
//! - [`Core`]: all of it together, what the edges are given.

#![forbid(unsafe_code)]

pub mod audit;
pub mod billing;
mod catalogue;
pub mod commands;
pub mod crypto;
pub mod effects;
mod http;
mod identity;
pub mod merchants;
pub mod notices;
pub mod ops;
mod print;
mod services;
pub mod store;

pub use billing::answers::{Refusal, ServiceError};
pub use identity::asker::{Asker, SignedIn};
pub use services::Core;

pub use catalogue::objects::{Objects, StorageError, StorageSettings};
pub use catalogue::uploads::Uploads;
pub use http::app::{App, Server};
pub use http::route::Page;
pub use http::router::{pages, router};
pub use identity::email::{BadEmail, Email};
pub use identity::passwords::{BadPassword, HashFailed, Password, Passwords};
pub use ops::directory::{DATABASE, DamagedFile, MASTER_KEY, bind, damaged_files, open, open_store, remains};
pub use ops::parts::Parts;
pub use ops::serve::{Running, ServeError};
