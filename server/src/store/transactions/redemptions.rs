//! Redemption codes.

use super::offers::Subject;
use super::orders::{held, hold};
use super::{Database, Lock, Tx, TxError, TxResult, offers, orders, resources};
use crate::billing::entitlement::EntitlementId;
use crate::billing::ledger::{Commodity, LedgerAccount, NewTransfer};
use crate::billing::rights;
use crate::ops::clock::Timestamp;
use crate::ops::faults::Write;
use crate::ops::retention;
use crate::store::database::row::{bytes, count, json, maybe_bytes, maybe_time, octets, text, time};
use crate::store::{
    Batch, BatchOutcome, Buyer, NewBatch, PublisherId, RedeemOutcome, RedemptionLookup, Redemptions, StoreError,
};
use async_trait::async_trait;
use portcullis_protocol::encoding::Octets;
use portcullis_protocol::{AccountId, BatchId, CodeSerial, Digest, Offer, PublisherName, ResourceName, Sale};

/// How many codes that there are not an account may try, and within which time, in seconds. Whoever reads codes off
/// cards mistypes a few, most of which their check digits find; 80 bits are not guessed ten at a time.
const TRIES: i64 = 10;
const TRIES_WITHIN: u64 = 3600;

fn make(tx: &Tx<'_>, new: &NewBatch) -> TxResult<BatchOutcome> {
    tx.lock(Lock::Account(&new.account))?;
    tx.lock(Lock::Publisher(&new.publisher))?;
    let Some(publisher) = resources::owned(tx, &new.account, &new.publisher)? else {
        return Ok(BatchOutcome::NotOwner);
    };
    let made =
        tx.one("SELECT publisher FROM code_batches WHERE id = ?1", [new.id.as_bytes()], |row| row.get::<[u8; 16]>(0))?;
    if let Some(owner) = made {
        // Under another master key the request would get other codes.
        let sql = "SELECT 1 FROM redemption_codes WHERE batch = ?1 AND lookup = ?2";
        let lookup = new.codes.first().ok_or(TxError::Damaged)?.0;
        let is_same = tx.one(sql, (new.id.as_bytes(), lookup.0), |_| Ok(()))?.is_some();
        return Ok(if owner == publisher.0.0 && is_same { BatchOutcome::Made } else { BatchOutcome::NotOwner });
    }
    let offered = offers::accepted(tx, &new.offer)?.map(|revision| revision.offer);
    let is_theirs = offered.as_ref().is_some_and(|offer| {
        let gives = matches!(offer.rights.sale(), Sale::Once | Sale::PerPeriod);
        offer.publisher == new.publisher && offer.name == new.name && gives
    });
    if !is_theirs {
        return Ok(BatchOutcome::NoSuchOffer);
    }
    let kept = kept(tx, &new.account)?;
    if kept.saturating_add(new.codes.len() as u64) > new.most {
        return Ok(BatchOutcome::TooMany(kept));
    }
    tx.change(
        "INSERT INTO code_batches (id, publisher, offer, count, note, created_at, expires_at, ends_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        (
            new.id.as_bytes(),
            publisher.0.0,
            new.offer.as_bytes(),
            i64::try_from(new.codes.len()).unwrap_or(i64::MAX),
            &new.note,
            tx.now().millis(),
            new.expires.map(Timestamp::millis),
        ),
    )?;
    for (number, (lookup, serial)) in (0_i64..).zip(&new.codes) {
        let sql = "INSERT INTO redemption_codes (lookup, batch, number, serial) VALUES (?1, ?2, ?3, ?4)";
        tx.change(sql, (lookup.0, new.id.as_bytes(), number, serial.as_bytes()))?;
    }
    tx.log("redemption codes made", Some(&new.account), None, new.id.as_bytes())?;
    Ok(BatchOutcome::Made)
}

/// Codes of an account that nobody has redeemed and no merchant has sold, for which there is a row.
fn kept(tx: &Tx<'_>, account: &AccountId) -> TxResult<u64> {
    let found = tx.one(
        "SELECT count(*) FROM publishers p JOIN code_batches b ON b.publisher = p.id
             JOIN redemption_codes r ON r.batch = b.id AND r.state <> 1 AND r.sold IS NULL
         WHERE p.owner = ?1",
        [account.as_bytes()],
        |row| count(row, 0),
    )?;
    Ok(found.unwrap_or(0))
}

