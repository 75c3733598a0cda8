//! Offers.

use super::row::{bytes, json, text, time};
use super::{Sqlite, Tx, resources};
use crate::faults::Write;
use crate::store::{NewOffer, OfferRevision, Offers, OffersOutcome, PublisherId, StoreError};
use async_trait::async_trait;
use portcullis_protocol::{AccountId, Digest, Offer, OfferId, OperationName, Origin, PublisherName, ResourceName};
use rusqlite::Row;

fn revision(row: &Row<'_>) -> rusqlite::Result<OfferRevision> {
    Ok(OfferRevision { offer: json(row, 0)?, digest: bytes(row, 1, Digest::from_bytes)?, since: time(row, 2)? })
}

/// The offers for an operation in force, oldest first.
pub(super) fn for_operation(
    tx: &Tx<'_>,
    publisher: &PublisherId,
    name: &ResourceName,
    operation: &OperationName,
) -> rusqlite::Result<Vec<OfferRevision>> {
    tx.all(
        "SELECT offer, digest, since FROM offers
         WHERE publisher = ?1 AND name = ?2 AND operation = ?3 AND ended_at IS NULL ORDER BY id",
        (publisher.0.0, name.as_str(), operation.as_str()),
        revision,
    )
}

/// The offers of a resource in force, by operation.
pub(super) fn of_resource(
    tx: &Tx<'_>,
    publisher: &PublisherId,
    name: &ResourceName,
) -> rusqlite::Result<Vec<OfferRevision>> {
    tx.all(
        "SELECT offer, digest, since FROM offers
         WHERE publisher = ?1 AND name = ?2 AND ended_at IS NULL ORDER BY operation, id",
        (publisher.0.0, name.as_str()),
        revision,
    )
}

/// The offer of a digest, where it is in force; and those in force for its operation, whether it is or was.
pub(super) fn accepted(tx: &Tx<'_>, digest: &Digest) -> rusqlite::Result<(Option<OfferRevision>, Vec<OfferRevision>)> {
    let known =
        tx.one("SELECT publisher, name, operation FROM offers WHERE digest = ?1", [digest.as_bytes()], |row| {
            Ok((
                super::row::octets(row, 0).map(PublisherId)?,
                text::<ResourceName>(row, 1)?,
                text::<OperationName>(row, 2)?,
            ))
        })?;
    let Some((publisher, name, operation)) = known else { return Ok((None, Vec::new())) };
    let current = for_operation(tx, &publisher, &name, &operation)?;
    Ok((current.iter().find(|revision| revision.digest == *digest).cloned(), current))
}

fn replace(
    tx: &Tx<'_>,
    iss: &Origin,
    account: &AccountId,
    publisher: &PublisherName,
    name: &ResourceName,
    offers: &[NewOffer],
) -> rusqlite::Result<OffersOutcome> {
    let Some(id) = resources::owned(tx, account, publisher)? else { return Ok(OffersOutcome::NotFound) };
    let Some(manifest) = resources::newest_manifest(tx, publisher, name)? else { return Ok(OffersOutcome::NotFound) };
    let before = of_resource(tx, &id, name)?;
    // Everything that can be refused comes before the first write: an outcome is not a rollback.
    for new in offers {
        if manifest.operation(&new.operation).is_none() {
            return Ok(OffersOutcome::NoSuchOperation(new.operation.clone()));
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
        tx.change(sql, (revision.digest.as_bytes(), tx.now.millis()))?;
    }
    for new in offers.iter().filter(|new| !before.iter().any(|revision| says(&revision.offer, new))) {
        insert(tx, &id, &new.offer(iss, publisher, name, tx.now))?;
    }
    tx.log("price list replaced", Some(account), None, &id.0.0)?;
    Ok(OffersOutcome::Replaced(of_resource(tx, &id, name)?))
}

fn insert(tx: &Tx<'_>, publisher: &PublisherId, offer: &Offer) -> rusqlite::Result<()> {
    let payload = super::row::to_json(offer)?;
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
            tx.now.millis(),
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
impl Offers for Sqlite {
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
        self.read("offers", |tx| match resources::publisher_id(tx, publisher)? {
            Some(id) => of_resource(tx, &id, name),
            None => Ok(Vec::new()),
        })
    }
}
