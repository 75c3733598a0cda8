//! Who is told what about an order of codes, in the transaction that causes it: the merchant by webhook, the terminal
//! by an event. What is said holds no secret and nothing to believe.

use super::effects::{self, Ending};
use super::{Tx, TxResult, events, webhooks};
use crate::ops::clock::Timestamp;
use crate::store::database::row::to_json;
use crate::store::{CodeOrder, EffectKind, EffectOf, MerchantId, NewMessage, Receiver};
use portcullis_protocol::OrderId;
use portcullis_protocol::encoding::Octets;
use serde::Serialize;

/// The first interface: what was paid for is asked at the second one.
pub(super) const ORDER_PAID: &str = "order.paid";
/// The same code is to be sealed to another key.
const ORDER_RESEAL: &str = "order.reseal";
/// What became of the order can be asked for.
const ORDER_CLOSED: &str = "order.closed";
/// A code waits for its terminal.
const CODE_RECEIVED: &str = "code.received";

#[derive(Serialize)]
struct Notice<'a> {
    order: &'a OrderId,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a Octets<32>>,
}

/// A merchant, as the outbox knows it.
pub(crate) const fn receiver(merchant: &MerchantId) -> Receiver {
    Receiver::Merchant(merchant.0)
}

/// The order is paid: its merchant is told, and it fails by itself when its time is over.
pub(super) fn paid(tx: &Tx<'_>, order: &CodeOrder, nonce: &Octets<32>, deadline: Timestamp) -> TxResult<()> {
    effects::add(tx, deadline_of(&order.id), deadline.plus(1))?;
    tell(tx, order, ORDER_PAID, Some(nonce))
}

/// The code is wanted once more, for another terminal.
pub(super) fn seal_again(tx: &Tx<'_>, order: &CodeOrder, nonce: &Octets<32>) -> TxResult<()> {
    tell(tx, order, ORDER_RESEAL, Some(nonce))
}

/// A code was accepted: the terminal is told, and nothing happens at the deadline any more.
pub(super) fn received(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    effects::end(tx, deadline_of(&order.id), Ending::Settled)?;
    match &order.terminal {
        Some(terminal) => {
            let data = Notice { order: &order.id, nonce: None };
            events::append(tx, &Receiver::Terminal(*terminal), CODE_RECEIVED, &data)
        }
        None => Ok(()),
    }
}

/// The order is over for its merchant, one way or the other. What was not delivered of what it was told before is not
/// any more.
pub(super) fn closed(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    effects::end(tx, deadline_of(&order.id), Ending::Settled)?;
    webhooks::silence(tx, &receiver(&order.merchant), &subject(&order.id))?;
    tell(tx, order, ORDER_CLOSED, None)
}

/// Nothing more is to be said about it.
pub(super) fn settled(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<()> {
    webhooks::silence(tx, &receiver(&order.merchant), &subject(&order.id))
}

fn tell(tx: &Tx<'_>, order: &CodeOrder, kind: &str, nonce: Option<&Octets<32>>) -> TxResult<()> {
    let data = to_json(&Notice { order: &order.id, nonce })?;
    let message = NewMessage { kind, subject: subject(&order.id), data };
    webhooks::enqueue(tx, &receiver(&order.merchant), &message)
}

const fn subject(order: &OrderId) -> Octets<16> {
    Octets(*order.as_bytes())
}

const fn deadline_of(order: &OrderId) -> EffectOf {
    EffectOf::order(EffectKind::CodeDeadline, order)
}
