//! Orders.

use super::accounts::signed_in;
use super::answers::{self, Stored};
use super::code_orders::{self, WantedCodes};
use super::effects::{self, Ending};
use super::figures::count_order;
use super::leases::ProcessLease;
use super::offers::Subject;
use super::{
    Database, Lock, Tx, TxError, TxResult, cycle, ledger, notices, offers, payment_events, prepaid, saved_means,
};
use crate::billing::charges::{self, LATE};
use crate::billing::entitlement::{EntitlementId, Holding};
use crate::billing::events::Consequence;
use crate::billing::ledger::{Commodity, LedgerAccount, NewTransfer};
use crate::billing::payment::PaymentEvent;
use crate::billing::rights;
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::store::database::Row;
use crate::store::database::row::{bytes, json, maybe_bytes, maybe_money, number_of, octets, one_of, time, to_json};
use crate::store::{
    AccountPage, AnswerScope, Begun, BrowserCodes, Buyer, ClaimEffect, CodesOffSale, EffectClaim, EffectKind, EffectOf,
    EffectVerdict, Goods, GoodsKind, Holder, Idempotency, NewOrder, OpenOutcome, Order, OrderCase, OrderPhase, Ordered,
    Orders, Page, PaymentRecord, PublisherId, Redundant, RefundOutcome, SettleOutcome, Settlement, StoreError,
    StoredMeans,
};
use async_trait::async_trait;
use portcullis_protocol::codes::Quantity;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, Digest, Money, Offer, OrderId, Reason, Rights, TerminalId, wire};

/// In the order of the column's numbers.
const PHASES: [OrderPhase; 7] = [
    OrderPhase::Pending,
    OrderPhase::Paid,
    OrderPhase::Declined,
    OrderPhase::Refunding,
    OrderPhase::Refunded,
    OrderPhase::Disputed,
    OrderPhase::ChargedBack,
];
/// How long an order may be pending, in seconds: as long as a terminal remembers that it asked.
const PENDING_LIFE: u64 = 24 * 3600;
/// Orders of an account that wait for their payment at once: more than a person has open, and few for a payment
/// provider, which is asked about each of them again and again.
const PENDING: i64 = 20;
/// Orders of an account that were given up or ended unpaid, and whose providers are still asked, for a week or so, in
/// case the money comes late.
const WATCHED: i64 = 100;
/// For how long after the end of their time they are looked for, in seconds: longer than they are asked about.
const WATCHED_FOR: u64 = charges::WATCHED + PENDING_LIFE;
/// Orders of an account that end unpaid of those that it opens within [`PENDING_LIFE`]. Each is kept for good and costs
/// its provider a request: more than a business has whose cards are declined now and then, and few for whoever tries
/// cards out.
const UNPAID: i64 = 200;

const ORDER: &str = "SELECT o.id, o.account, o.state, o.provider, o.receipt, o.created_at, o.offer_digest, f.offer,
                            o.amount, o.returned, o.currency, o.again, o.changed_at, o.reference, o.next, o.ends_at,
                            o.place, c.product, c.quantity, p.product, c.terminal
                     FROM orders o LEFT JOIN offers f ON f.digest = o.offer_digest
                          LEFT JOIN code_orders c ON c.id = o.id LEFT JOIN products p ON p.digest = c.product";
/// The column of [`ORDER`] that names pages.
const PLACE: usize = 16;
/// The first of those that say which codes were ordered.
const CODES: usize = 17;

fn order(row: &Row<'_>) -> TxResult<Order> {
    Ok(Order {
        id: bytes(row, 0, OrderId::from_bytes)?,
        account: bytes(row, 1, AccountId::from_bytes)?,
        phase: phase(row, 2)?,
        provider: row.get(3)?,
        receipt: row.get(4)?,
        created: time(row, 5)?,
        again: row.get(11)?,
        goods: goods(row)?,
        reference: row.get(13)?,
        next: row.get::<Option<String>>(14)?.map(|_| json(row, 14)).transpose()?,
        ends: time(row, 15)?,
    })
}

fn goods(row: &Row<'_>) -> TxResult<Goods> {
    if let Some(digest) = maybe_bytes(row, 6, Digest::from_bytes)? {
        return Ok(Goods::Rights { offer: Box::new(json(row, 7)?), digest });
    }
    let amount = maybe_money(row, 8, 10)?.ok_or(TxError::Damaged)?;
    match maybe_bytes(row, CODES, Digest::from_bytes)? {
        Some(digest) => {
            let quantity = Quantity::new(row.get(CODES + 1)?).map_err(|_| TxError::Unreadable)?;
            let terminal = maybe_bytes(row, CODES + 3, TerminalId::from_bytes)?;
            Ok(Goods::Codes { product: Box::new(json(row, CODES + 2)?), digest, quantity, amount, terminal })
        }
        None => Ok(Goods::TopUp { amount, returned: maybe_money(row, 9, 10)? }),
    }
}

/// An order.
pub(super) fn find(tx: &Tx<'_>, id: &OrderId) -> TxResult<Option<Order>> {
    tx.one(&format!("{ORDER} WHERE o.id = ?1"), [id.as_bytes()], order)
}

/// Takes the lock of an order's account.
pub(super) fn lock(tx: &Tx<'_>, id: &OrderId) -> TxResult<()> {
    tx.lock_account_of(|tx| {
        let sql = "SELECT account FROM orders WHERE id = ?1";
        tx.one(sql, [id.as_bytes()], |row| bytes(row, 0, AccountId::from_bytes))
    })
}

/// The order that a transaction has just written.
pub(super) fn found(tx: &Tx<'_>, id: &OrderId) -> TxResult<Box<Order>> {
    find(tx, id)?.map(Box::new).ok_or(TxError::Damaged)
}

/// Writes another state and counts it, and nothing else. Returns false if the order is not in the first one.
fn set_phase(tx: &Tx<'_>, id: &OrderId, from: OrderPhase, to: OrderPhase) -> TxResult<bool> {
    let sql = "UPDATE orders SET state = ?3, changed_at = ?4, next = NULL WHERE id = ?1 AND state = ?2";
    if tx.change(sql, (id.as_bytes(), number(from), number(to), tx.now().millis()))? != 1 {
        return Ok(false);
    }
    count_order(tx, id, Some(from), to)?;
    Ok(true)
}

