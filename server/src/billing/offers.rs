//! Offers, signed. What is in force stands in the store; a signature is made when an offer is first shown under the
//! key of the day, and kept: whoever asks again gets the one that is there, so that strangers who search do not make
//! this server sign. A digest names the terms, whoever signed them.

use crate::Core;
use crate::billing::answers::ServiceError;
use crate::billing::offer_revision::OfferRevision;
use crate::billing::rights;
use crate::crypto::keys::KeysError;
use crate::crypto::secrets::rng;
use crate::ops::clock::Timestamp;
use crate::store::{NewOffer, OffersOutcome, OpenedPart};
use hashlink::LruCache;
use parking_lot::{Mutex, MutexGuard};
use portcullis_protocol::limits::MAX_PRICE_LIST;
use portcullis_protocol::text::is_title;
use portcullis_protocol::wire::OfferTerms;
use portcullis_protocol::{
    AccountId, Digest, Offer, OfferId, PublisherName, ResourceName, SecretKey, Thumbprint, Verified,
};

/// Lines of a price list, at most: all of them are shown wherever one is.
const MAX_OFFERS: usize = 64;
/// Signed offers that a process keeps: with 1.5 KB each, 24 MB. Those that nobody has asked for longest go first.
const KEPT: usize = 16 * 1024;

/// Offers that were signed, by the digest of their revision and the key. Another price is another digest, and a key
/// that was rotated is asked for no more: nothing here ever has to be forgotten for being wrong.
pub(crate) struct SignedOffers(Mutex<LruCache<(Digest, Thumbprint), Verified<Offer>>>);

impl Default for SignedOffers {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl SignedOffers {
    fn kept(&self) -> MutexGuard<'_, LruCache<(Digest, Thumbprint), Verified<Offer>>> {
        self.0.lock()
    }

    /// The offers, signed with `key`.
    fn signed(&self, offers: &[OfferRevision], key: &SecretKey) -> Vec<Verified<Offer>> {
        let by = key.public().thumbprint();
        let found: Vec<_> = {
            let mut kept = self.kept();
            offers.iter().map(|revision| kept.get(&(revision.digest, by)).cloned()).collect()
        };
        // Not under the lock: a signature takes a hundred times as long as a look.
        let mut made = Vec::new();
        let signed = offers.iter().zip(found).map(|(revision, found)| {
            found.unwrap_or_else(|| {
                let offer = Verified::sign(revision.offer.clone(), key);
                made.push(((revision.digest, by), offer.clone()));
                offer
            })
        });
        let signed = signed.collect();
        if !made.is_empty() {
            tracing::debug!(count = made.len(), "offers signed");
            self.kept().extend(made);
        }
        signed
    }
}

/// Signs offers in force.
///
/// # Errors
/// [`KeysError::NoSigningKey`].
pub fn sign(core: &Core, offers: &[OfferRevision], now: Timestamp) -> Result<Vec<Verified<Offer>>, KeysError> {
    if offers.is_empty() {
        return Ok(Vec::new());
    }
    let key = core.keys.signing_key(now)?;
    Ok(core.keys.offers().signed(offers, &key))
}

/// Signed offers as a refusal carries them: as many as its document holds. A list that was made before there was a
/// bound may be longer.
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
/// [`ServiceError::Unacceptable`], [`ServiceError::NotFound`].
pub async fn replace(
    core: &Core,
    account: &AccountId,
    publisher: &PublisherName,
    name: &ResourceName,
    terms: Vec<OfferTerms>,
) -> Result<Vec<Verified<Offer>>, ServiceError> {
    if terms.len() > MAX_OFFERS {
        return Err(ServiceError::Unacceptable("a price list has at most 64 offers".into()));
    }
    let now = core.store.now().await?;
    let offers =
        terms.into_iter().map(|terms| new_offer(core, terms, now)).collect::<Result<Vec<_>, ServiceError>>()?;
    if size(core, publisher, name, &offers, now)? > MAX_PRICE_LIST {
        return Err(ServiceError::Unacceptable(
            "the price list is longer than one refusal can carry: fewer offers, or shorter titles".into(),
        ));
    }
    match core.store.replace_offers(&core.origin, account, publisher, name, offers).await? {
        OffersOutcome::Replaced(offers) => Ok(sign(core, &offers, now)?),
        OffersOutcome::NotFound => Err(ServiceError::NotFound),
        OffersOutcome::NoSuchOperation(operation) => Err(ServiceError::Unacceptable(
            format!("an offer is for the operation `{operation}`, which no version on sale has").into(),
        )),
        OffersOutcome::OpensPart(opened) => {
            Err(ServiceError::Unacceptable(opens_part(publisher, name, &opened).into()))
        }
        OffersOutcome::NoSuchOffer(_) => {
            Err(ServiceError::Unacceptable("an offer revises one that is not in force".into()))
        }
    }
}

