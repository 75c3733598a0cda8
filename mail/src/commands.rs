//! What a person types.

mod account;
mod bills;
mod fetch;
mod key;
mod registry;
mod serve;
mod signing_key;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use portcullis_mail::{SealedFolder, Templates};
use portcullis_protocol::text::{counted, json_escaped, shown};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Finds the bills in a mailbox. Mail is only read: nothing is marked, moved or deleted, and no link in it is followed.
#[derive(Parser)]
#[command(name = "portcullis-mail", version)]
struct Arguments {
    /// The folder that accounts and records are kept in, sealed
    #[arg(long, global = true, env = "PORTCULLIS_MAIL_HOME")]
    home: Option<PathBuf>,
    /// A command of the shell that prints the key of this folder, which then need not lie in it
    #[arg(long, global = true, env = "PORTCULLIS_MAIL_KEY_COMMAND", hide_env_values = true)]
    key_command: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Add, list and remove mailboxes
    #[command(subcommand)]
    Account(account::Verb),
    /// Read what is new in a mailbox, and print the bills among it
    Fetch(fetch::Arguments),
    /// Print the bills that were found
    Bills(bills::Arguments),
    /// Hand out bill records, and nothing else, to a terminal: `portcullis run --bills` starts this
    Serve(serve::Arguments),
    /// Read a PDF from standard input, with little memory and time: this program starts itself so
    #[command(hide = true)]
    ReadPdf,
    /// Print the key of the folder, for the system's keyring: `portcullis-mail key | secret-tool store …`
    Key(key::Arguments),
    /// Make, sign and use lists of known billers
    #[command(subcommand)]
    Registry(registry::Verb),
    /// Check a folder of templates
    Lint {
        /// The folder with the `.toml` files; if left out, `templates` beside the accounts
        folder: Option<PathBuf>,
    },
}

pub(crate) fn run() -> Result<()> {
    let arguments = Arguments::parse();
    let open = || -> Result<SealedFolder> {
        let home = arguments.home.clone().map_or_else(SealedFolder::default_path, Ok)?;
        Ok(SealedFolder::open_with(home, arguments.key_command.as_deref())?)
    };
    match arguments.verb {
        Verb::Account(verb) => verb.run(&open()?),
        Verb::Fetch(fetch) => fetch.run(&open()?),
        Verb::Bills(bills) => bills.run(&open()?),
        Verb::Serve(serve) => serve.run(open),
        Verb::ReadPdf => Ok(portcullis_mail::read_pdf()?),
        Verb::Key(key) => key.run(&open()?, arguments.key_command.as_deref()),
        Verb::Registry(verb) => verb.run(open),
        Verb::Lint { folder } => {
            let templates = match folder {
                Some(folder) => templates_named(&folder)?,
                None => {
                    let folder = open()?.templates();
                    if !folder.is_dir() {
                        return say(&format!("no templates yet; the folder for them is {}", folder.display()));
                    }
                    templates_in(&folder)?
                }
            };
            say(&format!("{}, nothing wrong", counted(templates.len(), "template")))
        }
    }
}

/// The templates of the folder that was named, else those beside the accounts, if there are any.
fn templates(named: Option<PathBuf>, home: &SealedFolder) -> Result<Templates> {
    match named {
        Some(folder) => templates_named(&folder),
        None if home.templates().is_dir() => templates_in(&home.templates()),
        None => Ok(Templates::none()),
    }
}

/// Whoever names a folder means one that has templates.
fn templates_named(folder: &Path) -> Result<Templates> {
    let templates = templates_in(folder)?;
    ensure!(
        !templates.is_empty(),
        "there is no template in `{}`. Name a folder with files whose names end in `.toml`",
        folder.display()
    );
    Ok(templates)
}

fn templates_in(folder: &Path) -> Result<Templates> {
    Templates::load(folder).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("\n  {error}")).collect();
        anyhow::anyhow!("the templates cannot be used:{}", lines.concat())
    })
}

/// One JSON value as an answer.
fn say_json(value: &impl serde::Serialize) -> Result<()> {
    say_as_is(&json_escaped(&serde_json::to_string(value)?))
}

/// One line of answer, or a few: letters, whatever a mail had in it.
fn say(line: &str) -> Result<()> {
    say_as_is(&shown(line))
}

fn say_as_is(line: &str) -> Result<()> {
    writeln!(io::stdout(), "{line}").context("cannot write to standard output")
}
