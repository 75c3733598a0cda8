//! `portcullis doctor`: what is wrong here, and how to mend it.

use clap::Args;

use crate::context::Context;
use crate::doctor::{self, Diagnosis};
use crate::failure::Outcome;

/// Look for what is wrong with this terminal, its stores, its clock, your publisher key and what is installed, and say
/// how to mend it
#[derive(Debug, Args)]
#[command(after_help = "Exit code 3 if something is wrong, 0 if there are warnings alone.")]
pub(crate) struct Doctor {}

impl Doctor {
    /// Returns the exit code: 0, or 3 if something is wrong.
    pub(crate) fn run(self, context: &Context) -> Outcome<u8> {
        let diagnosis = Diagnosis::of(doctor::examine(context));
        context.screen.report(&diagnosis);
        Ok(diagnosis.exit_code())
    }
}
