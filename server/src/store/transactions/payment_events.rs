//! What a provider says by itself of a payment that it had: paid back, disputed, charged back. Which event leads where
//! says [`consequence`]; each is one transaction under the locks of everybody whom it touches, and moves its order
//! once.
//!
//! ```text
//! disputed      rights are barred, or what is left of a top-up leaves the balance; the money stands in `disputes`
//! dispute won   the rights are back, or the balance is; the money is again who it belonged to
//! charged back  the provider has the money. What was drawn of a top-up is the store's loss
//! refunded      the same, by the provider's own will
//! ```

use super::orders::{end_rights, find, finish_refund, hold, must_move, take_over};
use super::{Tx, TxError, TxResult, code_orders, ledger, prepaid};
use crate::billing::entitlement::EntitlementId;
use crate::billing::events::{Consequence, consequence};
use crate::billing::ledger::{Commodity, LedgerAccount, NewTransfer};
use crate::billing::payment::{PaymentChange, PaymentEvent};
use crate::billing::rights;
use crate::store::database::row::{number_of, octets, one_of};
use crate::store::{Goods, Order, OrderPhase, PublisherId};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{Digest, Money, Offer, OrderId};

/// What was heard of a dispute before what it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ahead {
    Nothing,
    /// One was opened, and the payment is not settled yet.
    Opened,
    /// One was won that was not heard to be open yet.
    Won,
}

/// In the order of the column's numbers.
const AHEAD: [Ahead; 3] = [Ahead::Nothing, Ahead::Opened, Ahead::Won];

/// Does what follows from an event, if it was not heard before.
pub(super) fn hear(tx: &Tx<'_>, event: &PaymentEvent) -> TxResult<Option<(Order, Consequence)>> {
    let id = &event.order;
    code_orders::lock_with_holders(tx, id)?;
    let Some(order) = find(tx, id)? else { return Ok(None) };
    let follows = match is_new(tx, event)? {
        true => follows(tx, event.what, &order)?,
        false => Consequence::Nothing,
    };
    if let Consequence::Moves(to) = follows {
        moves(tx, &order, event.what, to)?;
    }
    Ok(find(tx, id)?.map(|order| (order, follows)))
}

/// Whether an event is heard for the first time, as far as its order may come to the same state again.
fn is_new(tx: &Tx<'_>, event: &PaymentEvent) -> TxResult<bool> {
    let (PaymentChange::Disputed | PaymentChange::DisputeWon, Some(name)) = (event.what, &event.id) else {
        return Ok(true);
    };
    let sql = "INSERT INTO dispute_events (subject, id, heard_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    let digest = Digest::of(name.as_bytes());
    Ok(tx.change(sql, (event.order.as_bytes(), digest.as_bytes(), tx.now().millis()))? == 1)
}

/// What follows, with what is noted on the order; writes down what is to be noted.
fn follows(tx: &Tx<'_>, what: PaymentChange, order: &Order) -> TxResult<Consequence> {
    let follows = consequence(what, order.phase);
    let (noted, follows) = match (what, follows, ahead(tx, &order.id)?) {
        // Both ends of one dispute: it is over.
        (PaymentChange::Disputed, Consequence::Noted | Consequence::Moves(_), Ahead::Won)
        | (PaymentChange::DisputeWon, Consequence::Noted, Ahead::Opened) => (Ahead::Nothing, Consequence::Nothing),
        (PaymentChange::Disputed, Consequence::Noted, _) => (Ahead::Opened, follows),
        (PaymentChange::DisputeWon, Consequence::Noted, _) => (Ahead::Won, follows),
        _ => return Ok(follows),
    };
    note(tx, &order.id, noted)?;
    Ok(follows)
}

fn ahead(tx: &Tx<'_>, id: &OrderId) -> TxResult<Ahead> {
    let ahead = tx.one("SELECT ahead FROM orders WHERE id = ?1", [id.as_bytes()], |row| one_of(row, 0, &AHEAD))?;
    ahead.ok_or(TxError::Damaged)
}

fn note(tx: &Tx<'_>, id: &OrderId, ahead: Ahead) -> TxResult<()> {
    let sql = "UPDATE orders SET ahead = ?2 WHERE id = ?1";
    tx.change(sql, (id.as_bytes(), number_of(&AHEAD, ahead))).map(drop)
}

/// Whether the payment of an order that is not settled yet is disputed already. It is noted no longer than that.
pub(super) fn is_disputed_ahead(tx: &Tx<'_>, id: &OrderId) -> TxResult<bool> {
    let is_disputed = ahead(tx, id)? == Ahead::Opened;
    if is_disputed {
        note(tx, id, Ahead::Nothing)?;
    }
    Ok(is_disputed)
}

