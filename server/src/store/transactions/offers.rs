//! Offers.

use super::{Database, Lock, Tx, TxResult, resources};
use crate::billing::offer_revision::OfferRevision;
use crate::ops::faults::Write;
use crate::store::database::Row;
use crate::store::database::row::{bytes, json, octets, text, time, to_json};
use crate::store::{NewOffer, OffSale, Offers, OffersOutcome, PublisherId, StoreError};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, Digest, Offer, OfferId, OperationName, Origin, PublisherName, ResourceName};

/// An offer `f` in force is on sale while its publisher is in good standing, and a version has its operation that is
/// not withdrawn and that its publisher's key stands for: what is sold can be granted, and no terminal refuses its
/// signature.
const ON_SALE: &str = "f.ended_at IS NULL
    AND EXISTS (SELECT 1 FROM publishers p JOIN accounts a ON a.id = p.owner
                WHERE p.id = f.publisher AND a.suspended_at IS NULL)
    AND EXISTS (SELECT 1 FROM resources r JOIN operations o ON o.resource = r.digest AND o.name = f.operation
                WHERE r.publisher = f.publisher AND r.name = f.name AND r.withdrawn_at IS NULL AND r.stands = 1)";

fn revision(row: &Row<'_>) -> TxResult<OfferRevision> {
    Ok(OfferRevision { offer: json(row, 0)?, digest: bytes(row, 1, Digest::from_bytes)?, since: time(row, 2)? })
}

/// The offers for an operation on sale, oldest first.
pub(super) fn for_operation(
    tx: &Tx<'_>,
    publisher: &PublisherId,
    name: &ResourceName,
    operation: &OperationName,
) -> TxResult<Vec<OfferRevision>> {
    tx.all(
        &format!(
            "SELECT f.offer, f.digest, f.since FROM offers f
             WHERE f.publisher = ?1 AND f.name = ?2 AND f.operation = ?3 AND {ON_SALE} ORDER BY f.id"
        ),
        (publisher.0.0, name.as_str(), operation.as_str()),
        revision,
    )
}

/// The offers of a resource on sale, by operation.
pub(super) fn of_resource(tx: &Tx<'_>, publisher: &PublisherId, name: &ResourceName) -> TxResult<Vec<OfferRevision>> {
    tx.all(
        &format!(
            "SELECT f.offer, f.digest, f.since FROM offers f
             WHERE f.publisher = ?1 AND f.name = ?2 AND {ON_SALE} ORDER BY f.operation, f.id"
        ),
        (publisher.0.0, name.as_str()),
        revision,
    )
}

/// The offers of a resource in force, on sale or not.
pub(super) fn in_force(tx: &Tx<'_>, publisher: &PublisherId, name: &ResourceName) -> TxResult<Vec<OfferRevision>> {
    tx.all(
        "SELECT offer, digest, since FROM offers
         WHERE publisher = ?1 AND name = ?2 AND ended_at IS NULL ORDER BY operation, id",
        (publisher.0.0, name.as_str()),
        revision,
    )
}

/// What an offer is for.
pub(super) struct Subject {
    pub(super) publisher: PublisherId,
    pub(super) name: ResourceName,
    pub(super) operation: OperationName,
}

/// What the offer of a digest is for, whether it is in force or was.
pub(super) fn subject(tx: &Tx<'_>, digest: &Digest) -> TxResult<Option<Subject>> {
    tx.one("SELECT publisher, name, operation FROM offers WHERE digest = ?1", [digest.as_bytes()], |row| {
        Ok(Subject { publisher: octets(row, 0).map(PublisherId)?, name: text(row, 1)?, operation: text(row, 2)? })
    })
}

/// The offer of a digest, if it is in force, on sale or not.
pub(super) fn accepted(tx: &Tx<'_>, digest: &Digest) -> TxResult<Option<OfferRevision>> {
    let sql = "SELECT offer, digest, since FROM offers WHERE digest = ?1 AND ended_at IS NULL";
    tx.one(sql, [digest.as_bytes()], revision)
}

/// Whether the offer of a digest is on sale.
pub(super) fn is_on_sale(tx: &Tx<'_>, digest: &Digest) -> TxResult<bool> {
    let sql = format!("SELECT 1 FROM offers f WHERE f.digest = ?1 AND {ON_SALE}");
    Ok(tx.one(&sql, [digest.as_bytes()], |_| Ok(()))?.is_some())
}

