//! Many more rows in the form that the server writes: copies of a real one under other identifiers, column by column,
//! whatever columns there are.

use anyhow::{Context as _, Result};
use rusqlite::{Connection, params};
use std::path::Path;

/// Rows of one transaction: large enough that the journal does not matter, small enough that it stays small.
const TOGETHER: i64 = 50_000;

/// Sixteen bytes that grow with a number, and come before all identifiers that begin with the time.
const ID: &str = "unhex(printf('00%030x', n))";
/// The same as a digest.
const DIGEST: &str = "unhex(printf('00%062x', n))";

/// Copies the rows of `table` that `of` names, once for each number, with other expressions in these columns. In them
/// `n` is the number, and `c` the row.
struct Copies<'a> {
    table: &'a str,
    of: &'a str,
    others: &'a [(&'a str, &'a str)],
}

/// Adds accounts that each hold an entitlement, until there are so many.
pub(crate) fn entitlements(database: &Path, total: u64) -> Result<()> {
    let copies = [
        Copies {
            table: "accounts",
            of: "id = (SELECT account FROM entitlements ORDER BY id DESC LIMIT 1)",
            others: &[("id", ID), ("lookup", "randomblob(32)")],
        },
        Copies {
            table: "entitlements",
            of: "id = (SELECT id FROM entitlements ORDER BY id DESC LIMIT 1)",
            others: &[("id", ID), ("account", ID)],
        },
    ];
    grow(database, "entitlements", total, &copies)
}

/// Adds resources of the same publisher with their operations, parts, offers and lines of the catalogue, until there
/// are so many.
pub(crate) fn resources(database: &Path, total: u64) -> Result<()> {
    let real = "(SELECT digest FROM resources WHERE name = 'measured')";
    let (of_resource, name) = (format!("resource = {real}"), "'copy-' || n");
    // Of two offers of a resource each has its own.
    let digest = "unhex(hex(substr(c.digest, 1, 16)) || printf('%032x', n))";
    let copies = [
        Copies { table: "resources", of: "name = 'measured'", others: &[("digest", DIGEST), ("name", name)] },
        Copies { table: "operations", of: &of_resource, others: &[("resource", DIGEST)] },
        Copies { table: "parts", of: &of_resource, others: &[("resource", DIGEST)] },
        Copies {
            table: "offers",
            of: "name = 'measured'",
            others: &[("digest", digest), ("id", "randomblob(16)"), ("name", name)],
        },
        Copies {
            table: "catalogue",
            of: "name = 'measured'",
            others: &[("number", "1000 + n"), ("name", name), ("newest", DIGEST)],
        },
    ];
    grow(database, "resources", total, &copies)
}

fn grow(database: &Path, counted: &str, total: u64, copies: &[Copies<'_>]) -> Result<()> {
    let db = Connection::open(database)?;
    // Nothing here is worth a sync: what is measured begins afterwards.
    db.execute_batch("PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF; PRAGMA cache_size=-64000;")?;
    let there: i64 = db.query_row(&format!("SELECT count(*) FROM {counted}"), [], |row| row.get(0))?;
    let missing = i64::try_from(total)?.saturating_sub(there);
    let mut first = there;
    while first < there + missing {
        let count = TOGETHER.min(there + missing - first);
        db.execute_batch("BEGIN IMMEDIATE")?;
        for copy in copies {
            let sql = copy.statement(&db)?;
            db.execute(&sql, params![first, count]).with_context(|| format!("copies of {}", copy.table))?;
        }
        db.execute_batch("COMMIT")?;
        first += count;
    }
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

impl Copies<'_> {
    fn statement(&self, db: &Connection) -> Result<String> {
        let mut columns = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let columns: Vec<String> = columns.query_map([self.table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let values: Vec<String> = columns
            .iter()
            .map(|column| {
                let other = self.others.iter().find(|(name, _)| name == column);
                other.map_or_else(|| format!("c.{column}"), |(_, expression)| (*expression).to_owned())
            })
            .collect();
        Ok(format!(
            "WITH RECURSIVE numbers (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?1 + ?2)
             INSERT INTO {table} ({columns})
             SELECT {values} FROM numbers, (SELECT * FROM {table} WHERE {of}) AS c ORDER BY n",
            table = self.table,
            columns = columns.join(", "),
            values = values.join(", "),
            of = self.of,
        ))
    }
}
