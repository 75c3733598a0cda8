//! The command line as a tree: global options and verbs. Each verb's own arguments stand in its file.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

use crate::commands;
use crate::context::Context;
use crate::failure::Outcome;

/// Paid resources: seal, sell, install, buy and run them
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    max_term_width = 100,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 error, 2 wrong usage, 20 to 43 refused (docs/refusals.md has them all).\n\
        Begin as a user with `portcullis login URL`, as a publisher with `portcullis new NAME`."
)]
pub(crate) struct Cli {
    /// Print one JSON value on standard output, errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The folder of keys, pinned servers and installed resources
    #[arg(long, global = true, value_name = "DIR", env = "PORTCULLIS_HOME")]
    pub(crate) home: Option<PathBuf>,
    #[command(subcommand)]
    command: Verb,
}

/// The verbs: first the publisher's, then the user's.
#[derive(Debug, Subcommand)]
enum Verb {
    New(commands::new::New),
    Build(commands::build::Build),
    Keygen(commands::keygen::Keygen),
    Completions(commands::completions::Completions),
}

impl Cli {
    /// Does it.
    pub(crate) fn run(self, context: &Context) -> Outcome {
        match self.command {
            Verb::New(verb) => verb.run(context),
            Verb::Build(verb) => verb.run(context),
            Verb::Keygen(verb) => verb.run(context),
            Verb::Completions(verb) => verb.run(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }
}
