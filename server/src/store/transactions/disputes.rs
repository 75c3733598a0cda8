//! Disputes: what a payer who takes his money back through his bank does to an order.
//!
//! ```text
//! opened        rights are barred, or what is left of a top-up leaves the balance; the money stands in `disputes`
//! won           the rights are back, or the balance is; the money is again who it belonged to
//! charged back  the provider has the money. What was drawn of a top-up is the store's loss
//! ```

use super::orders::{end_rights, find, finish_refund, found, hold, moved, must_move, take_over};
use super::{Tx, TxError, TxResult, code_orders, ledger, prepaid};
use crate::billing::entitlement::EntitlementId;
use crate::billing::ledger::{Commodity, LedgerAccount, NewTransfer};
use crate::billing::rights;
use crate::store::database::row::octets;
use crate::store::{DisputeStep, Goods, Order, OrderPhase, PublisherId};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{Money, Offer, OrderId};

/// Takes a step, if it follows from the order's state.
pub(super) fn step(tx: &Tx<'_>, id: &OrderId, step: DisputeStep) -> TxResult<Option<Order>> {
    let Some(order) = find(tx, id)? else { return Ok(None) };
    match (step, order.phase) {
        (DisputeStep::Opened, OrderPhase::Paid) => open(tx, &order)?,
        (DisputeStep::ChargedBack, OrderPhase::Paid) => {
            open(tx, &order)?;
            charge_back(tx, &*found(tx, id)?)?;
        }
        (DisputeStep::ChargedBack, OrderPhase::Disputed) => charge_back(tx, &order)?,
        // The money went back by another way than the one that was begun.
        (DisputeStep::ChargedBack, OrderPhase::Refunding) => drop(finish_refund(tx, id)?),
        (DisputeStep::Won, OrderPhase::Disputed) => win(tx, &order)?,
        _ => {}
    }
    find(tx, id)
}

fn open(tx: &Tx<'_>, order: &Order) -> TxResult<()> {
    let subject = *order.id.as_bytes();
    if !moved(tx, &order.id, OrderPhase::Paid, OrderPhase::Disputed)? {
        return Ok(());
    }
    match &order.goods {
        Goods::Rights { offer, .. } => {
            end_rights(tx, &order.id)?;
            if rights::are_for_good(&offer.rights) {
                take_over(tx, &order.account, &order.id, offer)?;
            }
            let from = LedgerAccount::publisher(&offer.publisher);
            transfer(tx, from, LedgerAccount::disputes(), offer.price, subject)?;
        }
        Goods::TopUp { amount, .. } => {
            let taken = prepaid::take_out(tx, &order.account, *amount, LedgerAccount::disputes(), subject)?;
            let returned = Some(taken).filter(|taken| *taken > 0);
            tx.change("UPDATE orders SET returned = ?2 WHERE id = ?1", (order.id.as_bytes(), returned))?;
        }
        Goods::Codes { .. } => code_orders::payment_disputed(tx, &order.id)?,
    }
    tx.log("payment disputed", Some(&order.account), None, order.id.as_bytes())
}

fn charge_back(tx: &Tx<'_>, order: &Order) -> TxResult<()> {
    let subject = *order.id.as_bytes();
    if !moved(tx, &order.id, OrderPhase::Disputed, OrderPhase::ChargedBack)? {
        return Ok(());
    }
    let provider = || LedgerAccount::provider(&order.provider);
    let disputed = disputed(order);
    if let Some(disputed) = disputed {
        transfer(tx, LedgerAccount::disputes(), provider(), disputed, subject)?;
    }
    let drawn = order.amount().minor_units() - disputed.map_or(0, |disputed| disputed.minor_units());
    if let Ok(drawn) = Money::new(drawn, order.amount().currency()) {
        transfer(tx, LedgerAccount::losses(), provider(), drawn, subject)?;
    }
    if let Goods::Codes { .. } = &order.goods {
        code_orders::payment_lost(tx, &order.id)?;
    }
    tx.log("payment charged back", Some(&order.account), None, order.id.as_bytes())
}

fn win(tx: &Tx<'_>, order: &Order) -> TxResult<()> {
    let subject = *order.id.as_bytes();
    // Without a code the money goes back to whoever paid it: nothing is paid for again.
    if let Goods::Codes { .. } = &order.goods
        && !code_orders::payment_won(tx, &order.id)?
    {
        must_move(tx, &order.id, OrderPhase::Disputed, OrderPhase::Refunding)?;
        return tx.log("dispute won", Some(&order.account), None, order.id.as_bytes());
    }
    must_move(tx, &order.id, OrderPhase::Disputed, OrderPhase::Paid)?;
    match &order.goods {
        Goods::Rights { offer, .. } => {
            restore(tx, order, offer)?;
            let to = LedgerAccount::publisher(&offer.publisher);
            transfer(tx, LedgerAccount::disputes(), to, offer.price, subject)?;
        }
        Goods::TopUp { .. } => {
            if let Some(disputed) = disputed(order) {
                prepaid::credit(tx, &order.account, LedgerAccount::disputes(), disputed, subject)?;
            }
            tx.change("UPDATE orders SET returned = NULL WHERE id = ?1", [order.id.as_bytes()])?;
        }
        Goods::Codes { .. } => {}
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

fn transfer(tx: &Tx<'_>, from: LedgerAccount, to: LedgerAccount, amount: Money, subject: [u8; 16]) -> TxResult<()> {
    if amount.is_zero() { Ok(()) } else { prepaid::move_money(tx, from, to, amount, subject) }
}
