//! Orders of electronic codes. [`CodeState::ARROWS`] says what may follow what; [`take`] is the one place that writes
//! a state, and it writes by that table.
//!
//! ```text
//! paid            provider   ──▶ undelivered
//! code-received   undelivered ──▶ merchant           in this transaction, and never before
//! failed          undelivered ──▶ refunds ──▶ provider
//! charged back    undelivered ──▶ disputes ──▶ provider
//! reversed        merchant    ──▶ refunds ──▶ provider
//! ```

use super::accounts::signed_in;
use super::{Database, Lock, Tx, TxError, TxResult, code_notices, effects, merchants, orders, prepaid, terminals};
use crate::billing::ledger::LedgerAccount;
use crate::billing::rights;
use crate::crypto::secrets::random;
use crate::ops::faults::Write;
use crate::ops::retention;
use crate::store::database::Row;
use crate::store::database::row::{
    bytes, json, maybe_bytes, maybe_money, maybe_one_of, maybe_time, number_of, octets, text, time,
};
use crate::store::{
    AcceptedCode, AccountPage, BrowserCodes, CodeComplaint, CodeDecision, CodeFailure, CodeMove, CodeOrder, CodeOrders,
    CodeStep, CodesOffSale, EffectKind, EffectOf, Holder, MerchantId, MerchantState, NewCode, NewOrder, Order,
    OrderPhase, Ordered, Page, ProductRevision, SealedRecord, StoreError,
};
use async_trait::async_trait;
use portcullis_protocol::codes::{CodeEvent, CodeState, Generation, Health, Quantity, SealedBytes};
use portcullis_protocol::encoding::{BoundedOctets, Octets};
use portcullis_protocol::{AccountId, CodeSerial, Digest, Money, Offer, OrderId, TerminalId, wire};

const CODE_ORDER: &str = "SELECT c.id, o.account, c.terminal, c.merchant, m.name, p.product, p.compact, c.product,
                                 c.quantity, o.amount, o.currency, c.request, c.recipient, c.nonce, c.state,
                                 c.generation, c.deadline, c.verification, c.sealed, c.code, c.enc, c.ciphertext,
                                 c.accepted_at, c.changed_at, o.place, c.digest, c.sealed_for, c.sealed_to,
                                 c.sealed_under, c.reason, c.complaint,
                                 (EXISTS (SELECT 1 FROM suspended_merchants s WHERE s.id = c.merchant)
                                  OR (m.resumes = 1 AND m.caught_up IS NOT NULL AND c.id > m.caught_up)),
                                 c.claimant, c.delivered_at
                          FROM code_orders c JOIN orders o ON o.id = c.id JOIN products p ON p.digest = c.product
                               JOIN merchants m ON m.id = c.merchant";
/// The column of [`CODE_ORDER`] that names pages.
const PLACE: usize = 24;
/// How long an order that was bought in a browser waits for the key of a terminal, in seconds: a day, in which most
/// terminals are on once. Then the buyer is paid back.
const KEY_SECONDS: u64 = 24 * 3600;
/// The same, of a payment request, which ends soon, and which somebody else may pay meanwhile.
const REQUEST_KEY_SECONDS: u64 = 15 * 60;
/// Orders of an account that wait for a key: more than a person buys before going to the terminal, and few for a
/// merchant that hears of all of them at once.
const WAITING: i64 = 5;
/// The newest orders of an account among which they are counted.
const COUNTED: i64 = 200;
/// What is not final, as the index has it.
const OPEN: &str = "c.state IN (0, 1, 2, 3, 4, 6, 7, 10)";
/// What its merchant has to seal a code for.
pub(super) const WAITS: &str = "(c.state IN (0, 1, 2) OR (c.state IN (3, 4) AND c.generation > c.sealed))";
/// How long orders that a person has let go on wait for their code at least, in seconds: the longest that a product
/// may take. Its merchant has to put a new key to use, and the buyers have waited already.
const RESUMED: u64 = 24 * 3600;
/// Orders that one transaction tells a merchant of anew: each takes some ten statements, and all of them hold its
/// endpoint, for which every order that is paid meanwhile waits.
const CAUGHT_UP: u32 = 50;

fn code_order(row: &Row<'_>) -> TxResult<CodeOrder> {
    Ok(CodeOrder {
        id: bytes(row, 0, OrderId::from_bytes)?,
        account: bytes(row, 1, AccountId::from_bytes)?,
        terminal: maybe_bytes(row, 2, TerminalId::from_bytes)?,
        merchant: octets(row, 3).map(MerchantId)?,
        merchant_name: text(row, 4)?,
        product: json(row, 5)?,
        product_compact: row.get(6)?,
        product_digest: bytes(row, 7, Digest::from_bytes)?,
        quantity: number(row, 8, Quantity::new)?,
        amount: maybe_money(row, 9, 10)?.ok_or(TxError::Damaged)?,
        request: maybe_bytes(row, 11, Digest::from_bytes)?,
        recipient: maybe_bytes(row, 12, Octets)?,
        nonce: maybe_bytes(row, 13, Octets)?,
        state: maybe_one_of(row, 14, &CodeState::ALL)?,
        generation: number(row, 15, Generation::new)?,
        deadline: maybe_time(row, 16)?,
        verification: row.get(17)?,
        accepted: accepted(row)?,
        complaint: maybe_one_of(row, 30, &CodeComplaint::ALL)?,
        reason: row.get(29)?,
        is_held_up: row.get(31)?,
        claimant: maybe_bytes(row, 32, TerminalId::from_bytes)?,
        changed: time(row, 23)?,
    })
}

fn accepted(row: &Row<'_>) -> TxResult<Option<AcceptedCode>> {
    let Some(at) = maybe_time(row, 22)? else { return Ok(None) };
    let sealed = match row.get::<Option<String>>(19)? {
        Some(code) => {
            let ciphertext = BoundedOctets::new(row.get(21)?).map_err(|_| TxError::Unreadable)?;
            Some(SealedRecord { code, bytes: SealedBytes { enc: octets(row, 20)?, ciphertext } })
        }
        None => None,
    };
    Ok(Some(AcceptedCode {
        generation: number(row, 18, Generation::new)?,
        terminal: maybe_bytes(row, 26, TerminalId::from_bytes)?,
        recipient: octets(row, 27)?,
        verification: row.get(28)?,
        digest: bytes(row, 25, Digest::from_bytes)?,
        sealed,
        delivered: maybe_time(row, 33)?,
        at,
    }))
}

fn number<T, E>(row: &Row<'_>, column: usize, make: impl FnOnce(u32) -> Result<T, E>) -> TxResult<T> {
    make(row.get(column)?).map_err(|_| TxError::Unreadable)
}

/// An order.
pub(super) fn find(tx: &Tx<'_>, id: &OrderId) -> TxResult<Option<CodeOrder>> {
    tx.one(&format!("{CODE_ORDER} WHERE c.id = ?1"), [id.as_bytes()], code_order)
}

fn found(tx: &Tx<'_>, id: &OrderId) -> TxResult<Box<CodeOrder>> {
    find(tx, id)?.map(Box::new).ok_or(TxError::Damaged)
}

