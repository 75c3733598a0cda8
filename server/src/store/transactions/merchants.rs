//! Merchants.

use super::{Database, Lock, Tx, TxError, TxResult, code_notices, code_orders, listed_products, webhooks};
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::store::database::Row;
use crate::store::database::row::{bytes, checked, count, json, octets, text, time, to_json};
use crate::store::{
    CodeMove, MAX_OPEN_REQUESTS, Merchant, MerchantDecision, MerchantId, MerchantOutcome, MerchantState,
    MerchantVouchOutcome, MerchantVouchRecord, Merchants, NewMerchant, NewMerchantVouch, ProductOutcome,
    ProductRevision, RequestOutcome, RequestRecord, StoreError,
};
use async_trait::async_trait;
use portcullis_protocol::codes::Health;
use portcullis_protocol::limits::{MAX_MERCHANTS, MAX_PRODUCTS, MAX_VOUCHES};
use portcullis_protocol::{AccountId, Digest, MerchantName, PaymentRequest, ProductName, PublicKey, WebhookUrl};

/// One minute of a merchant's health, in milliseconds.
const MINUTE: i64 = 60_000;

const MERCHANT: &str = "SELECT m.id, m.name, m.title, m.key, m.owner, m.webhook, m.created_at, m.proven_at IS NOT NULL,
                               m.approved_at IS NOT NULL,
                               EXISTS (SELECT 1 FROM suspended_merchants s WHERE s.id = m.id)
                        FROM merchants m";

const PRODUCT: &str = "SELECT p.product, p.compact, p.digest, p.ended_at IS NULL, p.merchant FROM products p";

fn merchant(row: &Row<'_>) -> TxResult<Merchant> {
    Ok(Merchant {
        id: octets(row, 0).map(MerchantId)?,
        name: text(row, 1)?,
        title: text(row, 2)?,
        key: checked(row, 3, |key: [u8; 32]| PublicKey::from_bytes(&key))?,
        owner: bytes(row, 4, AccountId::from_bytes)?,
        webhook: text(row, 5)?,
        created: time(row, 6)?,
        was_approved: row.get(8)?,
        state: match (row.get(7)?, row.get(8)?, row.get(9)?) {
            (_, _, true) => MerchantState::Suspended,
            (false, _, false) => MerchantState::Claimed,
            (true, false, false) => MerchantState::Proven,
            (true, true, false) => MerchantState::Approved,
        },
    })
}

fn by_name(tx: &Tx<'_>, name: &MerchantName) -> TxResult<Option<Merchant>> {
    tx.one(&format!("{MERCHANT} WHERE m.name = ?1"), [name.as_str()], merchant)
}

/// A merchant.
pub(super) fn find(tx: &Tx<'_>, id: &MerchantId) -> TxResult<Option<Merchant>> {
    tx.one(&format!("{MERCHANT} WHERE m.id = ?1"), [id.0.0], merchant)
}

fn revision(row: &Row<'_>) -> TxResult<ProductRevision> {
    Ok(ProductRevision {
        product: json(row, 0)?,
        compact: row.get(1)?,
        digest: bytes(row, 2, Digest::from_bytes)?,
        is_sold: row.get(3)?,
        merchant: octets(row, 4).map(MerchantId)?,
    })
}

/// A revision of a product.
pub(super) fn product(tx: &Tx<'_>, digest: &Digest) -> TxResult<Option<ProductRevision>> {
    tx.one(&format!("{PRODUCT} WHERE p.digest = ?1"), [digest.as_bytes()], revision)
}

