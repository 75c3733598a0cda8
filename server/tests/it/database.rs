//! The database that the tests run on: SQLite, or with `PORTCULLIS_TEST_DATABASE=postgres` PostgreSQL. Whatever a test
//! looks up or changes behind the server's back goes through here, in statements that both understand.

pub(crate) use portcullis_fixtures::postgres::is_chosen as is_postgres;
use portcullis_fixtures::postgres::{Tables, cluster, database_of, outside};
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::FaultPoints;
use portcullis_server::store::{DatabaseAddress, Postgres, PostgresOptions, Sqlite, SqliteOptions, Store, StoreError};
use postgres::types::{ToSql, Type};
use postgres::{Client, NoTls};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file beside a server's that says which PostgreSQL database is its.
const ADDRESS: &str = "database.url";

/// Chooses a database for the server in a folder. `None`: a file in it.
pub(crate) fn choose(folder: &Path) -> Option<DatabaseAddress> {
    is_postgres().then(|| use_postgres(folder))
}

/// Has the server in a folder use a new PostgreSQL database.
pub(crate) fn use_postgres(folder: &Path) -> DatabaseAddress {
    let address = database_of(&tables());
    std::fs::write(folder.join(ADDRESS), &address).expect("written");
    address.parse().expect("an address")
}

/// The server's tables in PostgreSQL.
fn tables() -> Tables {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/postgres");
    let entries = std::fs::read_dir(folder).expect("the store's sources").flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    let make = |address: &str| {
        let place = Place::Address(address.to_owned());
        drop(place.open(Clock::default(), FaultPoints::none()).expect("made"));
    };
    Tables { files, make }
}

/// The database of the server in a folder.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    File(PathBuf),
    Address(String),
}

impl Place {
    /// Of the server whose file would be this one.
    pub(crate) fn of(folder: &Path, file: &str) -> Self {
        match std::fs::read_to_string(folder.join(ADDRESS)) {
            Ok(address) => Self::Address(address),
            Err(_) => Self::File(folder.join(file)),
        }
    }

