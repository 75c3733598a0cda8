//! Effects: which are due, who claims them, and what is written under a claim.

use super::leases::ProcessLease;
use super::{Database, Lock, Tx, TxError, TxResult};
use crate::crypto::secrets::rng;
use crate::effects::state::{EffectState, EffectStep};
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::ops::retention;
use crate::store::database::Row;
use crate::store::database::row::{count, number_of, octets, one_of, time};
use crate::store::wakes::Wake;
use crate::store::{
    ClaimEffect, ClaimsAtWork, EffectClaim, EffectGroup, EffectId, EffectKind, EffectOf, EffectQueue, EffectVerdict,
    Effects, QUEUE_COUNTED, StoreError,
};
use async_trait::async_trait;
use portcullis_protocol::AccountId;
use portcullis_protocol::encoding::Octets;
use std::sync::Arc;

/// How long a claim lasts, in seconds: longer than whoever does the effect is waited for. A process that dies gives its
/// claims up sooner, with its lease.
const CLAIM: u64 = 60;
/// Effects of one lane that are claimed at once, at most. After a receiver was slow, it is one, and twice as many after
/// each answer that came in time.
const IN_LANE: u32 = 8;
/// Lanes that one round looks at.
const LANES: u32 = 64;
/// When a lane whose places are all taken is looked at again, in seconds, if none of them becomes free before.
const LANE_PAUSE: u64 = 5;
/// Effects that processes left behind which one round looks at: more than a few processes have claimed.
const LEFT_BEHIND: u32 = 1_000;
/// Ended effects that one sweep deletes.
const SWEPT: u32 = 500;

const EFFECT: &str = "SELECT id, kind, subject, part, fence, tries, lane FROM effects";

fn claimed(row: &Row<'_>, now: Timestamp, at_work: &ClaimsAtWork, group: Option<EffectGroup>) -> TxResult<EffectClaim> {
    let (id, fence) = (EffectId(octets(row, 0)?), row.get(4)?);
    Ok(EffectClaim {
        id,
        of: EffectOf { kind: kind(row, 1)?, subject: octets(row, 2)?, part: row.get(3)? },
        fence,
        tries: row.get(5)?,
        now,
        in_lane: row.get::<Option<[u8; 16]>>(6)?.is_some(),
        _at_work: Arc::new(at_work.begin(id, fence, group)),
    })
}

fn kind(row: &Row<'_>, column: usize) -> TxResult<EffectKind> {
    let word: String = row.get(column)?;
    EffectKind::ALL.iter().find(|kind| kind.word() == word).copied().ok_or(TxError::Unreadable)
}

fn group(row: &Row<'_>, column: usize) -> TxResult<EffectGroup> {
    Ok(EffectGroup { kind: kind(row, column)?, provider: row.get(column + 1)? })
}

/// A state as its column has it.
pub(super) fn number(state: EffectState) -> i64 {
    number_of(&EffectState::ALL, state)
}

/// Adds an effect that is due at a moment. What there is already stays as it is.
pub(crate) fn add(tx: &Tx<'_>, of: EffectOf, at: Timestamp) -> TxResult<EffectId> {
    add_in(tx, of, at, None, new_id(tx))
}

/// A new identifier.
pub(super) fn new_id(tx: &Tx<'_>) -> EffectId {
    // Drawn as an account's is, and names none.
    EffectId(Octets(*AccountId::generate(tx.now().id_millis(), &mut rng()).as_bytes()))
}

