//! `portcullis-server database …`

use crate::ops::making::Making;
use crate::ops::parts::Parts;
use crate::print;
use crate::store::{CopyError, Copyable, DatabaseAddress, Postgres, PostgresOptions, Sqlite, SqliteOptions, schema};
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use portcullis_protocol::text::counted;
use serde_json::json;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// What an SQLite database begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

#[derive(Debug, Args)]
pub(super) struct Database {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Copies a database into a new one, of either kind, and compares both. The server must not be running.
    Copy(Copy),
}

#[derive(Debug, Args)]
struct Copy {
    /// The database to copy: an SQLite file, or postgres://USER@HOST/DATABASE (its password in PGPASSWORD).
    #[arg(long, value_name = "FILE|URL")]
    from: super::DatabaseFlag,
    /// The new one. An SQLite file must not exist yet; a PostgreSQL database must be empty.
    #[arg(long, value_name = "FILE|URL")]
    to: super::DatabaseFlag,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Database {
    pub(super) async fn run(self, parts: &Parts) -> anyhow::Result<()> {
        let Task::Copy(copy) = self.task;
        copy.run(parts).await
    }
}

impl Copy {
    async fn run(self, parts: &Parts) -> anyhow::Result<()> {
        let from = Place::of(&self.from.0).and_then(|place| {
            place.is_up_to_date()?;
            open(place, false, parts)
        });
        let from = from.context("--from")?;
        let (to, making) = match Place::of(&self.to.0).context("--to")? {
            // A copy that was killed is no copy: the file appears when it is whole.
            Place::File(path) => {
                let making = Making::begin(path).context("--to")?;
                (open(Place::File(&making.path()), true, parts), Some(making))
            }
            address => (open(address, true, parts), None),
        };
        let to = to.context("--to")?;
        let copied = from.copy_to(&to).await;
        let (closed_from, closed_to) = (from.close().await, to.close().await);
        let copied = copied.map_err(|error: CopyError| anyhow::Error::new(error))?;
        closed_from?;
        closed_to?;
        // The last connection writes what it has into the database's one file.
        drop(to);
        if let Some(making) = making {
            making.finish().context("--to")?;
        }
        let rows: u64 = copied.rows.iter().map(|(_, rows)| rows).sum();
        if self.json {
            let tables: serde_json::Map<String, serde_json::Value> =
                copied.rows.into_iter().map(|(table, rows)| (table, rows.into())).collect();
            return print::json(&json!({ "rows": rows, "tables": tables, "balances": copied.balances.len() }));
        }
        print::text(&format!(
            "Copied {} of {}. Their counts and the {} of the ledger are the same in both.\n\n\
             Start the server with the new one (`database` in server.toml, or --database), and keep the old one until \
             it has sold something.",
            counted(rows, "row"),
            counted(copied.rows.len(), "table"),
            counted(copied.balances.len(), "balance")
        ))
    }
}

/// Where a database is.
enum Place<'p> {
    File(&'p Path),
    Address(DatabaseAddress),
}

impl<'p> Place<'p> {
    fn of(text: &'p str) -> anyhow::Result<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let address: DatabaseAddress = text.parse()?;
            return Ok(Self::Address(address.or_password(std::env::var("PGPASSWORD").ok())));
        }
        // An address that was mistyped does not become a file.
        if let Some(scheme) = scheme(text) {
            bail!(
                "`{scheme}:` begins neither the address of a PostgreSQL database, postgres://USER@HOST/DATABASE, nor the \
                 path of an SQLite file: write that without it, or ./{scheme}:… if the file is called so"
            );
        }
        Ok(Self::File(Path::new(text)))
    }

    /// Whoever opens a database brings it up to date. One that is to be copied stays as it is.
    fn is_up_to_date(&self) -> anyhow::Result<()> {
        let (found, known) = match self {
            Self::File(path) => {
                ensure!(
                    !is_another_kind(path)?,
                    "{} is no SQLite database: a server keeps its own in `portcullis.sqlite` in its directory. One of \
                     PostgreSQL is named by its address, postgres://USER@HOST/DATABASE",
                    path.display()
                );
                schema(path)?
            }
            Self::Address(address) => address.schema()?,
        };
        // Without a schema it is no server's, and one of a newer program is refused when it is opened.
        ensure!(
            found == 0 || found >= known,
            "the database is of version {found}, and this program, of version {known}, would change it: copy it with the \
             program that its server is of, or start this program's server on it once. Nothing was changed"
        );
        Ok(())
    }
}

/// The scheme of what looks like an address. A letter alone is a drive of Windows.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let is_scheme =
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    (is_scheme && scheme.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(scheme)
}

/// Whether a file is there that is no SQLite database: it begins otherwise. An empty one is a database of nothing.
fn is_another_kind(path: &Path) -> anyhow::Result<bool> {
    if !path.is_file() {
        return Ok(false);
    }
    let mut begins = Vec::new();
    let opened = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let read = opened.take(SQLITE.len() as u64).read_to_end(&mut begins);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(!begins.is_empty() && begins != SQLITE)
}

fn open(place: Place<'_>, create: bool, parts: &Parts) -> anyhow::Result<Copyable> {
    let Parts { clock, faults, .. } = parts.clone();
    match place {
        Place::Address(address) => {
            let options = PostgresOptions { clock, faults, create, ..PostgresOptions::new(address) };
            Ok(Copyable::Postgres(Postgres::open(options)?))
        }
        Place::File(path) => {
            let options = SqliteOptions { clock, faults, create, ..SqliteOptions::new(path) };
            Ok(Copyable::Sqlite(Sqlite::open(options)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_kind_is_no_path() {
        for (text, found) in [
            ("sqlite:foo", Some("sqlite")),
            ("postgres:/store", Some("postgres")),
            ("mysql://ada:secret@db.example/store", Some("mysql")),
            ("store/portcullis.sqlite", None),
            ("./sqlite:foo", None),
            ("C:\\store\\portcullis.sqlite", None),
            ("/srv/backups/12:30/portcullis.sqlite", None),
        ] {
            assert_eq!(scheme(text), found, "{text}");
            let said = Place::of(text).map(drop).map_err(|error| error.to_string());
            assert_eq!(said.is_err(), found.is_some(), "{text}");
            assert!(!said.is_err_and(|said| said.contains("secret")), "{text}");
        }
    }
}
