//! Orders: what the store told of them, what was sealed for them, and how they ended.
//!
//! ```text
//! open ──▶ accepted ──▶ reversed        stuck: a person has to look
//!   └────▶ refunded
//! ```

use super::ledger::enter;
use super::{Around, number, products};
use crate::steps::Watch;
use crate::vault::Vault;
use crate::verification::{Expected, Mismatch};
use anyhow::{Context as _, Result};
use portcullis_protocol::codes::{CodeError, Codes, Generation, SealedBytes};
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{Digest, OrderId, ProductName, Verification, Verified};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use std::fmt;
use zeroize::Zeroizing;

/// How far an order has come in this shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderState {
    /// Something is to be done.
    Open,
    /// The store has accepted the code.
    Accepted,
    /// The store has signed that it never accepted one: the codes are back in stock.
    Refunded,
    /// The buyer has the code and the money.
    Reversed,
    /// A person has to look.
    Stuck,
}

impl OrderState {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Refunded => "refunded",
            Self::Reversed => "reversed",
            Self::Stuck => "stuck",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Accepted, Self::Refunded, Self::Reversed, Self::Stuck].into_iter().find(|s| s.name() == name)
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An order as this shop has it.
#[derive(Debug, Clone)]
pub(crate) struct OrderRow {
    pub(crate) id: OrderId,
    pub(crate) state: OrderState,
    pub(crate) nonce: Option<Octets<32>>,
    pub(crate) tries: u32,
    pub(crate) note: String,
    /// How many webhooks told of it. Whoever decides something on an older count leaves the next step due.
    pub(crate) notices: i64,
}

/// What a webhook said of an order.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) message: String,
    pub(crate) order: OrderId,
    /// Of `order.paid` and `order.reseal`; absent in `order.closed`.
    pub(crate) nonce: Option<Octets<32>>,
}

/// A sealed code as it is sent, and sent again.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) code: String,
    pub(crate) bytes: SealedBytes,
}

/// What came of the wish to seal.
pub(crate) enum Seal {
    /// This is to be sent: made now, or before.
    Send(Sealed),
    /// There are not enough codes.
    SoldOut,
    /// What the store says does not fit what the shop knows.
    Mismatch(Mismatch),
}

const COLUMNS: &str = "id, state, nonce, tries, note, notices";

type Columns = (String, String, Option<String>, u32, String, i64);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn order((id, state, nonce, tries, note, notices): Columns) -> Result<OrderRow> {
    Ok(OrderRow {
        id: id.parse()?,
        state: OrderState::from_name(&state).with_context(|| format!("an order is `{state}`"))?,
        nonce: nonce.map(|nonce| nonce.parse()).transpose()?,
        tries,
        note,
        notices,
    })
}

impl super::Database {
    /// Writes down what a webhook said, once. Returns whether it was new.
    pub(crate) async fn notify(&self, watch: &Watch, around: Around, notice: Notice) -> Result<bool> {
        self.watched(watch, around, move |tx| {
            let now = number(crate::now());
            let sql = "INSERT INTO messages (id, heard) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
            if tx.execute(sql, params![notice.message, now])? == 0 {
                return Ok(false);
            }
            // The nonce of a later sealing replaces the one before; `order.closed` has none, and takes none away.
            let sql = "INSERT INTO orders (id, state, nonce, due, heard) VALUES (?1, 'open', ?2, ?3, ?3)
                       ON CONFLICT (id) DO UPDATE SET nonce = coalesce(?2, nonce), due = ?3, tries = 0,
                       notices = notices + 1";
            tx.execute(sql, params![notice.order.to_string(), notice.nonce.map(|nonce| nonce.to_string()), now])?;
            Ok(true)
        })
        .await
    }

    /// The orders for which something is to be done now, and when the next one is due.
    pub(crate) async fn due(&self, most: u32) -> Result<(Vec<OrderRow>, Option<u64>)> {
        self.run(move |tx| {
            let now = number(crate::now());
            let sql = format!("SELECT {COLUMNS} FROM orders WHERE due <= ?1 ORDER BY due LIMIT ?2");
            let found = all(tx, &sql, params![now, most])?;
            let next: Option<i64> =
                tx.query_row("SELECT min(due) FROM orders WHERE due > ?1", [now], |row| row.get(0))?;
            Ok((found, next.and_then(|next| u64::try_from(next).ok())))
        })
        .await
    }

