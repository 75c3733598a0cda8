//! The client half: what a terminal believes, keeps, repeats and refuses. `test_store` is an honest billing server in
//! this process that really signs; each test makes it, or the way to it, dishonest in one thing.

mod clocks;
mod cycle;
mod download;
mod files;
mod http;
mod journal;
mod library;
mod publishing;
mod same_name;
mod session;
mod sign_in;
mod state;
mod store;
mod streaming;
mod test_store;
mod trust;
