//! The outbox: a message is written with its cause, and delivered as an effect in the lane of its endpoint.

use super::effects::{self, Ending, end_by_id};
use super::{Database, Lock, Tx, TxError, TxResult, code_notices, code_orders, orders};
use crate::effects::state::EffectState;
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::ops::retention;
use crate::store::database::Row;
use crate::store::database::row::{bytes, maybe_time, number_of, octets, one_of, sealed, time};
use crate::store::{
    Attempt, Delivery, EffectClaim, EffectId, EffectKind, EffectOf, EffectVerdict, Endpoint, EndpointId, EndpointKeys,
    EndpointState, Message, NewEndpoint, NewEndpointKeys, NewMerchantEndpoint, NewMessage, Receiver, Replayed,
    StoreError, Webhooks,
};
use async_trait::async_trait;
use portcullis_protocol::OrderId;
use portcullis_protocol::encoding::Octets;

/// In the order of the column's numbers.
const STATES: [EndpointState; 3] = [EndpointState::Active, EndpointState::Disabled, EndpointState::Removed];
/// Endpoints of one owner, at most: one in use, one it moves to, and some for other programs.
const ENDPOINTS: usize = 8;
/// How long new keys are published before they sign, in seconds.
const PUBLISHED: u64 = 24 * 3600;
/// How long the keys before them sign beside them, in seconds.
const BESIDE: u64 = 48 * 3600;
/// Messages that one sweep deletes.
const SWEPT: u32 = 500;

const ENDPOINT: &str = "SELECT id, kind, owner, url, state, created_at FROM webhook_endpoints";
const MESSAGE: &str = "SELECT m.id, m.seq, m.type, m.data, m.created_at, e.state, e.tries, m.status
                       FROM webhook_messages m JOIN effects e ON e.id = m.id";

fn endpoint(row: &Row<'_>) -> TxResult<Endpoint> {
    Ok(Endpoint {
        id: EndpointId(octets(row, 0)?),
        owner: Receiver::from_columns(row.get(1)?, row.get(2)?).ok_or(TxError::Unreadable)?,
        url: row.get(3)?,
        state: one_of(row, 4, &STATES)?,
        created: time(row, 5)?,
    })
}

fn message(row: &Row<'_>) -> TxResult<Message> {
    Ok(Message {
        id: EffectId(octets(row, 0)?),
        seq: row.get(1)?,
        kind: row.get(2)?,
        data: row.get(3)?,
        created: time(row, 4)?,
        state: one_of(row, 5, &EffectState::ALL)?,
        tries: row.get(6)?,
        status: row.get(7)?,
    })
}

fn find(tx: &Tx<'_>, id: &EndpointId) -> TxResult<Option<Endpoint>> {
    tx.one(&format!("{ENDPOINT} WHERE id = ?1"), [id.0.0], endpoint)
}

fn of(tx: &Tx<'_>, owner: &Receiver) -> TxResult<Vec<Endpoint>> {
    let sql = format!("{ENDPOINT} WHERE kind = ?1 AND owner = ?2 AND state < 2 ORDER BY id");
    tx.all(&sql, owner.columns(), endpoint)
}

/// Writes a message to every endpoint of an owner.
pub(crate) fn enqueue(tx: &Tx<'_>, owner: &Receiver, new: &NewMessage<'_>) -> TxResult<()> {
    for endpoint in of(tx, owner)? {
        // As it is by now: another transaction may have taken its place.
        let sql = "UPDATE webhook_endpoints SET seq = seq + 1 WHERE id = ?1 AND state < 2 RETURNING seq, state";
        let read = |row: &Row<'_>| Ok((row.get::<i64>(0)?, one_of(row, 1, &STATES)?));
        let Some((seq, state)) = tx.one(sql, [endpoint.id.0.0], read)? else {
            return Err(TxError::Conflict("the endpoint was removed meanwhile".into()));
        };
        let id = effects::new_id(tx);
        tx.change(
            "INSERT INTO webhook_messages (id, endpoint, seq, type, subject, data, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (id.0.0, endpoint.id.0.0, seq, new.kind, new.subject.0, &new.data, tx.now().millis()),
        )?;
        effects::add_in(tx, EffectOf::new(EffectKind::Webhook, id.0), tx.now(), Some(endpoint.id.0), id)?;
        // It is listed, and delivered when its owner has it replayed.
        if state == EndpointState::Disabled {
            end_by_id(tx, id, Ending::Dropped)?;
        }
    }
    Ok(())
}