/// Adds an effect, in a lane if one is named, with an identifier of the caller's.
pub(super) fn add_in(
    tx: &Tx<'_>,
    of: EffectOf,
    at: Timestamp,
    lane: Option<Octets<16>>,
    id: EffectId,
) -> TxResult<EffectId> {
    let order = of.kind.is_of_payment().then_some(of.subject.0);
    let added = tx.change(
        "INSERT INTO effects (id, kind, subject, part, lane, next_at, created_at, provider)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce((SELECT o.provider FROM orders o WHERE o.id = ?8), ''))
         ON CONFLICT (kind, subject, part) DO NOTHING",
        (id.0.0, of.kind.word(), of.subject.0, of.part, lane.map(|lane| lane.0), at.millis(), tx.now().millis(), order),
    )?;
    if added == 1 {
        if let Some(lane) = lane {
            arm(tx, lane, at)?;
        }
        tx.wake(Wake::Effects);
        return Ok(id);
    }
    // Added by a transaction that this one does not see yet.
    id_of(tx, of)?.ok_or_else(|| TxError::Conflict("the effect was added meanwhile".into()))
}

/// A lane has something due at a moment.
fn arm(tx: &Tx<'_>, lane: Octets<16>, at: Timestamp) -> TxResult<()> {
    tx.change(
        "INSERT INTO effect_lanes (lane, due_at) VALUES (?1, ?2)
         ON CONFLICT (lane) DO UPDATE SET due_at = excluded.due_at
             WHERE effect_lanes.due_at IS NULL OR effect_lanes.due_at > excluded.due_at",
        (lane.0, at.millis()),
    )?;
    Ok(())
}

/// Locks a lane, before any effect of it: whoever adds to it waits until this transaction has ended, or has been
/// waited for.
pub(super) fn lock_lane(tx: &Tx<'_>, lane: Octets<16>) -> TxResult<()> {
    tx.change("UPDATE effect_lanes SET due_at = due_at WHERE lane = ?1", [lane.0])?;
    Ok(())
}

/// The receiver of a claim that is in force was slow, or answered in time.
pub(super) fn answered(tx: &Tx<'_>, claim: &EffectClaim, in_time: bool) -> TxResult<()> {
    let Some(lane) = lane_of(tx, claim.id)? else { return Ok(()) };
    let sql = match in_time {
        true => {
            "UPDATE effect_lanes SET places = CASE WHEN places * 2 < ?2 THEN places * 2 ELSE ?2 END
             WHERE lane = ?1 AND places < ?2"
        }
        false => "UPDATE effect_lanes SET places = 1 WHERE lane = ?1 AND places > 1 AND places <= ?2",
    };
    tx.change(sql, (lane.0, IN_LANE))?;
    Ok(())
}

/// Nothing that waits in a lane is tried. What is under way has its claim.
pub(super) fn drop_waiting(tx: &Tx<'_>, lane: Octets<16>) -> TxResult<()> {
    lock_lane(tx, lane)?;
    let to = EffectState::Due.after(EffectStep::Dropped).ok_or(TxError::Damaged)?;
    tx.change(
        "UPDATE effects SET state = ?2, fence = fence + 1, lease = NULL, next_at = NULL, ended_at = ?3
         WHERE lane = ?1 AND state = 0",
        (lane.0, number(to), tx.now().millis()),
    )?;
    tx.change("UPDATE effect_lanes SET due_at = NULL WHERE lane = ?1", [lane.0])?;
    Ok(())
}

/// Sets when a lane that is locked is looked at next: when its first effect is due, and not before `not_before`.
fn rearm(tx: &Tx<'_>, lane: Octets<16>, not_before: Timestamp) -> TxResult<()> {
    let next = tx.one(
        "SELECT next_at FROM effects WHERE lane = ?1 AND state = 0 ORDER BY next_at LIMIT 1",
        [lane.0],
        |row| time(row, 0),
    )?;
    let next = next.map(|next| next.max(not_before).millis());
    tx.change("UPDATE effect_lanes SET due_at = ?2 WHERE lane = ?1", (lane.0, next))?;
    Ok(())
}

/// The lane of an effect.
fn lane_of(tx: &Tx<'_>, id: EffectId) -> TxResult<Option<Octets<16>>> {
    let lane = tx.one("SELECT lane FROM effects WHERE id = ?1", [id.0.0], |row| row.get::<Option<[u8; 16]>>(0))?;
    Ok(lane.flatten().map(Octets))
}