/// Deletes codes that have been void or expired for long, and that nobody has paid for. Returns how many.
pub(super) fn sweep(tx: &Tx<'_>, limit: u32) -> TxResult<usize> {
    let old = tx.now().minus(retention::ENDED_CODE).millis();
    let (mut deleted, most) = (0, usize::try_from(limit).unwrap_or(usize::MAX));
    while deleted < most {
        let sql = "SELECT id FROM code_batches WHERE ends_at < ?1 ORDER BY ends_at LIMIT 1";
        let Some(batch) = tx.one(sql, [old], |row| row.get::<[u8; 16]>(0))? else { break };
        let left = i64::try_from(most - deleted).unwrap_or(i64::MAX);
        deleted += tx.change(
            "DELETE FROM redemption_codes WHERE batch = ?1 AND state <> 1 AND sold IS NULL AND lookup IN (
                 SELECT lookup FROM redemption_codes WHERE batch = ?1 AND state <> 1 AND sold IS NULL LIMIT ?2)",
            (batch, left),
        )?;
        if deleted < most {
            tx.change("UPDATE code_batches SET ends_at = NULL WHERE id = ?1", [batch])?;
        }
    }
    Ok(deleted)
}

fn void(tx: &Tx<'_>, account: &AccountId, publisher: &PublisherName, batch: &BatchId) -> TxResult<Option<u32>> {
    tx.lock(Lock::Publisher(publisher))?;
    let Some(owned) = resources::owned(tx, account, publisher)? else { return Ok(None) };
    let sql = "SELECT 1 FROM code_batches WHERE id = ?1 AND publisher = ?2";
    if tx.one(sql, (batch.as_bytes(), owned.0.0), |_| Ok(()))?.is_none() {
        return Ok(None);
    }
    // What a merchant has sold belongs to whoever paid for it.
    let sql = "UPDATE redemption_codes SET state = 2 WHERE batch = ?1 AND state = 0 AND sold IS NULL";
    let ended = tx.change(sql, [batch.as_bytes()])?;
    let sql = "UPDATE code_batches SET ends_at = ?2 WHERE id = ?1 AND coalesce(ends_at, ?2) >= ?2";
    tx.change(sql, (batch.as_bytes(), tx.now().millis()))?;
    tx.log("redemption codes voided", Some(account), None, batch.as_bytes())?;
    Ok(Some(u32::try_from(ended).unwrap_or(u32::MAX)))
}

/// Counts a code that there is not.
fn tried_in_vain(tx: &Tx<'_>, account: &AccountId) -> TxResult<()> {
    let begun = tx.now().minus(TRIES_WITHIN).millis();
    tx.change(
        "INSERT INTO redemption_tries (account, since, tries) VALUES (?1, ?2, 1)
         ON CONFLICT (account) DO UPDATE SET
             tries = CASE WHEN redemption_tries.since < ?3 THEN 1 ELSE redemption_tries.tries + 1 END,
             since = CASE WHEN redemption_tries.since < ?3 THEN excluded.since ELSE redemption_tries.since END",
        (account.as_bytes(), tx.now().millis(), begun),
    )?;
    Ok(())
}

/// How long an account has to wait that tried too many codes that there are not, in seconds.
fn locked_out(tx: &Tx<'_>, account: &AccountId) -> TxResult<Option<u64>> {
    let begun = tx.now().minus(TRIES_WITHIN).millis();
    let sql = "SELECT since FROM redemption_tries WHERE account = ?1 AND since >= ?2 AND tries >= ?3";
    let since = tx.one(sql, (account.as_bytes(), begun, TRIES), |row| time(row, 0))?;
    Ok(since.map(|since| since.plus(TRIES_WITHIN).seconds().saturating_sub(tx.now().seconds()).max(1)))
}

struct Found {
    serial: CodeSerial,
    state: i64,
    owner: Option<AccountId>,
    offer: Offer,
    subject: Subject,
    expires: Option<Timestamp>,
    redeemed: Option<Timestamp>,
}

