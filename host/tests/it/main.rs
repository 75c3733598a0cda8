//! The host, from outside. One file per subject; `portcullis-fixtures` seals the resource and answers for it.

mod cache;
mod call;
mod census;
mod client;
mod command;
mod gate;
mod limits;
mod load;
mod metered;
mod sources;
mod threads;
mod waits;

use portcullis_fixtures as fixture;
