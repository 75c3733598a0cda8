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

use super::{Database, Lock, Tx, TxError, TxResult, code_notices, merchants, orders, prepaid};
use crate::billing::ledger::LedgerAccount;
use crate::crypto::secrets::random;
use crate::ops::faults::Write;
use crate::store::database::Row;
use crate::store::database::row::{bytes, json, maybe_bytes, maybe_money, maybe_time, octets, one_of, text, time};
use crate::store::{
    AcceptedCode, AccountPage, CodeDecision, CodeFailure, CodeOrder, CodeOrders, CodeStep, CodesOffSale, MerchantId,
    MerchantState, NewCode, NewOrder, Order, OrderPhase, Page, ProductRevision, StoreError,
};
use async_trait::async_trait;
use portcullis_protocol::codes::{CodeEvent, CodeState, Generation, Quantity, SealedBytes};
use portcullis_protocol::encoding::{BoundedOctets, Octets};
use portcullis_protocol::{AccountId, CodeSerial, Digest, Money, OrderId, Product, TerminalId, wire};

const CODE_ORDER: &str = "SELECT c.id, o.account, c.terminal, c.merchant, m.name, p.product, p.compact, c.product,
                                 c.quantity, o.amount, o.currency, c.request, c.recipient, c.nonce, c.state,
                                 c.generation, c.deadline, c.verification, c.sealed, c.code, c.enc, c.ciphertext,
                                 c.accepted_at, c.changed_at, o.place
                          FROM code_orders c JOIN orders o ON o.id = c.id JOIN products p ON p.digest = c.product
                               JOIN merchants m ON m.id = c.merchant";
/// The column of [`CODE_ORDER`] that names pages.
const PLACE: usize = 24;
/// What is not final, as the index has it.
const OPEN: &str = "c.state IN (0, 1, 2, 3, 4, 6, 7, 10)";

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
        recipient: octets(row, 12)?,
        nonce: maybe_bytes(row, 13, Octets)?,
        state: match row.get::<Option<i64>>(14)? {
            Some(_) => Some(one_of(row, 14, &CodeState::ALL)?),
            None => None,
        },
        generation: number(row, 15, Generation::new)?,
        deadline: maybe_time(row, 16)?,
        verification: row.get(17)?,
        accepted: accepted(row)?,
        changed: time(row, 23)?,
    })
}