/// Claims one, by one write, and takes a place of a group if one is named. `None` if it is not to be had.
fn take(tx: &Tx<'_>, lease: &ProcessLease, id: EffectId, group: Option<EffectGroup>) -> TxResult<Option<EffectClaim>> {
    let claimed_now = tx.change(
        "UPDATE effects SET state = 1, fence = fence + 1, tries = tries + 1, lease = ?2, next_at = ?3
         WHERE id = ?1 AND ((state = 0 AND next_at <= ?4) OR (state = 1 AND (next_at <= ?4
             OR NOT EXISTS (SELECT 1 FROM leases l WHERE l.number = effects.lease AND l.ends_at > ?4))))",
        (id.0.0, lease.number(), tx.now().plus(CLAIM).millis(), tx.now().millis()),
    )?;
    match claimed_now {
        1 => tx.one(&format!("{EFFECT} WHERE id = ?1"), [id.0.0], |row| claimed(row, tx.now(), &lease.at_work, group)),
        _ => Ok(None),
    }
}

/// Those in no lane that are to be tried. What processes left behind that died or stood still comes first: however much
/// has become due, nobody else looks after it. Of each group there are as many as this process has places for.
fn due(tx: &Tx<'_>, at_work: &ClaimsAtWork, places: u32) -> TxResult<Vec<(EffectId, EffectGroup)>> {
    let now = tx.now().millis();
    let mut due: Vec<(EffectId, EffectGroup)> = Vec::new();
    let left = |group: &EffectGroup, due: &[(EffectId, EffectGroup)]| {
        let found = due.iter().filter(|(_, of)| of == group).count();
        (places as usize).saturating_sub(at_work.taken(group)).saturating_sub(found)
    };
    for sql in [
        "SELECT id, kind, provider FROM effects WHERE state = 1 AND lane IS NULL AND next_at <= ?1
             ORDER BY next_at LIMIT ?2",
        "SELECT id, kind, provider FROM effects WHERE state = 1 AND lane IS NULL AND next_at > ?1
             AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.number = effects.lease AND l.ends_at > ?1) LIMIT ?2",
    ] {
        for (id, group) in tx.all(sql, (now, LEFT_BEHIND), |row| Ok((EffectId(octets(row, 0)?), group(row, 1)?)))? {
            if left(&group, &due) > 0 {
                due.push((id, group));
            }
        }
    }
    // Most of the time there is nothing.
    let sql = "SELECT 1 FROM effects WHERE state = 0 AND lane IS NULL AND next_at <= ?1 LIMIT 1";
    if tx.one(sql, [now], |_| Ok(()))?.is_none() {
        return Ok(due);
    }
    let next = "SELECT kind, provider FROM effects WHERE state = 0 AND lane IS NULL AND (kind, provider) > (?1, ?2)
                ORDER BY kind, provider LIMIT 1";
    let of_group = "SELECT id FROM effects WHERE state = 0 AND lane IS NULL AND kind = ?1 AND provider = ?2
                        AND next_at <= ?3 ORDER BY next_at LIMIT ?4";
    let (mut word, mut provider) = ("", String::new());
    while let Some(found) = tx.one(next, (word, &provider), |row| group(row, 0))? {
        let most = u32::try_from(left(&found, &due)).unwrap_or(u32::MAX);
        let of = (found.kind.word(), &found.provider, now, most);
        for id in tx.all(of_group, of, |row| octets(row, 0).map(EffectId))? {
            due.push((id, found.clone()));
        }
        (word, provider) = (found.kind.word(), found.provider);
    }
    Ok(due)
}