/// Nothing that an owner was to be told about a subject is tried again: it is final.
pub(crate) fn silence(tx: &Tx<'_>, owner: &Receiver, subject: &Octets<16>) -> TxResult<()> {
    // In the order of every other: endpoint, lane, effect.
    for endpoint in of(tx, owner)? {
        tx.change("UPDATE webhook_endpoints SET seq = seq WHERE id = ?1", [endpoint.id.0.0])?;
        effects::lock_lane(tx, endpoint.id.0)?;
    }
    let (kind, id) = owner.columns();
    let sql = "SELECT m.id FROM webhook_messages m JOIN webhook_endpoints p ON p.id = m.endpoint
               WHERE m.subject = ?1 AND p.kind = ?2 AND p.owner = ?3";
    for id in tx.all(sql, (subject.0, kind, id), |row| octets(row, 0).map(EffectId))? {
        end_by_id(tx, id, Ending::Dropped)?;
    }
    Ok(())
}

fn keys(row: &Row<'_>) -> TxResult<EndpointKeys> {
    Ok(EndpointKeys {
        number: row.get(0)?,
        secret: sealed(row, 1)?,
        seed: sealed(row, 2)?,
        public: row.get(3)?,
        not_before: time(row, 4)?,
        ends: maybe_time(row, 5)?,
    })
}

/// The keys that have not ended, oldest first.
fn keys_of(tx: &Tx<'_>, id: &EndpointId) -> TxResult<Vec<EndpointKeys>> {
    tx.all(
        "SELECT number, secret, seed, public, not_before, ends_at FROM webhook_keys
         WHERE endpoint = ?1 AND (ends_at IS NULL OR ends_at > ?2) ORDER BY number",
        (id.0.0, tx.now().millis()),
        keys,
    )
}

fn add_keys(tx: &Tx<'_>, id: &EndpointId, number: i64, keys: &NewEndpointKeys, not_before: Timestamp) -> TxResult<()> {
    tx.change(
        "INSERT INTO webhook_keys (endpoint, number, secret, seed, public, not_before) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (id.0.0, number, keys.secret.as_bytes(), keys.seed.as_bytes(), keys.public, not_before.millis()),
    )?;
    Ok(())
}

fn add(tx: &Tx<'_>, new: &NewEndpoint) -> TxResult<bool> {
    tx.lock(Lock::Endpoints)?;
    if of(tx, &new.owner)?.len() >= ENDPOINTS {
        return Ok(false);
    }
    insert(tx, &new.id, &new.owner, &new.url, &new.keys, EndpointState::Active)?;
    Ok(true)
}

fn insert(
    tx: &Tx<'_>,
    id: &EndpointId,
    owner: &Receiver,
    url: &str,
    keys: &NewEndpointKeys,
    state: EndpointState,
) -> TxResult<()> {
    let ((kind, owner), state) = (owner.columns(), number_of(&STATES, state));
    tx.change(
        "INSERT INTO webhook_endpoints (id, kind, owner, url, state, created_at, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        (id.0.0, kind, owner, url, state, tx.now().millis()),
    )?;
    add_keys(tx, id, 1, keys, tx.now())
}

/// How much of what waits at an address is said again at the next one, in one transaction. Whoever missed more asks for
/// the state of its orders.
const UNHEARD: u32 = 200;

/// The endpoint of an owner that has one at a time. It is sent nothing before it is [preferred](prefer): the one
/// before it stays in use until then.
pub(super) fn propose(tx: &Tx<'_>, owner: &Receiver, url: &str, new: &NewMerchantEndpoint) -> TxResult<()> {
    tx.lock(Lock::Endpoints)?;
    let known = of(tx, owner)?;
    let others = known.iter().filter(|other| other.url != url && other.state == EndpointState::Disabled);
    for other in others {
        set(tx, &other.id, EndpointState::Removed)?;
    }
    match known.iter().any(|known| known.url == url) {
        true => Ok(()),
        false => insert(tx, &new.id, owner, url, &new.keys, EndpointState::Disabled),
    }
}