/// Takes an arrow, if the order stands where it begins: one conditional write. Returns whether it did.
fn take(tx: &Tx<'_>, id: &OrderId, event: CodeEvent) -> TxResult<bool> {
    let arrow = event.arrow();
    let from = arrow.from.iter().fold(0_i64, |states, state| states | 1 << place(*state));
    let sql = "UPDATE code_orders SET state = ?2, changed_at = ?3
               WHERE id = ?1 AND ((CAST(?4 AS BIGINT) >> CAST(state AS INTEGER)) & 1) = 1
               RETURNING terminal";
    let values = (id.as_bytes(), place(arrow.to), tx.now().millis(), from);
    let taken = tx.one(sql, values, |row| maybe_bytes(row, 0, TerminalId::from_bytes))?;
    let Some(terminal) = taken else { return Ok(false) };
    tx.log(log_word(event), None, None, id.as_bytes())?;
    code_notices::came_further(tx, id, terminal, arrow)?;
    Ok(true)
}

/// The same, if it was looked at in this transaction.
fn must_take(tx: &Tx<'_>, id: &OrderId, event: CodeEvent) -> TxResult<()> {
    match take(tx, id, event)? {
        true => Ok(()),
        false => Err(TxError::Conflict("the order of codes changed its state".into())),
    }
}

/// A state as its column has it.
fn place(state: CodeState) -> i64 {
    number_of(&CodeState::ALL, state)
}

const fn log_word(event: CodeEvent) -> &'static str {
    match event {
        CodeEvent::Notified => "code order notified",
        CodeEvent::Verified => "code order verified",
        CodeEvent::CodeReceived => "code received",
        CodeEvent::Delivered => "code delivered",
        CodeEvent::Acknowledged => "code acknowledged",
        CodeEvent::Failed => "code order failed",
        CodeEvent::RefundBegun => "code order refund begun",
        CodeEvent::PaidBack => "code order paid back",
        CodeEvent::ChargedBack => "code order charged back",
        CodeEvent::Disputed => "code order disputed",
        CodeEvent::Kept => "code order kept",
        CodeEvent::Reversed => "code order reversed",
        CodeEvent::Lapsed => "code order not acknowledged",
    }
}

fn move_money(tx: &Tx<'_>, order: &CodeOrder, from: LedgerAccount, to: LedgerAccount) -> TxResult<()> {
    prepaid::move_money(tx, from, to, order.amount, *order.id.as_bytes())
}

fn merchant_account(order: &CodeOrder) -> LedgerAccount {
    LedgerAccount::merchant(&order.merchant_name)
}

// The payment, as `orders` goes through it.

/// What is wanted, looked up and checked.
pub(super) struct WantedCodes {
    pub(super) revision: ProductRevision,
    pub(super) quantity: Quantity,
    pub(super) amount: Money,
    pub(super) request: Option<Digest>,
}

/// Whether codes can be ordered. Changes nothing.
pub(super) fn wanted(
    tx: &Tx<'_>,
    product: &Digest,
    quantity: Quantity,
    request: Option<&Digest>,
) -> TxResult<Result<WantedCodes, CodesOffSale>> {
    let Some(revision) = merchants::product(tx, product)? else { return Ok(Err(CodesOffSale::Product)) };
    let state = merchants::find(tx, &revision.merchant)?.map(|merchant| merchant.state);
    if state != Some(MerchantState::Approved) {
        return Ok(Err(CodesOffSale::Merchant));
    }
    let amount = match request {
        None => revision.product.amount(quantity).map_err(|_| CodesOffSale::Amount),
        Some(digest) => {
            let Some(record) = merchants::request(tx, digest)? else { return Ok(Err(CodesOffSale::Request)) };
            if record.product.digest != *product || record.request.quantity != quantity {
                return Ok(Err(CodesOffSale::Product));
            }
            if record.is_spent || record.has_ended || record.request.exp <= tx.now().seconds() {
                return Ok(Err(CodesOffSale::Request));
            }
            Ok(record.request.amount)
        }
    };
    if !revision.is_sold {
        return Ok(Err(CodesOffSale::Product));
    }
    Ok(amount.map(|amount| WantedCodes { revision, quantity, amount, request: request.copied() }))
}

/// In how many seconds an order may be taken from the merchant; `None`: now.
pub(super) fn unavailable(tx: &Tx<'_>, wanted: &WantedCodes, in_browser: bool) -> TxResult<Option<u32>> {
    let merchant = &wanted.revision.merchant;
    if merchants::health(tx, merchant)?.is_good() {
        return Ok(None);
    }
    // An order of which the merchant may never hear is no probe.
    if in_browser {
        Ok(Some(u32::try_from(Health::PROBE_SECONDS).unwrap_or(u32::MAX)))
    } else {
        merchants::probe_in(tx, merchant)
    }
}

/// Whether a terminal is the one that an account has preset, and still is one of its.
pub(super) fn is_preset(tx: &Tx<'_>, account: &AccountId, terminal: &TerminalId) -> TxResult<bool> {
    Ok(terminals::preset(tx, account)?.is_some_and(|preset| preset.id == *terminal))
}

/// What must not be on order twice: the same codes at once, for the same request and price.
pub(super) fn intent(wanted: &WantedCodes) -> String {
    let WantedCodes { revision, quantity, amount, request } = wanted;
    let request = request.map_or_else(String::new, |request| request.to_string());
    format!("codes {} {quantity} {amount} {request}", revision.digest)
}

/// The order of an account that stands for a payment request, or that is pending for it.
fn order_of_request(tx: &Tx<'_>, account: &AccountId, request: &Digest) -> TxResult<Option<OrderId>> {
    let paid = "SELECT c.id FROM code_orders c JOIN orders o ON o.id = c.id WHERE c.spent = ?2 AND o.account = ?1";
    let id = |row: &Row<'_>| bytes(row, 0, OrderId::from_bytes);
    if let Some(order) = tx.one(paid, (account.as_bytes(), request.as_bytes()), id)? {
        return Ok(Some(order));
    }
    if let Some(order) = waiting_for_request(tx, account, request)? {
        return Ok(Some(order));
    }
    let Some(record) = merchants::request(tx, request)? else { return Ok(None) };
    let (quantity, amount) = (record.request.quantity, record.request.amount);
    let wanted = WantedCodes { revision: record.product, quantity, amount, request: Some(*request) };
    let pending = "SELECT o.id FROM orders o WHERE o.account = ?1 AND o.intent = ?2 AND o.state = 0";
    tx.one(pending, (account.as_bytes(), intent(&wanted)), id)
}

/// The order of an account that has paid a payment request and waits for its key: until then it stands for nothing,
/// since whoever pays and cancels, again and again, must not keep others from paying.
pub(super) fn waiting_for_request(tx: &Tx<'_>, account: &AccountId, request: &Digest) -> TxResult<Option<OrderId>> {
    let sql = "SELECT c.id FROM code_orders c JOIN
                   (SELECT id FROM orders WHERE account = ?1 AND codes = 1 ORDER BY place DESC LIMIT ?3) o
                       ON o.id = c.id
               WHERE c.state = 0 AND c.recipient IS NULL AND c.request = ?2 ORDER BY c.id DESC LIMIT 1";
    let values = (account.as_bytes(), request.as_bytes(), COUNTED);
    tx.one(sql, values, |row| bytes(row, 0, OrderId::from_bytes))
}

