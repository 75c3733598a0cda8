//! The ledger.

use super::{Database, Tx, TxResult};
use crate::billing::ledger::NewTransfer;
use crate::store::database::row::{text, time};
use crate::store::{Balance, Ledger, LedgerAccount, StoreError, Transfer};
use async_trait::async_trait;

/// Appends a transfer, in the transaction that does what it records.
pub(super) fn append(tx: &Tx<'_>, transfer: &NewTransfer) -> TxResult<()> {
    tx.change(
        "INSERT INTO ledger (at, giver, taker, amount, commodity, subject) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            tx.now().millis(),
            transfer.from.as_str(),
            transfer.to.as_str(),
            transfer.amount,
            transfer.commodity.to_string(),
            transfer.subject,
        ),
    )?;
    Ok(())
}

/// What every account has of every commodity.
pub(crate) fn balances(tx: &Tx<'_>) -> TxResult<Vec<Balance>> {
    tx.all("SELECT account, commodity, amount FROM balances ORDER BY commodity, account", (), |row| {
        Ok(Balance { account: LedgerAccount::from_text(row.get(0)?), commodity: text(row, 1)?, amount: row.get(2)? })
    })
}

#[async_trait]
impl<D: Database> Ledger for D {
    async fn balances(&self) -> Result<Vec<Balance>, StoreError> {
        self.read_many("balances", balances).await
    }

    async fn transfers(&self, after: i64, limit: u32) -> Result<Vec<Transfer>, StoreError> {
        let sql = "SELECT number, at, giver, taker, amount, commodity FROM ledger WHERE number > ?1
                   ORDER BY number LIMIT ?2";
        self.read_many("ledger", move |tx| {
            tx.all(sql, (after, limit), |row| {
                Ok(Transfer {
                    number: row.get(0)?,
                    at: time(row, 1)?,
                    from: LedgerAccount::from_text(row.get(2)?),
                    to: LedgerAccount::from_text(row.get(3)?),
                    amount: row.get(4)?,
                    commodity: text(row, 5)?,
                })
            })
        })
        .await
    }
}