/// Lanes of which something is due, or was claimed by a process that died or stood still.
fn due_lanes(tx: &Tx<'_>, limit: u32) -> TxResult<Vec<Octets<16>>> {
    let mut lanes = Vec::new();
    for sql in [
        "SELECT lane FROM effects WHERE state = 1 AND next_at > 0 AND lane IS NOT NULL AND (next_at <= ?1
             OR NOT EXISTS (SELECT 1 FROM leases l WHERE l.number = effects.lease AND l.ends_at > ?1)) LIMIT ?2",
        "SELECT lane FROM effect_lanes WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2",
    ] {
        for lane in tx.all(sql, (tx.now().millis(), limit), |row| octets(row, 0))? {
            if !lanes.contains(&lane) {
                lanes.push(lane);
            }
        }
    }
    lanes.truncate(limit as usize);
    Ok(lanes)
}

/// Claims what is due of a lane, as far as it has places, and what was left behind in it.
fn take_of_lane(tx: &Tx<'_>, lease: &ProcessLease, lane: Octets<16>, most: u32) -> TxResult<Vec<EffectClaim>> {
    lease.current(tx)?;
    lock_lane(tx, lane)?;
    let over = tx.all(
        "SELECT id FROM effects WHERE lane = ?1 AND state = 1 AND (next_at <= ?2
             OR NOT EXISTS (SELECT 1 FROM leases l WHERE l.number = effects.lease AND l.ends_at > ?2)) LIMIT ?3",
        (lane.0, tx.now().millis(), most),
        |row| octets(row, 0).map(EffectId),
    )?;
    let mut taken = Vec::new();
    for id in over {
        taken.extend(take(tx, lease, id, None)?);
    }
    let busy = tx
        .one("SELECT count(*) FROM effects WHERE lane = ?1 AND state = 1", [lane.0], |row| row.get::<u32>(0))?
        .unwrap_or(0);
    let sql = "SELECT places FROM effect_lanes WHERE lane = ?1";
    let places = tx.one(sql, [lane.0], |row| row.get::<u32>(0))?.unwrap_or(IN_LANE).saturating_sub(busy);
    let left = most.saturating_sub(u32::try_from(taken.len()).unwrap_or(u32::MAX));
    let due = tx.all(
        "SELECT id FROM effects WHERE lane = ?1 AND state = 0 AND next_at <= ?2 ORDER BY next_at LIMIT ?3",
        (lane.0, tx.now().millis(), places.min(left)),
        |row| octets(row, 0).map(EffectId),
    )?;
    // Who frees a place looks at it again. A lane of which no more was wanted is looked at in the next round.
    let is_full = due.len() >= places as usize;
    for id in due {
        taken.extend(take(tx, lease, id, None)?);
    }
    rearm(tx, lane, if is_full { tx.now().plus(LANE_PAUSE) } else { Timestamp::from_millis(0) })?;
    Ok(taken)
}

/// Claims what is due in no lane.
fn claim_due(tx: &Tx<'_>, lease: &ProcessLease, places: u32) -> TxResult<Vec<EffectClaim>> {
    lease.current(tx)?;
    tx.lock(Lock::Effects)?;
    let mut taken = Vec::new();
    for (id, group) in due(tx, &lease.at_work, places)? {
        taken.extend(take(tx, lease, id, Some(group))?);
    }
    Ok(taken)
}

/// Claims one for somebody who waits for it. The lease is in force: its [`ProcessLease::current`] was asked before any
/// lock of a higher rank.
pub(crate) fn claim(tx: &Tx<'_>, lease: &ProcessLease, of: EffectOf, retry: bool) -> TxResult<ClaimEffect> {
    let found = tx.one(
        "SELECT id, state, fence, coalesce(lease, 0) FROM effects WHERE kind = ?1 AND subject = ?2 AND part = ?3",
        (of.kind.word(), of.subject.0, of.part),
        |row| {
            let (fence, holder): (i64, i64) = (row.get(2)?, row.get(3)?);
            Ok((EffectId(octets(row, 0)?), one_of(row, 1, &EffectState::ALL)?, fence, holder))
        },
    )?;
    let Some((id, state, fence, holder)) = found else { return Ok(ClaimEffect::Over) };
    match state {
        EffectState::Done => return Ok(ClaimEffect::Over),
        EffectState::Failed if !retry => return Ok(ClaimEffect::Over),
        EffectState::Failed => {
            step(tx, id, EffectStep::Retry, Some(tx.now()))?;
        }
        // Whoever waits does not wait until it is due.
        EffectState::Due => {
            tx.change("UPDATE effects SET next_at = ?2 WHERE id = ?1 AND state = 0", (id.0.0, tx.now().millis()))?;
        }
        // Left behind in this very process.
        EffectState::Claimed if holder == lease.number() && !lease.at_work.has(id, fence) => {
            tx.change(
                "UPDATE effects SET next_at = ?3 WHERE id = ?1 AND state = 1 AND fence = ?2",
                (id.0.0, fence, tx.now().millis()),
            )?;
        }
        EffectState::Claimed => {}
    }
    Ok(take(tx, lease, id, None)?.map_or(ClaimEffect::Busy, ClaimEffect::Claimed))
}