/// One arrow of the state: from one to another, or nothing. What is to be done at the provider follows, and who wants
/// to know is told.
pub(super) fn moved(tx: &Tx<'_>, id: &OrderId, from: OrderPhase, to: OrderPhase) -> TxResult<bool> {
    if !set_phase(tx, id, from, to)? {
        return Ok(false);
    }
    let of = |kind| EffectOf::order(kind, id);
    if to == OrderPhase::Declined {
        effects::end(tx, of(EffectKind::Charge), Ending::Dropped)?;
    } else if matches!(from, OrderPhase::Pending | OrderPhase::Declined) {
        effects::end(tx, of(EffectKind::Charge), Ending::Settled)?;
    }
    match to {
        OrderPhase::Refunding => drop(effects::add(tx, of(EffectKind::Refund), tx.now())?),
        OrderPhase::Refunded => drop(effects::end(tx, of(EffectKind::Refund), Ending::Settled)?),
        _ => {}
    }
    notices::order_changed(tx, from, &*found(tx, id)?)?;
    Ok(true)
}

/// The same, if it was looked at in this transaction. If another one took the arrow, nothing of this one happens.
pub(super) fn must_move(tx: &Tx<'_>, id: &OrderId, from: OrderPhase, to: OrderPhase) -> TxResult<()> {
    match moved(tx, id, from, to)? {
        true => Ok(()),
        false => Err(TxError::Conflict("the order changed its state".into())),
    }
}

/// A state that a column has.
pub(super) fn phase(row: &Row<'_>, column: usize) -> TxResult<OrderPhase> {
    one_of(row, column, &PHASES)
}

/// An order that nobody has paid in time. Its provider is still asked now and then: the money may come late.
fn expired(tx: &Tx<'_>, id: &OrderId) -> TxResult<bool> {
    if !end_unpaid(tx, id)? {
        return Ok(false);
    }
    effects::put_off(tx, EffectOf::order(EffectKind::Charge, id), tx.now().plus(LATE))?;
    Ok(true)
}

/// Ends a pending order, and nothing else: its charge goes on. Whoever is just asking the provider has his claim, so
/// that what he hears is written, and what was to be looked up is looked up when it was to be.
fn end_unpaid(tx: &Tx<'_>, id: &OrderId) -> TxResult<bool> {
    if !set_phase(tx, id, OrderPhase::Pending, OrderPhase::Declined)? {
        return Ok(false);
    }
    notices::order_changed(tx, OrderPhase::Pending, &*found(tx, id)?)?;
    Ok(true)
}

/// Whether what a claim found out is to be written: it is in force, or nobody else is to find out about it.
fn may_write(tx: &Tx<'_>, claim: Option<&EffectClaim>) -> TxResult<bool> {
    match claim {
        None => Ok(true),
        Some(claim) => Ok(effects::holds(tx, claim)? || effects::has_ended(tx, claim.id)?),
    }
}

/// A state as its column has it.
pub(super) fn number(phase: OrderPhase) -> i64 {
    number_of(&PHASES, phase)
}

/// What must not be on order twice: rights that are not counted, whatever the terms.
fn intent_of_rights(subject: &Subject, rights: &Rights) -> Option<String> {
    let Subject { publisher, name, operation } = subject;
    rights.quantity().is_none().then(|| format!("{} {name} {operation}", publisher.0))
}

/// What must not be on order twice: the same amount of money.
fn intent_of_money(amount: Money) -> String {
    format!("{} {}", amount.minor_units(), amount.currency())
}

/// The pending order of this intent.
fn pending(tx: &Tx<'_>, account: &AccountId, intent: &str) -> TxResult<Option<Box<Order>>> {
    let sql = format!("{ORDER} WHERE o.account = ?1 AND o.intent = ?2 AND o.state = 0");
    Ok(tx.one(&sql, (account.as_bytes(), intent), order)?.map(Box::new))
}

/// The newest order of an account for counted rights in an operation that waits for its payment.
fn counted_pending(tx: &Tx<'_>, account: &AccountId, subject: &Subject) -> TxResult<Option<OrderId>> {
    // By what is pending, which is little: an account may have ordered the same very often.
    let sql = "SELECT o.id, f.offer FROM
                   (SELECT id, offer_digest, place FROM orders WHERE account = ?1 AND state = 0 LIMIT ?5) o
                   JOIN offers f ON f.digest = o.offer_digest
               WHERE f.publisher = ?2 AND f.name = ?3 AND f.operation = ?4 ORDER BY o.place DESC";
    let Subject { publisher, name, operation } = subject;
    let of = (account.as_bytes(), publisher.0.0, name.as_str(), operation.as_str(), PENDING * 10);
    let pending: Vec<(OrderId, Offer)> =
        tx.all(sql, of, |row| Ok((bytes(row, 0, OrderId::from_bytes)?, json(row, 1)?)))?;
    Ok(pending.into_iter().find(|(_, offer)| offer.rights.quantity().is_some()).map(|(id, _)| id))
}