    /// Every order of the shop that may still change.
    pub(crate) async fn unfinished(&self) -> Result<Vec<OrderRow>> {
        self.run(|tx| {
            let sql =
                format!("SELECT {COLUMNS} FROM orders WHERE state NOT IN ('refunded', 'reversed') ORDER BY heard, id");
            all(tx, &sql, [])
        })
        .await
    }

    /// Looks at an order again at a time, or not by itself.
    pub(crate) async fn again(&self, row: OrderRow, at: Option<u64>, note: String) -> Result<()> {
        self.run(move |tx| {
            let sql = "UPDATE orders SET due = ?3, tries = tries + 1, note = ?4 WHERE id = ?1 AND notices = ?2";
            tx.execute(sql, params![row.id.to_string(), row.notices, at.map(number), note])?;
            Ok(())
        })
        .await
    }

    /// A person has to look.
    pub(crate) async fn stick(&self, row: OrderRow, note: String) -> Result<()> {
        self.run(move |tx| {
            let sql = "UPDATE orders SET state = 'stuck', due = NULL, note = ?3 WHERE id = ?1 AND notices = ?2";
            tx.execute(sql, params![row.id.to_string(), row.notices, note])?;
            Ok(())
        })
        .await
    }

    /// Checks a verification, takes codes from the stock and seals them, in one transaction: whoever dies before its
    /// commit has taken none, and whoever comes after it finds what is to be sent. What was sealed before stays so.
    pub(crate) async fn seal(
        &self,
        watch: &Watch,
        around: Around,
        vault: Vault,
        verification: Verified<Verification>,
        expected: Expected,
        seal: impl FnOnce(&Codes) -> Result<Sealed, CodeError> + Send + 'static,
    ) -> Result<Seal> {
        self.watched(watch, around, move |tx| {
            let said = verification.document();
            if let Some(sealed) = sealing(tx, &said.order, said.generation)? {
                return Ok(Seal::Send(sealed));
            }
            let product = products::revision(tx, &said.product)?;
            let request = match &said.request {
                Some(digest) => products::request(tx, digest)?,
                None => None,
            };
            let product = match expected.check(said, product, request) {
                Ok(product) => product,
                Err(mismatch) => return Ok(Seal::Mismatch(mismatch)),
            };
            let Some(codes) = taken(tx, &vault, &said.order, &product.name, said.quantity.get())? else {
                return Ok(Seal::SoldOut);
            };
            let Ok(sealed) = seal(&codes) else {
                return Ok(Seal::Mismatch(Mismatch::Store("its key is none that anything can be sealed to")));
            };
            let id = said.order.to_string();
            let sql = "UPDATE orders SET product = ?2, minor = ?3, currency = ?4 WHERE id = ?1";
            let (minor, currency) = (said.amount.minor_units(), said.amount.currency());
            tx.execute(sql, params![id, said.product.to_string(), minor, currency.as_str()])?;
            if let Some(request) = &said.request {
                let sql = "UPDATE requests SET order_id = ?2 WHERE digest = ?1";
                tx.execute(sql, params![request.to_string(), id])?;
            }
            let sql = "INSERT INTO sealings (order_id, generation, code, enc, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5)";
            let ciphertext = serde_json::to_string(&sealed.bytes.ciphertext)?;
            let enc = sealed.bytes.enc.to_string();
            tx.execute(sql, params![id, said.generation.get(), sealed.code, enc, ciphertext])?;
            Ok(Seal::Send(sealed))
        })
        .await
    }

    /// The store has accepted what was sealed: written down with its document, and entered once.
    pub(crate) async fn accept(
        &self,
        watch: &Watch,
        around: Around,
        row: OrderRow,
        (generation, ciphertext): (Generation, Digest),
        document: String,
    ) -> Result<bool> {
        self.watched(watch, around, move |tx| {
            let own = sealing(tx, &row.id, generation)?.map(|sealed| sealed.bytes.digest());
            if own != Some(ciphertext) {
                return Ok(false);
            }
            let key = row.id.to_string();
            let sql = "UPDATE sealings SET accepted = ?3 WHERE order_id = ?1 AND generation = ?2";
            tx.execute(sql, params![key, generation.get(), document])?;
            enter(tx, &row.id, "sale", &document)?;
            tx.execute("UPDATE orders SET state = 'accepted', tries = 0, note = '' WHERE id = ?1", [&key])?;
            // The nonce of a later sealing may have come meanwhile: then there is more to do.
            let sql = "UPDATE orders SET due = NULL, nonce = NULL WHERE id = ?1 AND notices = ?2";
            tx.execute(sql, params![key, row.notices])?;
            Ok(true)
        })
        .await
    }