/// Whether another order stands for the payment request of this one.
fn is_paid_by_another(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<bool> {
    let Some(request) = &order.request else { return Ok(false) };
    let sql = "SELECT 1 FROM code_orders WHERE spent = ?1 AND id <> ?2";
    Ok(tx.one(sql, (request.as_bytes(), order.id.as_bytes()), |_| Ok(()))?.is_some())
}

/// Opens the order beside its payment.
pub(super) fn open(tx: &Tx<'_>, new: &NewOrder, wanted: &WantedCodes) -> TxResult<()> {
    let (terminal, recipient, request) = match &new.goods {
        Ordered::Sent(wire::Goods::Codes { recipient, request, .. }) => {
            (new.buyer.terminal(), Some(recipient.0), request)
        }
        Ordered::InBrowser(BrowserCodes { terminal, request, .. }) => (Some(terminal), None, request),
        Ordered::Sent(_) => return Err(TxError::Damaged),
    };
    let request = request.as_ref().map(Digest::as_bytes);
    tx.change(
        "INSERT INTO code_orders (id, merchant, product, quantity, request, terminal, recipient, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            new.id.as_bytes(),
            wanted.revision.merchant.0.0,
            wanted.revision.digest.as_bytes(),
            wanted.quantity.get(),
            request,
            terminal.map(TerminalId::as_bytes),
            recipient,
            tx.now().millis(),
        ),
    )?;
    Ok(())
}

/// Whether codes can still be delivered for an order that is paid now: of several for one request, for the first; and
/// of several of a merchant that has come to fail meanwhile, for one a minute.
pub(super) fn can_be_delivered(tx: &Tx<'_>, id: &OrderId) -> TxResult<bool> {
    let sql = "SELECT c.merchant, c.recipient IS NOT NULL FROM code_orders c JOIN merchants m ON m.id = c.merchant
               WHERE c.id = ?1 AND m.approved_at IS NOT NULL AND m.proven_at IS NOT NULL
                     AND NOT EXISTS (SELECT 1 FROM suspended_merchants s WHERE s.id = c.merchant)
                     AND NOT EXISTS (SELECT 1 FROM code_orders other WHERE other.spent = c.request)";
    let found = tx.one(sql, [id.as_bytes()], |row| Ok((octets(row, 0).map(MerchantId)?, row.get::<bool>(1)?)))?;
    let Some((merchant, has_key)) = found else { return Ok(false) };
    Ok(!has_key || merchants::health(tx, &merchant)?.is_good() || merchants::probe_in(tx, &merchant)?.is_none())
}

/// The platform has the money: the merchant is told, and its time runs. If no terminal has made the key yet, one is
/// asked for it first.
pub(super) fn paid(tx: &Tx<'_>, payment: &Order) -> TxResult<()> {
    let unpaid = found(tx, &payment.id)?;
    let has_key = unpaid.recipient.is_some();
    let nonce = has_key.then(|| Octets(random::<32>()));
    let unkeyed = if unpaid.request.is_some() { REQUEST_KEY_SECONDS } else { KEY_SECONDS };
    let deadline = tx.now().plus(if has_key { u64::from(unpaid.product.deadline.get()) } else { unkeyed });
    let sql = "UPDATE code_orders SET state = 0, spent = CASE WHEN recipient IS NULL THEN NULL ELSE request END,
                                      nonce = ?2, deadline = ?3, changed_at = ?4
               WHERE id = ?1 AND state IS NULL";
    let bytes = nonce.map(|nonce| nonce.0);
    if tx.change(sql, (payment.id.as_bytes(), bytes, deadline.millis(), tx.now().millis()))? != 1 {
        return Err(TxError::Damaged);
    }
    let order = found(tx, &payment.id)?;
    // What is opened and never paid keeps nobody's order from the merchant.
    if has_key && !merchants::health(tx, &order.merchant)?.is_good() && !merchants::probed(tx, &order.merchant)? {
        return Err(TxError::Conflict("another order of a merchant that fails was paid meanwhile".into()));
    }
    if let Some(request) = order.request.as_ref().filter(|_| has_key) {
        merchants::spend(tx, request)?;
    }
    move_money(tx, &order, LedgerAccount::provider(&payment.provider), LedgerAccount::undelivered())?;
    match nonce {
        Some(_) => code_notices::wanted(tx, &order),
        None => code_notices::key_wanted(tx, &order),
    }
}

/// Whether what an order is for is still sold, by a merchant that is approved.
fn is_sold(tx: &Tx<'_>, order: &CodeOrder) -> TxResult<bool> {
    let state = merchants::find(tx, &order.merchant)?.map(|merchant| merchant.state);
    let revision = merchants::product(tx, &order.product_digest)?;
    Ok(state == Some(MerchantState::Approved) && revision.is_some_and(|revision| revision.is_sold))
}

/// Whether an account has as many orders that wait for a key as it may.
pub(super) fn has_enough_waiting(tx: &Tx<'_>, account: &AccountId) -> TxResult<bool> {
    let sql = "SELECT count(*) FROM code_orders c JOIN
                   (SELECT id FROM orders WHERE account = ?1 AND codes = 1 ORDER BY place DESC LIMIT ?2) o
                       ON o.id = c.id
               WHERE c.state = 0 AND c.recipient IS NULL";
    let waiting = tx.one(sql, (account.as_bytes(), COUNTED), |row| row.get::<i64>(0))?;
    Ok(waiting.unwrap_or(0) >= WAITING)
}

/// A terminal has made the key of an order that was bought in a browser: the merchant is told now, and its time runs.
fn keyed(tx: &Tx<'_>, order: &CodeOrder, terminal: &TerminalId, recipient: &Octets<32>) -> TxResult<CodeStep> {
    // What nobody could buy any more is not asked of the merchant days later.
    let is_late = order.deadline.is_none_or(|deadline| deadline < tx.now());
    if is_late || !is_sold(tx, order)? || is_paid_by_another(tx, order)? {
        return fail(tx, &order.id, &CodeFailure::Unkeyed).map(|step| match step {
            CodeStep::Taken(order) => CodeStep::Closed(order),
            other => other,
        });
    }
    let nonce = Octets(random::<32>());
    let deadline = tx.now().plus(u64::from(order.product.deadline.get()));
    let sql = "UPDATE code_orders SET terminal = ?2, recipient = ?3, nonce = ?4, deadline = ?5, spent = request
               WHERE id = ?1 AND state = 0 AND recipient IS NULL";
    let key = (order.id.as_bytes(), terminal.as_bytes(), recipient.0, nonce.0, deadline.millis());
    if tx.change(sql, key)? != 1 {
        return Err(TxError::Conflict("the order of codes has got its key".into()));
    }
    if let Some(request) = &order.request {
        merchants::spend(tx, request)?;
    }
    let order = found(tx, &order.id)?;
    code_notices::keyed(tx, &order)?;
    tx.log(CodeMove::Keyed.word(), Some(&order.account), Some(terminal), order.id.as_bytes())?;
    Ok(CodeStep::Taken(order))
}

