//! What end to end tests, attacks and the demo have in common: the built programs, started as their users start them.
//!
//! - [`checkout`]: where things are. [`Server`]: a real `portcullis-server` on a free loopback port, to be killed at
//!   will.
//! - [`Browser`]: what a person does on the server's pages. [`chromium`]: a real browser. [`Terminal`]: a home
//!   directory and the command `portcullis`.
//! - [`Window`]: a store that sells the examples, in a real browser. [`Vendor`]: a publisher of small resources.
//! - [`demo`]: the steps of `cargo xtask demo`. [`attacks`]: the attacks of `cargo xtask attacks`.
//! - [`future`]: a server of a later version. [`Inbox`]: somebody who listens for webhooks.
//! - [`ExampleMerchant`]: the example of a merchant of electronic codes. [`Rogue`]: one that
//!   does what its owner types. [`Buyer`]: who buys from one.
//! - [`mailbox`]: signed mails, a server that has them, and the name servers of their signers.
//! - [`seller`]: a merchant of electronic codes that does as it is told. [`counter`]: orders of codes in every state.
//! - [`plain`]: the cheater's engine.

#![forbid(unsafe_code)]

pub mod attacks;
mod browser;
mod buyer;
pub mod chromium;
pub mod counter;
pub mod demo;
mod example_merchant;
pub mod future;
mod inbox;
pub mod mailbox;
pub mod plain;
mod rogue;
pub mod seller;
mod terminal;
mod vendor;
mod window;

pub use browser::Browser;
pub use buyer::{Buyer, Ordered};
pub use example_merchant::ExampleMerchant;
pub use inbox::{Inbox, Posted};
pub use portcullis_fixtures::{Server, checkout};
pub use rogue::{Manner, Rogue, read_body};
pub use terminal::{Ran, Terminal};
pub use vendor::{POINT, Vendor, Ware};
pub use window::Window;