/// Takes a step that needs no claim, by one write from every state that it leads from. A claim that was in force is not
/// any more.
fn step(tx: &Tx<'_>, id: EffectId, taken: EffectStep, due: Option<Timestamp>) -> TxResult<bool> {
    let (from, to) = taken.arrow().ok_or(TxError::Damaged)?;
    let from = from.iter().fold(0_i64, |states, state| states | 1 << number(*state));
    let ended = to.has_ended().then(|| tx.now().millis());
    let due = due.map(Timestamp::millis).filter(|_| !to.has_ended());
    let stepped = tx.change(
        "UPDATE effects SET state = ?3, fence = fence + 1, lease = NULL, next_at = ?4, ended_at = ?5
         WHERE id = ?1 AND ((CAST(?2 AS BIGINT) >> CAST(state AS INTEGER)) & 1) = 1",
        (id.0.0, from, number(to), due, ended),
    )?;
    Ok(stepped == 1)
}

/// The identifier of an effect.
fn id_of(tx: &Tx<'_>, of: EffectOf) -> TxResult<Option<EffectId>> {
    tx.one(
        "SELECT id FROM effects WHERE kind = ?1 AND subject = ?2 AND part = ?3",
        (of.kind.word(), of.subject.0, of.part),
        |row| octets(row, 0).map(EffectId),
    )
}

/// Why an effect ends without its claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It has happened, by another way than the claim.
    Settled,
    /// It has come to nothing.
    Dropped,
}

/// Ends an effect, whoever works on it: what he finds out is not written. Returns whether it had not ended.
pub(crate) fn end(tx: &Tx<'_>, of: EffectOf, ending: Ending) -> TxResult<bool> {
    id_of(tx, of)?.map_or(Ok(false), |id| end_by_id(tx, id, ending))
}

/// The same, by its identifier.
pub(super) fn end_by_id(tx: &Tx<'_>, id: EffectId, ending: Ending) -> TxResult<bool> {
    let taken = match ending {
        Ending::Settled => EffectStep::Settled,
        Ending::Dropped => EffectStep::Dropped,
    };
    let lane = lane_of(tx, id)?;
    if let Some(lane) = lane {
        lock_lane(tx, lane)?;
    }
    let ended = step(tx, id, taken, None)?;
    if let Some(lane) = lane {
        rearm(tx, lane, Timestamp::from_millis(0))?;
    }
    Ok(ended)
}

/// Has an effect that has ended tried again.
pub(super) fn retry(tx: &Tx<'_>, id: EffectId) -> TxResult<bool> {
    let lane = lane_of(tx, id)?;
    if let Some(lane) = lane {
        lock_lane(tx, lane)?;
    }
    let again = step(tx, id, EffectStep::Retry, Some(tx.now()))?;
    if let Some(lane) = lane {
        rearm(tx, lane, Timestamp::from_millis(0))?;
    }
    if again {
        tx.wake(Wake::Effects);
    }
    Ok(again)
}