/// Sends messages to the endpoint at an address, and to no other one of its owner, from now on. What the others were to
/// be told of one kind, and have not heard, it is told. Returns whether it was sent none before.
pub(super) fn prefer(tx: &Tx<'_>, owner: &Receiver, url: &str, keep: &str) -> TxResult<bool> {
    tx.lock(Lock::Endpoints)?;
    let known = of(tx, owner)?;
    // All of them before anything is read that they are told: who enqueues waits, or was waited for.
    for endpoint in &known {
        tx.change("UPDATE webhook_endpoints SET seq = seq WHERE id = ?1", [endpoint.id.0.0])?;
    }
    let Some(chosen) = known.iter().find(|endpoint| endpoint.url == url) else { return Err(TxError::Damaged) };
    let mut unheard = Vec::new();
    for other in known.iter().filter(|other| other.id != chosen.id) {
        unheard.extend(unheard_of(tx, &other.id, keep)?);
        set(tx, &other.id, EndpointState::Removed)?;
    }
    if chosen.state == EndpointState::Active {
        return Ok(false);
    }
    let is_set = set(tx, &chosen.id, EndpointState::Active)?;
    // Once about each.
    unheard.sort_unstable_by_key(|(subject, _)| subject.0);
    unheard.dedup_by_key(|(subject, _)| subject.0);
    for (subject, data) in unheard {
        enqueue(tx, owner, &NewMessage { kind: keep, subject, data })?;
    }
    Ok(is_set)
}

/// What waits to be said of one kind at an endpoint.
fn unheard_of(tx: &Tx<'_>, id: &EndpointId, kind: &str) -> TxResult<Vec<(Octets<16>, String)>> {
    let sql = "SELECT m.subject, m.data FROM effects e JOIN webhook_messages m ON m.id = e.id
               WHERE e.lane = ?1 AND e.state = 0 AND m.type = ?2 ORDER BY e.next_at LIMIT ?3";
    tx.all(sql, (id.0.0, kind, UNHEARD), |row| Ok((octets(row, 0)?, row.get(1)?)))
}

/// Removes every endpoint of an owner.
pub(super) fn remove_all(tx: &Tx<'_>, owner: &Receiver) -> TxResult<()> {
    tx.lock(Lock::Endpoints)?;
    of(tx, owner)?.iter().try_for_each(|endpoint| set(tx, &endpoint.id, EndpointState::Removed).map(drop))
}

fn set(tx: &Tx<'_>, id: &EndpointId, state: EndpointState) -> TxResult<bool> {
    let to = number_of(&STATES, state);
    let sql = "UPDATE webhook_endpoints SET state = ?2, changed_at = ?3 WHERE id = ?1 AND state < 2";
    if tx.change(sql, (id.0.0, to, tx.now().millis()))? != 1 {
        return Ok(false);
    }
    if state != EndpointState::Active {
        // What waits is listed, and delivered when its owner has it replayed.
        effects::drop_waiting(tx, id.0)?;
    }
    if state == EndpointState::Removed {
        tx.change("DELETE FROM webhook_keys WHERE endpoint = ?1", [id.0.0])?;
    }
    Ok(true)
}

fn rotate(tx: &Tx<'_>, id: &EndpointId, new: &NewEndpointKeys) -> TxResult<Option<Timestamp>> {
    tx.lock(Lock::Endpoints)?;
    if find(tx, id)?.is_none_or(|endpoint| endpoint.state == EndpointState::Removed) {
        return Ok(None);
    }
    let (known, from) = (keys_of(tx, id)?, tx.now().plus(PUBLISHED));
    let Some(last) = known.last().filter(|last| last.not_before <= tx.now()) else { return Ok(None) };
    let sql = "UPDATE webhook_keys SET ends_at = ?2 WHERE endpoint = ?1 AND ends_at IS NULL";
    tx.change(sql, (id.0.0, from.plus(BESIDE).millis()))?;
    add_keys(tx, id, last.number + 1, new, from)?;
    Ok(Some(from))
}

fn list(tx: &Tx<'_>, id: &EndpointId, after: i64, limit: u32) -> TxResult<Vec<Message>> {
    let sql = format!("{MESSAGE} WHERE m.endpoint = ?1 AND m.seq > ?2 ORDER BY m.seq LIMIT ?3");
    tx.all(&sql, (id.0.0, after, limit), message)
}

