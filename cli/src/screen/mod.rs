//! The screen: what the command prints, and what it asks.

pub(crate) mod consent;
pub(crate) mod hint;
pub(crate) mod moment;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod shell;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod tty;
