//! Who is told what, with the change that it is about.

use super::{Tx, TxResult, events, webhooks};
use crate::store::database::row::{bytes, to_json};
use crate::store::{NewMessage, Order, OrderPhase, Receiver};
use portcullis_protocol::TerminalId;
use portcullis_protocol::encoding::Octets;
use serde_json::json;

/// Terminals of an account that are told, at most: the newest, more than a person uses.
const TERMINALS: u32 = 16;

/// An order has come to another state: the terminals of its account are told, and the store's own backend.
pub(super) fn order_changed(tx: &Tx<'_>, from: OrderPhase, order: &Order) -> TxResult<()> {
    let kind = match order.phase {
        OrderPhase::Pending => "order.pending",
        OrderPhase::Paid if from == OrderPhase::Disputed => "order.dispute-won",
        OrderPhase::Paid => "order.paid",
        OrderPhase::Declined => "order.declined",
        OrderPhase::Refunding => "order.refunding",
        OrderPhase::Refunded => "order.refunded",
        OrderPhase::Disputed => "order.disputed",
        OrderPhase::ChargedBack => "order.charged-back",
    };
    let data = json!({ "order": order.id });
    let terminals = tx.all(
        "SELECT id FROM terminals WHERE account = ?1 AND revoked_at IS NULL ORDER BY id DESC LIMIT ?2",
        (order.account.as_bytes(), TERMINALS),
        |row| bytes(row, 0, TerminalId::from_bytes),
    )?;
    for terminal in terminals {
        events::append(tx, &Receiver::Terminal(terminal), kind, &data)?;
    }
    let subject = Octets(*order.id.as_bytes());
    // The last word on an order is the one that has to arrive.
    if matches!(order.phase, OrderPhase::Refunded | OrderPhase::ChargedBack) {
        webhooks::silence(tx, &Receiver::Store, &subject)?;
    }
    let said = json!({ "order": order.id, "amount": order.amount(), "provider": &order.provider });
    let message = NewMessage { kind, subject, data: to_json(&said)? };
    webhooks::enqueue(tx, &Receiver::Store, &message)?;
    Ok(())
}