/// Takes back what the order gave, or was going to give: what was paid for it is in `refunds` then.
pub(super) fn take_back(tx: &Tx<'_>, id: &OrderId) -> TxResult<()> {
    let order = found(tx, id)?;
    if take(tx, id, CodeEvent::Failed)? || order.state == Some(CodeState::Failed) {
        must_take(tx, id, CodeEvent::RefundBegun)?;
        move_money(tx, &order, LedgerAccount::undelivered(), LedgerAccount::refunds())?;
    } else {
        if order.state != Some(CodeState::Disputed) {
            must_take(tx, id, CodeEvent::Disputed)?;
        }
        must_take(tx, id, CodeEvent::Reversed)?;
        void_serials(tx, id)?;
        move_money(tx, &order, merchant_account(&order), LedgerAccount::refunds())?;
    }
    code_notices::closed(tx, &order)
}

/// The provider has paid back. One that is reversed stays so.
pub(super) fn paid_back(tx: &Tx<'_>, id: &OrderId) -> TxResult<()> {
    take(tx, id, CodeEvent::PaidBack).map(drop)
}

/// The payer disputes the payment: before there is a code, none is accepted any more; after it, the merchant's money
/// waits. It stands in `disputes` then.
pub(super) fn payment_disputed(tx: &Tx<'_>, id: &OrderId) -> TxResult<()> {
    let order = found(tx, id)?;
    if take(tx, id, CodeEvent::ChargedBack)? {
        move_money(tx, &order, LedgerAccount::undelivered(), LedgerAccount::disputes())?;
    } else {
        if order.state != Some(CodeState::Disputed) {
            must_take(tx, id, CodeEvent::Disputed)?;
        }
        // What is wanted once more is not sealed any more: if the payment stays, a person decides about the code.
        if order.waits_for_another_sealing() {
            complain(tx, id, CodeComplaint::NotSealedAgain)?;
        }
        move_money(tx, &order, merchant_account(&order), LedgerAccount::disputes())?;
    }
    code_notices::closed(tx, &order)
}

/// Notes who disputes a code. What was said first stays.
fn complain(tx: &Tx<'_>, id: &OrderId, complaint: CodeComplaint) -> TxResult<()> {
    let sql = "UPDATE code_orders SET complaint = ?2 WHERE id = ?1 AND complaint IS NULL";
    tx.change(sql, (id.as_bytes(), number_of(&CodeComplaint::ALL, complaint))).map(drop)
}

/// The payer has the money.
pub(super) fn payment_lost(tx: &Tx<'_>, id: &OrderId) -> TxResult<()> {
    if take(tx, id, CodeEvent::Reversed)? {
        void_serials(tx, id)?;
        code_notices::closed(tx, &*found(tx, id)?)?;
    }
    Ok(())
}

/// Whether there is a code for a payment that is disputed: otherwise there never was one, and none is accepted.
pub(super) fn has_code(tx: &Tx<'_>, id: &OrderId) -> TxResult<bool> {
    Ok(found(tx, id)?.state == Some(CodeState::Disputed))
}

/// The payment dispute was decided for the store. The merchant keeps the money of a code; without one it goes back.
pub(super) fn payment_won(tx: &Tx<'_>, id: &OrderId, is_kept: bool) -> TxResult<()> {
    let order = found(tx, id)?;
    if !is_kept {
        return move_money(tx, &order, LedgerAccount::disputes(), LedgerAccount::refunds());
    }
    // What somebody says of the code itself no payment provider has decided.
    if order.complaint.is_none() {
        must_take(tx, id, CodeEvent::Kept)?;
    }
    move_money(tx, &order, LedgerAccount::disputes(), merchant_account(&order))?;
    code_notices::closed(tx, &order)
}

/// Orders that wait for their merchant, oldest first: so many after one.
fn waiting(tx: &Tx<'_>, merchant: &MerchantId, after: [u8; 16], limit: u32) -> TxResult<Vec<CodeOrder>> {
    let sql = format!(
        "{CODE_ORDER} WHERE c.merchant = ?1 AND c.id > ?2 AND {OPEN} AND {WAITS} AND c.nonce IS NOT NULL
         ORDER BY c.id LIMIT ?3"
    );
    tx.all(&sql, (merchant.0.0, after, limit), code_order)
}

/// Tells a merchant anew of everything that waits for it: of the first orders in this transaction, of the rest by an
/// effect. If it goes on after a suspension, each has a nonce that nobody has seen, and time enough; until it is
/// told, it does not fail. Otherwise an endpoint that has just shown to be its own hears what the one before heard.
pub(super) fn tell_anew(tx: &Tx<'_>, merchant: &MerchantId, resumes: bool) -> TxResult<()> {
    let sql = "UPDATE merchants SET caught_up = ?2,
                                    resumes = CASE WHEN caught_up IS NOT NULL AND resumes = 1 THEN 1
                                                   ELSE CAST(?3 AS BIGINT) END
               WHERE id = ?1";
    tx.change(sql, (merchant.0.0, [0_u8; 16], i64::from(resumes)))?;
    if catch_up(tx, merchant)? {
        let of = EffectOf { part: tx.now().millis(), ..EffectOf::new(EffectKind::CodeCatchUp, merchant.0) };
        effects::add(tx, of, tx.now())?;
    }
    Ok(())
}

/// Tells of the next ones. Returns whether there are more. Each order is a conditional write of its own.
fn catch_up(tx: &Tx<'_>, merchant: &MerchantId) -> TxResult<bool> {
    // Of two processes that do so at once one waits here, and goes on after the other. A merchant that was suspended
    // again begins anew when it is restored.
    let sql = "UPDATE merchants SET caught_up = caught_up
               WHERE id = ?1 AND caught_up IS NOT NULL
                     AND NOT EXISTS (SELECT 1 FROM suspended_merchants s WHERE s.id = merchants.id)
               RETURNING caught_up, resumes";
    let row = tx.one(sql, [merchant.0.0], |row| Ok((row.get::<[u8; 16]>(0)?, row.get::<i64>(1)? == 1)))?;
    let Some((after, resumes)) = row else { return Ok(false) };
    let orders = waiting(tx, merchant, after, CAUGHT_UP)?;
    let more = orders.len() >= usize::try_from(CAUGHT_UP).unwrap_or(usize::MAX);
    let last = orders.last().filter(|_| more).map(|order| *order.id.as_bytes());
    if resumes {
        // All of the orders before anybody is told: in the order of every other.
        let resumed: Vec<CodeOrder> =
            orders.into_iter().map(|order| resume(tx, order)).filter_map(Result::transpose).collect::<TxResult<_>>()?;
        resumed.iter().try_for_each(|order| code_notices::resumed(tx, order))?;
    } else {
        orders.iter().try_for_each(|order| code_notices::tell_wanted(tx, order))?;
    }
    let sql = "UPDATE merchants SET caught_up = ?2, resumes = resumes * CAST(?3 AS BIGINT) WHERE id = ?1";
    tx.change(sql, (merchant.0.0, last, i64::from(more)))?;
    Ok(more)
}