/// Puts an effect off that may be claimed by nobody, or by somebody who is too slow: it is due at a moment.
pub(super) fn put_off(tx: &Tx<'_>, of: EffectOf, at: Timestamp) -> TxResult<()> {
    if let Some(id) = id_of(tx, of)? {
        step(tx, id, EffectStep::PutOff, Some(at))?;
    }
    Ok(())
}

/// Whether a claim is in force. Read in the transaction that writes under it, which then holds the row.
pub(crate) fn holds(tx: &Tx<'_>, claim: &EffectClaim) -> TxResult<bool> {
    // Whoever takes both takes the lane first.
    if let Some(lane) = lane_of(tx, claim.id)? {
        lock_lane(tx, lane)?;
    }
    // A write, so that nobody else claims it before this transaction has ended.
    let sql = "UPDATE effects SET fence = fence WHERE id = ?1 AND state = 1 AND fence = ?2";
    Ok(tx.change(sql, (claim.id.0.0, claim.fence))? == 1)
}

/// Whether nobody is to find out about it any more.
pub(super) fn has_ended(tx: &Tx<'_>, id: EffectId) -> TxResult<bool> {
    let sql = "SELECT 1 FROM effects WHERE id = ?1 AND state < 2";
    Ok(tx.one(sql, [id.0.0], |_| Ok(()))?.is_none())
}

/// Writes down what came of a claim, while it is in force.
pub(crate) fn finish(tx: &Tx<'_>, claim: &EffectClaim, verdict: EffectVerdict) -> TxResult<bool> {
    let (taken, next) = match verdict {
        EffectVerdict::Again(at) => (EffectStep::Again, Some(at)),
        EffectVerdict::Done => (EffectStep::Done, None),
        EffectVerdict::Failed => (EffectStep::Failed, None),
    };
    let to = EffectState::Claimed.after(taken).ok_or(TxError::Damaged)?;
    let lane = lane_of(tx, claim.id)?;
    if let Some(lane) = lane {
        lock_lane(tx, lane)?;
    }
    let ended = to.has_ended().then(|| tx.now().millis());
    let finished = tx.change(
        "UPDATE effects SET state = ?3, lease = NULL, next_at = ?4, ended_at = ?5
         WHERE id = ?1 AND state = 1 AND fence = ?2",
        (claim.id.0.0, claim.fence, number(to), next.map(Timestamp::millis), ended),
    )?;
    if let Some(lane) = lane {
        // Its place is free.
        rearm(tx, lane, Timestamp::from_millis(0))?;
        tx.wake(Wake::Effects);
    }
    Ok(finished == 1)
}

/// Where one stands.
pub(super) fn state(tx: &Tx<'_>, of: EffectOf) -> TxResult<Option<EffectState>> {
    tx.one(
        "SELECT state FROM effects WHERE kind = ?1 AND subject = ?2 AND part = ?3",
        (of.kind.word(), of.subject.0, of.part),
        |row| one_of(row, 0, &EffectState::ALL),
    )
}

/// Deletes what ended long ago. Returns whether there may be more.
pub(super) fn sweep(tx: &Tx<'_>) -> TxResult<bool> {
    // Messages leave with their effects. A refund that was refused waits for a person, for as long as that takes.
    let deleted = tx.change(
        "DELETE FROM effects WHERE id IN (SELECT id FROM effects WHERE ended_at < ?1 AND lane IS NULL
             AND NOT (kind = 'refund' AND state = 3) ORDER BY ended_at LIMIT ?2)",
        (tx.now().minus(retention::EFFECT).millis(), SWEPT),
    )?;
    Ok(deleted >= SWEPT as usize)
}