/// Why a free operation may not be: an offer holds for every version, so what is a teaser in one may open in another
/// what is sold there.
pub(crate) fn opens_part(publisher: &PublisherName, name: &ResourceName, opened: &OpenedPart) -> String {
    let OpenedPart { operation, part, version } = opened;
    format!(
        "the operation `{operation}` would be free in every version, and in {version} it opens the part `{part}`, which is \
         not public. Set a price on `{operation}`, declare the part public, give the free operation another name, or \
         withdraw that version: `portcullis withdraw {publisher}/{name}@{version}`"
    )
}

/// Why a version that was withdrawn is not restored: see `opens_part`.
#[must_use]
pub fn stays_withdrawn(opened: &OpenedPart) -> String {
    let OpenedPart { operation, part, version } = opened;
    format!(
        "the operation `{operation}` is free by now, and in {version} it opens the part `{part}`, which is not public. Set \
         a price on `{operation}` first"
    )
}

/// Bytes of a price list, signed.
fn size(
    core: &Core,
    publisher: &PublisherName,
    name: &ResourceName,
    offers: &[NewOffer],
    now: Timestamp,
) -> Result<usize, ServiceError> {
    let key = core.keys.signing_key(now)?;
    let signed = offers.iter().map(|new| written(&Verified::sign(new.offer(&core.origin, publisher, name, now), &key)));
    Ok(signed.sum())
}

fn new_offer(core: &Core, terms: OfferTerms, now: Timestamp) -> Result<NewOffer, ServiceError> {
    if !is_title(&terms.title) {
        return Err(ServiceError::Unacceptable(
            "the title of an offer has 1 to 120 bytes and no control, direction or invisible characters".into(),
        ));
    }
    rights::check_offer(&terms.rights, terms.price).map_err(|fix| ServiceError::Unacceptable(fix.into()))?;
    core.currencies.check(terms.price).map_err(|error| ServiceError::Unacceptable(error.to_string().into()))?;
    Ok(NewOffer {
        id: terms.id.unwrap_or_else(|| OfferId::generate(now.id_millis(), &mut rng())),
        revises: terms.id.is_some(),
        operation: terms.operation,
        title: terms.title,
        rights: terms.rights,
        price: terms.price,
    })
}

#[cfg(test)]
mod tests {
    use super::SignedOffers;
    use crate::billing::offer_revision::OfferRevision;
    use crate::crypto::secrets::rng;
    use crate::ops::clock::Timestamp;
    use crate::store::NewOffer;
    use portcullis_protocol::{Digest, OfferId, Origin, Rights, SecretKey};

    fn revision(price: &str) -> OfferRevision {
        let now = Timestamp::from_millis(1_000);
        let new = NewOffer {
            id: OfferId::generate(1_000, &mut rng()),
            revises: false,
            operation: "view".parse().expect("a name"),
            title: "To view it".into(),
            rights: Rights::Perpetual {},
            price: price.parse().expect("a price"),
        };
        let origin = Origin::new("https://store.example").expect("an origin");
        let (publisher, name) = ("lumen".parse().expect("a name"), "dusk".parse().expect("a name"));
        let offer = new.offer(&origin, &publisher, &name, now);
        let digest = Digest::of(&serde_json::to_vec(&offer).expect("json"));
        OfferRevision { offer, digest, since: now }
    }

    #[test]
    fn an_offer_is_signed_once_per_price_and_key() {
        let offers = SignedOffers::default();
        let (key, next) = (SecretKey::generate(&mut rng()), SecretKey::generate(&mut rng()));
        let list = vec![revision("1.00 EUR"), revision("2.00 EUR")];
        let first = offers.signed(&list, &key);
        assert_eq!(offers.kept().len(), 2);
        // Something else in its place shows that what is there is taken, and nothing signed.
        let place = (list[0].digest, key.public().thumbprint());
        offers.kept().insert(place, first[1].clone());
        let again = offers.signed(&list, &key);
        assert_eq!([&again[0], &again[1]], [&first[1], &first[1]]);

        let rotated = offers.signed(&list, &next);
        assert!(rotated.iter().all(|offer| offer.signer() == next.public().thumbprint()));
        let dearer = offers.signed(&[revision("9.00 EUR")], &next);
        assert_eq!(dearer[0].document().price.to_string(), "9.00 EUR");
        assert_eq!(offers.kept().len(), 5);
    }

    #[test]
    fn no_more_are_kept_than_is_said() {
        let offers = SignedOffers::default();
        let key = SecretKey::generate(&mut rng());
        let signed = offers.signed(&[revision("1.00 EUR")], &key).remove(0);
        let by = key.public().thumbprint();
        offers.kept().extend((0..2 * super::KEPT).map(|n| ((Digest::of(&n.to_be_bytes()), by), signed.clone())));
        assert_eq!(offers.kept().len(), super::KEPT);
    }
}