/// Why an account opens no order for now: it has as many that wait for their payment as it may, or as many that ended
/// unpaid, within a day or while their providers are still asked. Nothing here is gone through that an account has ever
/// ordered: everybody waits for this transaction.
fn has_enough(tx: &Tx<'_>, account: &AccountId) -> TxResult<Option<OpenOutcome>> {
    let sql = "SELECT count(*) FROM orders WHERE account = ?1 AND state = 0";
    if tx.one(sql, [account.as_bytes()], |row| row.get::<i64>(0))?.unwrap_or(0) >= PENDING {
        return Ok(Some(OpenOutcome::TooManyPending));
    }
    let counted = |sql: &str, since: Timestamp, most: i64| -> TxResult<bool> {
        let values = (account.as_bytes(), since.millis(), most);
        Ok(tx.one(sql, values, |row| row.get::<i64>(0))?.unwrap_or(0) >= most)
    };
    // An order's time ends a day after it was opened. Before the next question, so that it is about few.
    let unpaid = "SELECT count(*) FROM (SELECT 1 FROM orders WHERE account = ?1 AND state = 2 AND ends_at > ?2
                      LIMIT ?3) AS few";
    let watched = "SELECT count(*) FROM (SELECT 1 FROM orders o
                       JOIN effects e ON e.kind = 'charge' AND e.subject = o.id AND e.part = 0
                       WHERE o.account = ?1 AND o.state = 2 AND o.ends_at > ?2 AND e.state < 2 LIMIT ?3) AS few";
    let has_enough = counted(unpaid, tx.now(), UNPAID)? || counted(watched, tx.now().minus(WATCHED_FOR), WATCHED)?;
    Ok(has_enough.then_some(OpenOutcome::TooManyUnpaid))
}

/// Whether an account has bought rights in an operation for nothing, by whatever offer, used up or not.
fn had_for_nothing(tx: &Tx<'_>, account: &AccountId, subject: &Subject) -> TxResult<bool> {
    // By the offers: an operation has few, an account may have many orders.
    let sql = "SELECT f.offer FROM offers f WHERE f.publisher = ?2 AND f.name = ?3 AND f.operation = ?4 AND EXISTS
                   (SELECT 1 FROM orders o WHERE o.account = ?1 AND o.offer_digest = f.digest AND o.state = 1)";
    let of = (account.as_bytes(), subject.publisher.0.0, subject.name.as_str(), subject.operation.as_str());
    Ok(tx.all(sql, of, |row| json::<Offer>(row, 0))?.iter().any(|offer| offer.price.is_zero()))
}

/// Answers a request with an order that another one opened.
fn join(tx: &Tx<'_>, scope: &AnswerScope, request: &Idempotency, pending: Box<Order>) -> TxResult<OpenOutcome> {
    answers::store(tx, scope, request, &Stored::Joined(&pending.id))?;
    Ok(OpenOutcome::Joined(pending))
}

/// Why rights would be of no use to an account at present: it holds the operation for good, or these end and it holds
/// others that do.
pub(super) fn held(
    tx: &Tx<'_>,
    account: &AccountId,
    subject: &Subject,
    ordered: &Rights,
) -> TxResult<Option<Redundant>> {
    let (publisher, name, operation) = (subject.publisher.0.0, subject.name.as_str(), subject.operation.as_str());
    let for_good = tx.one(
        "SELECT 1 FROM entitlements WHERE account = ?1 AND publisher = ?2 AND name = ?3 AND operation = ?4
             AND total IS NULL AND ends_at IS NULL AND revoked_at IS NULL LIMIT 1",
        (account.as_bytes(), publisher, name, operation),
        |_| Ok(()),
    )?;
    if for_good.is_some() {
        return Ok(Some(Redundant::Held));
    }
    let ends = |holding: Holding| holding.total.is_none() && holding.ends.is_some();
    if !rights::bought(ordered, tx.now()).is_some_and(ends) {
        return Ok(None);
    }
    let until = tx.one(
        "SELECT ends_at FROM entitlements WHERE account = ?1 AND publisher = ?2 AND name = ?3 AND operation = ?4
             AND ends_at > ?5 AND total IS NULL AND revoked_at IS NULL ORDER BY ends_at DESC LIMIT 1",
        (account.as_bytes(), publisher, name, operation, tx.now().millis()),
        |row| time(row, 0),
    )?;
    Ok(until.map(Redundant::HeldUntil))
}

/// Why an order would give nothing new.
fn redundant(tx: &Tx<'_>, account: &AccountId, subject: &Subject, ordered: &Rights) -> TxResult<Option<Redundant>> {
    if let Some(held) = held(tx, account, subject, ordered)? {
        return Ok(Some(held));
    }
    let offers = offers::for_operation(tx, &subject.publisher, &subject.name, &subject.operation)?;
    let is_free = offers.iter().any(|revision| revision.offer.rights.is_given());
    Ok(is_free.then_some(Redundant::Free))
}

/// Why nobody can buy any more who could a moment ago.
pub(super) fn shut_out(tx: &Tx<'_>, buyer: &Buyer) -> TxResult<Option<Reason>> {
    match buyer {
        Buyer::Terminal { account, terminal } => cycle::shut_out(tx, account, terminal),
        Buyer::Browser(Holder { account, .. }) if !in_good_standing(tx, account)? => Ok(Some(Reason::AccountSuspended)),
        Buyer::Browser(holder) => Ok((!signed_in(tx, holder)?).then_some(Reason::NotSignedIn)),
    }
}

fn in_good_standing(tx: &Tx<'_>, account: &AccountId) -> TxResult<bool> {
    let sql = "SELECT 1 FROM accounts WHERE id = ?1 AND suspended_at IS NULL";
    Ok(tx.one(sql, [account.as_bytes()], |_| Ok(()))?.is_some())
}

/// What is wanted, and what it takes not to want it twice.
enum Wanted {
    Rights { offer: Digest, subject: Subject, rights: Rights, costs_nothing: bool },
    TopUp(Money),
    Codes(WantedCodes),
}

impl Wanted {
    /// The error is what becomes of the request instead.
    fn of(tx: &Tx<'_>, goods: &Ordered) -> TxResult<Result<Self, OpenOutcome>> {
        let offer = match goods {
            Ordered::Sent(wire::Goods::TopUp { amount }) => return Ok(Ok(Self::TopUp(*amount))),
            Ordered::Sent(wire::Goods::Codes { product, quantity, request, .. })
            | Ordered::InBrowser(BrowserCodes { product, quantity, request, .. }) => {
                let wanted = code_orders::wanted(tx, product, *quantity, request.as_ref())?;
                return Ok(wanted.map(Self::Codes).map_err(OpenOutcome::CodesOffSale));
            }
            Ordered::Sent(wire::Goods::Rights { offer }) => offer,
        };
        let (subject, accepted) = (offers::subject(tx, offer)?, offers::accepted(tx, offer)?);
        let (Some(subject), Some(accepted)) = (subject, accepted) else { return Ok(Err(OpenOutcome::Changed)) };
        let offered = accepted.offer;
        Ok(match offers::is_on_sale(tx, offer)? {
            true => Ok(Self::Rights {
                offer: *offer,
                subject,
                rights: offered.rights,
                costs_nothing: offered.price.is_zero(),
            }),
            false => Err(OpenOutcome::Changed),
        })
    }

