//! Orders.

use super::answers::{self, Stored};
use super::row::{bytes, json, maybe_bytes, maybe_money, octets, one_of, time, to_json};
use super::{Sqlite, Tx, cycle, ledger, offers, prepaid};
use crate::clock::Timestamp;
use crate::faults::Write;
use crate::ledger::{Commodity, LedgerAccount, NewTransfer};
use crate::store::{
    AnswerScope, Begun, EntitlementId, Goods, Idempotency, NewOrder, NewTopUp, OpenOutcome, Order, OrderCase,
    OrderPhase, Orders, PublisherId, RefundOutcome, SettleOutcome, Settlement, StoreError,
};
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, Digest, Offer, OrderId, TerminalId};
use rusqlite::Row;

/// In the order of the column's numbers.
const PHASES: [OrderPhase; 5] =
    [OrderPhase::Pending, OrderPhase::Paid, OrderPhase::Declined, OrderPhase::Refunding, OrderPhase::Refunded];

const ORDER: &str = "SELECT o.id, o.account, o.state, o.provider, o.receipt, o.created_at, o.offer_digest, f.offer,
                            o.amount, o.returned, o.currency, o.changed_at
                     FROM orders o LEFT JOIN offers f ON f.digest = o.offer_digest";

fn order(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        id: bytes(row, 0, OrderId::from_bytes)?,
        account: bytes(row, 1, AccountId::from_bytes)?,
        phase: one_of(row, 2, &PHASES)?,
        provider: row.get(3)?,
        receipt: row.get(4)?,
        created: time(row, 5)?,
        goods: goods(row)?,
    })
}

fn goods(row: &Row<'_>) -> rusqlite::Result<Goods> {
    match maybe_bytes(row, 6, Digest::from_bytes)? {
        Some(digest) => Ok(Goods::Rights { offer: Box::new(json(row, 7)?), digest }),
        None => Ok(Goods::TopUp {
            amount: maybe_money(row, 8, 10)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?,
            returned: maybe_money(row, 9, 10)?,
        }),
    }
}

/// An order.
pub(super) fn find(tx: &Tx<'_>, id: &OrderId) -> rusqlite::Result<Option<Order>> {
    tx.one(&format!("{ORDER} WHERE o.id = ?1"), [id.as_bytes()], order)
}

