//! What is sold, what customers were asked to pay, and the codes there are.

use crate::vault::Vault;
use anyhow::{Context as _, Result, ensure};
use portcullis_protocol::codes::Codes;
use portcullis_protocol::{Digest, OrderId, PaymentRequest, Product, ProductName};
use rusqlite::{OptionalExtension as _, Transaction, params};
use zeroize::Zeroizing;

/// A product on sale, and how many codes there are for it.
pub(crate) struct OnSale {
    pub(crate) digest: Digest,
    pub(crate) product: Product,
    pub(crate) left: u64,
    /// Of orders that were paid back after they were sent, or held by hand.
    pub(crate) held: u64,
}

impl super::Database {
    /// Writes down a revision of a product, which is the one on sale from now on.
    pub(crate) async fn sell(&self, digest: Digest, product: Product) -> Result<()> {
        self.run(move |tx| {
            let sql = "UPDATE products SET is_sold = 0, ended = ?2 WHERE name = ?1 AND is_sold = 1";
            tx.execute(sql, params![product.name.as_str(), super::number(crate::now())])?;
            let sql = "INSERT INTO products (digest, name, payload, is_sold) VALUES (?1, ?2, ?3, 1)
                       ON CONFLICT (digest) DO UPDATE SET is_sold = 1, ended = NULL";
            tx.execute(sql, params![digest.to_string(), product.name.as_str(), serde_json::to_string(&product)?])?;
            Ok(())
        })
        .await
    }

    /// What is on sale, by name.
    pub(crate) async fn on_sale(&self) -> Result<Vec<OnSale>> {
        self.run(|tx| {
            let sql = "SELECT p.digest, p.payload,
                              (SELECT count(*) FROM stock s WHERE s.product = p.name AND s.order_id IS NULL AND s.is_held = 0),
                              (SELECT count(*) FROM stock s WHERE s.product = p.name AND s.is_held = 1)
                       FROM products p WHERE p.is_sold = 1 ORDER BY p.name";
            let mut statement = tx.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
            })?;
            rows.map(|row| {
                let (digest, payload, left, held) = row?;
                let (product, digest) = (serde_json::from_str(&payload)?, digest.parse()?);
                Ok(OnSale { digest, product, left: u64::try_from(left)?, held: u64::try_from(held)? })
            })
            .collect()
        })
        .await
    }

    /// Puts codes into stock. None of them may be there already.
    pub(crate) async fn stock(
        &self,
        vault: Vault,
        product: ProductName,
        codes: Vec<Zeroizing<String>>,
    ) -> Result<usize> {
        // The bounds of what can be sealed for an order, before a customer pays for it.
        for (number, code) in codes.iter().enumerate() {
            Codes::new(vec![code.clone()]).with_context(|| format!("line {}", number + 1))?;
        }
        self.run(move |tx| {
            let sql = "INSERT INTO stock (product, sealed, lookup) VALUES (?1, ?2, ?3) ON CONFLICT (lookup) DO NOTHING";
            for (number, code) in codes.iter().enumerate() {
                let (sealed, lookup) = (vault.seal(&product, code)?, vault.lookup(code));
                let is_new = tx.execute(sql, params![product.as_str(), sealed, lookup])? == 1;
                ensure!(is_new, "line {}: this code is in stock already, or was sold. Nothing was added", number + 1);
            }
            Ok(codes.len())
        })
        .await
    }

    /// Sells nothing more of what is in stock, of a product or of all of them. Returns of which product how many codes
    /// are held that were not before. A product that the shop does not know is an error: nothing of the one that was
    /// meant would be held.
    pub(crate) async fn hold(&self, product: Option<ProductName>) -> Result<Vec<(ProductName, u64)>> {
        self.run(move |tx| {
            let product = product.as_ref().map(ProductName::as_str);
            if let Some(name) = product {
                let known = names(tx)?;
                ensure!(
                    known.iter().any(|one| one == name),
                    "the shop has no product `{name}`, so nothing is held. {}",
                    if known.is_empty() { "It has none".to_owned() } else { format!("It has: {}", known.join(", ")) }
                );
            }
            let free = "order_id IS NULL AND is_held = 0 AND product = coalesce(?1, product)";
            let mut statement = tx.prepare(&format!(
                "SELECT product, count(*) FROM stock WHERE {free} GROUP BY product ORDER BY product"
            ))?;
            let rows = statement.query_map([product], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
            let held = rows.map(|row| {
                let (name, codes) = row?;
                Ok((name.parse()?, u64::try_from(codes)?))
            });
            let held = held.collect::<Result<Vec<_>>>()?;
            tx.execute(&format!("UPDATE stock SET is_held = 1 WHERE {free}"), [product])?;
            Ok(held)
        })
        .await
    }

    /// Sells again what is held of a product and of no order, but for these codes. Returns how many that are.
    pub(crate) async fn release_stock(
        &self,
        vault: Vault,
        product: ProductName,
        but: Vec<Zeroizing<String>>,
    ) -> Result<usize> {
        self.run(move |tx| {
            // Held for good: marked as what must not come back, in the same transaction.
            let sql = "UPDATE stock SET is_held = 0 WHERE order_id IS NULL AND is_held = 1 AND product = ?1";
            let released = tx.execute(sql, [product.as_str()])?;
            let mut kept = 0;
            for code in &but {
                let sql = "UPDATE stock SET is_held = 1 WHERE order_id IS NULL AND product = ?1 AND lookup = ?2";
                kept += tx.execute(sql, params![product.as_str(), vault.lookup(code)])?;
            }
            Ok(released - kept.min(released))
        })
        .await
    }

    /// Writes down what a customer is asked to pay.
    pub(crate) async fn ask(&self, digest: Digest, request: PaymentRequest) -> Result<()> {
        self.run(move |tx| {
            let sql = "INSERT INTO requests (digest, payload) VALUES (?1, ?2)";
            tx.execute(sql, params![digest.to_string(), serde_json::to_string(&request)?])?;
            Ok(())
        })
        .await
    }
}

/// The names of what was ever sold or put into stock.
fn names(tx: &Transaction<'_>) -> Result<Vec<String>> {
    let mut statement = tx.prepare("SELECT name FROM products UNION SELECT product FROM stock ORDER BY 1")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// A revision of a product, and when it was sold last, if it is not any more.
pub(super) fn revision(tx: &Transaction<'_>, digest: &Digest) -> Result<Option<(Product, Option<u64>)>> {
    let sql = "SELECT payload, ended FROM products WHERE digest = ?1";
    let found: Option<(String, Option<i64>)> =
        tx.query_row(sql, [digest.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((payload, ended)) = found else { return Ok(None) };
    Ok(Some((serde_json::from_str(&payload)?, ended.map(u64::try_from).transpose()?)))
}

/// A request of this shop, and the order that it stands for already.
pub(super) fn request(tx: &Transaction<'_>, digest: &Digest) -> Result<Option<(PaymentRequest, Option<OrderId>)>> {
    let sql = "SELECT payload, order_id FROM requests WHERE digest = ?1";
    let found: Option<(String, Option<String>)> =
        tx.query_row(sql, [digest.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((payload, order)) = found else { return Ok(None) };
    Ok(Some((serde_json::from_str(&payload)?, order.map(|order| order.parse()).transpose()?)))
}