fn accepted(row: &Row<'_>) -> TxResult<Option<AcceptedCode>> {
    let Some(at) = maybe_time(row, 22)? else { return Ok(None) };
    let ciphertext = BoundedOctets::new(row.get(21)?).map_err(|_| TxError::Unreadable)?;
    Ok(Some(AcceptedCode {
        generation: number(row, 18, Generation::new)?,
        code: row.get(19)?,
        bytes: SealedBytes { enc: octets(row, 20)?, ciphertext },
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
               WHERE id = ?1 AND ((CAST(?4 AS BIGINT) >> CAST(state AS INTEGER)) & 1) = 1";
    let taken = tx.change(sql, (id.as_bytes(), place(arrow.to), tx.now().millis(), from))? == 1;
    if taken {
        tx.log(log_word(event), None, None, id.as_bytes())?;
    }
    Ok(taken)
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
    let at = CodeState::ALL.iter().position(|known| *known == state);
    at.and_then(|at| i64::try_from(at).ok()).unwrap_or(i64::MAX)
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
    if !revision.is_sold {
        return Ok(Err(CodesOffSale::Product));
    }
    let amount = match request {
        None => revision.product.amount(quantity).ok(),
        Some(digest) => {
            let Some(record) = merchants::request(tx, digest)? else { return Ok(Err(CodesOffSale::Request)) };
            if record.product.digest != *product || record.request.quantity != quantity {
                return Ok(Err(CodesOffSale::Product));
            }
            if record.is_spent || record.request.exp <= tx.now().seconds() {
                return Ok(Err(CodesOffSale::Request));
            }
            Some(record.request.amount)
        }
    };
    let Some(amount) = amount else { return Ok(Err(CodesOffSale::Product)) };
    Ok(Ok(WantedCodes { revision, quantity, amount, request: request.copied() }))
}

/// Whether an order may be taken from the merchant now. Takes the probe, if that is why.
pub(super) fn is_available(tx: &Tx<'_>, wanted: &WantedCodes) -> TxResult<bool> {
    let merchant = &wanted.revision.merchant;
    Ok(merchants::health(tx, merchant)?.is_good() || merchants::probe(tx, merchant)?)
}

/// What must not be on order twice: the same codes at once, for the same request and price.
pub(super) fn intent(wanted: &WantedCodes) -> String {
    let WantedCodes { revision, quantity, amount, request } = wanted;
    let request = request.map_or_else(String::new, |request| request.to_string());
    format!("codes {} {quantity} {amount} {request}", revision.digest)
}

/// Opens the order beside its payment.
pub(super) fn open(tx: &Tx<'_>, new: &NewOrder, wanted: &WantedCodes) -> TxResult<()> {
    let wire::Goods::Codes { recipient, request, .. } = &new.goods else { return Err(TxError::Damaged) };
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
            new.buyer.terminal().map(TerminalId::as_bytes),
            recipient.0,
            tx.now().millis(),
        ),
    )?;
    Ok(())
}

/// Whether codes can still be delivered for an order that is paid now: of several for one request, for the first.
pub(super) fn can_be_delivered(tx: &Tx<'_>, id: &OrderId) -> TxResult<bool> {
    let sql = "SELECT 1 FROM code_orders c JOIN merchants m ON m.id = c.merchant
               WHERE c.id = ?1 AND m.suspended_at IS NULL AND m.approved_at IS NOT NULL AND m.proven_at IS NOT NULL
                     AND NOT EXISTS (SELECT 1 FROM code_orders other WHERE other.spent = c.request)";
    Ok(tx.one(sql, [id.as_bytes()], |_| Ok(()))?.is_some())
}

/// The platform has the money: the merchant is told, and its time runs.
pub(super) fn paid(tx: &Tx<'_>, payment: &Order, product: &Product) -> TxResult<()> {
    let nonce = Octets(random::<32>());
    let deadline = tx.now().plus(u64::from(product.deadline.get()));
    let sql = "UPDATE code_orders SET state = 0, spent = request, nonce = ?2, deadline = ?3, changed_at = ?4
               WHERE id = ?1 AND state IS NULL";
    if tx.change(sql, (payment.id.as_bytes(), nonce.0, deadline.millis(), tx.now().millis()))? != 1 {
        return Err(TxError::Damaged);
    }
    let order = found(tx, &payment.id)?;
    move_money(tx, &order, LedgerAccount::provider(&payment.provider), LedgerAccount::undelivered())?;
    code_notices::paid(tx, &order, &nonce, deadline)
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
        move_money(tx, &order, merchant_account(&order), LedgerAccount::disputes())?;
    }
    code_notices::closed(tx, &order)
}

/// The payer has the money.
pub(super) fn payment_lost(tx: &Tx<'_>, id: &OrderId) -> TxResult<()> {
    if take(tx, id, CodeEvent::Reversed)? {
        void_serials(tx, id)?;
        code_notices::closed(tx, &*found(tx, id)?)?;
    }
    Ok(())
}

/// The payment dispute was decided for the store. Returns whether the merchant keeps the money; otherwise there never
/// was a code for it, and it goes back.
pub(super) fn payment_won(tx: &Tx<'_>, id: &OrderId) -> TxResult<bool> {
    let order = found(tx, id)?;
    let kept = take(tx, id, CodeEvent::Kept)?;
    let to = if kept { merchant_account(&order) } else { LedgerAccount::refunds() };
    move_money(tx, &order, LedgerAccount::disputes(), to)?;
    if kept {
        code_notices::closed(tx, &order)?;
    }
    Ok(kept)
}

// The merchant.