    fn intent(&self) -> Option<String> {
        match self {
            Self::Rights { subject, rights, .. } => intent_of_rights(subject, rights),
            Self::TopUp(amount) => Some(intent_of_money(*amount)),
            Self::Codes(wanted) => Some(code_orders::intent(wanted)),
        }
    }

    /// What costs nothing can be had once: for good it is no use twice, and what is counted or ends is a trial.
    const fn costs_nothing(&self) -> bool {
        matches!(self, Self::Rights { costs_nothing: true, .. })
    }

    /// Whether a pending order of the same intent is for exactly this.
    fn is_that_of(&self, pending: &Order) -> bool {
        match (self, &pending.goods) {
            (Self::Rights { offer, .. }, Goods::Rights { digest, .. }) => offer == digest,
            (Self::TopUp(_), Goods::TopUp { .. }) => true,
            (Self::Codes(wanted), Goods::Codes { digest, quantity, .. }) => {
                wanted.revision.digest == *digest && wanted.quantity == *quantity
            }
            (Self::Rights { .. } | Self::TopUp(_) | Self::Codes(_), _) => false,
        }
    }

    fn redundant(&self, tx: &Tx<'_>, account: &AccountId) -> TxResult<Option<Redundant>> {
        match self {
            Self::Rights { subject, rights, costs_nothing, .. } => {
                if let Some(redundant) = redundant(tx, account, subject, rights)? {
                    return Ok(Some(redundant));
                }
                if *costs_nothing && had_for_nothing(tx, account, subject)? {
                    return Ok(Some(Redundant::Had));
                }
                let pending = rights.quantity().map(|_| counted_pending(tx, account, subject)).transpose()?.flatten();
                Ok(pending.map(Redundant::Pending))
            }
            Self::TopUp(_) | Self::Codes(_) => Ok(None),
        }
    }

    fn has_room(&self, tx: &Tx<'_>, account: &AccountId) -> TxResult<bool> {
        match self {
            Self::Rights { .. } | Self::Codes(_) => Ok(true),
            Self::TopUp(amount) => prepaid::has_room(tx, account, *amount),
        }
    }

    const fn opened(&self) -> &'static str {
        match self {
            Self::Rights { .. } => "order opened",
            Self::TopUp(_) => "top-up opened",
            Self::Codes(_) => "order of codes opened",
        }
    }
}

/// What opening an order of these goods is called among the writes.
const fn opening(goods: &Ordered) -> Write {
    match goods {
        Ordered::Sent(wire::Goods::Rights { .. }) => Write::OrderOpen,
        Ordered::Sent(wire::Goods::TopUp { .. }) => Write::TopUpOpen,
        Ordered::Sent(wire::Goods::Codes { .. }) | Ordered::InBrowser(_) => Write::CodeOrderOpen,
    }
}

fn open(tx: &Tx<'_>, lease: &ProcessLease, new: &NewOrder) -> TxResult<OpenOutcome> {
    let (scope, account) = (new.buyer.scope(), new.buyer.account());
    lease.current(tx)?;
    tx.lock(Lock::Account(account))?;
    let begun = answers::find(tx, &scope, &new.request)?;
    if !matches!(begun, Begun::New) {
        return Ok(OpenOutcome::Begun(begun));
    }
    if let Some(reason) = shut_out(tx, &new.buyer)? {
        return Ok(OpenOutcome::ShutOut(reason));
    }
    let wanted = match Wanted::of(tx, &new.goods)? {
        Ok(wanted) => wanted,
        Err(outcome) => return Ok(outcome),
    };
    if let Ordered::InBrowser(codes) = &new.goods
        && !code_orders::is_preset(tx, account, &codes.terminal)?
    {
        return Ok(OpenOutcome::CodesOffSale(CodesOffSale::Terminal));
    }
    let in_browser = matches!(new.goods, Ordered::InBrowser(_));
    let intent = wanted.intent();
    // Whoever confirmed it is believed.
    if !new.again || wanted.costs_nothing() {
        if let Some(pending) = intent.as_deref().map(|intent| pending(tx, account, intent)).transpose()?.flatten() {
            return match wanted.is_that_of(&pending) {
                true => join(tx, &scope, &new.request, pending),
                false => Ok(OpenOutcome::Redundant(Redundant::OnOrder(pending.id))),
            };
        }
        if let Some(redundant) = wanted.redundant(tx, account)? {
            return Ok(OpenOutcome::Redundant(redundant));
        }
    }
    if !wanted.has_room(tx, account)? {
        return Ok(OpenOutcome::NoRoom);
    }
    if let Some(enough) = has_enough(tx, account)? {
        return Ok(enough);
    }
    if let Wanted::Codes(WantedCodes { request: Some(request), .. }) = &wanted
        && code_orders::waiting_for_request(tx, account, request)?.is_some()
    {
        return Ok(OpenOutcome::CodesOffSale(CodesOffSale::Request));
    }
    if in_browser && code_orders::has_enough_waiting(tx, account)? {
        return Ok(OpenOutcome::CodesOffSale(CodesOffSale::Waiting));
    }
    if let Wanted::Codes(wanted) = &wanted
        && let Some(seconds) = code_orders::unavailable(tx, wanted, in_browser)?
    {
        return Ok(OpenOutcome::CodesOffSale(CodesOffSale::Unavailable(seconds)));
    }
    let (offer, amount) = match &wanted {
        Wanted::Rights { offer, .. } => (Some(*offer.as_bytes()), None),
        Wanted::TopUp(amount) => (None, Some(*amount)),
        Wanted::Codes(wanted) => (None, Some(wanted.amount)),
    };
    let opened = tx.change(
        "INSERT INTO orders (id, account, offer_digest, amount, currency, provider, created_at, changed_at, intent,
                             again, ends_at, codes, place)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11,
                 (SELECT coalesce(max(o.place), 0) + 1 FROM orders o WHERE o.account = ?2))
         ON CONFLICT (account, intent) WHERE state = 0 AND intent IS NOT NULL DO NOTHING",
        (
            new.id.as_bytes(),
            account.as_bytes(),
            offer,
            amount.map(|amount| amount.minor_units()),
            amount.map(|amount| amount.currency().to_string()),
            &new.provider,
            tx.now().millis(),
            intent.filter(|_| !new.again),
            new.again,
            tx.now().plus(PENDING_LIFE).millis(),
            matches!(wanted, Wanted::Codes(_)),
        ),
    )?;
    if opened != 1 {
        return Ok(OpenOutcome::Changed);
    }
    count_order(tx, &new.id, None, OrderPhase::Pending)?;
    if let Wanted::Codes(wanted) = &wanted {
        code_orders::open(tx, new, wanted)?;
    }
    answers::store(tx, &scope, &new.request, &Stored::Order(&new.id))?;
    tx.log(wanted.opened(), Some(account), new.buyer.terminal(), new.id.as_bytes())?;
    let charge = EffectOf::order(EffectKind::Charge, &new.id);
    effects::add(tx, charge, tx.now())?;
    match effects::claim(tx, lease, charge, false)? {
        ClaimEffect::Claimed(claim) => Ok(OpenOutcome::Opened(found(tx, &new.id)?, claim)),
        ClaimEffect::Busy | ClaimEffect::Over => Err(TxError::Damaged),
    }
}