/// A payment request.
pub(super) fn request(tx: &Tx<'_>, digest: &Digest) -> TxResult<Option<RequestRecord>> {
    let sql = "SELECT request, compact, product, spent, ended_at IS NOT NULL FROM payment_requests WHERE digest = ?1";
    let found = tx.one(sql, [digest.as_bytes()], |row| {
        Ok((json(row, 0)?, row.get(1)?, bytes(row, 2, Digest::from_bytes)?, row.get(3)?, row.get(4)?))
    })?;
    let Some((request, compact, product_digest, is_spent, has_ended)) = found else { return Ok(None) };
    let product = product(tx, &product_digest)?.ok_or(TxError::Damaged)?;
    Ok(Some(RequestRecord { request, compact, product, is_spent, has_ended }))
}

fn claim(tx: &Tx<'_>, new: &NewMerchant) -> TxResult<MerchantOutcome> {
    // Under the account's lock: it claims no two names at once, each as the last one.
    tx.lock(Lock::Account(&new.owner))?;
    let sql = "SELECT count(*), count(CASE WHEN name = ?2 THEN 1 END) FROM merchants WHERE owner = ?1";
    let of = (new.owner.as_bytes(), new.name.as_str());
    let (all, this) = tx.one(sql, of, |row| Ok((count(row, 0)?, count(row, 1)?)))?.unwrap_or((0, 0));
    if this == 0 && all >= MAX_MERCHANTS {
        return Ok(MerchantOutcome::TooMany);
    }
    let claimed = tx.change(
        "INSERT INTO merchants (id, name, title, key, owner, webhook, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO NOTHING",
        (
            new.id.0.0,
            new.name.as_str(),
            new.title.as_str(),
            new.key.to_bytes(),
            new.owner.as_bytes(),
            new.webhook.as_str(),
            tx.now().millis(),
        ),
    )?;
    let mut has_succeeded = false;
    if claimed == 1 {
        tx.log("merchant claimed", Some(&new.owner), None, &new.id.0.0)?;
    } else {
        // The same account and key say it anew. An endpoint that was proven is so as long as it stays where it is, and
        // what the operator has approved is what buyers read.
        let changed = tx.change(
            "UPDATE merchants SET proven_at = CASE WHEN webhook = ?5 THEN proven_at END, webhook = ?5,
                                  approved_at = CASE WHEN title = ?4 THEN approved_at END, title = ?4
             WHERE name = ?1 AND owner = ?2 AND key = ?3",
            (new.name.as_str(), new.owner.as_bytes(), new.key.to_bytes(), new.title.as_str(), new.webhook.as_str()),
        )?;
        has_succeeded = changed != 1 && succeed(tx, new)?;
        if changed != 1 && !has_succeeded {
            return Ok(MerchantOutcome::Taken);
        }
    }
    let known = by_name(tx, &new.name)?.ok_or(TxError::Damaged)?;
    // In the same transaction: an address without endpoint, or with two, is never seen.
    webhooks::propose(tx, &known.id.receiver(), new.webhook.as_str(), &new.endpoint)?;
    // The catalogue after the endpoints: in the order of every other.
    if has_succeeded {
        listed_products::end_all(tx, &known.id)?;
    } else {
        listed_products::set_standing(tx, &known.id)?;
    }
    Ok(MerchantOutcome::Claimed(Box::new(known)))
}

/// Puts the key in that the operator lets follow one that was stolen. What that one has signed ends, also that it
/// vouched for others, and the secrets of the endpoint, which it could read; orders that have waited go on.
fn succeed(tx: &Tx<'_>, new: &NewMerchant) -> TxResult<bool> {
    let changed = tx.change(
        "UPDATE merchants SET key = ?3, title = ?4, webhook = ?5, successor = NULL, suspended_at = NULL, proven_at = NULL
         WHERE name = ?1 AND owner = ?2 AND successor = ?6 AND NOT EXISTS (SELECT 1 FROM merchants o WHERE o.key = ?3)",
        (
            new.name.as_str(),
            new.owner.as_bytes(),
            new.key.to_bytes(),
            new.title.as_str(),
            new.webhook.as_str(),
            new.key.thumbprint().as_bytes(),
        ),
    )?;
    if changed != 1 {
        return Ok(false);
    }
    let known = by_name(tx, &new.name)?.ok_or(TxError::Damaged)?;
    end_goods(tx, &known.id)?;
    tx.change("DELETE FROM merchant_vouches WHERE merchant = ?1", [known.id.0.0])?;
    webhooks::remove_all(tx, &known.id.receiver())?;
    code_orders::tell_anew(tx, &known.id, true)?;
    tx.log(CodeMove::MerchantKeyReplaced.word(), Some(&known.owner), None, &known.id.0.0)?;
    Ok(true)
}

