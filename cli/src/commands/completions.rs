//! `portcullis completions`: what a shell needs to complete our verbs.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use serde::Serialize;

use crate::args::Cli;
use crate::context::Context;
use crate::failure::Outcome;
use crate::output::Report;

/// Print the completion script of a shell
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Serialize)]
struct Script {
    shell: String,
    script: String,
}

impl Completions {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "portcullis", &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        context.screen.report(&Script { shell: self.shell.to_string(), script });
        Ok(())
    }
}

impl Report for Script {
    fn text(&self) -> String {
        self.script.clone()
    }
}
