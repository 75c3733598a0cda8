//! `portcullis-server` as a command: what the command line takes, and what becomes of it.

mod audit;
mod backup;
mod database;
mod init;
mod master_key;
mod operator;
mod serve;

use crate::ops::config::{Config, Overrides};
use crate::ops::parts::Parts;
use crate::print;
use crate::store::{AddressError, DatabaseAddress};
use crate::{App, Core, ServeError, Server};
use anyhow::{Context as _, anyhow};
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use portcullis_arguments::admit_identifiers;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{Digest, OrderId, Origin, TerminalId};
use std::any::TypeId;
use std::ffi::OsString;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

/// Runs the command line of this process, with the parts that a server is built from.
#[must_use]
pub fn main(parts: Parts) -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let mut known = admit_identifiers(with_identifiers(Command::command()), &words);
    let read = known.try_get_matches_from_mut(words);
    let read = read.and_then(|read| Command::from_arg_matches(&read).map_err(|error| error.format(&mut known)));
    let command = match read {
        Ok(command) => command,
        Err(answer) => return print::answer(&answer),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print::error(&format!("the runtime does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command.run(parts)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(&chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes in one line; a cause that repeats what is said already is left out.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        said if said.contains(&cause) => said.to_owned(),
        said => format!("{said}: {cause}"),
    })
}

/// Whoever types something else than an identifier is told what one looks like, and which command lists them. A number
/// below zero is read as a number, and refused as out of range.
fn with_identifiers(command: clap::Command) -> clap::Command {
    let numbers = [TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<i64>()];
    let is_of = |arg: &Arg, of: TypeId| arg.get_value_parser().type_id() == of;
    command
        .mut_args(|arg| match () {
            () if is_of(&arg, TypeId::of::<OrderId>()) => listed::<OrderId>(arg, "order list"),
            () if is_of(&arg, TypeId::of::<Digest>()) => listed::<Digest>(arg, "resource list"),
            () if is_of(&arg, TypeId::of::<TerminalId>()) => listed::<TerminalId>(arg, "terminal list EMAIL"),
            () if is_of(&arg, TypeId::of::<RandomId>()) && arg.get_id() == "invitation" => {
                listed::<RandomId>(arg, "invitation list")
            }
            () if is_of(&arg, TypeId::of::<RandomId>()) => listed::<RandomId>(arg, "webhook list"),
            () if numbers.iter().any(|of| is_of(&arg, *of)) => arg.allow_negative_numbers(true),
            () => arg,
        })
        .mut_subcommands(with_identifiers)
}

/// An identifier that has no type of its own.
#[derive(Debug, Clone, Copy)]
struct RandomId(Octets<16>);

impl FromStr for RandomId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "not a valid identifier: 22 letters, digits, '-' and '_'")
    }
}

/// An argument that names one of what an operator's task lists.
fn listed<T>(arg: Arg, task: &'static str) -> Arg
where
    T: FromStr<Err: Display> + Clone + Send + Sync + 'static,
{
    arg.value_parser(move |text: &str| {
        text.parse::<T>().map_err(|error| format!("{error}. `portcullis-server operator {task}` lists them"))
    })
}

/// The billing authentication server of Portcullis.
///
/// Flags go before PORTCULLIS_SERVER_* variables, these before the configuration file. TLS is a reverse proxy's: the
/// server itself speaks plain HTTP.
#[derive(Debug, Parser)]
#[command(version, name = "portcullis-server", propagate_version = true)]
pub(crate) struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes keys, a database and a configuration in a new directory, and an invitation for its first operator.
    Init(init::Init),
    /// Serves.
    Serve(serve::Serve),
    /// Backs the server up into a new folder, beside the running server. The master key is no part of a backup.
    Backup(backup::TakeBackup),
    /// Makes a server of a backup and its master key, in a new directory.
    Restore(backup::Restore),
    /// What an operator does, on the server's own machine.
    Operator(operator::Operator),
    /// Makes a new master key and seals everything with it. The server must not be running. Everybody is signed out.
    RotateMasterKey(master_key::RotateMasterKey),
    /// The audit log of what operators did: export, head, verify.
    Audit(audit::Audit),
    /// Databases: copy.
    Database(database::Database),
}

/// Which server is meant.
#[derive(Debug, Clone, clap::Args)]
struct Which {
    /// The configuration file [default: server.toml in the directory].
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The server's directory [default: portcullis-server].
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
    /// The PostgreSQL database, postgres://USER@HOST/DATABASE [default: the SQLite file in the directory]. The
    /// password is better kept in PGPASSWORD: everybody on a machine sees its command lines.
    #[arg(long, value_name = "URL", global = true, env = DATABASE_VARIABLE, hide_env_values = true)]
    database: Option<DatabaseFlag>,
}

/// What `--database` takes from the environment.
const DATABASE_VARIABLE: &str = "PORTCULLIS_SERVER_DATABASE";

/// What was said for `--database`. It is read later: an error of the command line would repeat it, password and all.
#[derive(Clone)]
struct DatabaseFlag(String);

impl std::str::FromStr for DatabaseFlag {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for DatabaseFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseFlag")
    }
}

impl DatabaseFlag {
    fn address(&self) -> Result<DatabaseAddress, AddressError> {
        self.0.parse()
    }
}

impl Command {
    pub(crate) async fn run(self, parts: Parts) -> anyhow::Result<()> {
        match self.verb {
            Verb::Init(init) => init.run(&parts).await,
            Verb::Serve(serve) => serve.run(parts).await,
            Verb::Backup(backup) => backup.run(parts).await,
            Verb::Restore(restore) => restore.run().await,
            Verb::Operator(operator) => operator.run(parts).await,
            Verb::RotateMasterKey(rotate) => rotate.run(parts).await,
            Verb::Audit(audit) => audit.run(parts).await,
            Verb::Database(database) => database.run(&parts).await,
        }
    }
}

impl Which {
    fn load(&self, listen: Option<SocketAddr>, accept_clock: bool) -> anyhow::Result<Config> {
        let overrides = Overrides {
            file: self.config.clone(),
            listen,
            dir: self.dir.clone(),
            database: self.database.as_ref().map(DatabaseFlag::address).transpose().context("--database")?,
            accept_clock,
        };
        Ok(Config::load(&overrides, std::env::vars_os())?)
    }

    /// Opens the server beside a running one, or without one.
    async fn open(&self, parts: Parts) -> anyhow::Result<App> {
        let config = self.load(None, false)?;
        let origin = origin_of(&config)?;
        let core: Core = crate::open(&config, origin, parts).await.map_err(|error| match error {
            // Whoever looks for a server is not told to make one.
            ServeError::NoServer { dir } => {
                anyhow!("there is no server in {}: name its directory by --dir or PORTCULLIS_SERVER_DIR", dir.display())
            }
            error => error.into(),
        })?;
        Server::new(config, core).context("passwords cannot be hashed on this machine")
    }
}

/// The configured origin, or the one of a loopback address with a fixed port.
fn origin_of(config: &Config) -> anyhow::Result<Origin> {
    Ok(config.origin_at(config.listen)?)
}