/// One arrow. Its order moves before anything else is written: of all rows that transactions of different orders share,
/// those that count orders come first, then the store's endpoints, then a merchant's.
fn moves(tx: &Tx<'_>, order: &Order, what: PaymentChange, to: OrderPhase) -> TxResult<()> {
    let provider = LedgerAccount::provider(&order.provider);
    match (order.phase, to) {
        (OrderPhase::Paid, OrderPhase::Disputed) => {
            must_move(tx, &order.id, order.phase, to)?;
            return bar(tx, order);
        }
        (OrderPhase::Disputed, OrderPhase::Paid) => return win(tx, order),
        // A payment that nobody had told of came and went.
        (OrderPhase::Pending | OrderPhase::Declined, OrderPhase::Refunded) => {
            must_move(tx, &order.id, order.phase, to)?;
            transfer(tx, order, provider.clone(), LedgerAccount::refunds(), order.amount())?;
            transfer(tx, order, LedgerAccount::refunds(), provider, order.amount())?;
        }
        (OrderPhase::Refunding, OrderPhase::Refunded) => {
            finish_refund(tx, &order.id)?;
            // Of a top-up a bank takes what was drawn as well.
            if what != PaymentChange::ChargedBack {
                return Ok(());
            }
            lose(tx, order, order.refund())?;
        }
        (OrderPhase::Paid, OrderPhase::Refunded) => {
            must_move(tx, &order.id, order.phase, to)?;
            let there = take_back(tx, order, Taken::PaidBack)?;
            leave(tx, order, LedgerAccount::refunds(), there)?;
            if let Goods::Codes { .. } = &order.goods {
                code_orders::paid_back(tx, &order.id)?;
            }
        }
        (OrderPhase::Paid, OrderPhase::ChargedBack) => {
            must_move(tx, &order.id, order.phase, to)?;
            let there = take_back(tx, order, Taken::Disputed)?;
            leave(tx, order, LedgerAccount::disputes(), there)?;
            if let Goods::Codes { .. } = &order.goods {
                code_orders::payment_lost(tx, &order.id)?;
            }
        }
        (OrderPhase::Disputed, OrderPhase::Refunded | OrderPhase::ChargedBack) => {
            must_move(tx, &order.id, order.phase, to)?;
            leave(tx, order, LedgerAccount::disputes(), disputed(order))?;
            if let Goods::Codes { .. } = &order.goods {
                code_orders::payment_lost(tx, &order.id)?;
            }
        }
        _ => return Err(TxError::Damaged),
    }
    // The payer has all of it, whatever was left.
    if let Goods::TopUp { .. } = &order.goods {
        tx.change("UPDATE orders SET returned = amount WHERE id = ?1", [order.id.as_bytes()])?;
    }
    let kind = match what {
        PaymentChange::ChargedBack => "payment charged back",
        _ => "payment paid back by its provider",
    };
    tx.log(kind, Some(&order.account), None, order.id.as_bytes())
}

/// Why what an order gave is taken back: where its money stands then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// In `disputes`.
    Disputed,
    /// In `refunds`.
    PaidBack,
}

/// Takes back what a paid order gave. Returns how much of its money was there, all but what was drawn of a top-up.
fn take_back(tx: &Tx<'_>, order: &Order, taken: Taken) -> TxResult<Option<Money>> {
    let to = match taken {
        Taken::Disputed => LedgerAccount::disputes(),
        Taken::PaidBack => LedgerAccount::refunds(),
    };
    match &order.goods {
        Goods::Rights { offer, .. } => {
            end_rights(tx, &order.id)?;
            if rights::are_for_good(&offer.rights) {
                take_over(tx, &order.account, &order.id, offer)?;
            }
            transfer(tx, order, LedgerAccount::publisher(&offer.publisher), to, offer.price)?;
            Ok(Some(offer.price))
        }
        Goods::TopUp { amount, .. } => {
            let subject = *order.id.as_bytes();
            let there = prepaid::take_out(tx, &order.account, *amount, prepaid::Holds::Released, to, subject)?;
            Ok(Money::new(there, amount.currency()).ok().filter(|there| !there.is_zero()))
        }
        Goods::Codes { amount, .. } => {
            match taken {
                Taken::Disputed => code_orders::payment_disputed(tx, &order.id)?,
                Taken::PaidBack => code_orders::take_back(tx, &order.id)?,
            }
            Ok(Some(*amount))
        }
    }
}

/// The payer disputes a payment: what it gave is barred until it is decided.
pub(super) fn bar(tx: &Tx<'_>, order: &Order) -> TxResult<()> {
    let there = take_back(tx, order, Taken::Disputed)?;
    if let Goods::TopUp { .. } = &order.goods {
        let there = there.map(|there| there.minor_units());
        tx.change("UPDATE orders SET returned = ?2 WHERE id = ?1", (order.id.as_bytes(), there))?;
    }
    tx.log("payment disputed", Some(&order.account), None, order.id.as_bytes())
}

