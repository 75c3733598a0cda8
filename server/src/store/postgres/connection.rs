//! A connection with one transaction at a time, whose statements are prepared once.

use super::address::DatabaseAddress;
use super::dialect::{Found, NOW, failed, numbered, types};
use crate::ops::clock::{Clock, Timestamp};
use crate::store::StoreError;
use crate::store::database::{Cell, Columns, Locks, Row, Statements, TxError, TxResult, Value};
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::ToSql;
use postgres::{Client, NoTls, SimpleQueryMessage, Statement};
use std::cell::{Cell as Flag, RefCell};
use std::collections::HashMap;
use std::time::Duration;

/// What holds for every session. Commits are on disk before they are answered, whatever the server's default. Nobody
/// waits for ever: not for a lock, not for a statement, and not for a process that holds locks and is gone.
const SESSION: &str = "SET synchronous_commit = on; SET lock_timeout = '20s'; SET statement_timeout = '60s';
                       SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = warning";

/// How long after its beginning a transaction may commit, unless it said that it takes as long as it needs: what adds
/// up rows by their numbers has to know when no earlier number can come any more.
const LONGEST: Duration = Duration::from_secs(60);

/// How a transaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// A snapshot to read.
    Read,
    /// To write. Every statement sees what was committed before it: what has to stay as it was found is locked.
    Write,
}

/// A connection.
pub(super) struct Connection {
    client: RefCell<Client>,
    statements: RefCell<HashMap<String, Statement>>,
    clock: Clock,
    /// Whether the transaction may take as long as it needs.
    is_unhurried: Flag<bool>,
}

impl Connection {
    /// Connects.
    pub(super) fn open(address: &DatabaseAddress, clock: &Clock) -> Result<Self, StoreError> {
        let unreachable = |cause: String| StoreError::Unreachable { address: address.to_string(), cause };
        let client = match address.tls().map_err(|error| unreachable(error.to_string()))? {
            Some(tls) => address.config().connect(tls),
            None => address.config().connect(NoTls),
        };
        let mut client = client.map_err(|error| unreachable(said(&error) + advice(&error)))?;
        client.batch_execute(SESSION).map_err(|error| unreachable(said(&error)))?;
        let (statements, is_unhurried) = (RefCell::default(), Flag::default());
        Ok(Self { client: client.into(), statements, clock: clock.clone(), is_unhurried })
    }

    /// Begins a transaction, and says when, in one round trip.
    pub(super) fn begin(&self, how: Begin) -> TxResult<Timestamp> {
        let begin = match how {
            Begin::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Begin::Write => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        };
        self.is_unhurried.set(false);
        let answers = self.client.borrow_mut().simple_query(&format!("{begin}; SELECT {NOW}"));
        let answers = answers.map_err(|error| failed(&error))?;
        let now = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        now.map(|now| self.shifted(now)).ok_or(TxError::Unreadable)
    }

    /// Commits, unless the transaction took too long: then it may be run again. Of a transaction that has failed,
    /// PostgreSQL makes a rollback without an error; a statement before it fails then.
    pub(super) fn commit(&self) -> TxResult<()> {
        if self.is_unhurried.get() { self.run("SELECT 1; COMMIT") } else { self.commit_within(LONGEST) }
    }

    /// Commits if the transaction began no longer ago than this. The database looks itself, and nothing comes between
    /// its look and the commit.
    fn commit_within(&self, longest: Duration) -> TxResult<()> {
        let age = "extract(epoch FROM clock_timestamp() - transaction_timestamp())";
        let look = format!("SELECT 1 / CASE WHEN {age} > {} THEN 0 ELSE 1 END", longest.as_secs_f64());
        let committed = self.client.borrow_mut().batch_execute(&format!("{look}; COMMIT"));
        committed.map_err(|error| match error.code() {
            Some(&SqlState::DIVISION_BY_ZERO) => TxError::Conflict(format!("it took longer than {longest:?}")),
            _ => failed(&error),
        })
    }

    /// Takes back whatever was done.
    pub(super) fn roll_back(&self) -> TxResult<()> {
        self.run("ROLLBACK")
    }

    /// Runs statements that take and return nothing.
    pub(super) fn run(&self, sql: &str) -> TxResult<()> {
        self.client.borrow_mut().batch_execute(sql).map_err(|error| failed(&error))
    }

    /// Waits for what other processes notify of, so long at most. Returns what they say.
    pub(super) fn notified(&self, patience: Duration) -> TxResult<Vec<String>> {
        let mut client = self.client.borrow_mut();
        let mut notifications = client.notifications();
        let mut told = Vec::new();
        let mut waiting = notifications.timeout_iter(patience);
        if let Some(first) = waiting.next().map_err(|error| failed(&error))? {
            told.push(first.payload().to_owned());
        }
        drop(waiting);
        let mut more = notifications.iter();
        while let Some(next) = more.next().map_err(|error| failed(&error))? {
            told.push(next.payload().to_owned());
        }
        Ok(told)
    }

    fn shifted(&self, millis: i64) -> Timestamp {
        Timestamp::from_millis(millis.saturating_add(self.clock.shift_millis()))
    }

