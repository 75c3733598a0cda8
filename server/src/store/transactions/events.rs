//! Events: numbered by their receiver's own row, in the transaction that causes them.

use super::{Database, Tx, TxError, TxResult};
use crate::crypto::secrets::random;
use crate::ops::faults::Write;
use crate::ops::retention;
use crate::store::database::row::{bytes, count, time, to_json};
use crate::store::wakes::Wake;
use crate::store::{Cursor, EventPage, EventRecord, Events, Receiver, StoreError};
use async_trait::async_trait;
use portcullis_protocol::EpochId;
use portcullis_protocol::limits::MAX_EVENT_DATA;
use std::sync::Arc;
use tokio::sync::Notify;

/// Events of one receiver that are kept, at most: whoever is further behind pulls what there is, and asks for the rest.
const KEPT: i64 = 1000;
/// Events that one sweep deletes.
const SWEPT: u32 = 1000;

/// Tells a receiver something.
pub(crate) fn append(tx: &Tx<'_>, to: &Receiver, kind: &str, data: &impl serde::Serialize) -> TxResult<()> {
    let (receiver, id) = to.columns();
    let data = to_json(data)?;
    if data.len() > MAX_EVENT_DATA {
        return Err(TxError::Database("the data of an event is too long".into()));
    }
    let seq: i64 = tx
        .one(
            "INSERT INTO event_receivers (kind, id, seq) VALUES (?1, ?2, 1)
             ON CONFLICT (kind, id) DO UPDATE SET seq = event_receivers.seq + 1 RETURNING seq",
            (receiver, id),
            |row| row.get(0),
        )?
        .ok_or(TxError::Damaged)?;
    tx.change(
        "INSERT INTO events (kind, receiver, seq, type, data, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (receiver, id, seq, kind, data, tx.now().millis()),
    )?;
    // One comes, one goes.
    if seq > KEPT {
        tx.change("DELETE FROM events WHERE kind = ?1 AND receiver = ?2 AND seq <= ?3", (receiver, id, seq - KEPT))?;
        tx.change(
            "UPDATE event_receivers SET first = ?3 WHERE kind = ?1 AND id = ?2 AND first < ?3",
            (receiver, id, seq - KEPT + 1),
        )?;
    }
    tx.wake(Wake::Event(*to));
    Ok(())
}

fn epoch(tx: &Tx<'_>) -> TxResult<EpochId> {
    let epoch = tx.one("SELECT epoch FROM server", (), |row| bytes(row, 0, EpochId::from_bytes))?;
    epoch.ok_or(TxError::Damaged)
}

/// Begins a new epoch: every cursor is of another one from now on.
pub(in crate::store) fn begin_epoch(tx: &Tx<'_>) -> TxResult<EpochId> {
    let epoch = EpochId::from_bytes(random());
    tx.change("UPDATE server SET epoch = ?1", [epoch.as_bytes()])?;
    Ok(epoch)
}

fn page(tx: &Tx<'_>, of: &Receiver, after: Option<Cursor>, limit: u32) -> TxResult<EventPage> {
    let (receiver, id) = of.columns();
    let epoch = epoch(tx)?;
    let (last, first) = tx
        .one("SELECT seq, first FROM event_receivers WHERE kind = ?1 AND id = ?2", (receiver, id), |row| {
            Ok((row.get::<i64>(0)?, row.get::<i64>(1)?))
        })?
        .unwrap_or((0, 1));
    let seen = after.filter(|cursor| cursor.epoch == epoch).and_then(|cursor| i64::try_from(cursor.seq).ok());
    // Whoever has seen what was not told yet has seen another server.
    let seen = seen.filter(|seen| *seen <= last);
    let is_gap = match (seen, after) {
        (Some(seen), _) => seen < first - 1,
        (None, after) => after.is_some() || first > 1,
    };
    let events = tx.all(
        "SELECT seq, type, data, at FROM events WHERE kind = ?1 AND receiver = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
        (receiver, id, seen.unwrap_or(0), limit),
        |row| Ok(EventRecord { seq: count(row, 0)?, kind: row.get(1)?, data: row.get(2)?, at: time(row, 3)? }),
    )?;
    let last = u64::try_from(last).map_err(|_| TxError::Unreadable)?;
    Ok(EventPage { epoch, events, last, is_gap, now: tx.now() })
}

/// Deletes events that are old. Returns whether there may be more.
pub(super) fn sweep(tx: &Tx<'_>) -> TxResult<bool> {
    let old = tx.all(
        "SELECT kind, receiver, seq FROM events WHERE at < ?1 ORDER BY at LIMIT ?2",
        (tx.now().minus(retention::EVENT).millis(), SWEPT),
        |row| Ok((row.get::<i64>(0)?, row.get::<[u8; 16]>(1)?, row.get::<i64>(2)?)),
    )?;
    for (kind, receiver, seq) in &old {
        tx.change("DELETE FROM events WHERE kind = ?1 AND receiver = ?2 AND seq = ?3", (*kind, receiver, *seq))?;
        tx.change(
            "UPDATE event_receivers SET first = ?3 WHERE kind = ?1 AND id = ?2 AND first < ?3",
            (*kind, receiver, *seq + 1),
        )?;
    }
    Ok(old.len() >= SWEPT as usize)
}

#[async_trait]
impl<D: Database> Events for D {
    async fn events(&self, receiver: &Receiver, after: Option<Cursor>, limit: u32) -> Result<EventPage, StoreError> {
        let receiver = *receiver;
        self.read("events", move |tx| page(tx, &receiver, after, limit)).await
    }

    async fn epoch(&self) -> Result<EpochId, StoreError> {
        self.read("epoch", epoch).await
    }

    async fn begin_epoch(&self) -> Result<EpochId, StoreError> {
        self.write(Write::EpochBegin, begin_epoch).await
    }

    fn wake_of(&self, receiver: &Receiver) -> Arc<Notify> {
        self.follow();
        self.wakes().of(receiver)
    }

    fn effects_wake(&self) -> Arc<Notify> {
        self.wakes().effects()
    }
}