    /// The store has signed that it never accepted a code: what was set aside can be sold again, and the request may be
    /// paid anew.
    pub(crate) async fn refund(&self, id: OrderId) -> Result<bool> {
        self.run(move |tx| {
            let key = id.to_string();
            let sql = "SELECT count(*) FROM sealings WHERE order_id = ?1 AND accepted IS NOT NULL";
            let accepted: i64 = tx.query_row(sql, [&key], |row| row.get(0))?;
            if accepted > 0 {
                // It has signed both. The codes stay where they are.
                return Ok(false);
            }
            tx.execute("UPDATE stock SET order_id = NULL WHERE order_id = ?1", [&key])?;
            let sql = "UPDATE orders SET state = 'refunded', due = NULL, nonce = NULL, note = '' WHERE id = ?1";
            tx.execute(sql, [&key])?;
            Ok(true)
        })
        .await
    }

    /// The money went back although the code was accepted. It is never sold again.
    pub(crate) async fn reverse(&self, id: OrderId, document: String) -> Result<()> {
        self.run(move |tx| {
            enter(tx, &id, "reversal", &document)?;
            let sql = "UPDATE orders SET state = 'reversed', due = NULL, nonce = NULL, note = '' WHERE id = ?1";
            tx.execute(sql, [id.to_string()])?;
            Ok(())
        })
        .await
    }
}

fn all(tx: &Transaction<'_>, sql: &str, params: impl rusqlite::Params) -> Result<Vec<OrderRow>> {
    let mut statement = tx.prepare(sql)?;
    let rows = statement.query_map(params, columns)?;
    rows.map(|row| order(row?)).collect()
}

/// What was sealed for an order in a generation.
fn sealing(tx: &Transaction<'_>, order: &OrderId, generation: Generation) -> Result<Option<Sealed>> {
    let sql = "SELECT code, enc, ciphertext FROM sealings WHERE order_id = ?1 AND generation = ?2";
    let found: Option<(String, String, String)> = tx
        .query_row(sql, params![order.to_string(), generation.get()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((code, enc, ciphertext)) = found else { return Ok(None) };
    let bytes = SealedBytes { enc: enc.parse()?, ciphertext: serde_json::from_str(&ciphertext)? };
    Ok(Some(Sealed { code, bytes }))
}

/// The codes of an order: those that it has, or as many as it needs from the stock. `None` if there are not enough.
fn taken(
    tx: &Transaction<'_>,
    vault: &Vault,
    order: &OrderId,
    product: &ProductName,
    quantity: u32,
) -> Result<Option<Codes>> {
    let key = order.to_string();
    let has: i64 = tx.query_row("SELECT count(*) FROM stock WHERE order_id = ?1", [&key], |row| row.get(0))?;
    if has == 0 {
        let sql = "UPDATE stock SET order_id = ?1 WHERE id IN
                   (SELECT id FROM stock WHERE product = ?2 AND order_id IS NULL ORDER BY id LIMIT ?3)";
        let got = tx.execute(sql, params![key, product.as_str(), quantity])?;
        if got != quantity as usize {
            tx.execute("UPDATE stock SET order_id = NULL WHERE order_id = ?1", [&key])?;
            return Ok(None);
        }
    } else if has != i64::from(quantity) {
        return Ok(None);
    }
    let mut statement = tx.prepare("SELECT sealed FROM stock WHERE order_id = ?1 ORDER BY id")?;
    let rows = statement.query_map([&key], |row| row.get::<_, Vec<u8>>(0))?;
    let codes: Vec<Zeroizing<String>> = rows.map(|sealed| vault.open(product, &sealed?)).collect::<Result<_>>()?;
    Ok(Some(Codes::new(codes)?))
}