/// An order that waited for a person goes on.
fn resume(tx: &Tx<'_>, mut order: CodeOrder) -> TxResult<Option<CodeOrder>> {
    let (nonce, before) = (Octets(random::<32>()), order.deadline);
    let deadline = before.unwrap_or_else(|| tx.now()).max(tx.now().plus(RESUMED));
    // Its merchant may have taken a notification meanwhile, and it still waits: only what waits no more is on its way.
    let sql = format!(
        "UPDATE code_orders AS c SET nonce = ?2, deadline = ?3 WHERE c.id = ?1 AND c.generation = ?4 AND {WAITS}"
    );
    let values = (order.id.as_bytes(), nonce.0, deadline.millis(), i64::from(order.generation.get()));
    if tx.change(&sql, values)? != 1 {
        return Ok(None);
    }
    (order.nonce, order.deadline) = (Some(nonce), Some(deadline));
    Ok(Some(order))
}

/// Locks everybody whom the end of an order touches, in the order of their identifiers: its buyer, and whoever has
/// redeemed what its codes gave.
pub(super) fn lock_with_holders(tx: &Tx<'_>, id: &OrderId) -> TxResult<()> {
    let sql = "SELECT account FROM orders WHERE id = ?1
               UNION SELECT account FROM redemption_codes WHERE sold = ?1 AND account IS NOT NULL";
    let mut holders = tx.all(sql, [id.as_bytes()], |row| bytes(row, 0, AccountId::from_bytes))?;
    holders.sort_unstable_by_key(|holder| *holder.as_bytes());
    holders.iter().try_for_each(|holder| tx.lock(Lock::Account(holder)))
}

// The merchant.

/// The webhook of an order was answered. After its verification this changes nothing.
pub(super) fn notified(tx: &Tx<'_>, id: &OrderId) -> TxResult<()> {
    take(tx, id, CodeEvent::Notified).map(drop)
}

fn verify(
    tx: &Tx<'_>,
    id: &OrderId,
    generation: Generation,
    recipient: &Octets<32>,
    verification: &str,
) -> TxResult<CodeStep> {
    orders::lock(tx, id)?;
    let Some(order) = find(tx, id)? else { return Ok(CodeStep::Unknown) };
    // Suspended since its request came in.
    if order.is_held_up {
        return Ok(CodeStep::Unknown);
    }
    if order.generation != generation || order.recipient != Some(*recipient) {
        return Ok(CodeStep::Mismatch);
    }
    if order.verification.is_some() {
        return Ok(CodeStep::Taken(Box::new(order)));
    }
    let is_open = match &order.accepted {
        None => take(tx, id, CodeEvent::Verified)?,
        Some(_) => order.waits_for_another_sealing() && order.deadline.is_some_and(|deadline| deadline >= tx.now()),
    };
    if !is_open {
        return Ok(CodeStep::Closed(Box::new(order)));
    }
    let sql = "UPDATE code_orders SET verification = ?2 WHERE id = ?1 AND verification IS NULL";
    tx.change(sql, (id.as_bytes(), verification))?;
    Ok(CodeStep::Taken(found(tx, id)?))
}

fn accept(tx: &Tx<'_>, new: &NewCode) -> TxResult<CodeStep> {
    // Before the lock, for which others wait.
    let digest = new.bytes.digest();
    orders::lock(tx, &new.order)?;
    let Some(order) = find(tx, &new.order)?.filter(|order| order.merchant == new.merchant && !order.is_held_up) else {
        return Ok(CodeStep::Unknown);
    };
    if let Some(accepted) = order.accepted.as_ref().filter(|accepted| accepted.generation == new.generation) {
        let same = accepted.digest == digest;
        return Ok(if same { CodeStep::Taken(Box::new(order)) } else { CodeStep::Differs(Box::new(order)) });
    }
    if order.state.is_none() {
        return Ok(CodeStep::Unknown);
    }
    let (is_first, late) = (order.accepted.is_none(), order.deadline.is_none_or(|deadline| deadline < tx.now()));
    if !order.waits_for_merchant() || late {
        return Ok(CodeStep::Closed(Box::new(order)));
    }
    let fits = order.generation == new.generation && order.verification.as_ref() == Some(&new.verification);
    if !fits || !serials_fit(tx, &order, &new.serials)? {
        return Ok(CodeStep::Mismatch);
    }
    if is_first {
        must_take(tx, &new.order, CodeEvent::CodeReceived)?;
        move_money(tx, &order, LedgerAccount::undelivered(), merchant_account(&order))?;
        merchants::decided(tx, &order.merchant, true)?;
    }
    let before = order.accepted.as_ref().map_or(0, |accepted| accepted.generation.get());
    let written = tx.change(
        "UPDATE code_orders SET sealed = ?2, code = ?3, enc = ?4, ciphertext = ?5, digest = ?6, sealed_for = terminal,
                                sealed_to = recipient, sealed_under = verification, delivered_at = NULL,
                                accepted_at = coalesce(accepted_at, ?7), changed_at = ?7
         WHERE id = ?1 AND state IN (3, 4) AND coalesce(sealed, 0) = ?8 AND generation = ?2",
        (
            new.order.as_bytes(),
            new.generation.get(),
            &new.code,
            new.bytes.enc.0,
            new.bytes.ciphertext.as_bytes(),
            digest.as_bytes(),
            tx.now().millis(),
            before,
        ),
    )?;
    if written != 1 {
        return Err(TxError::Conflict("the order of codes was sealed meanwhile".into()));
    }
    if is_first {
        sell_serials(tx, &new.order, &new.serials)?;
    } else {
        tx.log(CodeMove::SealedAgain.word(), None, None, new.order.as_bytes())?;
    }
    let order = found(tx, &new.order)?;
    code_notices::received(tx, &order)?;
    Ok(CodeStep::Taken(order))
}

/// Whether the serials are of codes that the merchant may sell with this order: its owner's own, redeemed by nobody,
/// sold to nobody and in force. Another sealing has the serials of the one before. Or there are none.
fn serials_fit(tx: &Tx<'_>, order: &CodeOrder, serials: &[CodeSerial]) -> TxResult<bool> {
    if serials.is_empty() && order.accepted.is_none() {
        return Ok(true);
    }
    let mut different = serials.to_vec();
    different.sort_unstable();
    different.dedup();
    if order.accepted.is_some() {
        let sql = "SELECT serial FROM redemption_codes WHERE sold = ?1";
        let mut sold = tx.all(sql, [order.id.as_bytes()], |row| bytes(row, 0, CodeSerial::from_bytes))?;
        sold.sort_unstable();
        return Ok(sold == different && different.len() == serials.len());
    }
    let sql = "SELECT 1 FROM redemption_codes r JOIN code_batches b ON b.id = r.batch
                      JOIN publishers p ON p.id = b.publisher JOIN merchants m ON m.owner = p.owner
               WHERE r.serial = ?1 AND m.id = ?2 AND r.sold IS NULL AND r.state = 0
                     AND (b.expires_at IS NULL OR b.expires_at > ?3)";
    for serial in serials {
        let merchant = order.merchant.0.0;
        if tx.one(sql, (serial.as_bytes(), merchant, tx.now().millis()), |_| Ok(()))?.is_none() {
            return Ok(false);
        }
    }
    Ok(different.len() == serials.len() && serials.len() == order.quantity.get() as usize)
}

