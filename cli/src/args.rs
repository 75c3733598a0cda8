//! The command line as a tree: global options and verbs. Each verb's own arguments stand in its file.

use clap::builder::TypedValueParser as _;
use clap::{FromArgMatches as _, Parser, Subcommand};
use std::path::PathBuf;

use crate::commands::machine::Machine;
use crate::commands::publisher::Publisher;
use crate::commands::user::User;
use crate::context::Context;
use crate::failure::Outcome;
use crate::verbs;

/// Paid resources: seal, sell, install, buy and run them
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    max_term_width = 100,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 error, 2 wrong usage, 3 `doctor` found something wrong, 20 to 43 refused (docs/refusals.md has them all).\n\
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

/// The verbs, by whom they are for. Examples of each stand in [`crate::verbs`].
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
    /// Reads the command line of this process.
    ///
    /// # Errors
    /// What the parser answers instead: help, a version, or a complaint.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let mut matches = verbs::command().try_get_matches()?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut verbs::command()))
    }

    /// Does it. Returns the exit code: 0, or that of a command that `run` ran.
    pub(crate) fn run(self, context: &Context) -> Outcome<u8> {
        match self.command {
            Verb::User(verb) => verb.run(context),
            Verb::Publisher(verb) => verb.run(context),
            Verb::Machine(verb) => verb.run(context),
        }
    }
}

#[cfg(test)]
mod tests {

    #[test]
    fn the_tree_is_sound() {
        crate::verbs::command().debug_assert();
    }

    /// The words of a command line, with something in place of each placeholder.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for letter in line.chars() {
            match (quote, letter) {
                (Some(open), close) if open == close => quote = None,
                (None, '"' | '\'') => {
                    word.get_or_insert_default();
                    quote = Some(letter);
                }
                (None, ' ') => words.extend(word.take()),
                _ => word.get_or_insert_default().push(letter),
            }
        }
        words.extend(word);
        let name = if words.iter().any(|word| word == "new") { "lake" } else { "acme/lake" };
        let filled = |word: String| match word.as_str() {
            "NAME" => name.to_owned(),
            "URL" | "http://STORE" => "https://store.example".to_owned(),
            "AMOUNT" => "1.00EUR".to_owned(),
            "FILE" => "file.wasm".to_owned(),
            "[ID]" => "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            _ => word,
        };
        words.into_iter().map(filled).collect()
    }

    /// Every command that advice names can be typed as it stands.
    #[test]
    fn advice_names_commands_that_there_are() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
        let mut lines: Vec<String> = portcullis_protocol::Reason::ALL.iter().map(|r| r.advice().to_owned()).collect();
        lines.push(portcullis_protocol::Reason::OTHER_ADVICE.to_owned());
        for file in std::fs::read_dir(folder).expect("transcripts").flatten() {
            let text = std::fs::read_to_string(file.path()).expect("a transcript");
            let fix = text.lines().filter_map(|line| line.strip_prefix("!   fix   "));
            // What is not in quotes is the whole line.
            lines.extend(
                fix.map(|fix| if fix.starts_with("portcullis ") { format!("`{fix}`") } else { fix.to_owned() }),
            );
        }
        let mut tried = 0;
        for line in lines {
            for command in line.split('`').skip(1).step_by(2).filter(|piece| piece.starts_with("portcullis ")) {
                let parsed = crate::verbs::command().try_get_matches_from(words(command));
                let is_help = |error: &clap::Error| error.kind() == clap::error::ErrorKind::DisplayHelp;
                assert!(
                    parsed.as_ref().is_ok_and(|_| true) || parsed.as_ref().is_err_and(is_help),
                    "`{command}`: {line}"
                );
                tried += 1;
            }
        }
        assert!(tried > 20, "{tried} commands");
    }
}