/// Writes down what the provider said of a payment, while its order is pending.
fn record(
    tx: &Tx<'_>,
    id: &OrderId,
    record: &PaymentRecord,
    claim: &EffectClaim,
    again: Option<Timestamp>,
) -> TxResult<Option<Order>> {
    lock(tx, id)?;
    if !effects::holds(tx, claim)? {
        return find(tx, id);
    }
    let next = record.next.as_ref().map(to_json).transpose()?;
    // One that was given up meanwhile is looked up by the provider's own name for it, too.
    let recorded = tx.change(
        "UPDATE orders SET reference = coalesce(?2, reference), next = CASE WHEN state = 0 THEN ?3 ELSE NULL END
         WHERE id = ?1 AND state IN (0, 2)",
        (id.as_bytes(), &record.reference, next),
    )?;
    if let Some(again) = again {
        effects::finish(tx, claim, EffectVerdict::Again(again))?;
    }
    let order = find(tx, id)?;
    let pending = order.as_ref().filter(|order| order.phase == OrderPhase::Pending);
    if let (Some(order), Some(saved), 1) = (pending, &record.saved, recorded) {
        saved_means::save(tx, &order.account, &order.provider, saved)?;
    }
    Ok(order)
}

/// Whether what was ordered can still be given, to somebody in good standing, and is of use: much may have happened
/// while the order was pending.
fn can_be_given(tx: &Tx<'_>, order: &Order) -> TxResult<bool> {
    if !in_good_standing(tx, &order.account)? {
        return Ok(false);
    }
    let (offer, digest) = match &order.goods {
        Goods::Rights { offer, digest } => (offer, digest),
        Goods::TopUp { .. } => return Ok(true),
        Goods::Codes { .. } => return code_orders::can_be_delivered(tx, &order.id),
    };
    let Some(subject) = offers::subject(tx, digest)? else { return Ok(false) };
    if rights::bought(&offer.rights, tx.now()).is_none() {
        return Ok(false);
    }
    let is_new = order.again || held(tx, &order.account, &subject, &offer.rights)?.is_none();
    Ok(is_new && offers::off_sale(tx, &subject)?.is_none())
}

fn settle(tx: &Tx<'_>, id: &OrderId, settlement: &Settlement, claim: Option<&EffectClaim>) -> TxResult<SettleOutcome> {
    lock(tx, id)?;
    let is_heard = may_write(tx, claim)?;
    let Some(order) = find(tx, id)? else { return Ok(SettleOutcome::Unknown) };
    if !is_heard {
        return Ok(SettleOutcome::Order(Box::new(order)));
    }
    match settlement {
        Settlement::Declined => {
            if moved(tx, id, OrderPhase::Pending, OrderPhase::Declined)? {
                tx.log("order declined", Some(&order.account), None, id.as_bytes())?;
            }
        }
        Settlement::Ended => {
            if expired(tx, id)? {
                tx.log("order ended unpaid", Some(&order.account), None, id.as_bytes())?;
            }
        }
        Settlement::GivenUp => {
            if end_unpaid(tx, id)? {
                tx.log("order given up", Some(&order.account), None, id.as_bytes())?;
            }
        }
        Settlement::Paid { entitlement, receipt } => {
            if order.phase == OrderPhase::Pending && !can_be_given(tx, &order)? {
                take_nothing(tx, &order)?;
            } else if order.phase == OrderPhase::Pending {
                // Before anybody is told that it is paid.
                tx.change("UPDATE orders SET receipt = ?2 WHERE id = ?1 AND state = 0", (id.as_bytes(), receipt))?;
                let is_disputed = payment_events::is_disputed_ahead(tx, id)?;
                let to = if is_disputed { OrderPhase::Disputed } else { OrderPhase::Paid };
                must_move(tx, id, OrderPhase::Pending, to)?;
                match &order.goods {
                    Goods::Rights { offer, digest } => entitle(tx, &order, offer, digest, entitlement)?,
                    Goods::TopUp { amount, .. } => {
                        let from = LedgerAccount::provider(&order.provider);
                        prepaid::credit(tx, &order.account, from, *amount, *id.as_bytes())?;
                    }
                    Goods::Codes { .. } => code_orders::paid(tx, &order)?,
                }
                tx.log("order paid", Some(&order.account), None, id.as_bytes())?;
                if is_disputed {
                    payment_events::bar(tx, &order)?;
                }
            } else if !order.amount().is_zero() && moved(tx, id, OrderPhase::Declined, OrderPhase::Refunding)? {
                pay_back(tx, &order)?;
                tx.log("declined order paid", Some(&order.account), None, id.as_bytes())?;
            }
        }
    }
    Ok(SettleOutcome::Order(found(tx, id)?))
}