fn sell_serials(tx: &Tx<'_>, order: &OrderId, serials: &[CodeSerial]) -> TxResult<()> {
    let sql = "UPDATE redemption_codes SET sold = ?2 WHERE serial = ?1 AND sold IS NULL AND state = 0";
    for serial in serials {
        if tx.change(sql, (serial.as_bytes(), order.as_bytes()))? != 1 {
            return Err(TxError::Conflict("a redemption code was sold or redeemed meanwhile".into()));
        }
    }
    Ok(())
}

/// Ends what an order's codes gave, and the codes. They are void first, so that nobody redeems one meanwhile; then
/// what each gave ends under the lock of the account that holds it.
fn void_serials(tx: &Tx<'_>, order: &OrderId) -> TxResult<()> {
    let sql = "UPDATE redemption_codes SET state = 2 WHERE sold = ?1 AND state <> 2 RETURNING serial, account, batch";
    let ended: Vec<([u8; 16], Option<AccountId>, [u8; 16])> = tx.all(sql, [order.as_bytes()], |row| {
        Ok((row.get(0)?, maybe_bytes(row, 1, AccountId::from_bytes)?, row.get(2)?))
    })?;
    let mut redeemed: Vec<(AccountId, [u8; 16], [u8; 16])> = ended
        .into_iter()
        .filter_map(|(serial, account, batch)| account.map(|account| (account, serial, batch)))
        .collect();
    redeemed.sort_unstable_by_key(|(account, serial, _)| (*account.as_bytes(), *serial));
    for (account, serial, batch) in redeemed {
        tx.lock(Lock::Account(&account))?;
        let entitlement = OrderId::from_bytes(serial);
        orders::end_rights(tx, &entitlement)?;
        let sql = "SELECT f.offer FROM code_batches b JOIN offers f ON f.digest = b.offer WHERE b.id = ?1";
        let offer: Offer = tx.one(sql, [batch], |row| json(row, 0))?.ok_or(TxError::Damaged)?;
        // What was bought for good beside it stands in its place.
        if rights::are_for_good(&offer.rights) {
            orders::take_over(tx, &account, &entitlement, &offer)?;
        }
    }
    Ok(())
}

fn fail(tx: &Tx<'_>, id: &OrderId, why: &CodeFailure) -> TxResult<CodeStep> {
    orders::lock(tx, id)?;
    let Some(order) = find(tx, id)? else { return Ok(CodeStep::Unknown) };
    let is_late = order.deadline.is_some_and(|deadline| deadline < tx.now());
    match why {
        CodeFailure::Late(generation) => {
            // What waits for a suspended merchant waits for a person.
            if *generation != order.generation || !is_late || order.is_held_up && !order.awaits_key() {
                return Ok(CodeStep::Closed(Box::new(order)));
            }
            if order.waits_for_another_sealing() {
                must_take(tx, id, CodeEvent::Disputed)?;
                complain(tx, id, CodeComplaint::NotSealedAgain)?;
                code_notices::closed(tx, &order)?;
                return Ok(CodeStep::Taken(found(tx, id)?));
            }
        }
        CodeFailure::Unkeyed if !order.awaits_key() => return Ok(CodeStep::Closed(Box::new(order))),
        CodeFailure::Declined { merchant, .. } if *merchant != order.merchant || order.is_held_up => {
            return Ok(CodeStep::Unknown);
        }
        CodeFailure::Unkeyed | CodeFailure::Declined { .. } => {}
    }
    if !take(tx, id, CodeEvent::Failed)? {
        let has_failed = matches!(order.state, Some(CodeState::Failed | CodeState::Refunding | CodeState::Refunded));
        return Ok(if has_failed { CodeStep::Taken(Box::new(order)) } else { CodeStep::Closed(Box::new(order)) });
    }
    match why {
        CodeFailure::Declined { reason, .. } => {
            tx.change("UPDATE code_orders SET reason = ?2 WHERE id = ?1", (id.as_bytes(), reason))?;
        }
        CodeFailure::Unkeyed => tx.log(CodeMove::Cancelled.word(), None, None, id.as_bytes())?,
        CodeFailure::Late(_) => {}
    }
    // A merchant that was never told has failed nobody; and one that says in time that it has no code has answered. If
    // that counted, whoever orders more than there is would close its shop, for nothing.
    let has_answered = matches!(why, CodeFailure::Declined { .. }) && !is_late;
    if order.nonce.is_some() && !has_answered {
        merchants::decided(tx, &order.merchant, false)?;
    }
    orders::begin_refund(tx, id)?;
    Ok(CodeStep::Taken(found(tx, id)?))
}

// The buyer.

/// Whether a terminal is the account's, and was not revoked meanwhile.
fn is_of_account(tx: &Tx<'_>, order: &CodeOrder, terminal: &TerminalId) -> TxResult<bool> {
    let sql = "SELECT 1 FROM terminals WHERE id = ?1 AND account = ?2 AND revoked_at IS NULL";
    Ok(tx.one(sql, (terminal.as_bytes(), order.account.as_bytes()), |_| Ok(()))?.is_some())
}

fn deliver(tx: &Tx<'_>, id: &OrderId, terminal: &TerminalId) -> TxResult<CodeStep> {
    orders::lock(tx, id)?;
    let Some(order) = find(tx, id)? else { return Ok(CodeStep::Unknown) };
    if !is_of_account(tx, &order, terminal)? {
        return Ok(CodeStep::Unknown);
    }
    let Some(accepted) = &order.accepted else { return Ok(CodeStep::Closed(Box::new(order))) };
    if accepted.terminal.is_some_and(|chosen| chosen != *terminal) {
        return Ok(CodeStep::Mismatch);
    }
    take(tx, id, CodeEvent::Delivered)?;
    // Of each sealing the first time: what a person decides by, if another terminal takes it over.
    let sql = "UPDATE code_orders SET delivered_at = ?2 WHERE id = ?1 AND delivered_at IS NULL AND state = 4";
    tx.change(sql, (id.as_bytes(), tx.now().millis()))?;
    Ok(CodeStep::Taken(found(tx, id)?))
}

