//! Orders.

use super::answers::{self, Stored};
use super::offers::Subject;
use super::row::{bytes, json, maybe_bytes, maybe_money, octets, one_of, time, to_json};
use super::{Sqlite, Tx, cycle, ledger, offers, prepaid};
use crate::billing::ledger::{Commodity, LedgerAccount, NewTransfer};
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::store::{
    AccountPage, AnswerScope, Begun, EntitlementId, Goods, Idempotency, NewOrder, NewTopUp, OpenOutcome, Order,
    OrderCase, OrderPhase, Orders, Page, PublisherId, Redundant, RefundOutcome, SettleOutcome, Settlement, StoreError,
};
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, Digest, Money, Offer, OrderId, Rights, TerminalId};
use rusqlite::Row;

/// In the order of the column's numbers.
const PHASES: [OrderPhase; 5] =
    [OrderPhase::Pending, OrderPhase::Paid, OrderPhase::Declined, OrderPhase::Refunding, OrderPhase::Refunded];

const ORDER: &str = "SELECT o.id, o.account, o.state, o.provider, o.receipt, o.created_at, o.offer_digest, f.offer,
                            o.amount, o.returned, o.currency, o.again, o.changed_at
                     FROM orders o LEFT JOIN offers f ON f.digest = o.offer_digest";

