//! Prepaid money. Every change of a balance is one conditional update, and its transfer stands in the ledger.

use super::ledger;
use super::{Database, Tx, TxError, TxResult};
use crate::billing::ledger::{Commodity, LedgerAccount, NewTransfer};
use crate::billing::prepaid::Prepaid;
use crate::store::database::Row;
use crate::store::database::row::currency;
use crate::store::{Purse, StoreError};
use async_trait::async_trait;
use portcullis_protocol::limits::{MAX_BALANCES, MAX_MINOR_UNITS};
use portcullis_protocol::{AccountId, Currency, Money, PublisherName};

/// A balance of the account `?1`, with the holds that are still good at `?2` instead of those not yet released.
const BALANCE: &str = "
    SELECT p.currency, p.amount,
           CASE WHEN p.held = 0 THEN 0
                ELSE (SELECT CAST(coalesce(sum(h.cost), 0) AS BIGINT) FROM authorisations h
                      WHERE h.account = p.account AND h.currency = p.currency
                        AND h.state = 0 AND h.cost > 0 AND h.expires_at > ?2) END
    FROM prepaid p WHERE p.account = ?1";

/// The balances of an account, with the holds that are still good instead of those not yet released.
pub(super) fn balances(tx: &Tx<'_>, account: &AccountId) -> TxResult<Vec<Prepaid>> {
    tx.all(&format!("{BALANCE} ORDER BY p.currency"), (account.as_bytes(), tx.now().millis()), prepaid)
}

fn prepaid(row: &Row<'_>) -> TxResult<Prepaid> {
    Ok(Prepaid { currency: currency(row, 0)?, amount: row.get(1)?, held: row.get(2)? })
}

/// The balance of an account in one currency, if it has one, with the holds that are still good.
pub(super) fn balance(tx: &Tx<'_>, account: &AccountId, currency: Currency) -> TxResult<Vec<Prepaid>> {
    tx.all(
        &format!("{BALANCE} AND p.currency = ?3"),
        (account.as_bytes(), tx.now().millis(), currency.as_str()),
        prepaid,
    )
}

/// Whether a further amount may be paid in. What was charged has to be credited in full, so top-ups that are under way
/// count; those that failed do not, nor do balances with nothing in them.
pub(super) fn has_room(tx: &Tx<'_>, account: &AccountId, amount: Money) -> TxResult<bool> {
    let currency = amount.currency();
    let others = tx.one(
        "SELECT count(*) FROM (
             SELECT currency FROM prepaid WHERE account = ?1 AND amount > 0
             UNION SELECT currency FROM orders WHERE account = ?1 AND amount IS NOT NULL AND codes = 0 AND state = 0) AS used
         WHERE currency <> ?2",
        (account.as_bytes(), currency.as_str()),
        |row| row.get::<i64>(0),
    )?;
    if usize::try_from(others.unwrap_or(0)).is_ok_and(|others| others >= MAX_BALANCES) {
        return Ok(false);
    }
    let taken = tx.one(
        "SELECT coalesce((SELECT amount FROM prepaid WHERE account = ?1 AND currency = ?2), 0)
              + coalesce((SELECT CAST(sum(amount) AS BIGINT) FROM orders
                         WHERE account = ?1 AND currency = ?2 AND state = 0 AND amount IS NOT NULL AND codes = 0), 0)",
        (account.as_bytes(), currency.as_str()),
        |row| row.get::<i64>(0),
    )?;
    Ok(taken.unwrap_or(0).saturating_add(amount.minor_units()) <= MAX_MINOR_UNITS)
}

/// Releases the holds of a balance whose codes have expired. Without them `held` is what it says.
fn release_expired(tx: &Tx<'_>, account: &AccountId, currency: &str) -> TxResult<()> {
    let released: Vec<i64> = tx.all(
        "UPDATE authorisations SET state = 2
         WHERE account = ?1 AND currency = ?2 AND state = 0 AND cost > 0 AND expires_at <= ?3 RETURNING cost",
        (account.as_bytes(), currency, tx.now().millis()),
        |row| row.get(0),
    )?;
    if !released.is_empty() {
        let cost: i64 = released.iter().sum();
        let sql = "UPDATE prepaid SET held = held - ?3 WHERE account = ?1 AND currency = ?2";
        tx.change(sql, (account.as_bytes(), currency, cost))?;
    }
    Ok(())
}

/// Holds money for a code that is about to be recorded. False: the balance does not cover it.
pub(super) fn hold(tx: &Tx<'_>, account: &AccountId, cost: Money) -> TxResult<bool> {
    let currency = cost.currency();
    release_expired(tx, account, currency.as_str())?;
    let held = tx.change(
        "UPDATE prepaid SET held = held + ?3 WHERE account = ?1 AND currency = ?2 AND amount - held >= ?3",
        (account.as_bytes(), currency.as_str(), cost.minor_units()),
    )?;
    Ok(held == 1)
}

