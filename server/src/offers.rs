//! Offers, signed. What is in force stands in the store; signatures are made when asked for, under the key of the day:
//! a digest names the terms, whoever signed them.

use crate::Core;
use crate::answers::No;
use crate::clock::Timestamp;
use crate::keys::KeysError;
use crate::secrets::rng;
use crate::store::{NewOffer, OfferRevision, OffersOutcome};
use portcullis_protocol::limits::{MAX_PRICE_LIST, MAX_TITLE};
use portcullis_protocol::text::disturbs;
use portcullis_protocol::wire::OfferTerms;
use portcullis_protocol::{AccountId, Offer, OfferId, PublisherName, ResourceName, Rights, Verified};

/// Lines of a price list, at most: an offer is signed whenever it is shown.
const MAX_OFFERS: usize = 64;

/// Signs offers in force.
///
/// # Errors
/// [`KeysError::NoSigningKey`].
pub fn sign(core: &Core, offers: &[OfferRevision], now: Timestamp) -> Result<Vec<Verified<Offer>>, KeysError> {
    if offers.is_empty() {
        return Ok(Vec::new());
    }
    let key = core.keys.signing_key(now)?;
    Ok(offers.iter().map(|revision| Verified::sign(revision.offer.clone(), &key)).collect())
}

/// Signed offers as a refusal carries them: as many as its document holds. A list that was made before there was a bound
/// may be longer.
pub(crate) fn carried(offers: &[Verified<Offer>]) -> Vec<String> {
    let mut taken = 0;
    let fitting = offers.iter().take_while(|offer| {
        taken += written(offer);
        taken <= MAX_PRICE_LIST
    });
    fitting.map(|offer| offer.compact().to_owned()).collect()
}

/// Bytes of a signed offer in a list: with its quotes and a comma.
fn written(offer: &Verified<Offer>) -> usize {
    offer.compact().len() + 3
}

/// Replaces the price list of a resource that the account sells. Returns it as it now stands, signed.
///
/// # Errors
/// [`No::Unacceptable`], [`No::NotFound`].
pub async fn replace(
    core: &Core,
    account: &AccountId,
    publisher: &PublisherName,
    name: &ResourceName,
    terms: Vec<OfferTerms>,
) -> Result<Vec<Verified<Offer>>, No> {
    if terms.len() > MAX_OFFERS {
        return Err(No::Unacceptable("a price list has at most 64 offers"));
    }
    let now = core.store.now().await?;
    let offers = terms.into_iter().map(|terms| new_offer(terms, now)).collect::<Result<Vec<_>, No>>()?;
    if size(core, publisher, name, &offers, now)? > MAX_PRICE_LIST {
        return Err(No::Unacceptable(
            "the price list is longer than one refusal can carry: fewer offers, or shorter titles",
        ));
    }
    match core.store.replace_offers(&core.origin, account, publisher, name, offers).await? {
        OffersOutcome::Replaced(offers) => Ok(sign(core, &offers, now)?),
        OffersOutcome::NotFound => Err(No::NotFound),
        OffersOutcome::NoSuchOperation(_) => {
            Err(No::Unacceptable("an offer is for an operation that the resource does not have"))
        }
        OffersOutcome::NoSuchOffer(_) => Err(No::Unacceptable("an offer revises one that is not in force")),
    }
}

/// Bytes of a price list, signed.
fn size(
    core: &Core,
    publisher: &PublisherName,
    name: &ResourceName,
    offers: &[NewOffer],
    now: Timestamp,
) -> Result<usize, No> {
    let key = core.keys.signing_key(now)?;
    let signed = offers.iter().map(|new| written(&Verified::sign(new.offer(&core.origin, publisher, name, now), &key)));
    Ok(signed.sum())
}

fn new_offer(terms: OfferTerms, now: Timestamp) -> Result<NewOffer, No> {
    if terms.title.is_empty() || terms.title.len() > MAX_TITLE || terms.title.chars().any(disturbs) {
        return Err(No::Unacceptable(
            "the title of an offer has 1 to 120 bytes and no control, direction or invisible characters",
        ));
    }
    if matches!(terms.rights, Rights::Uses { count: 0 }) {
        return Err(No::Unacceptable("an offer of uses gives at least one"));
    }
    if terms.rights.is_free() && !terms.price.is_zero() {
        return Err(No::Unacceptable("what is free costs nothing: set the price to zero, or sell `perpetual`"));
    }
    if terms.rights.is_metered() && terms.price.is_zero() {
        return Err(No::Unacceptable("a unit of a metered offer costs something: set a price, or offer it as `free`"));
    }
    Ok(NewOffer {
        id: terms.id.unwrap_or_else(|| OfferId::generate(now.id_millis(), &mut rng())),
        revises: terms.id.is_some(),
        operation: terms.operation,
        title: terms.title,
        rights: terms.rights,
        price: terms.price,
    })
}