fn order(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        id: bytes(row, 0, OrderId::from_bytes)?,
        account: bytes(row, 1, AccountId::from_bytes)?,
        phase: one_of(row, 2, &PHASES)?,
        provider: row.get(3)?,
        receipt: row.get(4)?,
        created: time(row, 5)?,
        again: row.get(11)?,
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

/// What must not be on order twice: rights that do not run out, whatever the terms.
fn intent_of_rights(subject: &Subject, rights: &Rights) -> Option<String> {
    let Subject { publisher, name, operation } = subject;
    rights.quantity().is_none().then(|| format!("{} {name} {operation}", publisher.0))
}

/// What must not be on order twice: the same amount of money.
fn intent_of_money(amount: Money) -> String {
    format!("{} {}", amount.minor_units(), amount.currency())
}

/// The pending order of this intent.
fn pending(tx: &Tx<'_>, account: &AccountId, intent: &str) -> rusqlite::Result<Option<Box<Order>>> {
    let sql = format!("{ORDER} WHERE o.account = ?1 AND o.intent = ?2 AND o.state = 0");
    Ok(tx.one(&sql, (account.as_bytes(), intent), order)?.map(Box::new))
}

/// Answers a request with an order that another one opened.
fn join(tx: &Tx<'_>, scope: &AnswerScope, request: &Idempotency, pending: Box<Order>) -> rusqlite::Result<OpenOutcome> {
    answers::store(tx, scope, request, &Stored::Joined(&pending.id))?;
    Ok(OpenOutcome::Joined(pending))
}

/// Whether an account holds an operation for good.
fn holds_for_good(tx: &Tx<'_>, account: &AccountId, subject: &Subject) -> rusqlite::Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM entitlements WHERE account = ?1 AND publisher = ?2 AND name = ?3 AND operation = ?4
             AND total IS NULL AND revoked_at IS NULL LIMIT 1",
        (account.as_bytes(), subject.publisher.0.0, subject.name.as_str(), subject.operation.as_str()),
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Why an order would give nothing new.
fn redundant(tx: &Tx<'_>, account: &AccountId, subject: &Subject) -> rusqlite::Result<Option<Redundant>> {
    if holds_for_good(tx, account, subject)? {
        return Ok(Some(Redundant::Held));
    }
    let offers = offers::for_operation(tx, &subject.publisher, &subject.name, &subject.operation)?;
    let is_free = offers.iter().any(|revision| revision.offer.rights.is_free());
    Ok(is_free.then_some(Redundant::Free))
}

fn open(tx: &Tx<'_>, new: &NewOrder) -> rusqlite::Result<OpenOutcome> {
    let scope = AnswerScope::Terminal(new.terminal);
    let begun = answers::find(tx, &scope, &new.request)?;
    if !matches!(begun, Begun::New) {
        return Ok(OpenOutcome::Begun(begun));
    }
    if let Some(reason) = cycle::shut_out(tx, &new.account, &new.terminal)? {
        return Ok(OpenOutcome::ShutOut(reason));
    }
    let (Some(subject), Some(accepted)) = (offers::subject(tx, &new.offer)?, offers::accepted(tx, &new.offer)?) else {
        return Ok(OpenOutcome::Changed);
    };
    if !offers::is_on_sale(tx, &new.offer)? {
        return Ok(OpenOutcome::Changed);
    }
    // Whoever confirmed it is believed; but what costs nothing can be had once, and more of it is no use to anybody.
    let intent = intent_of_rights(&subject, &accepted.offer.rights);
    if !new.again || accepted.offer.price.is_zero() {
        if let Some(pending) = intent.as_deref().map(|intent| pending(tx, &new.account, intent)).transpose()?.flatten()
        {
            return match &pending.goods {
                Goods::Rights { digest, .. } if *digest == new.offer => join(tx, &scope, &new.request, pending),
                _ => Ok(OpenOutcome::Redundant(Redundant::OnOrder)),
            };
        }
        if let Some(redundant) = redundant(tx, &new.account, &subject)? {
            return Ok(OpenOutcome::Redundant(redundant));
        }
    }
    let opened = tx.change(
        "INSERT INTO orders (id, account, offer_digest, provider, created_at, changed_at, intent, again, place)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7,
                 (SELECT coalesce(max(o.place), 0) + 1 FROM orders o WHERE o.account = ?2))
         ON CONFLICT (account, intent) WHERE state = 0 AND intent IS NOT NULL DO NOTHING",
        (
            new.id.as_bytes(),
            new.account.as_bytes(),
            new.offer.as_bytes(),
            &new.provider,
            tx.now.millis(),
            intent.filter(|_| !new.again),
            new.again,
        ),
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
    if let Some(reason) = cycle::shut_out(tx, &new.account, &new.terminal)? {
        return Ok(OpenOutcome::ShutOut(reason));
    }
    let intent = intent_of_money(new.amount);
    if !new.again
        && let Some(pending) = pending(tx, &new.account, &intent)?
    {
        return join(tx, &scope, &new.request, pending);
    }
    if !prepaid::has_room(tx, &new.account, new.amount)? {
        return Ok(OpenOutcome::NoRoom);
    }
    let opened = tx.change(
        "INSERT INTO orders (id, account, provider, created_at, changed_at, amount, currency, intent, again, place)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8,
                 (SELECT coalesce(max(o.place), 0) + 1 FROM orders o WHERE o.account = ?2))
         ON CONFLICT (account, intent) WHERE state = 0 AND intent IS NOT NULL DO NOTHING",
        (
            new.id.as_bytes(),
            new.account.as_bytes(),
            &new.provider,
            tx.now.millis(),
            new.amount.minor_units(),
            new.amount.currency().as_str(),
            Some(intent).filter(|_| !new.again),
            new.again,
        ),
    )?;
    if opened != 1 {
        return Ok(OpenOutcome::Changed);
    }
    answers::store(tx, &scope, &new.request, &Stored::Order(&new.id))?;
    tx.log("top-up opened", Some(&new.account), Some(&new.terminal), new.id.as_bytes())?;
    Ok(OpenOutcome::Opened(found(tx, &new.id)?))
}

/// Whether what was ordered can still be given, to somebody in good standing, and is of use: much may have happened
/// while the order was pending.
fn can_be_given(tx: &Tx<'_>, order: &Order) -> rusqlite::Result<bool> {
    let in_good_standing = "SELECT 1 FROM accounts WHERE id = ?1 AND suspended_at IS NULL";
    if tx.one(in_good_standing, [order.account.as_bytes()], |_| Ok(()))?.is_none() {
        return Ok(false);
    }
    let Goods::Rights { digest, .. } = &order.goods else { return Ok(true) };
    let Some(subject) = offers::subject(tx, digest)? else { return Ok(false) };
    let is_new = order.again || !holds_for_good(tx, &order.account, &subject)?;
    Ok(is_new && offers::off_sale(tx, &subject)?.is_none())
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
            if order.phase == OrderPhase::Pending && !can_be_given(tx, &order)? {
                take_nothing(tx, &order)?;
            } else if moved(tx, id, 0, 1)? {
                tx.change("UPDATE orders SET receipt = ?2 WHERE id = ?1", (id.as_bytes(), receipt))?;
                match &order.goods {
                    Goods::Rights { offer, digest } => entitle(tx, &order, offer, digest, entitlement)?,
                    Goods::TopUp { amount, .. } => {
                        prepaid::credit(tx, &order.account, &order.provider, *amount, *id.as_bytes())?;
                    }
                }
                tx.log("order paid", Some(&order.account), None, id.as_bytes())?;
            } else if !order.amount().is_zero() && moved(tx, id, 2, 3)? {
                pay_back(tx, &order)?;
                tx.log("declined order paid", Some(&order.account), None, id.as_bytes())?;
            }
        }
    }
    Ok(SettleOutcome::Order(found(tx, id)?))
}

/// A pending order for which nothing can be given any more: what was paid for it goes back.
fn take_nothing(tx: &Tx<'_>, order: &Order) -> rusqlite::Result<()> {
    if order.amount().is_zero() {
        moved(tx, &order.id, 0, 2)?;
        return tx.log("order declined", Some(&order.account), None, order.id.as_bytes());
    }
    if moved(tx, &order.id, 0, 3)? {
        pay_back(tx, order)?;
        tx.log("paid order cannot be fulfilled", Some(&order.account), None, order.id.as_bytes())?;
    }
    Ok(())
}

