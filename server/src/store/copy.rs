//! Copies everything that one database remembers into another, of either kind: one snapshot of the one, one transaction
//! of the other. Nothing is committed that was not counted and added up on both sides.

use super::database::{Cell, Database, Row, Tx, TxError, TxResult, Value};
use super::tables::{Kind, NUMBERED, Table, tables};
use super::transactions::{events, ledger};
use super::{Balance, Postgres, Sqlite, StoreError};
use crate::ops::faults::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Rows that wait between the two databases, at most.
const AHEAD: usize = 256;

/// A store that can be copied from and to.
#[derive(Debug)]
pub enum Copyable {
    /// In a file.
    Sqlite(Sqlite),
    /// In a PostgreSQL database.
    Postgres(Postgres),
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Rows, by table.
    pub rows: Vec<(String, u64)>,
    /// The sums of the ledger, the same in both.
    pub balances: Vec<Balance>,
}

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// Somebody works on the one that is copied.
    #[error("a server is running on the database that is to be copied, or was killed a moment ago: stop it first")]
    Running,
    /// There is something in the other one.
    #[error("the database that is to be copied to is not empty: {0} has rows. Give it a new database")]
    NotEmpty(&'static str),
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is on its way.
enum Sent {
    /// A row: of which table, and what it holds.
    Row(usize, Vec<Held>),
    /// There are no more. Without this, the rows before were not all.
    End(Contents),
}

/// What is compared: how many rows each table has, and what the ledger adds up to.
#[derive(Debug, PartialEq, Eq)]
struct Contents {
    rows: Vec<(&'static str, u64)>,
    balances: Vec<Balance>,
}

enum Held {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Copyable {
    /// Copies everything from one to another, which is empty.
    ///
    /// # Errors
    /// [`CopyError`]; the other one is as it was then.
    pub async fn copy_to(&self, to: &Self) -> Result<Copied, CopyError> {
        let is_running = match self {
            Self::Sqlite(from) => is_running(from).await,
            Self::Postgres(from) => is_running(from).await,
        };
        if is_running? {
            return Err(CopyError::Running);
        }
        self.snapshot_to(to).await
    }

    /// The same beside whoever works on the one that is copied: what is written meanwhile is not copied.
    ///
    /// # Errors
    /// [`CopyError`]; the other one is as it was then.
    pub async fn snapshot_to(&self, to: &Self) -> Result<Copied, CopyError> {
        match (self, to) {
            (Self::Sqlite(from), Self::Sqlite(to)) => copy(from, to, &[]).await,
            (Self::Sqlite(from), Self::Postgres(to)) => copy(from, to, &NUMBERED).await,
            (Self::Postgres(from), Self::Sqlite(to)) => copy(from, to, &[]).await,
            (Self::Postgres(from), Self::Postgres(to)) => copy(from, to, &NUMBERED).await,
        }
    }

    /// Lets go of the database.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn close(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => super::Store::close(store).await,
            Self::Postgres(store) => super::Store::close(store).await,
        }
    }
}

async fn copy<F: Database, T: Database>(
    from: &F,
    to: &T,
    numbered: &'static [&'static str],
) -> Result<Copied, CopyError> {
    if let Some(full) = to.read_many("tables", filled).await? {
        return Err(CopyError::NotEmpty(full));
    }
    let (sender, receiver) = sync_channel(AHEAD);
    let (sender, receiver) = (Mutex::new(Some(sender)), Mutex::new(Some(receiver)));
    let send = from.read_many("copy", move |tx| match taken(&sender) {
        Some(sender) => send(tx, &sender),
        None => Err(TxError::Database("the connection broke".into())),
    });
    let receive = to.commit(Write::DatabaseCopy, move |tx| match taken(&receiver) {
        Some(receiver) => receive(tx, &receiver, numbered),
        None => Err(TxError::Database("the connection broke".into())),
    });
    // If the sender fails, the receiver has no end and keeps nothing; if the receiver fails, nobody takes what is sent.
    let (sent, received) = tokio::join!(send, receive);
    let Contents { rows, balances } = received?;
    sent?;
    Ok(Copied { rows: rows.into_iter().map(|(table, rows)| (table.to_owned(), rows)).collect(), balances })
}

async fn is_running<D: Database>(database: &D) -> Result<bool, StoreError> {
    let running = |tx: &Tx<'_>| {
        let sql = "SELECT 1 FROM leases WHERE ends_at > ?1 LIMIT 1";
        tx.one(sql, [tx.now().millis()], |_| Ok(()))
    };
    Ok(database.read("leases", running).await?.is_some())
}

