//! Who is told what about an order of codes, in the transaction that causes it: the merchant by webhook, the terminal
//! by an event. What is said holds no secret and nothing to believe.

use super::effects::{self, Ending};
use super::{Tx, TxResult, events, webhooks};
use crate::ops::clock::Timestamp;
use crate::store::database::row::to_json;
use crate::store::{CodeOrder, EffectKind, EffectOf, NewMessage, Receiver};
use portcullis_protocol::codes::{Arrow, CodeEvent, CodeState};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{OrderId, TerminalId};
use serde::Serialize;

/// The first interface: what was paid for is asked at the second one.
pub(super) const ORDER_PAID: &str = "order.paid";
/// The same code is to be sealed to another key.
const ORDER_RESEAL: &str = "order.reseal";
/// What became of the order can be asked for.
pub(super) const ORDER_CLOSED: &str = "order.closed";
/// The key of an order is wanted of its terminal.
const KEY_WANTED: &str = "code.key-wanted";
/// An order is delivered to another terminal from now on.
const MOVED: &str = "code.moved";
/// A code waits for its terminal.
const CODE_RECEIVED: &str = "code.received";
/// An order has come to another state.
const CODE_STATE: &str = "code.state";

#[derive(Serialize)]
struct Notice<'a> {
    order: &'a OrderId,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a Octets<32>>,
}

#[derive(Serialize)]
struct NewState<'a> {
    order: &'a OrderId,
    state: CodeState,
}

/// An order has come further: its terminal is told, if it has no other way to know. Of its own steps it is told
/// nothing, and of the money's by the events of every order.
pub(super) fn came_further(tx: &Tx<'_>, order: &OrderId, terminal: Option<TerminalId>, arrow: Arrow) -> TxResult<()> {
    let is_told = match arrow.event {
        CodeEvent::Notified
        | CodeEvent::Verified
        | CodeEvent::Disputed
        | CodeEvent::Kept
        | CodeEvent::Reversed
        | CodeEvent::Lapsed => true,
        CodeEvent::CodeReceived
        | CodeEvent::Delivered
        | CodeEvent::Acknowledged
        | CodeEvent::Failed
        | CodeEvent::RefundBegun
        | CodeEvent::PaidBack
        | CodeEvent::ChargedBack => false,
    };
    let Some(terminal) = terminal.filter(|_| is_told) else { return Ok(()) };
    events::append(tx, &Receiver::Terminal(terminal), CODE_STATE, &NewState { order, state: arrow.to })
}

/// A code is wanted, the first one or the same once more: its merchant is told, and something happens by itself when
/// the time is over.
pub(super) fn wanted(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    effects::add(tx, deadline_of(order), due(order))?;
    tell_wanted(tx, order)
}

/// The order is paid and has no key: its terminal is asked for one, and it fails by itself if none comes.
pub(super) fn key_wanted(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    effects::add(tx, deadline_of(order), due(order))?;
    tell_terminal(tx, order, KEY_WANTED)
}

/// It has its key: its merchant is told, and its time runs from now on.
pub(super) fn keyed(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    effects::put_off(tx, deadline_of(order), due(order))?;
    tell_wanted(tx, order)
}

/// The order goes on after its merchant was suspended: its merchant is told anew, and it has a new deadline.
pub(super) fn resumed(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    effects::add(tx, deadline_of(order), due(order))?;
    effects::put_off(tx, deadline_of(order), due(order))?;
    silence(tx, order)?;
    tell_wanted(tx, order)
}

/// Another sealing is wanted: messages about this one are not sent again.
pub(super) fn superseded(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    not_any_more(tx, order)?;
    silence(tx, order)
}

/// The merchant is told what is wanted of it.
pub(super) fn tell_wanted(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    let kind = if order.accepted.is_none() { ORDER_PAID } else { ORDER_RESEAL };
    tell(tx, order, kind, order.nonce.as_ref())
}

/// Nothing happens at the deadline of this sealing any more.
pub(super) fn not_any_more(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    effects::end(tx, deadline_of(order), Ending::Settled).map(drop)
}

/// A code was accepted: the terminal is told, and nothing happens at the deadline any more.
pub(super) fn received(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    not_any_more(tx, order)?;
    tell_terminal(tx, order, CODE_RECEIVED)
}

/// The order is over for its merchant, one way or the other. What was not delivered of what it was told before is not
/// any more.
pub(super) fn closed(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    not_any_more(tx, order)?;
    // A merchant that was never told of it is not told of its end.
    if order.nonce.is_none() {
        return Ok(());
    }
    silence(tx, order)?;
    tell(tx, order, ORDER_CLOSED, None)
}

/// Nothing more is to be said about it.
pub(super) fn settled(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    superseded(tx, order)?;
    // A merchant that was asked to seal it once more is told that nothing is to be sealed.
    if order.waits_for_another_sealing() { tell(tx, order, ORDER_CLOSED, None) } else { Ok(()) }
}

/// Another terminal has it from now on: the one before is told.
pub(super) fn moved(tx: &Tx<'_>, before: &CodeOrder) -> TxResult<()> {
    tell_terminal(tx, before, MOVED)
}

fn tell(tx: &Tx<'_>, order: &CodeOrder, kind: &str, nonce: Option<&Octets<32>>) -> TxResult<()> {
    let (to, notice) = (order.merchant.receiver(), Notice { order: &order.id, nonce });
    let message = NewMessage { kind, subject: subject(&order.id), data: to_json(&notice)? };
    // The endpoint before the events: in the order of every other.
    webhooks::enqueue(tx, &to, &message)?;
    events::append(tx, &to, kind, &notice)
}

fn tell_terminal(tx: &Tx<'_>, order: &CodeOrder, kind: &str) -> TxResult<()> {
    let Some(terminal) = order.terminal else { return Ok(()) };
    events::append(tx, &Receiver::Terminal(terminal), kind, &Notice { order: &order.id, nonce: None })
}

/// What the merchant was told before is not sent again.
fn silence(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    webhooks::silence(tx, &order.merchant.receiver(), &subject(&order.id))
}

const fn subject(order: &OrderId) -> Octets<16> {
    Octets(*order.as_bytes())
}

/// There is one for each sealing.
fn deadline_of(order: &CodeOrder) -> EffectOf {
    EffectOf { part: i64::from(order.generation.get()), ..EffectOf::order(EffectKind::CodeDeadline, &order.id) }
}

/// When it is certain that the deadline has passed.
fn due(order: &CodeOrder) -> Timestamp {
    order.deadline.unwrap_or(Timestamp::from_millis(0)).plus(1)
}
