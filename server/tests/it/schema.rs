//! Both databases have the same tables, and understand every statement.

use crate::database::{Place, use_postgres};
use portcullis_fixtures::postgres::{cluster, outside};
use portcullis_server::ops::clock::Clock;
use portcullis_server::ops::faults::FaultPoints;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One of each kind, made by the server.
struct Both {
    _folders: [tempfile::TempDir; 2],
    sqlite: rusqlite::Connection,
    postgres: postgres::Client,
}

fn both() -> Both {
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let file = Place::File(folders[0].path().join("server.db"));
    drop(file.open(Clock::default(), FaultPoints::none()).expect("made"));
    let sqlite = rusqlite::Connection::open(folders[0].path().join("server.db")).expect("the file");
    use_postgres(folders[1].path());
    let place = Place::of(folders[1].path(), "server.db");
    drop(place.open(Clock::default(), FaultPoints::none()).expect("made"));
    let Place::Address(address) = place else { panic!("an address") };
    let postgres = crate::database::connect(&address);
    Both { _folders: folders, sqlite, postgres }
}

/// A column: of which table, its name, its type, and whether it may be null.
type Column = (String, String, String, bool);

#[test]
fn both_databases_have_the_same_tables_columns_and_indexes() {
    let Both { _folders, sqlite, mut postgres } = both();
    let mut tables = sqlite
        .prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")
        .expect("tables");
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).expect("read").map(|name| name.expect("one")).collect();
    let mut ours: BTreeSet<Column> = BTreeSet::new();
    for table in &tables {
        let mut columns = sqlite.prepare(&format!("PRAGMA table_info({table})")).expect("columns");
        let read = columns.query_map([], |row| {
            let (name, kind, not_null, key): (String, String, bool, i64) =
                (row.get(1)?, row.get(2)?, row.get(3)?, row.get(5)?);
            Ok((table.clone(), name, kind.to_lowercase(), !not_null && key == 0))
        });
        ours.extend(read.expect("read").map(|column| column.expect("one")));
    }
    // What a view adds up has no declared type in SQLite.
    let declared = |column: &Column| column.0 != "balances";
    let theirs: BTreeSet<Column> = postgres
        .query(
            "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES'
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'schema_version'",
            &[],
        )
        .expect("columns")
        .iter()
        .map(|row| {
            let kind = match row.get(2) {
                "bigint" => "integer",
                "bytea" => "blob",
                other => other,
            };
            (row.get(0), row.get(1), kind.to_owned(), row.get(3))
        })
        .collect();
    let (ours, theirs): (BTreeSet<_>, BTreeSet<_>) =
        (ours.into_iter().filter(declared).collect(), theirs.into_iter().filter(declared).collect());
    assert!(ours.len() > 150, "the control: there are columns");
    let only = |one: &BTreeSet<Column>, other: &BTreeSet<Column>| one.difference(other).cloned().collect::<Vec<_>>();
    assert_eq!((only(&ours, &theirs), only(&theirs, &ours)), (vec![], vec![]), "only in SQLite, only in PostgreSQL");

    let mut indexes = sqlite
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
        .expect("indexes");
    let ours: BTreeMap<String, bool> = indexes
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?.contains("UNIQUE"))))
        .expect("read")
        .map(|index| index.expect("one"))
        .collect();
    let theirs: BTreeMap<String, bool> = postgres
        .query("SELECT indexname::text, indexdef::text FROM pg_indexes WHERE schemaname = 'public'", &[])
        .expect("indexes")
        .iter()
        .map(|row| (row.get::<_, String>(0), row.get::<_, String>(1).contains("UNIQUE")))
        // Those of keys and constraints have names that PostgreSQL makes.
        .filter(|(name, _)| !name.ends_with("_key") && !name.ends_with("_pkey"))
        .collect();
    assert_eq!(ours, theirs);
    let texts = "SELECT count(*) FROM information_schema.columns
                 WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'
                   AND table_name <> 'balances'";
    assert_eq!(postgres.query_one(texts, &[]).expect("a row").get::<_, i64>(0), 0, "texts are compared byte by byte");
    outside(move || drop(postgres));
    assert!(cluster().port() > 0);
}

/// The statements of a file, with the constants that they are made of: its own, and otherwise one of another file.
fn statements(text: &str, others: &str) -> Vec<String> {
    let constant = Regex::new(r#"const ([A-Z_]+): &str =\s+"((?s:[^"]*))";"#).expect("a pattern");
    let constants: BTreeMap<&str, &str> = constant
        .captures_iter(others)
        .chain(constant.captures_iter(text))
        .map(|found| (found.get(1).expect("a name").as_str(), found.get(2).expect("a text").as_str()))
        .collect();
    let literal = Regex::new(r#""((?s:[^"]*))""#).expect("a pattern");
    let begins = Regex::new(r"^\s*(SELECT|INSERT|UPDATE|DELETE|\{[A-Z_]+\})\s").expect("a pattern");
    let hole = Regex::new(r"\{([A-Za-z_]+)\}").expect("a pattern");
    let found = literal.captures_iter(text).map(|found| found.get(1).expect("a text").as_str());
    let complete = |sql: &str| {
        let mut sql = sql.to_owned();
        while let Some(name) = hole.captures(&sql).map(|found| found[1].to_owned()) {
            let put = match name.as_str() {
                // One of several conditions, which stand beside it.
                "which" if sql.contains("FROM terminals") => "revoked_at IS NULL",
                "which" => "e.revoked_at IS NOT NULL",
                name => constants.get(name).copied().unwrap_or_else(|| panic!("{{{name}}} is no constant")),
            };
            sql = sql.replace(&format!("{{{name}}}"), put);
        }
        sql
    };
    found.filter(|sql| begins.is_match(sql)).map(complete).collect()
}

#[test]
fn both_databases_understand_every_statement() {
    let Both { _folders, sqlite, mut postgres } = both();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/transactions");
    let files: Vec<(PathBuf, String)> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|file| file.expect("a file").path())
        .map(|path| (path.clone(), std::fs::read_to_string(&path).expect("read")))
        .collect();
    let all = files.iter().map(|(_, text)| text.as_str()).collect::<String>();
    let mut count = 0;
    for (path, text) in &files {
        for sql in statements(text, &all) {
            // A part of a statement that stands in a constant begins with a condition, and is tried in its place.
            sqlite.prepare(&sql).unwrap_or_else(|error| panic!("{}: SQLite: {error}\n{sql}", path.display()));
            let numbered = sql.replace('?', "$");
            if let Err(error) = postgres.prepare(&numbered) {
                let said = error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned());
                panic!("{}: PostgreSQL: {said}\n{sql}", path.display());
            }
            count += 1;
        }
    }
    assert!(count > 150, "only {count} statements were found");
    assert!(
        sqlite.prepare("SELECT iif(1, 2, 3)").is_ok() && postgres.prepare("SELECT iif(1, 2, 3)").is_err(),
        "the control"
    );
    outside(move || drop(postgres));
}