/// An order stands for a payment request.
pub(super) fn spend(tx: &Tx<'_>, request: &Digest) -> TxResult<()> {
    tx.change("UPDATE payment_requests SET spent = 1 WHERE digest = ?1", [request.as_bytes()]).map(drop)
}

/// Stores a payment request, of a merchant that is approved: nobody else's is shown to anybody.
fn store_request(
    tx: &Tx<'_>,
    merchant: &MerchantId,
    by: &PublicKey,
    digest: &Digest,
    request: &PaymentRequest,
    compact: &str,
) -> TxResult<RequestOutcome> {
    let is_approved = "SELECT 1 FROM merchants WHERE id = ?1 AND proven_at IS NOT NULL AND approved_at IS NOT NULL";
    if !may_sign(tx, merchant, by)? || tx.one(is_approved, [merchant.0.0], |_| Ok(()))?.is_none() {
        return Ok(RequestOutcome::NotSigned);
    }
    let sql = "SELECT count(*) FROM (SELECT 1 FROM payment_requests
                   WHERE merchant = ?1 AND ended_at IS NULL AND spent = 0 AND expires_at > ?2 AND digest <> ?3
                   LIMIT ?4) AS few";
    let of = (merchant.0.0, tx.now().millis(), digest.as_bytes(), MAX_OPEN_REQUESTS);
    if tx.one(sql, of, |row| row.get::<u32>(0))?.unwrap_or(0) >= MAX_OPEN_REQUESTS {
        return Ok(RequestOutcome::TooMany);
    }
    tx.change(
        "INSERT INTO payment_requests (digest, merchant, product, request, compact, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (digest) DO UPDATE SET ended_at = NULL, compact = excluded.compact",
        (
            digest.as_bytes(),
            merchant.0.0,
            request.product.as_bytes(),
            to_json(request)?,
            compact,
            request.exp.saturating_mul(1000).cast_signed(),
        ),
    )?;
    Ok(RequestOutcome::Stored)
}

/// Ends what a key has signed that is not the merchant's any more: its products and the requests that somebody could
/// still pay, of which there are so many at most. Orders that are under way go on.
fn end_goods(tx: &Tx<'_>, merchant: &MerchantId) -> TxResult<()> {
    let now = tx.now().millis();
    tx.change("UPDATE products SET ended_at = ?2 WHERE merchant = ?1 AND ended_at IS NULL", (merchant.0.0, now))?;
    let sql = "UPDATE payment_requests SET ended_at = ?2
               WHERE merchant = ?1 AND ended_at IS NULL AND spent = 0 AND expires_at > ?2";
    tx.change(sql, (merchant.0.0, now)).map(drop)
}

fn prove(tx: &Tx<'_>, merchant: &MerchantId, webhook: &WebhookUrl) -> TxResult<bool> {
    let sql = "UPDATE merchants SET proven_at = coalesce(proven_at, ?3) WHERE id = ?1 AND webhook = ?2";
    if tx.change(sql, (merchant.0.0, webhook.as_str(), tx.now().millis()))? != 1 {
        return Ok(false);
    }
    // What was sent to another endpoint, or to none, is sent to this one.
    if webhooks::prefer(tx, &merchant.receiver(), webhook.as_str(), code_notices::ORDER_CLOSED)? {
        code_orders::tell_anew(tx, merchant, false)?;
    }
    listed_products::set_standing(tx, merchant)?;
    tx.log(CodeMove::MerchantProven.word(), None, None, &merchant.0.0)?;
    Ok(true)
}

