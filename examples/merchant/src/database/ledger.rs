//! What the shop has earned. Every entry stands on a document that the store signed.

use super::number;
use anyhow::Result;
use portcullis_protocol::{Currency, OrderId};
use rusqlite::{Transaction, params};
use std::collections::BTreeMap;

/// An entry.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) order: OrderId,
    /// `sale` or `reversal`.
    pub(crate) kind: String,
    pub(crate) minor: i64,
    pub(crate) currency: String,
}

impl Entry {
    /// What a person reads.
    pub(crate) fn amount(&self) -> String {
        shown(&self.currency, self.minor)
    }
}

/// An amount as a person reads it.
pub(crate) fn shown(currency: &str, minor: i64) -> String {
    Currency::recorded(currency).map_or_else(|_| minor.to_string(), |known| known.amount(minor.into()))
}

impl super::Database {
    /// All entries, oldest first.
    pub(crate) async fn ledger(&self) -> Result<Vec<Entry>> {
        self.run(|tx| {
            let sql = "SELECT order_id, kind, minor, currency FROM ledger ORDER BY entered, order_id, kind DESC";
            let mut statement = tx.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let order: String = row.get(0)?;
                Ok((order, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
            rows.map(|row| {
                let (order, kind, minor, currency) = row?;
                Ok(Entry { order: order.parse()?, kind, minor, currency })
            })
            .collect()
        })
        .await
    }
}

/// What the entries come to, in each currency.
pub(crate) fn totals(entries: &[Entry]) -> BTreeMap<String, i64> {
    let mut totals = BTreeMap::new();
    for entry in entries {
        let signed = if entry.kind == "sale" { entry.minor } else { -entry.minor };
        *totals.entry(entry.currency.clone()).or_insert(0) += signed;
    }
    totals
}

/// Enters what an order came to, once, whoever says it again.
pub(super) fn enter(tx: &Transaction<'_>, order: &OrderId, kind: &str, document: &str) -> Result<()> {
    let sql = "INSERT INTO ledger (order_id, kind, minor, currency, document, entered)
               SELECT id, ?2, minor, currency, ?3, ?4 FROM orders WHERE id = ?1
               ON CONFLICT (order_id, kind) DO NOTHING";
    tx.execute(sql, params![order.to_string(), kind, document, number(crate::now())])?;
    Ok(())
}