/// Why nothing can be granted for what an offer is for; `None` if something can.
pub(super) fn off_sale(tx: &Tx<'_>, subject: &Subject) -> TxResult<Option<OffSale>> {
    let Subject { publisher, name, operation } = subject;
    let in_good_standing = "SELECT 1 FROM publishers p JOIN accounts a ON a.id = p.owner
                            WHERE p.id = ?1 AND a.suspended_at IS NULL";
    if tx.one(in_good_standing, [publisher.0.0], |_| Ok(()))?.is_none() {
        return Ok(Some(OffSale::PublisherSuspended));
    }
    let sold = "SELECT 1 FROM resources WHERE publisher = ?1 AND name = ?2 AND withdrawn_at IS NULL LIMIT 1";
    if tx.one(sold, (publisher.0.0, name.as_str()), |_| Ok(()))?.is_none() {
        return Ok(Some(OffSale::Withdrawn));
    }
    let stands = "SELECT 1 FROM resources
                  WHERE publisher = ?1 AND name = ?2 AND withdrawn_at IS NULL AND stands = 1 LIMIT 1";
    if tx.one(stands, (publisher.0.0, name.as_str()), |_| Ok(()))?.is_none() {
        return Ok(Some(OffSale::NotAdopted));
    }
    let has_it = resources::is_sold(tx, publisher, name, operation)?;
    Ok(if has_it { None } else { Some(OffSale::NoOperation) })
}

fn replace(
    tx: &Tx<'_>,
    iss: &Origin,
    account: &AccountId,
    publisher: &PublisherName,
    name: &ResourceName,
    offers: &[NewOffer],
) -> TxResult<OffersOutcome> {
    tx.lock(Lock::Publisher(publisher))?;
    let Some(id) = resources::owned(tx, account, publisher)? else { return Ok(OffersOutcome::NotFound) };
    let Some(manifest) = resources::newest_manifest(tx, publisher, name)? else { return Ok(OffersOutcome::NotFound) };
    let before = in_force(tx, &id, name)?;
    // Everything that can be refused comes before the first write: an outcome is not a rollback.
    for new in offers {
        // An older version that is still sold may have operations that the newest has no more. If all are withdrawn,
        // the list is for the time when there is another one.
        if manifest.operation(&new.operation).is_none() && !resources::is_sold(tx, &id, name, &new.operation)? {
            return Ok(OffersOutcome::NoSuchOperation(new.operation.clone()));
        }
        if new.rights.cost_nothing_at(new.price)
            && let Some(opened) = resources::opened_by(tx, &id, name, &new.operation)?
        {
            return Ok(OffersOutcome::OpensPart(opened));
        }
        let known = before.iter().any(|revision| revision.offer.id == new.id);
        let twice = offers.iter().filter(|other| other.id == new.id).count() > 1;
        if (new.revises && !known) || twice {
            return Ok(OffersOutcome::NoSuchOffer(new.id));
        }
    }
    let unchanged = |revision: &OfferRevision| offers.iter().any(|new| says(&revision.offer, new));
    for revision in before.iter().filter(|revision| !unchanged(revision)) {
        let sql = "UPDATE offers SET ended_at = ?2 WHERE digest = ?1";
        tx.change(sql, (revision.digest.as_bytes(), tx.now().millis()))?;
    }
    for new in offers.iter().filter(|new| !before.iter().any(|revision| says(&revision.offer, new))) {
        insert(tx, &id, &new.offer(iss, publisher, name, tx.now()))?;
    }
    tx.log("price list replaced", Some(account), None, &id.0.0)?;
    Ok(OffersOutcome::Replaced(in_force(tx, &id, name)?))
}

fn insert(tx: &Tx<'_>, publisher: &PublisherId, offer: &Offer) -> TxResult<()> {
    let payload = to_json(offer)?;
    // The same terms twice within a second are the same revision: it is in force again.
    tx.change(
        "INSERT INTO offers (digest, id, publisher, name, operation, offer, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (digest) DO UPDATE SET ended_at = NULL",
        (
            Digest::of(payload.as_bytes()).as_bytes(),
            OfferId::as_bytes(&offer.id),
            publisher.0.0,
            offer.name.as_str(),
            offer.operation.as_str(),
            &payload,
            tx.now().millis(),
        ),
    )?;
    Ok(())
}

/// Whether an offer in force already says what a line of the new list says.
fn says(offer: &Offer, new: &NewOffer) -> bool {
    offer.id == new.id
        && offer.operation == new.operation
        && offer.title == new.title
        && offer.rights == new.rights
        && offer.price == new.price
}

#[async_trait]
impl<D: Database> Offers for D {
    async fn replace_offers(
        &self,
        iss: &Origin,
        account: &AccountId,
        publisher: &PublisherName,
        name: &ResourceName,
        offers: Vec<NewOffer>,
    ) -> Result<OffersOutcome, StoreError> {
        let (iss, account, publisher, name) = (iss.clone(), *account, publisher.clone(), name.clone());
        self.write(Write::OffersReplace, move |tx| replace(tx, &iss, &account, &publisher, &name, &offers)).await
    }

    async fn offers(&self, publisher: &PublisherName, name: &ResourceName) -> Result<Vec<OfferRevision>, StoreError> {
        let (publisher, name) = (publisher.clone(), name.clone());
        self.read("offers", move |tx| match resources::publisher_id(tx, &publisher)? {
            Some(id) => of_resource(tx, &id, &name),
            None => Ok(Vec::new()),
        })
        .await
    }
}