/// A pending order for which nothing can be given any more: what was paid for it goes back.
fn take_nothing(tx: &Tx<'_>, order: &Order) -> TxResult<()> {
    if order.amount().is_zero() {
        moved(tx, &order.id, OrderPhase::Pending, OrderPhase::Declined)?;
        return tx.log("order declined", Some(&order.account), None, order.id.as_bytes());
    }
    if moved(tx, &order.id, OrderPhase::Pending, OrderPhase::Refunding)? {
        pay_back(tx, order)?;
        tx.log("paid order cannot be fulfilled", Some(&order.account), None, order.id.as_bytes())?;
    }
    Ok(())
}

/// The provider has money for which nothing is given: it stands in the books until it is paid back. So it is if an
/// order counts as declined, since the operator decided while the charge was under way: whoever was told that nothing
/// is owed may have paid otherwise since.
fn pay_back(tx: &Tx<'_>, order: &Order) -> TxResult<()> {
    if let Goods::TopUp { amount, .. } = &order.goods {
        let sql = "UPDATE orders SET returned = ?2 WHERE id = ?1";
        tx.change(sql, (order.id.as_bytes(), amount.minor_units()))?;
    }
    let (from, to) = (LedgerAccount::provider(&order.provider), LedgerAccount::refunds());
    prepaid::move_money(tx, from, to, order.amount(), *order.id.as_bytes())
}

/// Gives what was paid for, and writes it into the ledger.
fn entitle(tx: &Tx<'_>, order: &Order, offer: &Offer, digest: &Digest, entitlement: &EntitlementId) -> TxResult<()> {
    let publisher = tx.one("SELECT publisher FROM offers WHERE digest = ?1", [digest.as_bytes()], |row| {
        octets(row, 0).map(PublisherId)
    })?;
    let publisher = publisher.ok_or(TxError::Damaged)?;
    let holding = rights::bought(&offer.rights, tx.now()).ok_or(TxError::Damaged)?;
    hold(tx, &order.account, &publisher, offer, entitlement, holding)?;
    // What the provider owes is owed to the publisher.
    if !offer.price.is_zero() {
        let (from, to) = (LedgerAccount::provider(&order.provider), LedgerAccount::publisher(&offer.publisher));
        prepaid::move_money(tx, from, to, offer.price, *order.id.as_bytes())?;
    }
    if let Some(amount) = holding.total.map(units) {
        let (from, to) = (LedgerAccount::issued(), LedgerAccount::entitlement(entitlement));
        let transfer = NewTransfer { from, to, amount, commodity: Commodity::Uses, subject: *order.id.as_bytes() };
        ledger::append(tx, &transfer)?;
    }
    Ok(())
}

/// Writes an entitlement, unless the account holds the same for good already: then this order stands behind it.
pub(super) fn hold(
    tx: &Tx<'_>,
    account: &AccountId,
    publisher: &PublisherId,
    offer: &Offer,
    entitlement: &EntitlementId,
    holding: Holding,
) -> TxResult<()> {
    tx.change(
        "INSERT INTO entitlements
             (id, account, publisher, name, operation, rights, total, since, starts_at, ends_at, seats, place)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
                 (SELECT coalesce(max(e.place), 0) + 1 FROM entitlements e WHERE e.account = ?2))
         ON CONFLICT (account, publisher, name, operation)
             WHERE total IS NULL AND ends_at IS NULL AND revoked_at IS NULL DO NOTHING",
        (
            entitlement.0.0,
            account.as_bytes(),
            publisher.0.0,
            offer.name.as_str(),
            offer.operation.as_str(),
            to_json(&offer.rights)?,
            holding.total.map(units),
            tx.now().millis(),
            holding.starts.map(Timestamp::millis),
            holding.ends.map(Timestamp::millis),
            holding.seats,
        ),
    )?;
    Ok(())
}