fn decide(tx: &Tx<'_>, name: &MerchantName, decision: &MerchantDecision) -> TxResult<Option<(Merchant, bool)>> {
    let now = tx.now().millis();
    let (changed, what) = match decision {
        MerchantDecision::Approve => {
            let sql = "UPDATE merchants SET approved_at = ?2 WHERE name = ?1 AND approved_at IS NULL";
            (tx.change(sql, (name.as_str(), now))?, "merchant approved")
        }
        MerchantDecision::Suspend => {
            let sql = "UPDATE merchants SET suspended_at = ?2 WHERE name = ?1 AND suspended_at IS NULL";
            (tx.change(sql, (name.as_str(), now))?, "merchant suspended")
        }
        MerchantDecision::Restore => {
            let sql = "UPDATE merchants SET suspended_at = NULL, successor = NULL
                       WHERE name = ?1 AND suspended_at IS NOT NULL";
            (tx.change(sql, [name.as_str()])?, CodeMove::MerchantRestored.word())
        }
        MerchantDecision::Rekey(successor) => {
            let sql = "UPDATE merchants SET suspended_at = coalesce(suspended_at, ?2), successor = ?3 WHERE name = ?1";
            (tx.change(sql, (name.as_str(), now, successor.as_bytes()))?, CodeMove::MerchantKeyEnded.word())
        }
    };
    let Some(known) = by_name(tx, name)? else { return Ok(None) };
    let has_changed = changed == 1;
    if has_changed {
        if *decision == MerchantDecision::Restore {
            code_orders::tell_anew(tx, &known.id, true)?;
        }
        listed_products::set_standing(tx, &known.id)?;
        tx.log(what, Some(&known.owner), None, &known.id.0.0)?;
    }
    Ok(Some((known, has_changed)))
}

fn vouch(tx: &Tx<'_>, new: &NewMerchantVouch) -> TxResult<MerchantVouchOutcome> {
    let Some(known) = find(tx, &new.merchant)? else { return Ok(MerchantVouchOutcome::Stale) };
    let sql = "SELECT seq, compact FROM merchant_vouches WHERE merchant = ?1 ORDER BY seq DESC LIMIT 1";
    let last = tx.one(sql, [known.id.0.0], |row| Ok((count(row, 0)?, row.get::<String>(1)?)))?;
    if last.as_ref().is_some_and(|(_, compact)| *compact == new.compact) {
        return Ok(MerchantVouchOutcome::Vouched);
    }
    if Some(new.seq) != last.map_or(0, |(seq, _)| seq).checked_add(1) {
        return Ok(MerchantVouchOutcome::Stale);
    }
    if new.seq > MAX_VOUCHES as u64 {
        return Ok(MerchantVouchOutcome::TooMany);
    }
    let changed = tx.change(
        "UPDATE merchants SET key = ?3
         WHERE id = ?1 AND key = ?2 AND NOT EXISTS (SELECT 1 FROM merchants o WHERE o.key = ?3)
               AND NOT EXISTS (SELECT 1 FROM suspended_merchants s WHERE s.id = merchants.id)",
        (known.id.0.0, new.by.to_bytes(), new.key.to_bytes()),
    )?;
    if changed != 1 {
        return Ok(MerchantVouchOutcome::Stale);
    }
    let sql = "INSERT INTO merchant_vouches (merchant, seq, signer, compact) VALUES (?1, ?2, ?3, ?4)";
    tx.change(sql, (known.id.0.0, new.seq.cast_signed(), new.by.to_bytes(), &new.compact))?;
    // A terminal that does not know the old key verifies nothing that it signed.
    end_goods(tx, &known.id)?;
    listed_products::end_all(tx, &known.id)?;
    tx.log(CodeMove::MerchantVouched.word(), Some(&known.owner), None, &known.id.0.0)?;
    Ok(MerchantVouchOutcome::Vouched)
}