/// Debits what a code held, and owes it to the publisher. A hold that stands is always covered: anything else is a
/// damaged database, and rolls everything back.
pub(super) fn debit(
    tx: &Tx<'_>,
    account: &AccountId,
    publisher: &PublisherName,
    cost: Money,
    subject: [u8; 16],
) -> TxResult<()> {
    let currency = cost.currency();
    let debited = tx.change(
        "UPDATE prepaid SET held = held - ?3, amount = amount - ?3
         WHERE account = ?1 AND currency = ?2 AND held >= ?3 AND amount >= ?3",
        (account.as_bytes(), currency.as_str(), cost.minor_units()),
    )?;
    if debited != 1 {
        return Err(TxError::Damaged);
    }
    let (from, to) = (LedgerAccount::prepaid(account), LedgerAccount::publisher(publisher));
    move_money(tx, from, to, cost, subject)
}

/// Credits a paid top-up, or what comes back of it after a dispute.
pub(super) fn credit(
    tx: &Tx<'_>,
    account: &AccountId,
    from: LedgerAccount,
    amount: Money,
    subject: [u8; 16],
) -> TxResult<()> {
    let currency = amount.currency();
    // A new balance takes the place of those with nothing in them, so that their list stays one answer.
    tx.change(
        "DELETE FROM prepaid WHERE account = ?1 AND currency <> ?2 AND amount = 0 AND held = 0
             AND (SELECT count(*) FROM prepaid WHERE account = ?1 AND currency <> ?2) >= ?3",
        (account.as_bytes(), currency.as_str(), i64::try_from(MAX_BALANCES).unwrap_or(i64::MAX)),
    )?;
    tx.change(
        "INSERT INTO prepaid (account, currency, amount) VALUES (?1, ?2, ?3)
         ON CONFLICT (account, currency) DO UPDATE SET amount = prepaid.amount + excluded.amount",
        (account.as_bytes(), currency.as_str(), amount.minor_units()),
    )?;
    move_money(tx, from, LedgerAccount::prepaid(account), amount, subject)
}

/// What becomes of what codes hold of a balance, if money is taken out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// It stays, and less is taken out.
    Kept,
    /// It is released as far as it is wanted: the payer has the money back, whoever holds it here.
    Released,
}

/// Releases every hold of a balance.
fn release_all(tx: &Tx<'_>, account: &AccountId, currency: &str) -> TxResult<()> {
    let sql = "UPDATE authorisations SET state = 2 WHERE account = ?1 AND currency = ?2 AND state = 0 AND cost > 0";
    tx.change(sql, (account.as_bytes(), currency))?;
    tx.change("UPDATE prepaid SET held = 0 WHERE account = ?1 AND currency = ?2", (account.as_bytes(), currency))?;
    Ok(())
}

/// What of a balance is not held.
fn free(tx: &Tx<'_>, account: &AccountId, currency: &str) -> TxResult<i64> {
    let sql = "SELECT amount - held FROM prepaid WHERE account = ?1 AND currency = ?2";
    Ok(tx.one(sql, (account.as_bytes(), currency), |row| row.get::<i64>(0))?.unwrap_or(0))
}

/// Takes out of a balance what is left of a top-up: not drawn, and never more than was paid in by it. Returns how much,
/// in minor units.
pub(super) fn take_out(
    tx: &Tx<'_>,
    account: &AccountId,
    most: Money,
    holds: Holds,
    to: LedgerAccount,
    subject: [u8; 16],
) -> TxResult<i64> {
    let currency = most.currency();
    release_expired(tx, account, currency.as_str())?;
    let mut left = free(tx, account, currency.as_str())?;
    if holds == Holds::Released && left < most.minor_units() {
        release_all(tx, account, currency.as_str())?;
        left = free(tx, account, currency.as_str())?;
    }
    let taken = left.min(most.minor_units());
    let Some(taken) = Money::new(taken, currency).ok().filter(|taken| !taken.is_zero()) else {
        return Ok(0);
    };
    let changed = tx.change(
        "UPDATE prepaid SET amount = amount - ?3 WHERE account = ?1 AND currency = ?2 AND amount - held >= ?3",
        (account.as_bytes(), currency.as_str(), taken.minor_units()),
    )?;
    if changed != 1 {
        return Ok(0);
    }
    move_money(tx, LedgerAccount::prepaid(account), to, taken, subject)?;
    Ok(taken.minor_units())
}

/// Appends a transfer of money.
pub(super) fn move_money(
    tx: &Tx<'_>,
    from: LedgerAccount,
    to: LedgerAccount,
    amount: Money,
    subject: [u8; 16],
) -> TxResult<()> {
    let commodity = Commodity::Money(amount.currency());
    ledger::append(tx, &NewTransfer { from, to, amount: amount.minor_units(), commodity, subject })
}

#[async_trait]
impl<D: Database> Purse for D {
    async fn prepaid(&self, account: &AccountId) -> Result<Vec<Prepaid>, StoreError> {
        let account = *account;
        self.read("prepaid balances", move |tx| balances(tx, &account)).await
    }
}