/// The provider has the whole amount back: what was there of it, and the rest is the store's loss.
fn leave(tx: &Tx<'_>, order: &Order, from: LedgerAccount, there: Option<Money>) -> TxResult<()> {
    if let Some(there) = there {
        transfer(tx, order, from, LedgerAccount::provider(&order.provider), there)?;
    }
    let none = Money::new(0, order.amount().currency()).map_err(|_| TxError::Damaged)?;
    lose(tx, order, there.unwrap_or(none))
}

/// Books what the provider took of an order beyond what was there.
fn lose(tx: &Tx<'_>, order: &Order, there: Money) -> TxResult<()> {
    let amount = order.amount();
    let rest = Money::new(amount.minor_units() - there.minor_units(), amount.currency());
    let rest = rest.map_err(|_| TxError::Damaged)?;
    transfer(tx, order, LedgerAccount::losses(), LedgerAccount::provider(&order.provider), rest)
}

fn win(tx: &Tx<'_>, order: &Order) -> TxResult<()> {
    // Without a code the money goes back to whoever paid it: nothing is paid for again.
    let is_kept = match &order.goods {
        Goods::Rights { .. } | Goods::TopUp { .. } => true,
        Goods::Codes { .. } => code_orders::has_code(tx, &order.id)?,
    };
    let to = if is_kept { OrderPhase::Paid } else { OrderPhase::Refunding };
    must_move(tx, &order.id, OrderPhase::Disputed, to)?;
    match &order.goods {
        Goods::Rights { offer, .. } => {
            restore(tx, order, offer)?;
            let to = LedgerAccount::publisher(&offer.publisher);
            transfer(tx, order, LedgerAccount::disputes(), to, offer.price)?;
        }
        Goods::TopUp { .. } => {
            if let Some(disputed) = disputed(order) {
                let subject = *order.id.as_bytes();
                prepaid::credit(tx, &order.account, LedgerAccount::disputes(), disputed, subject)?;
            }
            tx.change("UPDATE orders SET returned = NULL WHERE id = ?1", [order.id.as_bytes()])?;
        }
        Goods::Codes { .. } => code_orders::payment_won(tx, &order.id, is_kept)?,
    }
    tx.log("dispute won", Some(&order.account), None, order.id.as_bytes())
}

/// How much of the order's money stands in `disputes`.
const fn disputed(order: &Order) -> Option<Money> {
    match &order.goods {
        Goods::Rights { offer, .. } => Some(offer.price),
        Goods::TopUp { returned, .. } => *returned,
        Goods::Codes { amount, .. } => Some(*amount),
    }
}

/// Gives rights back that a dispute had barred, as much of them as was left.
fn restore(tx: &Tx<'_>, order: &Order, offer: &Offer) -> TxResult<()> {
    let entitlement = EntitlementId(Octets(*order.id.as_bytes()));
    // What is held for good is held once: another order may have taken this one's place.
    let revived = tx.change(
        "UPDATE entitlements SET revoked_at = NULL WHERE id = ?1 AND revoked_at IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM entitlements e WHERE e.account = entitlements.account
                 AND e.publisher = entitlements.publisher AND e.name = entitlements.name
                 AND e.operation = entitlements.operation AND e.total IS NULL AND e.ends_at IS NULL
                 AND e.revoked_at IS NULL AND entitlements.total IS NULL AND entitlements.ends_at IS NULL)",
        [entitlement.0.0],
    )?;
    if revived == 1 {
        let left =
            tx.one("SELECT total - used FROM entitlements WHERE id = ?1 AND total > used", [entitlement.0.0], |row| {
                row.get::<i64>(0)
            })?;
        if let Some(amount) = left {
            let (from, to) = (LedgerAccount::withdrawn(), LedgerAccount::entitlement(&entitlement));
            let uses = NewTransfer { from, to, amount, commodity: Commodity::Uses, subject: *order.id.as_bytes() };
            ledger::append(tx, &uses)?;
        }
        return Ok(());
    }
    // It stood behind another order's entitlement, which may have ended meanwhile.
    let own = tx.one("SELECT 1 FROM entitlements WHERE id = ?1", [entitlement.0.0], |_| Ok(()))?;
    let publisher = tx.one("SELECT id FROM publishers WHERE name = ?1", [offer.publisher.as_str()], |row| {
        octets(row, 0).map(PublisherId)
    })?;
    match (own, publisher) {
        (None, Some(publisher)) => {
            let holding = rights::bought(&offer.rights, tx.now()).ok_or(TxError::Damaged)?;
            hold(tx, &order.account, &publisher, offer, &entitlement, holding)
        }
        _ => Ok(()),
    }
}

fn transfer(tx: &Tx<'_>, order: &Order, from: LedgerAccount, to: LedgerAccount, amount: Money) -> TxResult<()> {
    if amount.is_zero() { Ok(()) } else { prepaid::move_money(tx, from, to, amount, *order.id.as_bytes()) }
}
