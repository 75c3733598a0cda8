//! What merchants sell, in the catalogue that is searched: beside resources, and kept by the transactions that sell a
//! product, end it, or approve and suspend its merchant.

use super::search::index;
use super::{Lock, Tx, TxError, TxResult, merchants};
use crate::catalogue::search::{PRODUCT_KIND, Texts};
use crate::store::database::row::{bytes, json, octets, to_json};
use crate::store::{ListedProduct, MerchantId, MerchantState, ProductRevision};
use portcullis_protocol::{AccountId, Digest, ProductName};
use std::collections::BTreeMap;

/// Brings the catalogue up to date with a product that is sold from now on, in another revision, or not any more. The
/// index has what is sold, and nothing of who is not approved: the trigrams of what is not would hide what is.
pub(super) fn refresh(
    tx: &Tx<'_>,
    merchant: &MerchantId,
    name: &ProductName,
    sold: Option<&ProductRevision>,
) -> TxResult<()> {
    tx.lock(Lock::Catalogue)?;
    let before = tx.one(
        "SELECT number, texts FROM catalogue WHERE merchant = ?1 AND name = ?2 AND sold = 1",
        (merchant.0.0, name.as_str()),
        |row| Ok((row.get::<i64>(0)?, json::<Texts>(row, 1)?)),
    )?;
    let old = before.as_ref().map(|(_, texts)| texts.trigrams()).unwrap_or_default();
    let Some(revision) = sold else {
        let sql = "UPDATE catalogue SET product = NULL, sold = 0 WHERE merchant = ?1 AND name = ?2";
        tx.change(sql, (merchant.0.0, name.as_str()))?;
        return before.map_or(Ok(()), |(number, _)| index(tx, number, &old, &BTreeMap::new()));
    };
    let (texts, sold) = (Texts::of_product(&revision.product), is_approved(tx, merchant)?);
    let number = tx.one(
        "INSERT INTO catalogue (merchant, name, kind, versions, texts, sold, product)
         VALUES (?1, ?2, ?3, '[]', ?4, ?5, ?6)
         ON CONFLICT (merchant, name) WHERE merchant IS NOT NULL DO UPDATE
         SET texts = excluded.texts, sold = excluded.sold, product = excluded.product
         RETURNING number",
        (merchant.0.0, name.as_str(), PRODUCT_KIND, to_json(&texts)?, sold, revision.digest.as_bytes()),
        |row| row.get::<i64>(0),
    )?;
    let new = if sold { texts.trigrams() } else { BTreeMap::new() };
    index(tx, number.ok_or(TxError::Damaged)?, &old, &new)
}

fn is_approved(tx: &Tx<'_>, merchant: &MerchantId) -> TxResult<bool> {
    Ok(merchants::find(tx, merchant)?.is_some_and(|merchant| merchant.state == MerchantState::Approved))
}

/// Takes everything off sale that the merchants of an account sell, or puts it back, in the transaction that suspends
/// or restores the account.
pub(super) fn set_standing_of(tx: &Tx<'_>, owner: &AccountId) -> TxResult<()> {
    let sql = "SELECT id FROM merchants WHERE owner = ?1 ORDER BY name";
    let merchants = tx.all(sql, [owner.as_bytes()], |row| octets(row, 0).map(MerchantId))?;
    merchants.iter().try_for_each(|merchant| set_standing(tx, merchant))
}

/// Takes everything that a merchant sells off sale, or puts it back, in the transaction that changes what it is.
pub(super) fn set_standing(tx: &Tx<'_>, merchant: &MerchantId) -> TxResult<()> {
    tx.lock(Lock::Catalogue)?;
    let sold = is_approved(tx, merchant)?;
    let sql = "UPDATE catalogue SET sold = ?2 WHERE merchant = ?1 AND product IS NOT NULL AND sold <> ?2
               RETURNING number, texts";
    let changed = tx.all(sql, (merchant.0.0, sold), |row| Ok((row.get::<i64>(0)?, json::<Texts>(row, 1)?)))?;
    for (number, texts) in changed {
        let (texts, nothing) = (texts.trigrams(), BTreeMap::new());
        let (old, new) = if sold { (&nothing, &texts) } else { (&texts, &nothing) };
        index(tx, number, old, new)?;
    }
    Ok(())
}

/// Nothing of a merchant is sold any more.
pub(super) fn end_all(tx: &Tx<'_>, merchant: &MerchantId) -> TxResult<()> {
    tx.lock(Lock::Catalogue)?;
    let sql = "UPDATE catalogue SET sold = 0 WHERE merchant = ?1 AND sold = 1 RETURNING number, texts";
    let ended = tx.all(sql, [merchant.0.0], |row| Ok((row.get::<i64>(0)?, json::<Texts>(row, 1)?)))?;
    for (number, texts) in ended {
        index(tx, number, &texts.trigrams(), &BTreeMap::new())?;
    }
    tx.change("UPDATE catalogue SET product = NULL WHERE merchant = ?1", [merchant.0.0]).map(drop)
}

/// A product as a search shows it, if its merchant still is approved and it is sold.
pub(super) fn find(tx: &Tx<'_>, number: i64, place: usize) -> TxResult<Option<ListedProduct>> {
    let sql = "SELECT product FROM catalogue WHERE number = ?1 AND product IS NOT NULL";
    let digest = tx.one(sql, [number], |row| bytes(row, 0, Digest::from_bytes))?;
    let revision = digest.map(|digest| merchants::product(tx, &digest)).transpose()?.flatten();
    let Some(revision) = revision.filter(|revision| revision.is_sold) else { return Ok(None) };
    let merchant = merchants::find(tx, &revision.merchant)?;
    let merchant = merchant.filter(|merchant| merchant.state == MerchantState::Approved);
    Ok(merchant.map(|merchant| ListedProduct { place, revision, merchant }))
}