fn acknowledge(
    tx: &Tx<'_>,
    id: &OrderId,
    terminal: &TerminalId,
    generation: Generation,
    ciphertext: &Digest,
    readable: bool,
) -> TxResult<CodeStep> {
    orders::lock(tx, id)?;
    let Some(order) = find(tx, id)?.filter(|order| order.state.is_some()) else { return Ok(CodeStep::Unknown) };
    if !is_of_account(tx, &order, terminal)? {
        return Ok(CodeStep::Unknown);
    }
    let Some(accepted) = &order.accepted else { return Ok(CodeStep::Mismatch) };
    if accepted.generation != generation || accepted.digest != *ciphertext {
        return Ok(CodeStep::Mismatch);
    }
    if accepted.terminal.is_some_and(|chosen| chosen != *terminal) {
        return Ok(CodeStep::Unknown);
    }
    let (event, before) = match readable {
        true => (CodeEvent::Acknowledged, CodeState::Acknowledged),
        // Whoever has acknowledged a code has read it; and what a person decided is not decided again by a terminal.
        false if matches!(order.state, Some(CodeState::Acknowledged | CodeState::Kept)) => {
            return Ok(CodeStep::Closed(Box::new(order)));
        }
        false => (CodeEvent::Disputed, CodeState::Disputed),
    };
    let is_said = order.state == Some(before);
    if !is_said && !take(tx, id, event)? {
        return Ok(CodeStep::Closed(Box::new(order)));
    }
    match (readable, is_said) {
        (true, false) => code_notices::settled(tx, &order)?,
        (true, true) => {}
        (false, is_said) => {
            complain(tx, id, CodeComplaint::Unreadable)?;
            if !is_said {
                code_notices::closed(tx, &order)?;
            }
        }
    }
    Ok(CodeStep::Taken(found(tx, id)?))
}

fn relocate(
    tx: &Tx<'_>,
    id: &OrderId,
    account: &AccountId,
    terminal: &TerminalId,
    recipient: &Octets<32>,
    first: bool,
) -> TxResult<CodeStep> {
    orders::lock(tx, id)?;
    let Some(order) = find(tx, id)?.filter(|order| order.account == *account) else { return Ok(CodeStep::Unknown) };
    if !is_of_account(tx, &order, terminal)? {
        return Ok(CodeStep::Unknown);
    }
    // The same again, after a lost answer.
    if order.recipient == Some(*recipient) && order.terminal == Some(*terminal) {
        return Ok(CodeStep::Taken(Box::new(order)));
    }
    if order.recipient.is_none() && matches!(order.state, None | Some(CodeState::Paid)) {
        // It takes the password to say which terminal that is.
        if !is_preset(tx, account, terminal)? {
            return Ok(CodeStep::Closed(Box::new(order)));
        }
        if order.state.is_some() {
            return keyed(tx, &order, terminal, recipient);
        }
    } else if first {
        return Ok(CodeStep::Closed(Box::new(order)));
    }
    // Whoever has enrolled a terminal does not have by that what others of the account bought. That one of them was
    // revoked says nothing: any terminal of the account revokes any other.
    let may =
        order.terminal == Some(*terminal) || order.claimant == Some(*terminal) || is_preset(tx, account, terminal)?;
    if order.may_move() && !may {
        return Ok(CodeStep::NotAllowed(Box::new(order)));
    }
    match order.state {
        None | Some(CodeState::Paid | CodeState::Notified) => {
            let sql = "UPDATE code_orders SET terminal = ?2, recipient = ?3, claimant = NULL
                       WHERE id = ?1 AND (state IS NULL OR state IN (0, 1))";
            if tx.change(sql, (id.as_bytes(), terminal.as_bytes(), recipient.0))? != 1 {
                return Err(TxError::Conflict("the order of codes changed its state".into()));
            }
        }
        Some(CodeState::Verified) => return Ok(CodeStep::Differs(Box::new(order))),
        Some(state) if state.may_be_sealed_again() => {
            let Some(next) = order.generation.next() else { return Ok(CodeStep::Closed(Box::new(order))) };
            let nonce = Octets(random::<32>());
            let deadline = tx.now().plus(u64::from(order.product.deadline.get()));
            // The sealing before stays in force until this one is accepted.
            let sql = "UPDATE code_orders SET terminal = ?2, recipient = ?3, generation = ?4, nonce = ?5,
                                              verification = NULL, deadline = ?7, claimant = NULL
                       WHERE id = ?1 AND generation = ?6 AND state IN (3, 4)";
            let moved = tx.change(
                sql,
                (
                    id.as_bytes(),
                    terminal.as_bytes(),
                    recipient.0,
                    next.get(),
                    nonce.0,
                    order.generation.get(),
                    deadline.millis(),
                ),
            )?;
            if moved != 1 {
                return Err(TxError::Conflict("the order of codes changed its state".into()));
            }
            code_notices::superseded(tx, &order)?;
            code_notices::wanted(tx, &*found(tx, id)?)?;
        }
        Some(_) => return Ok(CodeStep::Closed(Box::new(order))),
    }
    if order.terminal != Some(*terminal) {
        code_notices::moved(tx, &order)?;
    }
    tx.log(CodeMove::Moved.word(), Some(account), Some(terminal), id.as_bytes())?;
    Ok(CodeStep::Taken(found(tx, id)?))
}

fn allow(tx: &Tx<'_>, id: &OrderId, holder: &Holder, terminal: &TerminalId) -> TxResult<Option<CodeStep>> {
    orders::lock(tx, id)?;
    if !signed_in(tx, holder)? {
        return Ok(None);
    }
    allow_to(tx, id, &holder.account, terminal).map(Some)
}

fn allow_to(tx: &Tx<'_>, id: &OrderId, account: &AccountId, terminal: &TerminalId) -> TxResult<CodeStep> {
    let Some(order) = find(tx, id)?.filter(|order| order.account == *account) else { return Ok(CodeStep::Unknown) };
    if !is_of_account(tx, &order, terminal)? {
        return Ok(CodeStep::Mismatch);
    }
    if !order.may_move() {
        return Ok(CodeStep::Closed(Box::new(order)));
    }
    if order.claimant == Some(*terminal) {
        return Ok(CodeStep::Taken(Box::new(order)));
    }
    tx.change("UPDATE code_orders SET claimant = ?2 WHERE id = ?1", (id.as_bytes(), terminal.as_bytes()))?;
    tx.log(CodeMove::Allowed.word(), Some(account), Some(terminal), id.as_bytes())?;
    Ok(CodeStep::Taken(found(tx, id)?))
}

// The operator.

fn decide(tx: &Tx<'_>, id: &OrderId, decision: CodeDecision) -> TxResult<CodeStep> {
    lock_with_holders(tx, id)?;
    let Some(order) = find(tx, id)? else { return Ok(CodeStep::Unknown) };
    // What the payer disputes is decided by the payment provider.
    let is_paid = orders::find(tx, id)?.is_some_and(|payment| payment.phase == OrderPhase::Paid);
    let taken = is_paid
        && match decision {
            CodeDecision::Dispute => {
                let taken = take(tx, id, CodeEvent::Disputed)?;
                if taken {
                    complain(tx, id, CodeComplaint::Operator)?;
                    code_notices::closed(tx, &order)?;
                }
                taken
            }
            CodeDecision::Keep => {
                let taken = take(tx, id, CodeEvent::Kept)?;
                if taken {
                    tx.change("UPDATE code_orders SET complaint = NULL WHERE id = ?1", [id.as_bytes()])?;
                    code_notices::closed(tx, &order)?;
                }
                taken
            }
            CodeDecision::Reverse if order.state == Some(CodeState::Disputed) => {
                orders::begin_refund(tx, id)?;
                true
            }
            CodeDecision::Reverse => false,
        };
    let order = found(tx, id)?;
    Ok(if taken { CodeStep::Taken(order) } else { CodeStep::Closed(order) })
}