/// Whether what a key has signed still counts: it is the merchant's, which is not suspended. Locks the merchant, so
/// that it stays so until this transaction ends.
fn may_sign(tx: &Tx<'_>, merchant: &MerchantId, by: &PublicKey) -> TxResult<bool> {
    let sql = "UPDATE merchants SET key = key WHERE id = ?1 AND key = ?2
                   AND NOT EXISTS (SELECT 1 FROM suspended_merchants s WHERE s.id = merchants.id)";
    Ok(tx.change(sql, (merchant.0.0, by.to_bytes()))? == 1)
}

fn sell(tx: &Tx<'_>, new: &ProductRevision, by: &PublicKey) -> TxResult<ProductOutcome> {
    if !may_sign(tx, &new.merchant, by)? {
        return Ok(ProductOutcome::NotSigned);
    }
    let (merchant, name) = (new.merchant.0.0, new.product.name.as_str());
    let sql = "SELECT count(*) FROM products WHERE merchant = ?1 AND ended_at IS NULL AND name <> ?2";
    let others = tx.one(sql, (merchant, name), |row| row.get::<i64>(0))?.unwrap_or(0);
    if usize::try_from(others).is_ok_and(|others| others >= MAX_PRODUCTS) {
        return Ok(ProductOutcome::TooMany);
    }
    tx.change(
        "UPDATE products SET ended_at = ?4 WHERE merchant = ?1 AND name = ?2 AND digest <> ?3 AND ended_at IS NULL",
        (merchant, name, new.digest.as_bytes(), tx.now().millis()),
    )?;
    // The same revision again is sold again; another key of the merchant may have signed it by now.
    tx.change(
        "INSERT INTO products (digest, merchant, name, product, compact, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (digest) DO UPDATE SET ended_at = NULL, compact = excluded.compact",
        (new.digest.as_bytes(), merchant, name, to_json(&new.product)?, &new.compact, tx.now().millis()),
    )?;
    listed_products::refresh(tx, &new.merchant, &new.product.name, Some(new))?;
    tx.log("product sold", None, None, &merchant)?;
    Ok(ProductOutcome::Sold)
}

/// The account that answers for merchants is in good standing again: what has waited for each goes on.
pub(super) fn owner_restored(tx: &Tx<'_>, owner: &AccountId) -> TxResult<()> {
    let sql = "SELECT m.id FROM merchants m WHERE m.owner = ?1
                   AND NOT EXISTS (SELECT 1 FROM suspended_merchants s WHERE s.id = m.id) ORDER BY m.name";
    let merchants = tx.all(sql, [owner.as_bytes()], |row| octets(row, 0).map(MerchantId))?;
    merchants.iter().try_for_each(|merchant| code_orders::tell_anew(tx, merchant, true))
}

/// How a merchant's orders of the last hour went.
pub(super) fn health(tx: &Tx<'_>, merchant: &MerchantId) -> TxResult<Health> {
    let since = minute(tx.now()) - (Health::WINDOW_SECONDS / 60).cast_signed();
    let found = tx.one(
        "SELECT CAST(coalesce(sum(decided), 0) AS BIGINT), CAST(coalesce(sum(in_time), 0) AS BIGINT)
         FROM merchant_health WHERE merchant = ?1 AND minute > ?2",
        (merchant.0.0, since),
        |row| Ok(Health { decided: row.get(0)?, in_time: row.get(1)? }),
    )?;
    Ok(found.unwrap_or_default())
}

