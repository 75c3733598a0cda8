//! A merchant of electronic codes, to start from: what a shop needs to sell codes through a store of Portcullis, with a
//! server, a key and a database of its own. It is written from `docs/protocol.md`, section 15.
//!
//! ```text
//! commands       the command line: init, register, sell, stock, request, serve, ledger, hold, release, rekey, resign,
//!                reconcile
//! shop           the folder of a shop: settings, keys in files that only the owner reads
//! vault          codes at rest
//! database       SQLite: every promise is committed here before anybody hears of it
//! store          requests to the store, by the merchant's key; believes signed answers alone
//! registration   signs in once, claims the name, has the endpoint challenged
//! hook           the first interface: what a webhook must be to be believed, and what is answered
//! delivery       from a notification to an accepted code: verify, seal once, submit, keep the answer
//! places         how many orders are under way at once
//! rekey          another key for the merchant, and everything on sale signed by it
//! verification   what has to fit before a code is taken from the stock
//! storefront     the page where customers get a payment request
//! reconciliation what the store says against what the shop knows
//! steps          names of the places where a test ends the process
//! ```

#![forbid(unsafe_code)]

pub mod commands;
mod database;
mod delivery;
mod hook;
mod places;
mod reconciliation;
mod registration;
mod rekey;
mod shop;
mod steps;
mod store;
mod storefront;
mod vault;
mod verification;

pub use steps::{STEPS, Watch};

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Random bytes of the operating system. A machine that has none must not go on.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// The same as a source for keys.
const fn rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}