/// Orders whose code was delivered very long ago, and which nobody has acknowledged. One that nobody has fetched stays
/// open: its buyer could not say yet that he cannot read it.
pub(super) fn unacknowledged(tx: &Tx<'_>, limit: u32) -> TxResult<Vec<OrderId>> {
    let before = tx.now().minus(retention::UNACKNOWLEDGED).millis();
    tx.all(
        "SELECT id FROM code_orders WHERE state = 4 AND changed_at < ?1 ORDER BY changed_at LIMIT ?2",
        (before, limit),
        |row| bytes(row, 0, OrderId::from_bytes),
    )
}

/// Ends one of them, for its merchant: it is kept, as if a dispute had been decided so. One that is to be sealed once
/// more has a deadline of its own.
pub(super) fn lapse(tx: &Tx<'_>, id: &OrderId) -> TxResult<()> {
    orders::lock(tx, id)?;
    let Some(order) = find(tx, id)? else { return Ok(()) };
    let is_old = order.changed < tx.now().minus(retention::UNACKNOWLEDGED);
    if is_old && !order.waits_for_another_sealing() && take(tx, id, CodeEvent::Lapsed)? {
        code_notices::closed(tx, &order)?;
    }
    Ok(())
}

/// Deletes sealed codes that nobody is delivered any more; that they were accepted stays on record. Returns how many.
pub(super) fn sweep(tx: &Tx<'_>, limit: u32) -> TxResult<usize> {
    let old = tx.now().minus(retention::SEALED_CODE).millis();
    tx.change(
        "UPDATE code_orders SET code = NULL, enc = NULL, ciphertext = NULL WHERE id IN (
             SELECT c.id FROM code_orders c WHERE c.state IN (5, 11, 12) AND c.code IS NOT NULL AND c.changed_at < ?1
             ORDER BY c.changed_at LIMIT ?2)",
        (old, limit),
    )
}

#[async_trait]
impl<D: Database> CodeOrders for D {
    async fn code_order(&self, id: &OrderId) -> Result<Option<CodeOrder>, StoreError> {
        let id = *id;
        self.read("order of codes", move |tx| find(tx, &id)).await
    }

    async fn order_of_request(&self, account: &AccountId, request: &Digest) -> Result<Option<OrderId>, StoreError> {
        let (account, request) = (*account, *request);
        self.read("order of a payment request", move |tx| order_of_request(tx, &account, &request)).await
    }

    async fn code_orders_of(&self, account: &AccountId, page: AccountPage) -> Result<Page<CodeOrder>, StoreError> {
        let account = *account;
        self.read_many("orders of codes", move |tx| {
            let sql = format!(
                "{CODE_ORDER} WHERE o.account = ?1 AND o.codes = 1 AND c.state IS NOT NULL AND o.place < ?2
                 ORDER BY o.place DESC LIMIT ?3"
            );
            let rows = tx.all(&sql, (account.as_bytes(), page.before(), page.limit()), |row| {
                Ok((row.get(PLACE)?, code_order(row)?))
            })?;
            Ok(page.of(rows))
        })
        .await
    }

    async fn open_code_orders(
        &self,
        merchant: Option<&MerchantId>,
        after: Option<&OrderId>,
        limit: u32,
    ) -> Result<Vec<CodeOrder>, StoreError> {
        let (merchant, after) = (merchant.copied(), after.map_or([0; 16], |after| *after.as_bytes()));
        self.read_many("open orders of codes", move |tx| match merchant {
            Some(merchant) => {
                let sql = format!(
                    "{CODE_ORDER} WHERE c.merchant = ?1 AND c.id > ?2 AND {OPEN} AND c.nonce IS NOT NULL
                     ORDER BY c.id LIMIT ?3"
                );
                tx.all(&sql, (merchant.0.0, after, limit), code_order)
            }
            None => {
                let sql = format!("{CODE_ORDER} WHERE c.id > ?1 AND {OPEN} ORDER BY c.id LIMIT ?2");
                tx.all(&sql, (after, limit), code_order)
            }
        })
        .await
    }

    async fn verify_code_order(
        &self,
        id: &OrderId,
        generation: Generation,
        recipient: &Octets<32>,
        verification: String,
    ) -> Result<CodeStep, StoreError> {
        let (id, recipient) = (*id, *recipient);
        self.write(Write::CodeVerify, move |tx| verify(tx, &id, generation, &recipient, &verification)).await
    }

    async fn accept_code(&self, code: NewCode) -> Result<CodeStep, StoreError> {
        self.write(Write::CodeAccept, move |tx| accept(tx, &code)).await
    }

    async fn deliver_code(&self, id: &OrderId, terminal: &TerminalId) -> Result<CodeStep, StoreError> {
        let (id, terminal) = (*id, *terminal);
        self.write(Write::CodeDeliver, move |tx| deliver(tx, &id, &terminal)).await
    }

    async fn acknowledge_code(
        &self,
        id: &OrderId,
        terminal: &TerminalId,
        generation: Generation,
        ciphertext: &Digest,
        readable: bool,
    ) -> Result<CodeStep, StoreError> {
        let (id, terminal, ciphertext) = (*id, *terminal, *ciphertext);
        self.write(Write::CodeAcknowledge, move |tx| acknowledge(tx, &id, &terminal, generation, &ciphertext, readable))
            .await
    }

    async fn move_code_order(
        &self,
        id: &OrderId,
        account: &AccountId,
        terminal: &TerminalId,
        recipient: &Octets<32>,
        first: bool,
    ) -> Result<CodeStep, StoreError> {
        let (id, account, terminal, recipient) = (*id, *account, *terminal, *recipient);
        self.write(Write::CodeMove, move |tx| relocate(tx, &id, &account, &terminal, &recipient, first)).await
    }

    async fn allow_code_order(
        &self,
        id: &OrderId,
        holder: &Holder,
        terminal: &TerminalId,
    ) -> Result<Option<CodeStep>, StoreError> {
        let (id, holder, terminal) = (*id, *holder, *terminal);
        self.write(Write::CodeAllow, move |tx| allow(tx, &id, &holder, &terminal)).await
    }

    async fn fail_code_order(&self, id: &OrderId, why: CodeFailure) -> Result<CodeStep, StoreError> {
        let id = *id;
        self.write(Write::CodeFail, move |tx| fail(tx, &id, &why)).await
    }

    async fn catch_up_code_orders(&self, merchant: &MerchantId) -> Result<bool, StoreError> {
        let merchant = *merchant;
        self.write(Write::CodeCatchUp, move |tx| catch_up(tx, &merchant)).await
    }

    async fn decide_code_order(&self, id: &OrderId, decision: CodeDecision) -> Result<CodeStep, StoreError> {
        let id = *id;
        self.write(Write::CodeDecide, move |tx| decide(tx, &id, decision)).await
    }
}