/// Counts an order that was decided.
pub(super) fn decided(tx: &Tx<'_>, merchant: &MerchantId, in_time: bool) -> TxResult<()> {
    tx.change(
        "INSERT INTO merchant_health (merchant, minute, decided, in_time) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT (merchant, minute)
         DO UPDATE SET decided = merchant_health.decided + 1, in_time = merchant_health.in_time + excluded.in_time",
        (merchant.0.0, minute(tx.now()), in_time),
    )?;
    Ok(())
}

/// In how many seconds a merchant that fails too often gets the one order a minute that it gets; `None`: now.
pub(super) fn probe_in(tx: &Tx<'_>, merchant: &MerchantId) -> TxResult<Option<u32>> {
    let last = tx.one("SELECT probe_at FROM merchants WHERE id = ?1", [merchant.0.0], |row| time(row, 0))?;
    let next = last.ok_or(TxError::Damaged)?.plus(Health::PROBE_SECONDS);
    let wait = next.millis() - tx.now().millis();
    Ok((wait > 0).then(|| u32::try_from(wait.unsigned_abs().div_ceil(1000)).unwrap_or(u32::MAX)))
}

/// Such an order was paid. Returns false if another one was, and it is not a minute ago.
pub(super) fn probed(tx: &Tx<'_>, merchant: &MerchantId) -> TxResult<bool> {
    let before = tx.now().minus(Health::PROBE_SECONDS).millis();
    let sql = "UPDATE merchants SET probe_at = ?2 WHERE id = ?1 AND probe_at <= ?3";
    Ok(tx.change(sql, (merchant.0.0, tx.now().millis(), before))? == 1)
}

fn minute(now: Timestamp) -> i64 {
    now.millis() / MINUTE
}

/// Deletes what nobody asks for any more: minutes that do not count, and requests that nobody has paid. Returns how
/// many.
pub(super) fn sweep(tx: &Tx<'_>, limit: u32) -> TxResult<usize> {
    let old = minute(tx.now()) - 2 * (Health::WINDOW_SECONDS / 60).cast_signed();
    tx.change("DELETE FROM merchant_health WHERE minute < ?1", [old])?;
    // A day after it has expired nobody holds its address any more.
    let expired = tx.now().millis() - 24 * 60 * MINUTE;
    tx.change(
        "DELETE FROM payment_requests WHERE spent = 0 AND digest IN (
             SELECT digest FROM payment_requests WHERE spent = 0 AND expires_at < ?1 LIMIT ?2)",
        (expired, limit),
    )
}

#[async_trait]
impl<D: Database> Merchants for D {
    async fn claim_merchant(&self, merchant: NewMerchant) -> Result<MerchantOutcome, StoreError> {
        self.write(Write::MerchantClaim, move |tx| claim(tx, &merchant)).await
    }

    async fn merchant(&self, name: &MerchantName) -> Result<Option<Merchant>, StoreError> {
        let name = name.clone();
        self.read("merchant", move |tx| by_name(tx, &name)).await
    }

    async fn merchant_of_key(&self, key: &PublicKey) -> Result<Option<Merchant>, StoreError> {
        let key = key.to_bytes();
        let sql = format!("{MERCHANT} WHERE m.key = ?1");
        self.read("merchant", move |tx| tx.one(&sql, [key], merchant)).await
    }

    async fn merchants(&self, after: Option<&MerchantName>, limit: u32) -> Result<Vec<Merchant>, StoreError> {
        let after = after.map_or_else(String::new, ToString::to_string);
        let sql = format!("{MERCHANT} WHERE m.name > ?1 ORDER BY m.name LIMIT ?2");
        self.read_many("merchants", move |tx| tx.all(&sql, (&after, limit), merchant)).await
    }

    async fn prove_merchant(&self, merchant: &MerchantId, webhook: &WebhookUrl) -> Result<bool, StoreError> {
        let (merchant, webhook) = (*merchant, webhook.clone());
        self.write(Write::MerchantProve, move |tx| prove(tx, &merchant, &webhook)).await
    }