fn queues(tx: &Tx<'_>) -> TxResult<Vec<EffectQueue>> {
    let mut queues: Vec<EffectQueue> =
        EffectKind::ALL.iter().map(|kind| EffectQueue { kind: *kind, due: 0, claimed: 0, overdue: 0 }).collect();
    for sql in [
        "SELECT w.kind, w.state, count(*), min(w.next_at) FROM (SELECT kind, state, next_at FROM effects
             WHERE state = 0 AND lane IS NULL AND next_at <= ?1 ORDER BY next_at LIMIT ?2) AS w GROUP BY w.kind, w.state",
        "SELECT w.kind, w.state, count(*), min(w.next_at) FROM (SELECT e.kind, e.state, e.next_at
             FROM effect_lanes l JOIN effects e ON e.lane = l.lane AND e.state = 0 AND e.lane IS NOT NULL
             WHERE l.due_at > 0 AND e.next_at <= ?1 LIMIT ?2) AS w GROUP BY w.kind, w.state",
        "SELECT w.kind, w.state, count(*), min(w.next_at) FROM (SELECT kind, state, next_at FROM effects
             WHERE state = 1 AND next_at > ?1 - 86400000 LIMIT ?2) AS w GROUP BY w.kind, w.state",
    ] {
        for (word, state, count, first) in tx.all(sql, (tx.now().millis(), QUEUE_COUNTED), |row| {
            Ok((row.get::<String>(0)?, one_of(row, 1, &EffectState::ALL)?, count(row, 2)?, time(row, 3)?))
        })? {
            let Some(queue) = queues.iter_mut().find(|queue| queue.kind.word() == word) else { continue };
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            if state == EffectState::Claimed {
                queue.claimed = count;
            } else {
                queue.due += count;
                queue.overdue = tx.now().seconds().saturating_sub(first.seconds());
            }
        }
    }
    Ok(queues)
}

#[async_trait]
impl<D: Database> Effects for D {
    async fn claim_effects(&self, alone: u32, in_lanes: u32) -> Result<Vec<EffectClaim>, StoreError> {
        // Most of the time there is nothing to do, and that needs no transaction that writes.
        let at_work = self.lease().at_work.clone();
        let look = move |tx: &Tx<'_>| Ok((!due(tx, &at_work, alone)?.is_empty(), due_lanes(tx, LANES.min(in_lanes))?));
        let (is_due, lanes) = self.read("effects", look).await?;
        let mut claimed = Vec::new();
        if is_due {
            let lease = self.lease().clone();
            claimed = self.write(Write::EffectClaim, move |tx| claim_due(tx, &lease, alone)).await?;
        }
        // Each lane in a transaction of its own: whoever writes to one waits for no other.
        let mut left = in_lanes;
        for lane in lanes {
            let lease = self.lease().clone();
            match self.write(Write::EffectClaim, move |tx| take_of_lane(tx, &lease, lane, left)).await {
                Ok(more) => {
                    left = left.saturating_sub(u32::try_from(more.len()).unwrap_or(u32::MAX));
                    claimed.extend(more);
                }
                // What was claimed is not given up for that.
                Err(error) if claimed.is_empty() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "effects could not be claimed");
                    break;
                }
            }
            if left == 0 {
                break;
            }
        }
        if !claimed.is_empty() {
            self.lease().keep(self.renewer(), self.opened_with());
        }
        Ok(claimed)
    }

    async fn claim_effect(&self, of: EffectOf, retry: bool) -> Result<ClaimEffect, StoreError> {
        let lease = self.lease().clone();
        let claimed = self
            .write(Write::EffectClaim, move |tx| {
                lease.current(tx)?;
                tx.lock(Lock::Effects)?;
                claim(tx, &lease, of, retry)
            })
            .await?;
        self.lease().keep(self.renewer(), self.opened_with());
        Ok(claimed)
    }

    async fn finish_effect(&self, claim: &EffectClaim, verdict: EffectVerdict) -> Result<bool, StoreError> {
        let claim = claim.clone();
        self.write(Write::EffectFinish, move |tx| finish(tx, &claim, verdict)).await
    }

    async fn effect_state(&self, of: EffectOf) -> Result<Option<EffectState>, StoreError> {
        self.read("effect", move |tx| state(tx, of)).await
    }

    async fn effect_queues(&self) -> Result<Vec<EffectQueue>, StoreError> {
        self.read_many("effects", queues).await
    }
}