/// The provider has money for which nothing is given: it stands in the books until it is paid back. So it is if an order
/// counts as declined, since the operator decided while the charge was under way: whoever was told that nothing is owed
/// may have paid otherwise since.
fn pay_back(tx: &Tx<'_>, order: &Order) -> rusqlite::Result<()> {
    if let Goods::TopUp { amount, .. } = &order.goods {
        let sql = "UPDATE orders SET returned = ?2 WHERE id = ?1";
        tx.change(sql, (order.id.as_bytes(), amount.minor_units()))?;
    }
    let (from, to) = (LedgerAccount::provider(&order.provider), LedgerAccount::refunds());
    prepaid::move_money(tx, from, to, order.amount(), *order.id.as_bytes())
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
    hold(tx, &order.account, &publisher, offer, entitlement)?;
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

/// Writes an entitlement, unless the account holds the same for good already: then this order stands behind it.
fn hold(
    tx: &Tx<'_>,
    account: &AccountId,
    publisher: &PublisherId,
    offer: &Offer,
    entitlement: &EntitlementId,
) -> rusqlite::Result<()> {
    tx.change(
        "INSERT INTO entitlements (id, account, publisher, name, operation, rights, total, since, place)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,
                 (SELECT coalesce(max(e.place), 0) + 1 FROM entitlements e WHERE e.account = ?2))
         ON CONFLICT (account, publisher, name, operation) WHERE total IS NULL AND revoked_at IS NULL DO NOTHING",
        (
            entitlement.0.0,
            account.as_bytes(),
            publisher.0.0,
            offer.name.as_str(),
            offer.operation.as_str(),
            to_json(&offer.rights)?,
            offer.rights.quantity().map(|total| i64::try_from(total).unwrap_or(i64::MAX)),
            tx.now.millis(),
        ),
    )?;
    Ok(())
}

/// An order that was paid for the same for good and stands behind an entitlement that has just ended takes its place.
fn take_over(tx: &Tx<'_>, ended: &Order, offer: &Offer) -> rusqlite::Result<()> {
    let others: Vec<(OrderId, PublisherId, Offer)> = tx.all(
        // In this order: an operation has few offers, an account may have many orders.
        "SELECT o.id, f.publisher, f.offer FROM offers f CROSS JOIN orders o
         WHERE f.publisher = (SELECT p.id FROM publishers p WHERE p.name = ?2) AND f.name = ?3 AND f.operation = ?4
           AND o.account = ?1 AND o.offer_digest = f.digest AND o.state = 1 AND o.id <> ?5 ORDER BY o.id",
        (
            ended.account.as_bytes(),
            offer.publisher.as_str(),
            offer.name.as_str(),
            offer.operation.as_str(),
            ended.id.as_bytes(),
        ),
        |row| Ok((bytes(row, 0, OrderId::from_bytes)?, octets(row, 1).map(PublisherId)?, json(row, 2)?)),
    )?;
    match others.iter().find(|(_, _, offer)| offer.rights.quantity().is_none()) {
        Some((id, publisher, offer)) => {
            hold(tx, &ended.account, publisher, offer, &EntitlementId(Octets(*id.as_bytes())))
        }
        None => Ok(()),
    }
}

fn begin_refund(tx: &Tx<'_>, id: &OrderId) -> rusqlite::Result<RefundOutcome> {
    let Some(order) = find(tx, id)? else { return Ok(RefundOutcome::Unknown) };
    match order.phase {
        OrderPhase::Paid => {}
        OrderPhase::Refunding | OrderPhase::Refunded => return Ok(RefundOutcome::Done(Box::new(order))),
        phase => return Ok(RefundOutcome::NotPaid(phase)),
    }
    match &order.goods {
        Goods::Rights { offer, .. } => {
            end_rights(tx, id)?;
            if offer.rights.quantity().is_none() {
                take_over(tx, &order, offer)?;
            }
        }
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
            let mut case = OrderCase { now: tx.now, begun, offer: None, off_sale: None, current: Vec::new() };
            if matches!(case.begun, Begun::New)
                && let Some(subject) = offers::subject(tx, offer)?
            {
                case.offer = offers::accepted(tx, offer)?;
                case.off_sale = offers::off_sale(tx, &subject)?;
                case.current = offers::for_operation(tx, &subject.publisher, &subject.name, &subject.operation)?;
            }
            Ok(case)
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
        let account = *account;
        self.read_many("refunds", move |tx| {
            tx.all(&sql, (account.as_bytes(), limit, skip), |row| Ok((order(row)?, time(row, 12)?)))
        })
        .await
    }

    async fn receipts(&self, account: &AccountId, page: AccountPage) -> Result<Page<String>, StoreError> {
        let account = *account;
        self.read_many("receipts", move |tx| {
            let sql = "SELECT place, receipt FROM orders
                       WHERE account = ?1 AND receipt IS NOT NULL AND offer_digest IS NOT NULL AND place < ?2
                       ORDER BY place DESC LIMIT ?3";
            let rows =
                tx.all(sql, (account.as_bytes(), page.before(), page.limit()), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(page.of(rows))
        })
        .await
    }

    async fn open_orders(&self, after: Option<OrderId>, limit: u32) -> Result<Vec<Order>, StoreError> {
        self.read_many("open orders", move |tx| {
            let sql = format!("{ORDER} WHERE o.state IN (0, 3) AND o.id > ?1 ORDER BY o.id LIMIT ?2");
            tx.all(&sql, (after.map_or([0; 16], |id| *id.as_bytes()), limit), order)
        })
        .await
    }
}
