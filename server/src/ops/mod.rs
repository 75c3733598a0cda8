//! Operating a server: configuration, directory, start and stop, backup, logs, metrics, traces, health, clock,
//! retention, files in the making, fault points.

pub mod backup;
pub mod clock;
pub mod config;
pub(crate) mod directory;
pub mod faults;
pub(crate) mod figures;
pub(crate) mod health;
pub mod log;
pub(crate) mod making;
pub mod metrics;
pub mod parts;
pub(crate) mod retention;
pub(crate) mod serve;
pub mod traces;