    async fn decide_merchant(
        &self,
        name: &MerchantName,
        decision: MerchantDecision,
    ) -> Result<Option<(Merchant, bool)>, StoreError> {
        let name = name.clone();
        self.write(Write::MerchantDecide, move |tx| decide(tx, &name, &decision)).await
    }

    async fn vouch_merchant(&self, new: NewMerchantVouch) -> Result<MerchantVouchOutcome, StoreError> {
        self.write(Write::MerchantVouch, move |tx| vouch(tx, &new)).await
    }

    async fn merchant_vouches(&self, merchant: &MerchantId) -> Result<Vec<MerchantVouchRecord>, StoreError> {
        let merchant = *merchant;
        let sql = "SELECT signer, compact FROM merchant_vouches WHERE merchant = ?1 ORDER BY seq";
        self.read("merchant vouches", move |tx| {
            tx.all(sql, [merchant.0.0], |row| {
                let by = checked(row, 0, |key: [u8; 32]| PublicKey::from_bytes(&key))?;
                Ok(MerchantVouchRecord { by, compact: row.get(1)? })
            })
        })
        .await
    }

    async fn sell_product(&self, new: ProductRevision, by: &PublicKey) -> Result<ProductOutcome, StoreError> {
        let by = by.clone();
        self.write(Write::ProductSell, move |tx| sell(tx, &new, &by)).await
    }

    async fn end_product(&self, merchant: &MerchantId, name: &ProductName) -> Result<bool, StoreError> {
        let (merchant, name) = (*merchant, name.clone());
        self.write(Write::ProductEnd, move |tx| {
            let sql = "UPDATE products SET ended_at = ?3 WHERE merchant = ?1 AND name = ?2 AND ended_at IS NULL";
            let ended = tx.change(sql, (merchant.0.0, name.as_str(), tx.now().millis()))? == 1;
            if ended {
                listed_products::refresh(tx, &merchant, &name, None)?;
            }
            Ok(ended)
        })
        .await
    }

    async fn products(&self, merchant: &MerchantId) -> Result<Vec<ProductRevision>, StoreError> {
        let merchant = *merchant;
        let sql = format!("{PRODUCT} WHERE p.merchant = ?1 AND p.ended_at IS NULL ORDER BY p.name");
        self.read_many("products", move |tx| tx.all(&sql, [merchant.0.0], revision)).await
    }

    async fn product_on_sale(
        &self,
        merchant: &MerchantId,
        name: &ProductName,
    ) -> Result<Option<ProductRevision>, StoreError> {
        let (merchant, name) = (*merchant, name.clone());
        let sql = format!("{PRODUCT} WHERE p.merchant = ?1 AND p.name = ?2 AND p.ended_at IS NULL");
        self.read("product on sale", move |tx| tx.one(&sql, (merchant.0.0, name.as_str()), revision)).await
    }

    async fn product(&self, digest: &Digest) -> Result<Option<ProductRevision>, StoreError> {
        let digest = *digest;
        self.read("product", move |tx| product(tx, &digest)).await
    }

    async fn store_request(
        &self,
        merchant: &MerchantId,
        by: &PublicKey,
        digest: &Digest,
        request: &PaymentRequest,
        compact: &str,
    ) -> Result<RequestOutcome, StoreError> {
        let (merchant, by, digest) = (*merchant, by.clone(), *digest);
        let (request, compact) = (request.clone(), compact.to_owned());
        self.write(Write::PaymentRequest, move |tx| store_request(tx, &merchant, &by, &digest, &request, &compact))
            .await
    }

    async fn payment_request(&self, digest: &Digest) -> Result<Option<RequestRecord>, StoreError> {
        let digest = *digest;
        self.read("payment request", move |tx| request(tx, &digest)).await
    }

    async fn merchant_health(&self, merchant: &MerchantId) -> Result<Health, StoreError> {
        let merchant = *merchant;
        self.read("merchant health", move |tx| health(tx, &merchant)).await
    }
}