/// The webhook of an order was answered. Later than the verification that changes nothing. A message of another kind
/// may be about something that is no order of codes: then it changes nothing either.
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
    if order.generation != generation || order.recipient != *recipient {
        return Ok(CodeStep::Mismatch);
    }
    if order.verification.is_some() {
        return Ok(CodeStep::Taken(Box::new(order)));
    }
    let is_open = match &order.accepted {
        None => take(tx, id, CodeEvent::Verified)?,
        Some(_) => order.state.is_some_and(CodeState::may_be_sealed_again),
    };
    if !is_open {
        return Ok(CodeStep::Closed(Box::new(order)));
    }
    let sql = "UPDATE code_orders SET verification = ?2 WHERE id = ?1 AND verification IS NULL";
    tx.change(sql, (id.as_bytes(), verification))?;
    Ok(CodeStep::Taken(found(tx, id)?))
}

fn accept(tx: &Tx<'_>, new: &NewCode) -> TxResult<CodeStep> {
    orders::lock(tx, &new.order)?;
    let Some(order) = find(tx, &new.order)?.filter(|order| order.merchant == new.merchant) else {
        return Ok(CodeStep::Unknown);
    };
    if let Some(accepted) = order.accepted.as_ref().filter(|accepted| accepted.generation == new.generation) {
        let same = accepted.bytes.digest() == new.bytes.digest();
        return Ok(if same { CodeStep::Taken(Box::new(order)) } else { CodeStep::Differs(Box::new(order)) });
    }
    let Some(state) = order.state else { return Ok(CodeStep::Unknown) };
    let (is_first, late) = (order.accepted.is_none(), order.deadline.is_none_or(|deadline| deadline < tx.now()));
    let is_open = if is_first { state.waits_for_code() && !late } else { state.may_be_sealed_again() };
    if !is_open {
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
        "UPDATE code_orders SET sealed = ?2, code = ?3, enc = ?4, ciphertext = ?5, digest = ?6,
                                accepted_at = coalesce(accepted_at, ?7)
         WHERE id = ?1 AND state IN (3, 4) AND coalesce(sealed, 0) = ?8",
        (
            new.order.as_bytes(),
            new.generation.get(),
            &new.code,
            new.bytes.enc.0,
            new.bytes.ciphertext.as_bytes(),
            new.bytes.digest().as_bytes(),
            tx.now().millis(),
            before,
        ),
    )?;
    if written != 1 {
        return Err(TxError::Conflict("the order of codes was sealed meanwhile".into()));
    }
    if is_first {
        sell_serials(tx, &new.order, &new.serials)?;
    }
    let order = found(tx, &new.order)?;
    code_notices::received(tx, &order)?;
    Ok(CodeStep::Taken(order))
}

