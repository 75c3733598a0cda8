//! The host, from outside. One file per subject; `guest.wat` is the resource, `fixture.rs` seals it and answers for it.

mod call;
mod client;
mod command;
mod fixture;
mod gate;
mod limits;
mod load;
mod sources;