/// A count as a column has it.
fn units(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An order that was paid for the same for good and stands behind an entitlement that has just ended takes its place.
/// If what ended carried nothing, another one still does.
pub(super) fn take_over(tx: &Tx<'_>, account: &AccountId, ended: &OrderId, offer: &Offer) -> TxResult<()> {
    let carried = tx.one(
        "SELECT 1 FROM entitlements e JOIN publishers p ON p.id = e.publisher
         WHERE e.account = ?1 AND p.name = ?2 AND e.name = ?3 AND e.operation = ?4
           AND e.total IS NULL AND e.ends_at IS NULL AND e.revoked_at IS NULL LIMIT 1",
        (account.as_bytes(), offer.publisher.as_str(), offer.name.as_str(), offer.operation.as_str()),
        |_| Ok(()),
    )?;
    if carried.is_some() {
        return Ok(());
    }
    let others: Vec<(OrderId, PublisherId, Offer)> = tx.all(
        // In this order: an operation has few offers, an account may have many orders.
        "SELECT o.id, f.publisher, f.offer FROM offers f CROSS JOIN orders o
         WHERE f.publisher = (SELECT p.id FROM publishers p WHERE p.name = ?2) AND f.name = ?3 AND f.operation = ?4
           AND o.account = ?1 AND o.offer_digest = f.digest AND o.state = 1 AND o.id <> ?5 ORDER BY o.id",
        (account.as_bytes(), offer.publisher.as_str(), offer.name.as_str(), offer.operation.as_str(), ended.as_bytes()),
        |row| Ok((bytes(row, 0, OrderId::from_bytes)?, octets(row, 1).map(PublisherId)?, json(row, 2)?)),
    )?;
    match others.iter().find(|(_, _, offer)| rights::are_for_good(&offer.rights)) {
        Some((id, publisher, offer)) => {
            let entitlement = EntitlementId(Octets(*id.as_bytes()));
            // It may have stood in this place before, and given way when a dispute was won.
            let sql = "UPDATE entitlements SET revoked_at = NULL WHERE id = ?1 AND revoked_at IS NOT NULL";
            if tx.change(sql, [entitlement.0.0])? == 1 {
                return Ok(());
            }
            hold(tx, account, publisher, offer, &entitlement, Holding::default())
        }
        None => Ok(()),
    }
}

pub(super) fn begin_refund(tx: &Tx<'_>, id: &OrderId) -> TxResult<RefundOutcome> {
    code_orders::lock_with_holders(tx, id)?;
    let Some(order) = find(tx, id)? else { return Ok(RefundOutcome::Unknown) };
    match order.phase {
        OrderPhase::Paid => {}
        OrderPhase::Refunding | OrderPhase::Refunded => return Ok(RefundOutcome::Done(Box::new(order))),
        phase => return Ok(RefundOutcome::NotPaid(phase)),
    }
    if let Goods::TopUp { amount, .. } = &order.goods {
        let (account, to) = (&order.account, LedgerAccount::refunds());
        let returned = prepaid::take_out(tx, account, *amount, prepaid::Holds::Kept, to, *id.as_bytes())?;
        if returned == 0 {
            return Ok(RefundOutcome::NothingLeft);
        }
        tx.change("UPDATE orders SET returned = ?2 WHERE id = ?1", (id.as_bytes(), returned))?;
    }
    // Before a merchant is told: what is counted and the store's endpoints are locked before a merchant's.
    must_move(tx, id, OrderPhase::Paid, OrderPhase::Refunding)?;
    match &order.goods {
        Goods::Rights { offer, .. } => {
            end_rights(tx, id)?;
            if rights::are_for_good(&offer.rights) {
                take_over(tx, &order.account, id, offer)?;
            }
        }
        Goods::TopUp { .. } => {}
        Goods::Codes { .. } => code_orders::take_back(tx, id)?,
    }
    tx.log("refund begun", Some(&order.account), None, id.as_bytes())?;
    Ok(RefundOutcome::Done(found(tx, id)?))
}

/// Ends the rights that an order gave.
pub(super) fn end_rights(tx: &Tx<'_>, id: &OrderId) -> TxResult<()> {
    // The entitlement has the order's identifier.
    let entitlement = EntitlementId(Octets(*id.as_bytes()));
    let left = tx.one(
        "SELECT total - used FROM entitlements WHERE id = ?1 AND total IS NOT NULL",
        [entitlement.0.0],
        |row| row.get::<i64>(0),
    )?;
    cycle::take_back(tx, &entitlement)?;
    if let Some(amount) = left.filter(|left| *left > 0) {
        let (from, to) = (LedgerAccount::entitlement(&entitlement), LedgerAccount::withdrawn());
        let transfer = NewTransfer { from, to, amount, commodity: Commodity::Uses, subject: *id.as_bytes() };
        ledger::append(tx, &transfer)?;
    }
    Ok(())
}

pub(super) fn finish_refund(tx: &Tx<'_>, id: &OrderId) -> TxResult<RefundOutcome> {
    let Some(order) = find(tx, id)? else { return Ok(RefundOutcome::Unknown) };
    match order.phase {
        OrderPhase::Refunding => {}
        OrderPhase::Refunded => return Ok(RefundOutcome::Done(Box::new(order))),
        phase => return Ok(RefundOutcome::NotPaid(phase)),
    }
    must_move(tx, id, OrderPhase::Refunding, OrderPhase::Refunded)?;
    let from = match &order.goods {
        // Without a receipt nothing was sold: the money was never the publisher's.
        Goods::Rights { offer, .. } if order.receipt.is_some() => LedgerAccount::publisher(&offer.publisher),
        Goods::Rights { .. } | Goods::TopUp { .. } | Goods::Codes { .. } => LedgerAccount::refunds(),
    };
    if !order.refund().is_zero() {
        let to = LedgerAccount::provider(&order.provider);
        prepaid::move_money(tx, from, to, order.refund(), *id.as_bytes())?;
    }
    if let Goods::Codes { .. } = &order.goods {
        code_orders::paid_back(tx, id)?;
    }
    tx.log("refunded", Some(&order.account), None, id.as_bytes())?;
    Ok(RefundOutcome::Done(found(tx, id)?))
}

#[async_trait]
impl<D: Database> Orders for D {
    async fn order_case(
        &self,
        buyer: &Buyer,
        request: &Idempotency,
        offer: Option<&Digest>,
    ) -> Result<OrderCase, StoreError> {
        let (buyer, request, offer) = (*buyer, request.clone(), offer.copied());
        self.read("order", move |tx| {
            let begun = answers::find(tx, &buyer.scope(), &request)?;
            let mut case = OrderCase { now: tx.now(), begun, offer: None, off_sale: None, current: Vec::new() };
            if let (Begun::New, Some(offer)) = (&case.begun, &offer)
                && let Some(subject) = offers::subject(tx, offer)?
            {
                case.offer = offers::accepted(tx, offer)?;
                case.off_sale = offers::off_sale(tx, &subject)?;
                case.current = offers::for_operation(tx, &subject.publisher, &subject.name, &subject.operation)?;
            }
            Ok(case)
        })
        .await
    }

    async fn open_order(&self, new: NewOrder) -> Result<OpenOutcome, StoreError> {
        let lease = self.lease().clone();
        let opened = self.write(opening(&new.goods), move |tx| open(tx, &lease, &new)).await?;
        self.lease().keep(self.renewer(), self.opened_with());
        Ok(opened)
    }

    async fn record_payment(
        &self,
        id: &OrderId,
        said: PaymentRecord,
        claim: &EffectClaim,
        again: Option<Timestamp>,
    ) -> Result<Option<Order>, StoreError> {
        let (id, claim) = (*id, claim.clone());
        self.write(Write::PaymentRecord, move |tx| record(tx, &id, &said, &claim, again)).await
    }

    async fn saved_means(&self, account: &AccountId, provider: &str) -> Result<Option<StoredMeans>, StoreError> {
        let (account, provider) = (*account, provider.to_owned());
        self.read("saved means", move |tx| saved_means::find(tx, &account, &provider)).await
    }

    async fn forget_means(&self, account: &AccountId, provider: &str) -> Result<bool, StoreError> {
        let (account, provider) = (*account, provider.to_owned());
        self.write(Write::MeansForget, move |tx| saved_means::forget(tx, &account, &provider)).await
    }

    async fn hear_event(&self, event: &PaymentEvent) -> Result<Option<(Order, Consequence)>, StoreError> {
        let event = event.clone();
        self.write(Write::PaymentEvent, move |tx| payment_events::hear(tx, &event)).await
    }

    async fn settle_order(
        &self,
        id: &OrderId,
        settlement: Settlement,
        claim: Option<&EffectClaim>,
    ) -> Result<SettleOutcome, StoreError> {
        let (id, claim) = (*id, claim.cloned());
        self.write(Write::OrderSettle, move |tx| settle(tx, &id, &settlement, claim.as_ref())).await
    }

    async fn begin_refund(&self, id: &OrderId) -> Result<(RefundOutcome, Option<EffectClaim>), StoreError> {
        let (id, lease) = (*id, self.lease().clone());
        let begun = self
            .write(Write::RefundBegin, move |tx| {
                lease.current(tx)?;
                let outcome = begin_refund(tx, &id)?;
                let claim = match &outcome {
                    RefundOutcome::Done(order) if order.phase == OrderPhase::Refunding => {
                        effects::claim(tx, &lease, EffectOf::order(EffectKind::Refund, &id), true)?
                    }
                    _ => ClaimEffect::Over,
                };
                Ok((outcome, claim))
            })
            .await?;
        self.lease().keep(self.renewer(), self.opened_with());
        Ok(match begun {
            (outcome, ClaimEffect::Claimed(claim)) => (outcome, Some(claim)),
            (outcome, ClaimEffect::Busy | ClaimEffect::Over) => (outcome, None),
        })
    }

    async fn finish_refund(&self, id: &OrderId, claim: Option<&EffectClaim>) -> Result<RefundOutcome, StoreError> {
        let (id, claim) = (*id, claim.cloned());
        self.write(Write::RefundFinish, move |tx| {
            lock(tx, &id)?;
            match may_write(tx, claim.as_ref())? {
                true => finish_refund(tx, &id),
                false => {
                    Ok(find(tx, &id)?.map_or(RefundOutcome::Unknown, |order| RefundOutcome::Done(Box::new(order))))
                }
            }
        })
        .await
    }

    async fn order(&self, id: &OrderId) -> Result<Option<Order>, StoreError> {
        let id = *id;
        self.read("order", move |tx| find(tx, &id)).await
    }

    async fn refunds(&self, account: &AccountId, skip: u32, limit: u32) -> Result<Vec<(Order, Timestamp)>, StoreError> {
        let sql =
            format!("{ORDER} WHERE o.account = ?1 AND o.state IN (3, 4, 5, 6) ORDER BY o.id DESC LIMIT ?2 OFFSET ?3");
        let account = *account;
        self.read_many("refunds", move |tx| {
            tx.all(&sql, (account.as_bytes(), limit, skip), |row| Ok((order(row)?, time(row, 12)?)))
        })
        .await
    }

    async fn receipts(
        &self,
        account: &AccountId,
        kind: GoodsKind,
        page: AccountPage,
    ) -> Result<Page<String>, StoreError> {
        // Each kind has an index of its own.
        let sql = match kind {
            GoodsKind::Rights => {
                "SELECT place, receipt FROM orders
                 WHERE account = ?1 AND receipt IS NOT NULL AND offer_digest IS NOT NULL AND place < ?2
                 ORDER BY place DESC LIMIT ?3"
            }
            GoodsKind::TopUp => {
                "SELECT place, receipt FROM orders
                 WHERE account = ?1 AND receipt IS NOT NULL AND amount IS NOT NULL AND codes = 0 AND place < ?2
                 ORDER BY place DESC LIMIT ?3"
            }
            GoodsKind::Codes => {
                "SELECT place, receipt FROM orders
                 WHERE account = ?1 AND receipt IS NOT NULL AND codes = 1 AND place < ?2
                 ORDER BY place DESC LIMIT ?3"
            }
        };
        let account = *account;
        self.read_many("receipts", move |tx| {
            let rows =
                tx.all(sql, (account.as_bytes(), page.before(), page.limit()), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(page.of(rows))
        })
        .await
    }

    async fn orders_of(&self, account: &AccountId, page: AccountPage) -> Result<Page<Order>, StoreError> {
        let account = *account;
        self.read_many("orders", move |tx| {
            let sql = format!("{ORDER} WHERE o.account = ?1 AND o.place < ?2 ORDER BY o.place DESC LIMIT ?3");
            let rows = tx.all(&sql, (account.as_bytes(), page.before(), page.limit()), |row| {
                Ok((row.get(PLACE)?, order(row)?))
            })?;
            Ok(page.of(rows))
        })
        .await
    }

    async fn unpaid_orders(&self, account: &AccountId) -> Result<Vec<Order>, StoreError> {
        let account = *account;
        self.read_many("unpaid orders", move |tx| {
            let sql = format!("{ORDER} WHERE o.account = ?1 AND o.state = 0 ORDER BY o.place DESC LIMIT ?2");
            tx.all(&sql, (account.as_bytes(), PENDING), order)
        })
        .await
    }

    async fn open_orders(&self, after: Option<OrderId>, limit: u32) -> Result<Vec<Order>, StoreError> {
        self.read_many("open orders", move |tx| {
            let sql = format!("{ORDER} WHERE o.state IN (0, 3, 5) AND o.id > ?1 ORDER BY o.id LIMIT ?2");
            tx.all(&sql, (after.map_or([0; 16], |id| *id.as_bytes()), limit), order)
        })
        .await
    }
}