/// The order that a transaction has just written.
fn found(tx: &Tx<'_>, id: &OrderId) -> rusqlite::Result<Box<Order>> {
    find(tx, id)?.map(Box::new).ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// One arrow of the state: from one number to another, or nothing.
fn moved(tx: &Tx<'_>, id: &OrderId, from: u8, to: u8) -> rusqlite::Result<bool> {
    let sql = "UPDATE orders SET state = ?3, changed_at = ?4 WHERE id = ?1 AND state = ?2";
    Ok(tx.change(sql, (id.as_bytes(), from, to, tx.now.millis()))? == 1)
}

fn open(tx: &Tx<'_>, new: &NewOrder) -> rusqlite::Result<OpenOutcome> {
    let scope = AnswerScope::Terminal(new.terminal);
    let begun = answers::find(tx, &scope, &new.request)?;
    if !matches!(begun, Begun::New) {
        return Ok(OpenOutcome::Begun(begun));
    }
    let opened = tx.change(
        "INSERT INTO orders (id, account, offer_digest, provider, created_at, changed_at)
         SELECT ?1, ?2, digest, ?4, ?5, ?5 FROM offers WHERE digest = ?3 AND ended_at IS NULL",
        (new.id.as_bytes(), new.account.as_bytes(), new.offer.as_bytes(), &new.provider, tx.now.millis()),
    )?;
    if opened != 1 {
        return Ok(OpenOutcome::Changed);
    }
    answers::store(tx, &scope, &new.request, &Stored::Order(&new.id))?;
    tx.log("order opened", Some(&new.account), Some(&new.terminal), new.id.as_bytes())?;
    Ok(OpenOutcome::Opened(found(tx, &new.id)?))
}

fn open_top_up(tx: &Tx<'_>, new: &NewTopUp) -> rusqlite::Result<OpenOutcome> {
    let scope = AnswerScope::Terminal(new.terminal);
    let begun = answers::find(tx, &scope, &new.request)?;
    if !matches!(begun, Begun::New) {
        return Ok(OpenOutcome::Begun(begun));
    }
    if !prepaid::make_room(tx, &new.account, new.amount)? {
        return Ok(OpenOutcome::NoRoom);
    }
    tx.change(
        "INSERT INTO orders (id, account, provider, created_at, changed_at, amount, currency)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)",
        (
            new.id.as_bytes(),
            new.account.as_bytes(),
            &new.provider,
            tx.now.millis(),
            new.amount.minor_units(),
            new.amount.currency().as_str(),
        ),
    )?;
    answers::store(tx, &scope, &new.request, &Stored::Order(&new.id))?;
    tx.log("top-up opened", Some(&new.account), Some(&new.terminal), new.id.as_bytes())?;
    Ok(OpenOutcome::Opened(found(tx, &new.id)?))
}

fn settle(tx: &Tx<'_>, id: &OrderId, settlement: &Settlement) -> rusqlite::Result<SettleOutcome> {
    let Some(order) = find(tx, id)? else { return Ok(SettleOutcome::Unknown) };
    match settlement {
        Settlement::Declined => {
            if moved(tx, id, 0, 2)? {
                tx.log("order declined", Some(&order.account), None, id.as_bytes())?;
            }
        }
        Settlement::Paid { entitlement, receipt } => {
            if moved(tx, id, 0, 1)? {
                tx.change("UPDATE orders SET receipt = ?2 WHERE id = ?1", (id.as_bytes(), receipt))?;
                match &order.goods {
                    Goods::Rights { offer, digest } => entitle(tx, &order, offer, digest, entitlement)?,
                    Goods::TopUp { amount, .. } => {
                        prepaid::credit(tx, &order.account, &order.provider, *amount, *id.as_bytes())?;
                    }
                }
                tx.log("order paid", Some(&order.account), None, id.as_bytes())?;
            } else if !order.amount().is_zero() && moved(tx, id, 2, 3)? {
                paid_late(tx, &order)?;
            }
        }
    }
    Ok(SettleOutcome::Order(found(tx, id)?))
}

/// The provider has money for an order that counts as declined: the charge was under way while the operator decided.
/// Whoever was told that nothing is owed may have paid otherwise since, so it gives nothing, and goes back.
fn paid_late(tx: &Tx<'_>, order: &Order) -> rusqlite::Result<()> {
    if let Goods::TopUp { amount, .. } = &order.goods {
        let sql = "UPDATE orders SET returned = ?2 WHERE id = ?1";
        tx.change(sql, (order.id.as_bytes(), amount.minor_units()))?;
    }
    let (from, to) = (LedgerAccount::provider(&order.provider), LedgerAccount::refunds());
    prepaid::move_money(tx, from, to, order.amount(), *order.id.as_bytes())?;
    tx.log("declined order paid", Some(&order.account), None, order.id.as_bytes())
}

/// Gives what was paid for, and writes it into the ledger.
fn entitle(
    tx: &Tx<'_>,
    order: &Order,
    offer: &Offer,
    digest: &Digest,
    entitlement: &EntitlementId,
) -> rusqlite::Result<()> {
    let publisher = tx.one("SELECT publisher FROM offers WHERE digest = ?1", [digest.as_bytes()], |row| {
        octets(row, 0).map(PublisherId)
    })?;
    let publisher = publisher.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let total = offer.rights.quantity().map(|total| i64::try_from(total).unwrap_or(i64::MAX));
    tx.change(
        "INSERT INTO entitlements (id, account, publisher, name, operation, rights, total, since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            entitlement.0.0,
            order.account.as_bytes(),
            publisher.0.0,
            offer.name.as_str(),
            offer.operation.as_str(),
            to_json(&offer.rights)?,
            total,
            tx.now.millis(),
        ),
    )?;
    // What the provider owes is owed to the publisher.
    if !offer.price.is_zero() {
        let (from, to) = (LedgerAccount::provider(&order.provider), LedgerAccount::publisher(&offer.publisher));
        prepaid::move_money(tx, from, to, offer.price, *order.id.as_bytes())?;
    }
    if let Some(amount) = total {
        let (from, to) = (LedgerAccount::issued(), LedgerAccount::entitlement(entitlement));
        let transfer = NewTransfer { from, to, amount, commodity: Commodity::Uses, subject: *order.id.as_bytes() };
        ledger::append(tx, &transfer)?;
    }
    Ok(())
}

fn begin_refund(tx: &Tx<'_>, id: &OrderId) -> rusqlite::Result<RefundOutcome> {
    let Some(order) = find(tx, id)? else { return Ok(RefundOutcome::Unknown) };
    match order.phase {
        OrderPhase::Paid => {}
        OrderPhase::Refunding | OrderPhase::Refunded => return Ok(RefundOutcome::Done(Box::new(order))),
        phase => return Ok(RefundOutcome::NotPaid(phase)),
    }
    match &order.goods {
        Goods::Rights { .. } => end_rights(tx, id)?,
        Goods::TopUp { amount, .. } => {
            let returned = prepaid::take_out(tx, &order.account, *amount, *id.as_bytes())?;
            if returned == 0 {
                return Ok(RefundOutcome::NothingLeft);
            }
            tx.change("UPDATE orders SET returned = ?2 WHERE id = ?1", (id.as_bytes(), returned))?;
        }
    }
    moved(tx, id, 1, 3)?;
    tx.log("refund begun", Some(&order.account), None, id.as_bytes())?;
    Ok(RefundOutcome::Done(found(tx, id)?))
}