    /// Opens it as a server does.
    pub(crate) fn open(&self, clock: Clock, faults: FaultPoints) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::File(path) => Arc::new(Sqlite::open(SqliteOptions { clock, faults, ..SqliteOptions::new(path) })?),
            Self::Address(address) => {
                let address = address.parse().expect("an address");
                Arc::new(Postgres::open(PostgresOptions { clock, faults, ..PostgresOptions::new(address) })?)
            }
        })
    }

    /// Changes rows behind the server's back.
    pub(crate) fn try_change(&self, sql: &str, values: &[Of<'_>]) -> Result<usize, String> {
        match self {
            Self::File(path) => {
                let db = rusqlite::Connection::open(path).expect("the file");
                db.execute(sql, rusqlite::params_from_iter(values)).map_err(|error| error.to_string())
            }
            Self::Address(address) => outside(|| {
                let mut client = connect(address);
                let statement = client.prepare_typed(&spoken(sql), &types(values)).map_err(|error| said(&error))?;
                let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
                let changed = client.execute(&statement, &values).map_err(|error| said(&error))?;
                Ok(usize::try_from(changed).expect("few"))
            }),
        }
    }

    pub(crate) fn change(&self, sql: &str, values: &[Of<'_>]) -> usize {
        self.try_change(sql, values).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// One number.
    pub(crate) fn number(&self, sql: &str, values: &[Of<'_>]) -> i64 {
        match self {
            Self::File(path) => {
                let db = rusqlite::Connection::open(path).expect("the file");
                db.query_row(sql, rusqlite::params_from_iter(values), |row| row.get(0)).expect("a number")
            }
            Self::Address(address) => outside(|| {
                let mut client = connect(address);
                // A sum is NUMERIC there.
                let sql = format!("SELECT CAST(({}) AS BIGINT)", spoken(sql));
                let statement = client.prepare_typed(&sql, &types(values)).expect("a statement");
                let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
                client.query_one(&statement, &values).expect("a row").get(0)
            }),
        }
    }

    /// Some bytes.
    pub(crate) fn bytes(&self, sql: &str, values: &[Of<'_>]) -> Vec<u8> {
        match self {
            Self::File(path) => {
                let db = rusqlite::Connection::open(path).expect("the file");
                db.query_row(sql, rusqlite::params_from_iter(values), |row| row.get(0)).expect("bytes")
            }
            Self::Address(address) => outside(|| {
                let mut client = connect(address);
                let statement = client.prepare_typed(&spoken(sql), &types(values)).expect("a statement");
                let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
                client.query_one(&statement, &values).expect("a row").get(0)
            }),
        }
    }

    /// The first column of each row that a question finds, as text.
    pub(crate) fn texts(&self, sql: &str) -> Vec<String> {
        match self {
            Self::File(path) => {
                let db = rusqlite::Connection::open(path).expect("the file");
                let mut statement = db.prepare(sql).expect("a statement");
                let rows = statement.query_map([], |row| row.get(0)).expect("rows");
                rows.map(|row| row.expect("a text")).collect()
            }
            Self::Address(address) => {
                outside(|| connect(address).query(sql, &[]).expect("rows").iter().map(|row| row.get(0)).collect())
            }
        }
    }

    /// Runs statements that take and return nothing, as the database writes them.
    pub(crate) fn run(&self, sql: &str) {
        match self {
            Self::File(path) => rusqlite::Connection::open(path).expect("the file").execute_batch(sql).expect(sql),
            Self::Address(address) => outside(|| connect(address).batch_execute(sql).expect(sql)),
        }
    }

    /// Everything that is on the disk.
    pub(crate) fn disk(&self) -> Vec<u8> {
        let files: Vec<PathBuf> = match self {
            Self::File(path) => vec![path.clone(), path.with_extension("db-wal")],
            Self::Address(_) => cluster().files(),
        };
        files.iter().flat_map(|file| std::fs::read(file).unwrap_or_default()).collect()
    }
}

/// A value of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of<'a> {
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

pub(crate) fn connect(address: &str) -> Client {
    // The driver's own addresses know the folder of a socket as a host.
    let (front, socket) = address.split_once("?host=").expect("a socket");
    let (front, name) = front.rsplit_once('/').expect("a name");
    let port = front.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let mut config = Client::configure();
    config.host_path(socket).port(port).user(portcullis_fixtures::postgres::USER).dbname(name);
    config.connect(NoTls).expect("a connection")
}

fn said(error: &postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
}

/// As PostgreSQL writes parameters and bytes.
fn spoken(sql: &str) -> String {
    let mut spoken = String::new();
    for piece in sql.replace('?', "$").split_inclusive("x'") {
        match piece.strip_suffix("x'").filter(|before| before.ends_with([' ', '(', ','])) {
            Some(before) => spoken.extend([before, "'\\x"]),
            None => spoken.push_str(piece),
        }
    }
    spoken
}

fn types(values: &[Of<'_>]) -> Vec<Type> {
    let of = |value: &Of<'_>| match value {
        Of::Int(_) => Type::INT8,
        Of::Text(_) => Type::TEXT,
        Of::Blob(_) => Type::BYTEA,
    };
    values.iter().map(of).collect()
}

impl rusqlite::ToSql for Of<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Int(number) => rusqlite::ToSql::to_sql(number),
            Self::Text(text) => rusqlite::ToSql::to_sql(text),
            Self::Blob(bytes) => rusqlite::ToSql::to_sql(bytes),
        }
    }
}

impl ToSql for Of<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Int(number) => ToSql::to_sql(number, ty, out),
            Self::Text(text) => ToSql::to_sql(text, ty, out),
            Self::Blob(bytes) => ToSql::to_sql(bytes, ty, out),
        }
    }

    postgres::types::accepts!(INT8, TEXT, BYTEA);
    postgres::types::to_sql_checked!();
}
