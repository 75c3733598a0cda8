//! Rows of `docs/performance.md`: how they are measured, and those of the billing server, which is put under load by a
//! process of its own.
//!
//! - [`duel`]: contestants in turn, by their 10th percentiles. [`row`], [`report`]: what comes of it.
//! - `stock`: a server's goods and customers, made by the server's own code. `crowd`: many more rows in the same form.
//! - `shop`: a real server's process with its stock, and the generator beside it.
//! - `drive`: the generator. It opens a connection for each terminal, makes real proofs, checks the status of every
//!   answer, and verifies a sample as a terminal does, down to the keys of the parts.
//! - `seller`: a merchant in the generator's own process.
//! - [`rows`]: P6, P7, P8, P11 and P13.

#![forbid(unsafe_code)]

mod connection;
mod cpu;
mod crowd;
pub mod drive;
pub mod duel;
mod floor;
mod pgbench;
mod plan;
pub mod report;
pub mod row;
pub mod rows;
mod seller;
mod shop;
mod stock;
mod terminal;
