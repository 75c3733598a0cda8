//! Operating a server: configuration, directory, start and stop, logs, clock, retention, fault points.

pub mod clock;
pub mod config;
pub(crate) mod directory;
pub mod faults;
pub mod log;
pub mod parts;
pub(crate) mod retention;
pub(crate) mod serve;