fn taken<T>(once: &Mutex<Option<T>>) -> Option<T> {
    once.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A table that has rows. A new database has one row, which says nothing.
fn filled(tx: &Tx<'_>) -> TxResult<Option<&'static str>> {
    for table in tables() {
        let sql = match table.name {
            "server" => "SELECT 1 FROM server WHERE origin IS NOT NULL LIMIT 1".to_owned(),
            name => format!("SELECT 1 FROM {name} LIMIT 1 /* all of it */"),
        };
        if tx.one(&sql, (), |_| Ok(()))?.is_some() {
            return Ok(Some(table.name));
        }
    }
    Ok(None)
}

/// Sends every row of one snapshot, and in the end what they are together.
fn send(tx: &Tx<'_>, to: &SyncSender<Sent>) -> TxResult<()> {
    // A table is one statement, and whoever writes the rows may be slower than who reads them.
    tx.unhurried()?;
    let mut rows = Vec::new();
    let gone = |_| TxError::Database("the database that is copied to failed".into());
    for (index, table) in tables().enumerate() {
        let mut count = 0;
        let sql = format!("SELECT {} FROM {} /* all of it */", table.names(), table.name);
        tx.each(&sql, |row| {
            let held: TxResult<Vec<Held>> = (0..table.columns.len()).map(|column| held(row, column)).collect();
            count += 1;
            to.send(Sent::Row(index, held?)).map_err(gone)
        })?;
        rows.push((table.name, count));
    }
    to.send(Sent::End(Contents { rows, balances: ledger::balances(tx)? })).map_err(gone)
}

fn held(row: &Row<'_>, column: usize) -> TxResult<Held> {
    Ok(match row.cell(column)? {
        Cell::Null => Held::Null,
        Cell::Int(number) => Held::Int(number),
        Cell::Text(text) => Held::Text(text.to_owned()),
        Cell::Blob(bytes) => Held::Blob(bytes.to_vec()),
    })
}

/// Writes every row that arrives. Rolls everything back unless it is what was sent, counted and added up here.
fn receive(tx: &Tx<'_>, from: &Receiver<Sent>, numbered: &[&'static str]) -> TxResult<Contents> {
    let with_statement = |table: Table| {
        let sql = insert(&table);
        (table, sql)
    };
    let tables: Vec<(Table, String)> = tables().map(with_statement).collect();
    tx.unhurried()?;
    tx.change("DELETE FROM server", ())?;
    let sent = loop {
        let (index, row) = match from.recv() {
            Ok(Sent::Row(index, row)) => (index, row),
            Ok(Sent::End(contents)) => break contents,
            Err(_) => return Err(TxError::Database("the database that is copied failed".into())),
        };
        let (table, sql) = tables.get(index).ok_or(TxError::Damaged)?;
        let values: Vec<Value<'_>> =
            table.columns.iter().zip(&row).map(|((_, kind), held)| value(*kind, held)).collect();
        // Nothing of it can be run again: what was sent is gone.
        tx.change_values(sql, &values).map_err(|error| match error {
            TxError::Conflict(cause) => TxError::Database(cause),
            error => error,
        })?;
    };
    // From here on the database counts on from where the other one was.
    for table in numbered {
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', 'number'), coalesce(max(number), 1), max(number) IS NOT NULL)
             FROM {table}"
        );
        tx.one(&sql, (), |_| Ok(()))?;
    }
    // What is told from here on is not what the other one tells.
    events::begin_epoch(tx)?;
    let counted = tables.iter().map(|(table, _)| {
        let sql = format!("SELECT count(*) FROM {} /* all of it */", table.name);
        let count = tx.one(&sql, (), |row| row.get::<i64>(0))?.unwrap_or(0);
        Ok((table.name, u64::try_from(count).unwrap_or(0)))
    });
    let received = Contents { rows: counted.collect::<TxResult<_>>()?, balances: ledger::balances(tx)? };
    let differs = received.rows.iter().zip(&sent.rows).find(|(received, sent)| received != sent);
    match differs.map(|((table, _), _)| *table).or((received.balances != sent.balances).then_some("ledger")) {
        None => Ok(received),
        Some(table) => Err(TxError::Database(format!("the copy of {table} is not what it was made from"))),
    }
}

fn insert(table: &Table) -> String {
    let places: Vec<String> = (1..=table.columns.len()).map(|place| format!("?{place}")).collect();
    format!("INSERT INTO {} ({}) VALUES ({})", table.name, table.names(), places.join(", "))
}

fn value(kind: Kind, held: &Held) -> Value<'_> {
    match held {
        Held::Int(number) => Value::Int(Some(*number)),
        Held::Text(text) => Value::Text(Some(text)),
        Held::Blob(bytes) => Value::Blob(Some(bytes)),
        Held::Null => match kind {
            Kind::Int => Value::Int(None),
            Kind::Text => Value::Text(None),
            Kind::Blob => Value::Blob(None),
        },
    }
}