    /// A statement that the connection keeps ready. Its parameters have the same types every time.
    fn prepared(&self, sql: &str, values: &[Value<'_>]) -> TxResult<Statement> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.borrow_mut().prepare_typed(&numbered(sql), &types(values));
        let statement = statement.map_err(|error| failed(&error))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// What a failed connection says, with its cause and without any password, which errors do not hold.
fn said(error: &postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        // The driver has no other name for it.
        (None, Some(source)) if source.to_string() == "password missing" => {
            "it asks for a password, and there is none: set PGPASSWORD, or put it into the address \
             (postgres://USER:PASSWORD@HOST/DATABASE)"
                .into()
        }
        (Some(said), _) => format!("{} ({})", said.message(), said.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// What to do about a connection that did not come about.
fn advice(error: &postgres::Error) -> &'static str {
    match error.code() {
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            ". Check the user in the address, and the password in PGPASSWORD or the address"
        }
        _ => "",
    }
}

impl Statements for Connection {
    fn change(&self, sql: &str, values: &[Value<'_>]) -> TxResult<usize> {
        let statement = self.prepared(sql, values)?;
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let changed = self.client.borrow_mut().execute(&statement, &values).map_err(|error| failed(&error))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn rows(&self, sql: &str, values: &[Value<'_>], each: &mut dyn FnMut(&Row<'_>) -> TxResult<bool>) -> TxResult<()> {
        let statement = self.prepared(sql, values)?;
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let mut client = self.client.borrow_mut();
        // As they come: a table may be larger than memory.
        let mut rows = client.query_raw(&statement, values).map_err(|error| failed(&error))?;
        while let Some(row) = rows.next().map_err(|error| failed(&error))? {
            if !each(&Row::new(&FoundRow(&row)))? {
                break;
            }
        }
        Ok(())
    }

    fn locks(&self) -> Option<&dyn Locks> {
        Some(self)
    }
}

impl Locks for Connection {
    fn lock(&self, number: i64) -> TxResult<Timestamp> {
        let mut now = None;
        let sql = format!("SELECT CAST(pg_advisory_xact_lock(?1) AS TEXT), {NOW}");
        self.rows(&sql, &[Value::Int(Some(number))], &mut |row| {
            now = Some(row.get(1)?);
            Ok(false)
        })?;
        now.map(|now| self.shifted(now)).ok_or(TxError::Unreadable)
    }

    fn unhurried(&self) -> TxResult<()> {
        self.run("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")?;
        self.is_unhurried.set(true);
        Ok(())
    }

    fn hold_identity(&self) -> TxResult<()> {
        // A SELECT takes a lock on its table, too, and keeps it to the end of its transaction.
        self.run("LOCK TABLE server IN ACCESS EXCLUSIVE MODE")
    }
}

struct FoundRow<'a>(&'a postgres::Row);

impl Columns for FoundRow<'_> {
    fn cell(&self, column: usize) -> TxResult<Cell<'_>> {
        let found = self.0.try_get::<_, Found<'_>>(column);
        found.map(|found| found.0).map_err(|_| TxError::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::{Begin, Clock, Connection, Locks as _};
    use crate::store::database::TxError;
    use portcullis_fixtures::postgres::cluster;
    use std::time::Duration;

    /// What adds up the ledger rests on it: see `SETTLED` in `transactions/figures.rs`.
    #[test]
    fn a_transaction_that_took_too_long_is_not_committed() {
        let address = cluster().database().parse().expect("an address");
        let connection = Connection::open(&address, &Clock::default()).expect("a connection");
        let committed = |work: &dyn Fn(), longest| {
            connection.begin(Begin::Write).expect("begun");
            work();
            connection.commit_within(longest)
        };
        connection.run("CREATE TABLE t (n BIGINT)").expect("a table");
        let insert =
            |n: u32| connection.run(&format!("INSERT INTO t VALUES ({n}); SELECT pg_sleep(0.2)")).expect("run");
        let late = committed(&|| insert(1), Duration::from_millis(100));
        assert!(matches!(late, Err(TxError::Conflict(_))), "it may be run again: {late:?}");
        connection.roll_back().expect("rolled back");
        committed(&|| insert(2), Duration::from_secs(60)).expect("the control");
        // What was refused by the database is not committed either, and says why.
        let failed = committed(
            &|| drop(connection.run("INSERT INTO t VALUES (3), ('x')").expect_err("no number")),
            Duration::from_secs(60),
        );
        assert!(matches!(failed, Err(TxError::Database(_))), "{failed:?}");
        connection.roll_back().expect("rolled back");
        // Copies and backups take as long as they need, and the next transaction on the connection does not.
        connection.begin(Begin::Write).expect("begun");
        connection.unhurried().expect("unhurried");
        assert!(connection.is_unhurried.get());
        insert(4);
        connection.commit().expect("committed");
        connection.begin(Begin::Read).expect("begun");
        assert!(!connection.is_unhurried.get());
        connection.roll_back().expect("rolled back");
        connection.run("DELETE FROM t WHERE n IN (2, 4); SELECT 1 / (1 - count(*)) FROM t").expect("only these");
    }
}