/// Whether the serials are of codes that the merchant may sell with this order: its owner's own, redeemed by nobody,
/// sold to nobody and in force. Another sealing has the serials of the one before. Or there are none.
fn serials_fit(tx: &Tx<'_>, order: &CodeOrder, serials: &[CodeSerial]) -> TxResult<bool> {
    let mut sold: Vec<CodeSerial> =
        tx.all("SELECT serial FROM redemption_codes WHERE sold = ?1", [order.id.as_bytes()], |row| {
            bytes(row, 0, CodeSerial::from_bytes)
        })?;
    let mut different = serials.to_vec();
    different.sort_unstable();
    different.dedup();
    if order.accepted.is_some() {
        sold.sort_unstable();
        return Ok(sold == different && different.len() == serials.len());
    }
    if serials.is_empty() {
        return Ok(true);
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
    let sql = "UPDATE redemption_codes SET state = 2 WHERE sold = ?1 AND state <> 2 RETURNING serial, account";
    let ended: Vec<([u8; 16], Option<AccountId>)> =
        tx.all(sql, [order.as_bytes()], |row| Ok((row.get(0)?, maybe_bytes(row, 1, AccountId::from_bytes)?)))?;
    let mut redeemed: Vec<(AccountId, [u8; 16])> =
        ended.into_iter().filter_map(|(serial, account)| account.map(|account| (account, serial))).collect();
    redeemed.sort_unstable_by_key(|(account, serial)| (*account.as_bytes(), *serial));
    for (account, serial) in redeemed {
        tx.lock(Lock::Account(&account))?;
        orders::end_rights(tx, &OrderId::from_bytes(serial))?;
    }
    Ok(())
}

fn fail(tx: &Tx<'_>, id: &OrderId, why: &CodeFailure) -> TxResult<CodeStep> {
    orders::lock(tx, id)?;
    let Some(order) = find(tx, id)? else { return Ok(CodeStep::Unknown) };
    match why {
        CodeFailure::Late if order.deadline.is_none_or(|deadline| deadline >= tx.now()) => {
            return Ok(CodeStep::Closed(Box::new(order)));
        }
        CodeFailure::Declined { merchant, .. } if *merchant != order.merchant => return Ok(CodeStep::Unknown),
        CodeFailure::Late | CodeFailure::Declined { .. } => {}
    }
    if !take(tx, id, CodeEvent::Failed)? {
        let has_failed = matches!(order.state, Some(CodeState::Failed | CodeState::Refunding | CodeState::Refunded));
        return Ok(if has_failed { CodeStep::Taken(Box::new(order)) } else { CodeStep::Closed(Box::new(order)) });
    }
    if let CodeFailure::Declined { reason, .. } = why {
        tx.change("UPDATE code_orders SET reason = ?2 WHERE id = ?1", (id.as_bytes(), reason))?;
    }
    merchants::decided(tx, &order.merchant, false)?;
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
    if order.terminal.is_some_and(|chosen| chosen != *terminal) {
        return Ok(CodeStep::Mismatch);
    }
    if !is_of_account(tx, &order, terminal)? {
        return Ok(CodeStep::Unknown);
    }
    match order.accepted.as_ref().is_some_and(|accepted| accepted.generation == order.generation) {
        true => {
            take(tx, id, CodeEvent::Delivered)?;
            Ok(CodeStep::Taken(found(tx, id)?))
        }
        false => Ok(CodeStep::Closed(Box::new(order))),
    }
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
    let Some(order) = find(tx, id)? else { return Ok(CodeStep::Unknown) };
    if order.terminal.is_some_and(|chosen| chosen != *terminal) || !is_of_account(tx, &order, terminal)? {
        return Ok(CodeStep::Unknown);
    }
    let Some(accepted) = &order.accepted else { return Ok(CodeStep::Mismatch) };
    let fits =
        generation == order.generation && accepted.generation == generation && accepted.bytes.digest() == *ciphertext;
    if !fits {
        return Ok(CodeStep::Mismatch);
    }
    let (event, before) = match readable {
        true => (CodeEvent::Acknowledged, CodeState::Acknowledged),
        // Whoever has acknowledged a code has read it; and what a person decided is not decided again by a terminal.
        false if matches!(order.state, Some(CodeState::Acknowledged | CodeState::Kept)) => {
            return Ok(CodeStep::Closed(Box::new(order)));
        }
        false => (CodeEvent::Disputed, CodeState::Disputed),
    };
    if order.state == Some(before) {
        return Ok(CodeStep::Taken(Box::new(order)));
    }
    match take(tx, id, event)? {
        true => {
            code_notices::settled(tx, &order)?;
            Ok(CodeStep::Taken(found(tx, id)?))
        }
        false => Ok(CodeStep::Closed(Box::new(order))),
    }
}

fn relocate(
    tx: &Tx<'_>,
    id: &OrderId,
    account: &AccountId,
    terminal: &TerminalId,
    recipient: &Octets<32>,
) -> TxResult<CodeStep> {
    orders::lock(tx, id)?;
    let Some(order) = find(tx, id)?.filter(|order| order.account == *account) else { return Ok(CodeStep::Unknown) };
    // The same again, after a lost answer.
    if order.recipient == *recipient && order.terminal == Some(*terminal) {
        return Ok(CodeStep::Taken(Box::new(order)));
    }
    match order.state {
        None | Some(CodeState::Paid | CodeState::Notified) => {
            let sql = "UPDATE code_orders SET terminal = ?2, recipient = ?3
                       WHERE id = ?1 AND (state IS NULL OR state IN (0, 1))";
            if tx.change(sql, (id.as_bytes(), terminal.as_bytes(), recipient.0))? != 1 {
                return Err(TxError::Conflict("the order of codes changed its state".into()));
            }
        }
        Some(CodeState::Verified) => return Ok(CodeStep::Differs(Box::new(order))),
        Some(state) if state.may_be_sealed_again() => {
            let Some(next) = order.generation.next() else { return Ok(CodeStep::Closed(Box::new(order))) };
            let nonce = Octets(random::<32>());
            let sql = "UPDATE code_orders SET terminal = ?2, recipient = ?3, generation = ?4, nonce = ?5,
                                              verification = NULL
                       WHERE id = ?1 AND generation = ?6 AND state IN (3, 4)";
            let moved = tx.change(
                sql,
                (id.as_bytes(), terminal.as_bytes(), recipient.0, next.get(), nonce.0, order.generation.get()),
            )?;
            if moved != 1 {
                return Err(TxError::Conflict("the order of codes changed its state".into()));
            }
            code_notices::seal_again(tx, &order, &nonce)?;
        }
        Some(_) => return Ok(CodeStep::Closed(Box::new(order))),
    }
    tx.log("code order moved", Some(account), Some(terminal), id.as_bytes())?;
    Ok(CodeStep::Taken(found(tx, id)?))
}

// The operator.

fn decide(tx: &Tx<'_>, id: &OrderId, decision: CodeDecision) -> TxResult<CodeStep> {
    orders::lock(tx, id)?;
    let Some(order) = find(tx, id)? else { return Ok(CodeStep::Unknown) };
    // What the payer disputes is decided by the payment provider.
    let is_paid = orders::find(tx, id)?.is_some_and(|payment| payment.phase == OrderPhase::Paid);
    let taken = is_paid
        && match decision {
            CodeDecision::Dispute => take(tx, id, CodeEvent::Disputed)?,
            CodeDecision::Keep => take(tx, id, CodeEvent::Kept)?,
            CodeDecision::Reverse if order.state == Some(CodeState::Disputed) => {
                orders::begin_refund(tx, id)?;
                true
            }
            CodeDecision::Reverse => false,
        };
    let order = found(tx, id)?;
    Ok(if taken { CodeStep::Taken(order) } else { CodeStep::Closed(order) })
}

#[async_trait]
impl<D: Database> CodeOrders for D {
    async fn code_order(&self, id: &OrderId) -> Result<Option<CodeOrder>, StoreError> {
        let id = *id;
        self.read("order of codes", move |tx| find(tx, &id)).await
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
        skip: u32,
        limit: u32,
    ) -> Result<Vec<CodeOrder>, StoreError> {
        let merchant = merchant.copied();
        self.read_many("open orders of codes", move |tx| match merchant {
            Some(merchant) => {
                let sql = format!("{CODE_ORDER} WHERE c.merchant = ?1 AND {OPEN} ORDER BY c.id LIMIT ?2 OFFSET ?3");
                tx.all(&sql, (merchant.0.0, limit, skip), code_order)
            }
            None => {
                let sql = format!("{CODE_ORDER} WHERE c.id > ?1 AND {OPEN} ORDER BY c.id LIMIT ?2 OFFSET ?3");
                tx.all(&sql, ([0; 16], limit, skip), code_order)
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
    ) -> Result<CodeStep, StoreError> {
        let (id, account, terminal, recipient) = (*id, *account, *terminal, *recipient);
        self.write(Write::CodeMove, move |tx| relocate(tx, &id, &account, &terminal, &recipient)).await
    }

    async fn fail_code_order(&self, id: &OrderId, why: CodeFailure) -> Result<CodeStep, StoreError> {
        let id = *id;
        self.write(Write::CodeFail, move |tx| fail(tx, &id, &why)).await
    }

    async fn decide_code_order(&self, id: &OrderId, decision: CodeDecision) -> Result<CodeStep, StoreError> {
        let id = *id;
        self.write(Write::CodeDecide, move |tx| decide(tx, &id, decision)).await
    }
}