fn replay(tx: &Tx<'_>, id: &EndpointId, from: i64, limit: u32) -> TxResult<Replayed> {
    if find(tx, id)?.is_none_or(|endpoint| endpoint.state != EndpointState::Active) {
        return Ok(Replayed::default());
    }
    let (mut count, messages) = (0, list(tx, id, from.saturating_sub(1), limit)?);
    let next = messages.get(limit.saturating_sub(1) as usize).map(|last| last.seq + 1);
    for message in messages {
        if effects::retry(tx, message.id)? {
            // It begins anew, with all of its attempts.
            tx.change("UPDATE effects SET tries = 0 WHERE id = ?1 AND state = 0", [message.id.0.0])?;
            count += 1;
        }
    }
    Ok(Replayed { count, next })
}

fn delivery(tx: &Tx<'_>, id: EffectId) -> TxResult<Option<Delivery>> {
    let sql = "SELECT endpoint FROM webhook_messages WHERE id = ?1";
    let Some(to) = tx.one(sql, [id.0.0], |row| octets(row, 0).map(EndpointId))? else { return Ok(None) };
    let Some(message) = tx.one(&format!("{MESSAGE} WHERE m.id = ?1"), [id.0.0], message)? else { return Ok(None) };
    let endpoint = find(tx, &to)?.ok_or(TxError::Damaged)?;
    let keys = keys_of(tx, &to)?.into_iter().filter(|keys| keys.not_before <= tx.now()).collect();
    Ok(Some(Delivery { endpoint, message, keys }))
}

fn finish(tx: &Tx<'_>, claim: &EffectClaim, attempt: Attempt) -> TxResult<bool> {
    let (id, status) = (claim.id.0.0, attempt.status.map(i64::from));
    let of_order = if attempt.verdict == EffectVerdict::Done { order_paid(tx, id)? } else { None };
    // Before its endpoint and lane, as whoever ends the order has it.
    if let Some(order) = &of_order {
        orders::lock(tx, order)?;
    }
    if attempt.gone {
        // Before its lane.
        let sql = "UPDATE webhook_endpoints SET seq = seq
                   WHERE id IN (SELECT m.endpoint FROM webhook_messages m WHERE m.id = ?1)";
        tx.change(sql, [id])?;
    }
    if !effects::holds(tx, claim)? {
        return Ok(false);
    }
    tx.change("UPDATE webhook_messages SET status = ?2 WHERE id = ?1", (id, status))?;
    if attempt.gone {
        let to =
            tx.one("SELECT endpoint FROM webhook_messages WHERE id = ?1", [id], |row| octets(row, 0).map(EndpointId))?;
        if let Some(to) = to {
            let sql = "UPDATE webhook_endpoints SET changed_at = changed_at WHERE id = ?1 AND state = 0";
            if tx.change(sql, [to.0.0])? == 1 {
                set(tx, &to, EndpointState::Disabled)?;
                tx.log("webhook endpoint disabled", None, None, &to.0.0)?;
            }
        }
    }
    effects::answered(tx, claim, attempt.in_time)?;
    if let Some(order) = &of_order {
        code_orders::notified(tx, order)?;
    }
    effects::finish(tx, claim, attempt.verdict)
}

/// The order of codes that a message told its merchant of.
fn order_paid(tx: &Tx<'_>, id: [u8; 16]) -> TxResult<Option<OrderId>> {
    let sql = "SELECT m.type, m.subject, p.kind, p.owner FROM webhook_messages m
               JOIN webhook_endpoints p ON p.id = m.endpoint WHERE m.id = ?1";
    let told = tx.one(sql, [id], |row| {
        let owner = Receiver::from_columns(row.get(2)?, row.get(3)?).ok_or(TxError::Unreadable)?;
        Ok((row.get::<String>(0)?, bytes(row, 1, OrderId::from_bytes)?, owner))
    })?;
    Ok(match told {
        // The store's own backend hears of every order that is paid.
        Some((kind, order, Receiver::Merchant(_))) if kind == code_notices::ORDER_PAID => Some(order),
        _ => None,
    })
}

