//! What other processes commit to the same file. SQLite tells nobody, so a connection asks, but only while somebody
//! waits.

use super::connect;
use crate::ops::faults::Write;
use crate::store::Receiver;
use crate::store::database::{Jobs, WeakJobs};
use crate::store::wakes::Wakes;
use rusqlite::{Connection, OpenFlags};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often it is asked: a read of one counter, which SQLite keeps in memory shared by all processes.
const POLL: Duration = Duration::from_millis(20);
/// How often it is looked whether anybody waits, and whether the store was closed.
const UNAWAITED: Duration = Duration::from_millis(50);

/// Follows what other processes commit.
#[derive(Debug)]
pub(super) struct News {
    path: PathBuf,
    is_followed: AtomicBool,
}

impl News {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, is_followed: AtomicBool::new(false) }
    }

    /// Follows them from now on, until the store is closed.
    pub(super) fn follow(&self, writer: &Jobs<Write>, wakes: &Wakes) {
        if self.is_followed.swap(true, Ordering::SeqCst) {
            return;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let (alive, wakes) = (writer.downgrade(), wakes.clone());
        let started =
            connect(&self.path, flags).and_then(|db| writer.start("store-news", move || watch(&db, &alive, &wakes)));
        if let Err(error) = started {
            self.is_followed.store(false, Ordering::SeqCst);
            tracing::error!(%error, "events of other processes are seen late");
        }
    }
}

fn watch(db: &Connection, alive: &WeakJobs<Write>, wakes: &Wakes) {
    let (mut version, mut last) = (0, newest(db));
    let mut is_behind = false;
    while alive.is_open() {
        if !wakes.are_awaited() {
            is_behind = true;
            std::thread::sleep(UNAWAITED);
            continue;
        }
        // Of what happened while nobody waited, nobody is told: whoever begins to wait looks by himself first.
        if std::mem::take(&mut is_behind) {
            last = newest(db);
        }
        std::thread::sleep(POLL);
        // Changes with every commit of another connection.
        let found: i64 = db.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap_or(version);
        if found != version {
            version = found;
            for (number, receiver) in since(db, last) {
                last = last.max(number);
                wakes.wake(&receiver);
            }
        }
    }
}

fn newest(db: &Connection) -> i64 {
    db.query_row("SELECT coalesce(max(number), 0) FROM events", [], |row| row.get(0)).unwrap_or(0)
}

/// The receivers of events after one. There is one writer, so that they are committed in the order of their numbers.
fn since(db: &Connection, last: i64) -> Vec<(i64, Receiver)> {
    let read = || {
        let mut statement = db.prepare_cached("SELECT number, kind, receiver FROM events WHERE number > ?1")?;
        let found = statement.query_map([last], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        found.collect::<rusqlite::Result<Vec<(i64, i64, [u8; 16])>>>()
    };
    // Whoever waits looks by himself, too.
    let found = read().unwrap_or_default();
    found.into_iter().filter_map(|(number, kind, id)| Some((number, Receiver::from_columns(kind, id)?))).collect()
}