fn redeem(tx: &Tx<'_>, buyer: &Buyer, code: RedemptionLookup) -> TxResult<RedeemOutcome> {
    let account = buyer.account();
    tx.lock(Lock::Account(account))?;
    if let Some(reason) = orders::shut_out(tx, buyer)? {
        return Ok(RedeemOutcome::ShutOut(reason));
    }
    if let Some(seconds) = locked_out(tx, account)? {
        return Ok(RedeemOutcome::TooMany(seconds));
    }
    let found = tx.one(
        "SELECT r.serial, r.state, r.account, b.expires_at, f.offer, f.publisher, f.name, f.operation, r.redeemed_at
         FROM redemption_codes r JOIN code_batches b ON b.id = r.batch JOIN offers f ON f.digest = b.offer
         WHERE r.lookup = ?1",
        [code.0],
        |row| {
            Ok(Found {
                serial: bytes(row, 0, CodeSerial::from_bytes)?,
                state: row.get(1)?,
                owner: maybe_bytes(row, 2, AccountId::from_bytes)?,
                expires: maybe_time(row, 3)?,
                offer: json(row, 4)?,
                subject: Subject {
                    publisher: octets(row, 5).map(PublisherId)?,
                    name: text(row, 6)?,
                    operation: text(row, 7)?,
                },
                redeemed: maybe_time(row, 8)?,
            })
        },
    )?;
    let Some(Found { serial, state, owner, offer, subject, expires, redeemed }) = found else {
        tried_in_vain(tx, account)?;
        return Ok(RedeemOutcome::Unknown);
    };
    match (state, owner) {
        (1, Some(owner)) if owner == *account => {
            let at = redeemed.ok_or(TxError::Damaged)?;
            return Ok(RedeemOutcome::Redeemed { offer: Box::new(offer), at });
        }
        (1, _) => return Ok(RedeemOutcome::Spent),
        (0, _) if expires.is_none_or(|expires| expires > tx.now()) => {}
        _ => return Ok(RedeemOutcome::Void),
    }
    if offers::off_sale(tx, &subject)?.is_some() {
        return Ok(RedeemOutcome::OffSale);
    }
    if held(tx, account, &subject, &offer.rights)?.is_some() {
        return Ok(RedeemOutcome::Held);
    }
    // Whoever comes second finds it spent.
    let sql = "UPDATE redemption_codes SET state = 1, account = ?2, redeemed_at = ?3 WHERE lookup = ?1 AND state = 0";
    if tx.change(sql, (code.0, account.as_bytes(), tx.now().millis()))? != 1 {
        return Err(TxError::Conflict("the code was redeemed meanwhile".into()));
    }
    let holding = rights::bought(&offer.rights, tx.now()).ok_or(TxError::Damaged)?;
    let entitlement = EntitlementId(Octets(*serial.as_bytes()));
    hold(tx, account, &subject.publisher, &offer, &entitlement, holding)?;
    if let Some(amount) = holding.total.and_then(|total| i64::try_from(total).ok()) {
        let (from, to) = (LedgerAccount::issued(), LedgerAccount::entitlement(&entitlement));
        let uses = NewTransfer { from, to, amount, commodity: Commodity::Uses, subject: *serial.as_bytes() };
        super::ledger::append(tx, &uses)?;
    }
    tx.log("code redeemed", Some(account), buyer.terminal(), serial.as_bytes())?;
    Ok(RedeemOutcome::Redeemed { offer: Box::new(offer), at: tx.now() })
}

#[async_trait]
impl<D: Database> Redemptions for D {
    async fn make_batch(&self, batch: NewBatch) -> Result<BatchOutcome, StoreError> {
        self.write(Write::BatchMake, move |tx| make(tx, &batch)).await
    }

    async fn batches(
        &self,
        account: &AccountId,
        publisher: &PublisherName,
        name: &ResourceName,
        skip: u32,
        limit: u32,
    ) -> Result<Option<Vec<Batch>>, StoreError> {
        let (account, publisher, name) = (*account, publisher.clone(), name.clone());
        self.read_many("redemption codes", move |tx| {
            let Some(owned) = resources::owned(tx, &account, &publisher)? else { return Ok(None) };
            tx.all(
                "SELECT b.id, b.offer, b.count, b.note, b.created_at, b.expires_at,
                        (SELECT count(*) FROM redemption_codes r WHERE r.batch = b.id AND r.state = 1),
                        b.count - (SELECT count(*) FROM redemption_codes r WHERE r.batch = b.id AND r.state <> 2),
                        f.offer
                 FROM code_batches b JOIN offers f ON f.digest = b.offer
                 WHERE b.publisher = ?1 AND f.name = ?2 ORDER BY b.created_at DESC, b.id LIMIT ?3 OFFSET ?4",
                (owned.0.0, name.as_str(), limit, skip),
                |row| {
                    let offer: Offer = json(row, 8)?;
                    Ok(Batch {
                        id: bytes(row, 0, BatchId::from_bytes)?,
                        offer: bytes(row, 1, Digest::from_bytes)?,
                        operation: offer.operation,
                        rights: offer.rights,
                        count: row.get(2)?,
                        note: row.get(3)?,
                        made: time(row, 4)?,
                        expires: maybe_time(row, 5)?,
                        redeemed: row.get(6)?,
                        void: row.get(7)?,
                    })
                },
            )
            .map(Some)
        })
        .await
    }

    async fn void_batch(
        &self,
        account: &AccountId,
        publisher: &PublisherName,
        batch: &BatchId,
    ) -> Result<Option<u32>, StoreError> {
        let (account, publisher, batch) = (*account, publisher.clone(), *batch);
        self.write(Write::BatchVoid, move |tx| void(tx, &account, &publisher, &batch)).await
    }

    async fn redeem(&self, buyer: &Buyer, code: RedemptionLookup) -> Result<RedeemOutcome, StoreError> {
        let buyer = *buyer;
        self.write(Write::CodeRedeem, move |tx| redeem(tx, &buyer, code)).await
    }
}
