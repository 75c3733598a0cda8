//! Verbs for this machine.

pub(crate) mod cache;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod man;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Outcome;

/// The verbs for this machine, in the order in which help and pages list them.
#[derive(Debug, Subcommand)]
pub(crate) enum Machine {
    Cache(cache::Cache),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Machine {
    /// Does it. Returns the exit code.
    pub(crate) fn run(self, context: &Context) -> Outcome<u8> {
        match self {
            Self::Cache(verb) => verb.run(context),
            Self::Doctor(verb) => return verb.run(context),
            Self::Completions(verb) => verb.run(context),
            Self::Man(verb) => verb.run(context),
        }?;
        Ok(0)
    }
}
