//! Figures for monitoring. None is counted by going through a table that grows.
//!
//! - Orders are counted where their state changes, in a row for each state and sixteenth of the orders: transactions of
//!   different orders rarely wait for each other.
//! - The books are added up behind: each transfer once, when no transaction can still be under way that has an earlier
//!   number. The cycle pays nothing for it.

use super::code_orders::WAITS;
use super::orders::{number, phase};
use super::{Database, Tx, TxError, TxResult};
use crate::billing::ledger::Commodity;
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::store::database::row::{count, maybe_time, text, time};
use crate::store::figures::{Figures, StoreFigures, StoreWork};
use crate::store::{OrderPhase, StoreError};
use async_trait::async_trait;
use portcullis_protocol::OrderId;
use std::collections::BTreeMap;

/// Transfers that are added up at once.
const FOLD: u32 = 2000;
/// How long after its deadline an order of codes counts as held up, in seconds: by then everything has failed that
/// fails by itself.
const HELD_UP: u64 = 300;
/// Up to how many of them are counted.
const HELD_UP_COUNTED: u32 = 10_000;
/// How old a transfer is before it is added up, in seconds. PostgreSQL gives numbers out before a commit, so a later
/// number may be seen before an earlier one. Both transactions commit within a minute of their beginnings, or not at
/// all (`LONGEST` in `postgres/connection.rs`): two minutes, and three for the database to bring a commit to its
/// disk.
const SETTLED: u64 = 300;

/// Counts an order that came to a state, from another or from nothing. Always the lower state first: of two
/// transactions none waits for the other's second row.
pub(super) fn count_order(tx: &Tx<'_>, id: &OrderId, from: Option<OrderPhase>, to: OrderPhase) -> TxResult<()> {
    let mut steps: Vec<(i64, i64)> = from.map(|from| (number(from), -1)).into_iter().collect();
    steps.push((number(to), 1));
    steps.sort_unstable();
    let shard = i64::from(id.as_bytes()[15] & 0xf);
    for (state, step) in steps {
        tx.change(
            "INSERT INTO order_counts (state, shard, orders) VALUES (?1, ?2, ?3)
             ON CONFLICT (state, shard) DO UPDATE SET orders = order_counts.orders + excluded.orders",
            (state, shard, step),
        )?;
    }
    Ok(())
}

/// A transfer as it is added up: the class of an account is what stands before the colon.
struct Folded {
    number: i64,
    at: Timestamp,
    giver: String,
    taker: String,
    amount: i64,
    commodity: String,
}

fn class(account: &str) -> &str {
    account.split(':').next().unwrap_or(account)
}

fn after(tx: &Tx<'_>) -> TxResult<(i64, Vec<Folded>)> {
    let sql = "SELECT ledger_folded FROM server";
    let folded: i64 = tx.one(sql, (), |row| row.get(0))?.ok_or(TxError::Damaged)?;
    let sql =
        "SELECT number, at, giver, taker, amount, commodity FROM ledger WHERE number > ?1 ORDER BY number LIMIT ?2";
    let rows = tx.all(sql, (folded, FOLD), |row| {
        Ok(Folded {
            number: row.get(0)?,
            at: time(row, 1)?,
            giver: row.get(2)?,
            taker: row.get(3)?,
            amount: row.get(4)?,
            commodity: row.get(5)?,
        })
    })?;
    let settled = tx.now().minus(SETTLED);
    Ok((folded, rows.into_iter().take_while(|row| row.at <= settled).collect()))
}

fn books(tx: &Tx<'_>) -> TxResult<Vec<(String, Commodity, i64)>> {
    let sql = "SELECT class, commodity, amount FROM books ORDER BY class, commodity";
    tx.all(sql, (), |row| Ok((row.get(0)?, text(row, 1)?, row.get(2)?)))
}

fn orders(tx: &Tx<'_>) -> TxResult<Vec<(OrderPhase, i64)>> {
    let sql = "SELECT state, CAST(sum(orders) AS BIGINT) FROM order_counts GROUP BY state ORDER BY state";
    tx.all(sql, (), |row| Ok((phase(row, 0)?, row.get(1)?)))
}

/// Orders of codes that are past their deadline, and for how long the first one. What fails by itself is gone by then.
fn held_up(tx: &Tx<'_>) -> TxResult<(u64, u64)> {
    let sql = format!(
        "SELECT count(*), min(deadline) FROM (
             SELECT c.deadline FROM code_orders c WHERE {WAITS} AND c.deadline < ?1 ORDER BY c.deadline LIMIT ?2) late"
    );
    let late = tx.now().minus(HELD_UP).millis();
    let found = tx.one(&sql, (late, HELD_UP_COUNTED), |row| Ok((count(row, 0)?, maybe_time(row, 1)?)))?;
    Ok(match found {
        Some((number, Some(first))) => (number, (tx.now().millis() - first.millis()).max(0).unsigned_abs() / 1000),
        _ => (0, 0),
    })
}

#[async_trait]
impl<D: Database> Figures for D {
    fn work(&self) -> StoreWork {
        Database::work(self)
    }

    async fn figures(&self) -> Result<StoreFigures, StoreError> {
        self.read_many("figures", |tx| {
            let number = |sql: &str| -> TxResult<u64> { Ok(tx.one(sql, (), |row| count(row, 0))?.unwrap_or(0)) };
            let newest = number("SELECT coalesce(max(number), 0) FROM ledger")?;
            let (held_up, held_up_seconds) = held_up(tx)?;
            Ok(StoreFigures {
                orders: orders(tx)?,
                books: books(tx)?,
                behind: newest.saturating_sub(number("SELECT ledger_folded FROM server")?),
                held_up,
                held_up_seconds,
                audit_rows: number("SELECT coalesce(max(number), 0) FROM audit")?,
                audit_signed: number("SELECT coalesce(max(number), 0) FROM audit_heads")?,
            })
        })
        .await
    }

    async fn fold_books(&self) -> Result<bool, StoreError> {
        let (folded, rows) = self.read_many("ledger", after).await?;
        let Some(last) = rows.last().map(|row| row.number) else { return Ok(false) };
        let more = rows.len() >= usize::try_from(FOLD).unwrap_or(usize::MAX);
        let mut sums: BTreeMap<(String, String), i64> = BTreeMap::new();
        for Folded { giver, taker, amount, commodity, .. } in &rows {
            let mut add = |account: &str, amount: i64| {
                let sum = sums.entry((class(account).to_owned(), commodity.clone())).or_default();
                *sum = sum.saturating_add(amount);
            };
            add(taker, *amount);
            add(giver, amount.saturating_neg());
        }
        self.write(Write::BooksFold, move |tx| {
            // Another process may have added them up in between.
            let sql = "UPDATE server SET ledger_folded = ?2 WHERE ledger_folded = ?1";
            if tx.change(sql, (folded, last))? == 0 {
                return Ok(more);
            }
            for ((class, commodity), amount) in &sums {
                tx.change(
                    "INSERT INTO books (class, commodity, amount) VALUES (?1, ?2, ?3)
                     ON CONFLICT (class, commodity) DO UPDATE SET amount = books.amount + excluded.amount",
                    (class, commodity, *amount),
                )?;
            }
            Ok(more)
        })
        .await
    }
}