/// Ends the rights that an order gave.
fn end_rights(tx: &Tx<'_>, id: &OrderId) -> rusqlite::Result<()> {
    // The entitlement has the order's identifier.
    let entitlement = EntitlementId(Octets(*id.as_bytes()));
    let left = tx.one(
        "SELECT total - used FROM entitlements WHERE id = ?1 AND total IS NOT NULL",
        [entitlement.0.0],
        |row| row.get::<_, i64>(0),
    )?;
    cycle::take_back(tx, &entitlement)?;
    if let Some(amount) = left.filter(|left| *left > 0) {
        let (from, to) = (LedgerAccount::entitlement(&entitlement), LedgerAccount::withdrawn());
        let transfer = NewTransfer { from, to, amount, commodity: Commodity::Uses, subject: *id.as_bytes() };
        ledger::append(tx, &transfer)?;
    }
    Ok(())
}

fn finish_refund(tx: &Tx<'_>, id: &OrderId) -> rusqlite::Result<RefundOutcome> {
    let Some(order) = find(tx, id)? else { return Ok(RefundOutcome::Unknown) };
    match order.phase {
        OrderPhase::Refunding => {}
        OrderPhase::Refunded => return Ok(RefundOutcome::Done(Box::new(order))),
        phase => return Ok(RefundOutcome::NotPaid(phase)),
    }
    moved(tx, id, 3, 4)?;
    let from = match &order.goods {
        // Without a receipt nothing was sold: the money was never the publisher's.
        Goods::Rights { offer, .. } if order.receipt.is_some() => LedgerAccount::publisher(&offer.publisher),
        Goods::Rights { .. } | Goods::TopUp { .. } => LedgerAccount::refunds(),
    };
    if !order.refund().is_zero() {
        let to = LedgerAccount::provider(&order.provider);
        prepaid::move_money(tx, from, to, order.refund(), *id.as_bytes())?;
    }
    tx.log("refunded", Some(&order.account), None, id.as_bytes())?;
    Ok(RefundOutcome::Done(found(tx, id)?))
}

#[async_trait]
impl Orders for Sqlite {
    async fn order_case(
        &self,
        terminal: &TerminalId,
        request: &Idempotency,
        offer: &Digest,
    ) -> Result<OrderCase, StoreError> {
        self.read("order", |tx| {
            let begun = answers::find(tx, &AnswerScope::Terminal(*terminal), request)?;
            let (offer, current) = match &begun {
                Begun::New => offers::accepted(tx, offer)?,
                _ => (None, Vec::new()),
            };
            Ok(OrderCase { now: tx.now, begun, offer, current })
        })
    }

    async fn order_begun(&self, terminal: &TerminalId, request: &Idempotency) -> Result<Begun, StoreError> {
        self.read("order", |tx| answers::find(tx, &AnswerScope::Terminal(*terminal), request))
    }

    async fn open_order(&self, new: NewOrder) -> Result<OpenOutcome, StoreError> {
        self.write(Write::OrderOpen, move |tx| open(tx, &new)).await
    }

    async fn open_top_up(&self, new: NewTopUp) -> Result<OpenOutcome, StoreError> {
        self.write(Write::TopUpOpen, move |tx| open_top_up(tx, &new)).await
    }

    async fn settle_order(&self, id: &OrderId, settlement: Settlement) -> Result<SettleOutcome, StoreError> {
        let id = *id;
        self.write(Write::OrderSettle, move |tx| settle(tx, &id, &settlement)).await
    }

    async fn begin_refund(&self, id: &OrderId) -> Result<RefundOutcome, StoreError> {
        let id = *id;
        self.write(Write::RefundBegin, move |tx| begin_refund(tx, &id)).await
    }

    async fn finish_refund(&self, id: &OrderId) -> Result<RefundOutcome, StoreError> {
        let id = *id;
        self.write(Write::RefundFinish, move |tx| finish_refund(tx, &id)).await
    }

    async fn order(&self, id: &OrderId) -> Result<Option<Order>, StoreError> {
        self.read("order", |tx| find(tx, id))
    }

    async fn refunds(&self, account: &AccountId, skip: u32, limit: u32) -> Result<Vec<(Order, Timestamp)>, StoreError> {
        let sql = format!("{ORDER} WHERE o.account = ?1 AND o.state IN (3, 4) ORDER BY o.id DESC LIMIT ?2 OFFSET ?3");
        self.read("refunds", |tx| {
            tx.all(&sql, (account.as_bytes(), limit, skip), |row| Ok((order(row)?, time(row, 11)?)))
        })
    }

    async fn receipts(&self, account: &AccountId) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT receipt FROM orders
                   WHERE account = ?1 AND receipt IS NOT NULL AND offer_digest IS NOT NULL ORDER BY id DESC";
        self.read("receipts", |tx| tx.all(sql, [account.as_bytes()], |row| row.get(0)))
    }

    async fn open_orders(&self) -> Result<Vec<Order>, StoreError> {
        self.read("open orders", |tx| {
            tx.all(&format!("{ORDER} WHERE o.state IN (0, 3) ORDER BY o.created_at"), [], order)
        })
    }
}