/// Deletes old messages with their effects, keys that have ended, and endpoints that were removed and have no messages
/// any more. Returns whether there may be more.
pub(super) fn sweep(tx: &Tx<'_>) -> TxResult<bool> {
    let before = tx.now().minus(retention::EFFECT).millis();
    let old = tx.all(
        "SELECT id FROM webhook_messages WHERE created_at < ?1 ORDER BY created_at LIMIT ?2",
        (before, SWEPT),
        |row| octets(row, 0).map(EffectId),
    )?;
    for id in &old {
        tx.change("DELETE FROM webhook_messages WHERE id = ?1", [id.0.0])?;
        tx.change("DELETE FROM effects WHERE id = ?1", [id.0.0])?;
    }
    tx.change("DELETE FROM webhook_keys WHERE ends_at < ?1", [tx.now().millis()])?;
    let removed = tx.all(
        "SELECT id FROM webhook_endpoints WHERE state = 2 AND changed_at < ?1
             AND NOT EXISTS (SELECT 1 FROM webhook_messages m WHERE m.endpoint = webhook_endpoints.id) LIMIT ?2",
        (before, SWEPT),
        |row| octets(row, 0).map(EndpointId),
    )?;
    for id in &removed {
        tx.change("DELETE FROM effect_lanes WHERE lane = ?1", [id.0.0])?;
        tx.change("DELETE FROM webhook_endpoints WHERE id = ?1", [id.0.0])?;
    }
    Ok(old.len().max(removed.len()) >= SWEPT as usize)
}

#[async_trait]
impl<D: Database> Webhooks for D {
    async fn add_endpoint(&self, new: NewEndpoint) -> Result<bool, StoreError> {
        self.write(Write::EndpointChange, move |tx| add(tx, &new)).await
    }

    async fn endpoints_of(&self, owner: &Receiver) -> Result<Vec<Endpoint>, StoreError> {
        let owner = *owner;
        self.read("endpoints", move |tx| of(tx, &owner)).await
    }

    async fn endpoints(&self, after: Option<EndpointId>, limit: u32) -> Result<Vec<Endpoint>, StoreError> {
        self.read_many("endpoints", move |tx| {
            let sql = format!("{ENDPOINT} WHERE id > ?1 AND state < 2 ORDER BY id LIMIT ?2");
            tx.all(&sql, (after.map_or([0; 16], |id| id.0.0), limit), endpoint)
        })
        .await
    }

    async fn endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let id = *id;
        self.read("endpoint", move |tx| find(tx, &id)).await
    }

    async fn set_endpoint(&self, id: &EndpointId, state: EndpointState) -> Result<bool, StoreError> {
        let id = *id;
        self.write(Write::EndpointChange, move |tx| set(tx, &id, state)).await
    }

    async fn endpoint_keys(&self, id: &EndpointId) -> Result<Vec<EndpointKeys>, StoreError> {
        let id = *id;
        self.read("endpoint keys", move |tx| keys_of(tx, &id)).await
    }

    async fn rotate_endpoint_keys(
        &self,
        id: &EndpointId,
        keys: NewEndpointKeys,
    ) -> Result<Option<Timestamp>, StoreError> {
        let id = *id;
        self.write(Write::EndpointChange, move |tx| rotate(tx, &id, &keys)).await
    }

    async fn messages(&self, id: &EndpointId, after: i64, limit: u32) -> Result<Vec<Message>, StoreError> {
        let id = *id;
        self.read_many("messages", move |tx| list(tx, &id, after, limit)).await
    }

    async fn replay(&self, id: &EndpointId, from: i64, limit: u32) -> Result<Replayed, StoreError> {
        let id = *id;
        self.write(Write::EndpointChange, move |tx| replay(tx, &id, from, limit)).await
    }

    async fn delivery(&self, claim: &EffectClaim) -> Result<Option<Delivery>, StoreError> {
        let id = claim.id;
        self.read("delivery", move |tx| delivery(tx, id)).await
    }

    async fn finish_delivery(&self, claim: &EffectClaim, attempt: Attempt) -> Result<bool, StoreError> {
        let claim = claim.clone();
        self.write(Write::EffectFinish, move |tx| finish(tx, &claim, attempt)).await
    }
}
