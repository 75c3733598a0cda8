//! The command line as a tree: global options and verbs. Each verb's own arguments stand in its file.

use clap::builder::TypedValueParser as _;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

use crate::commands::machine::Machine;
use crate::commands::publisher::Publisher;
use crate::commands::user::User;
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
    after_help = "Exit codes: 0 done, 1 error, 2 wrong usage, 3 `doctor` or `merchant check` found something wrong, 20 to 54 refused (docs/refusals.md has them all).\n\
        Begin as a user with `portcullis login URL`, as a publisher with `portcullis new NAME`."
)]
pub(crate) struct Cli {
    /// Print one JSON value on standard output, errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The folder of keys, pinned servers and installed resources
    #[arg(long, global = true, value_name = "DIR", env = "PORTCULLIS_HOME", value_parser = clap::builder::OsStringValueParser::new().map(PathBuf::from))]
    pub(crate) home: Option<PathBuf>,
    #[command(subcommand)]
    command: Verb,
}

/// The verbs, by whom they are for. Examples of each stand in `verbs.rs`.
#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    User(User),
    #[command(flatten)]
    Publisher(Publisher),
    #[command(flatten)]
    Machine(Machine),
}

impl Cli {
    /// Does it. Returns the exit code: 0, or that of a command that `run` ran.
    pub(crate) fn run(self, context: &Context) -> Outcome<u8> {
        match self.command {
            Verb::User(verb) => verb.run(context),
            Verb::Publisher(verb) => verb.run(context),
            Verb::Machine(verb) => verb.run(context),
        }
    }
}
