//! What statements cost, for tests: with the feature `test-seams` every statement is looked at when it runs first, and
//! counted whenever it runs. One whose plan reads a whole table is a panic, so that no list, sweep or search can grow
//! with its table unnoticed, whichever test runs it.

use rusqlite::{CachedStatement, Connection, StatementStatus};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Tables that do not grow, and why.
const SMALL: &[(&str, &str)] = &[
    ("server_keys", "there are four"),
    ("signing_keys", "one a year"),
    ("server", "one row"),
    ("leases", "one for each process that runs"),
    ("order_counts", "sixteen for each state of an order"),
    ("books", "one for each class of accounts and commodity"),
];
/// Statements that may read the whole of a table that grows, and why.
const WHOLE: &[(&str, &str)] = &[
    ("FROM balances", "the trial balance is of the whole ledger; an operator's command alone asks for it"),
    ("FROM log ORDER BY number LIMIT", "a batch from its beginning"),
    ("/* all of it */", "a database is copied with all that is in it"),
    ("FROM resources GROUP BY", "the index of the catalogue is filled once, when a database is migrated"),
];

static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
static STEPS: AtomicU64 = AtomicU64::new(0);
static PREPARED: AtomicU64 = AtomicU64::new(0);
static PREPARED_AGAIN: AtomicU64 = AtomicU64::new(0);

/// What the statements of this process have cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Steps of the database's virtual machine: a row that is looked at takes some.
    pub steps: u64,
    /// Statements that were parsed and planned because no connection had them ready.
    pub prepared: u64,
    /// Statements that were ready and were parsed and planned again all the same.
    pub prepared_again: u64,
}

/// What the statements of this process have cost so far.
#[must_use]
pub fn work() -> Work {
    Work { steps: STEPS.load(Relaxed), prepared: PREPARED.load(Relaxed), prepared_again: PREPARED_AGAIN.load(Relaxed) }
}

/// Looks at the plan of a statement that runs for the first time.
pub(super) fn before(db: &Connection, sql: &str, statement: &CachedStatement<'_>) {
    if statement.get_status(StatementStatus::Run) != 0 {
        return;
    }
    PREPARED.fetch_add(1, Relaxed);
    if !SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.to_owned()) {
        return;
    }
    let plan = plan(db, sql).expect("a statement that was prepared has a plan");
    if let Some(step) = whole(&plan)
        && !WHOLE.iter().any(|(known, _)| sql.contains(known))
    {
        panic!("a statement reads a whole table: {step}\n{sql}\nGive it an index, or name it in {}", file!());
    }
}

/// Counts a statement that ran.
pub(super) fn after(statement: &CachedStatement<'_>) {
    let taken = |status| u64::try_from(statement.reset_status(status)).unwrap_or(0);
    STEPS.fetch_add(taken(StatementStatus::VmStep), Relaxed);
    PREPARED_AGAIN.fetch_add(taken(StatementStatus::RePrepare), Relaxed);
}

fn plan(db: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let mut rows = explain.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        steps.push(row.get(3)?);
    }
    Ok(steps)
}

/// The step of a plan that reads a table from its beginning to its end. What a part of the statement has found before
/// is no table.
fn whole(plan: &[String]) -> Option<&String> {
    let found = |of: &str| {
        let made = ["CO-ROUTINE ", "MATERIALIZE "].map(|how| format!("{how}{of}"));
        let table = of.split(' ').next().unwrap_or_default();
        of == "CONSTANT ROW"
            || SMALL.iter().any(|(small, _)| *small == table)
            || plan.iter().any(|step| made.contains(step))
    };
    plan.iter().find(|step| step.strip_prefix("SCAN ").is_some_and(|of| !found(of)))
}

#[cfg(test)]
mod tests {
    use super::{plan, whole};
    use rusqlite::Connection;

    #[test]
    fn a_statement_that_reads_a_whole_table_is_seen() {
        let db = Connection::open_in_memory().expect("a database");
        db.execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE TABLE u (a INTEGER, b TEXT);")
            .expect("made");
        let whole = |sql: &str| whole(&plan(&db, sql).expect("a plan")).is_some();
        for sql in [
            "SELECT a FROM t WHERE b = ?1",
            "SELECT a FROM t AS few_letters WHERE ?1 IS NULL OR a > ?1 ORDER BY a LIMIT ?2",
            "UPDATE t SET b = NULL WHERE b = ?1",
            "DELETE FROM t WHERE a IN (SELECT a FROM u WHERE b < ?1 LIMIT 5)",
        ] {
            assert!(whole(sql), "{sql}");
        }
        for sql in [
            "SELECT b FROM t WHERE a > ?1 ORDER BY a LIMIT ?2",
            "SELECT c FROM (SELECT b AS c FROM t WHERE a > ?1 LIMIT 5) AS few WHERE c > ?2",
            "INSERT INTO t (b) VALUES (?1)",
            "SELECT 1",
        ] {
            assert!(!whole(sql), "{sql}");
        }
    }
}
