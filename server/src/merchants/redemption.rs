//! Codes for resources of this server: publishers make them by the batch, as gifts, for promotions, for the press;
//! merchants sell them; whoever types one holds the rights.
//!
//! A code is made from its batch, its number and a key that is not in the database, and is found by a keyed hash. So
//! the same request for a batch gets the same codes again, and nobody reads one from the database, a log or a backup.

use crate::Core;
use crate::billing::answers::{Refusal, ServiceError};
use crate::ops::clock::Timestamp;
use crate::store::{BatchOutcome, Buyer, CountedPage, Idempotency, NewBatch, Page, RedeemOutcome, RedemptionLookup};
use portcullis_protocol::codes::RedemptionCode;
use portcullis_protocol::limits::{LONGEST_TERM, MAX_BATCH};
use portcullis_protocol::text::disturbs;
use portcullis_protocol::wire::{BatchInfo, BatchesAnswer, GiftCode, GiftsAnswer, GiftsRequest, RedemptionAnswer};
use portcullis_protocol::{AccountId, BatchId, CodeSerial, Digest, PublisherName, Reason, ResourceName};

/// Batches on one page.
const PAGE: u32 = 50;
/// The longest note of a batch, in bytes.
const NOTE: usize = 200;

/// Makes a batch of codes. The same request again gets the same codes.
///
/// # Errors
/// [`ServiceError::Unacceptable`], [`ServiceError::NotFound`].
pub async fn make(
    core: &Core,
    account: &AccountId,
    publisher: &PublisherName,
    name: &ResourceName,
    asked: &GiftsRequest,
    idempotency: &Idempotency,
) -> Result<GiftsAnswer, ServiceError> {
    if !(1..=MAX_BATCH).contains(&asked.count) {
        return Err(ServiceError::Unacceptable(format!("a batch has 1 to {MAX_BATCH} codes").into()));
    }
    if asked.note.len() > NOTE || asked.note.chars().any(disturbs) {
        let rule = "the note must have at most 200 bytes, without control, direction or invisible characters";
        return Err(ServiceError::Unacceptable(rule.into()));
    }
    let expires = asked.expires.map(|at| Timestamp::from_millis(0).plus(at));
    if expires.is_some_and(|expires| expires.seconds() <= core.clock.now().seconds()) {
        return Err(ServiceError::Unacceptable("`expires` has to lie in the future".into()));
    }
    if expires.is_some_and(|expires| expires > core.clock.now().plus(LONGEST_TERM.into())) {
        return Err(ServiceError::Unacceptable("`expires` lies within ten years: leave it out for longer".into()));
    }
    let batch = batch_of(account, idempotency);
    let codes: Vec<(RedemptionCode, CodeSerial)> =
        (0..asked.count).map(|number| core.secrets.redemption_code(&batch, number)).collect();
    let new = NewBatch {
        id: batch,
        account: *account,
        publisher: publisher.clone(),
        name: name.clone(),
        offer: asked.offer,
        note: asked.note.clone(),
        expires,
        codes: codes.iter().map(|(code, serial)| (core.secrets.redemption_lookup(code), *serial)).collect(),
        most: core.gift_codes,
    };
    match core.store.make_batch(new).await? {
        BatchOutcome::Made => {}
        BatchOutcome::NotOwner => return Err(ServiceError::NotFound),
        BatchOutcome::NoSuchOffer => {
            let why = "the offer is not one of this resource that is in force and gives rights of its own";
            return Err(ServiceError::Unacceptable(why.into()));
        }
        BatchOutcome::TooMany(kept) => {
            let most = core.gift_codes;
            let why = format!(
                "an account has at most {most} codes that nobody has redeemed, and you have {kept}: make fewer, or ask \
                 the store's operator, who sets `limits.gift_codes`. Codes that are void or have expired count for 30 days more"
            );
            return Err(ServiceError::Unacceptable(why.into()));
        }
    }
    let shown = codes.iter().map(|(code, serial)| GiftCode { code: code.text().to_string(), serial: *serial });
    Ok(GiftsAnswer { batch, codes: shown.collect() })
}

/// The batch that a request makes, whenever it is made.
fn batch_of(account: &AccountId, idempotency: &Idempotency) -> BatchId {
    let mut named = account.as_bytes().to_vec();
    named.extend_from_slice(idempotency.request.as_bytes());
    named.extend_from_slice(idempotency.key.as_str().as_bytes());
    let digest = Digest::of(&named);
    let mut id = [0; 16];
    id.copy_from_slice(&digest.as_bytes()[..16]);
    BatchId::from_bytes(id)
}

/// The batches of a resource, newest first.
///
/// # Errors
/// [`ServiceError::NotFound`] if the publisher is another account's.
pub async fn batches(
    core: &Core,
    account: &AccountId,
    publisher: &PublisherName,
    name: &ResourceName,
    page: u32,
) -> Result<BatchesAnswer, ServiceError> {
    let page = CountedPage::new(page, PAGE);
    let found = core.store.batches(account, publisher, name, page.skip(), page.limit()).await?;
    let Page { rows, next } = page.of(found.ok_or(ServiceError::NotFound)?);
    let shown: Vec<BatchInfo> = rows
        .into_iter()
        .map(|batch| BatchInfo {
            batch: batch.id,
            offer: batch.offer,
            operation: Some(batch.operation),
            rights: Some(batch.rights),
            count: batch.count,
            redeemed: batch.redeemed,
            void: batch.void,
            note: batch.note,
            made: batch.made.seconds(),
            expires: batch.expires.map(Timestamp::seconds),
        })
        .collect();
    Ok(BatchesAnswer { batches: shown.into(), next })
}

/// Ends the codes of a batch that nobody has redeemed. Returns how many.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub async fn void(
    core: &Core,
    account: &AccountId,
    publisher: &PublisherName,
    batch: &BatchId,
) -> Result<u32, ServiceError> {
    core.store.void_batch(account, publisher, batch).await?.ok_or(ServiceError::NotFound)
}

/// Redeems a code.
///
/// # Errors
/// `code-unknown`, `code-spent`, `code-void`; `rate-limited` if the account has tried too many that there are not;
/// `confirmation-required` if it holds the same already; [`ServiceError::Unacceptable`] if it is mistyped.
pub async fn redeem(core: &Core, buyer: impl Into<Buyer>, typed: &str) -> Result<RedemptionAnswer, ServiceError> {
    let buyer = buyer.into();
    let code: RedemptionCode = typed.parse().map_err(|error: portcullis_protocol::codes::BadRedemptionCode| {
        ServiceError::Unacceptable(error.to_string().into())
    })?;
    let lookup: RedemptionLookup = core.secrets.redemption_lookup(&code);
    match core.store.redeem(&buyer, lookup).await? {
        RedeemOutcome::Redeemed { offer, at } => Ok(RedemptionAnswer {
            publisher: offer.publisher,
            name: offer.name,
            operation: offer.operation,
            rights: offer.rights,
            at: Some(at.seconds()),
        }),
        RedeemOutcome::ShutOut(reason) => Err(reason.into()),
        RedeemOutcome::Unknown => Err(Reason::CodeUnknown.into()),
        RedeemOutcome::Spent => Err(Reason::CodeSpent.into()),
        RedeemOutcome::Void => Err(Reason::CodeVoid.into()),
        RedeemOutcome::TooMany(seconds) => {
            let why = "This account has tried ten codes that there are not. Nobody else is kept from anything.";
            let wait = u32::try_from(seconds).unwrap_or(u32::MAX);
            Err(Refusal::new(Reason::RateLimited).because(why).after(wait).into())
        }
        RedeemOutcome::Held => {
            let why = "The account holds the same already, so the code would be lost. It was not redeemed: give it to somebody else.";
            Err(Refusal::new(Reason::ConfirmationRequired).because(why).into())
        }
        RedeemOutcome::OffSale => {
            let why = "Nothing of the resource can be run at present, so the code was not redeemed.";
            Err(Refusal::new(Reason::ResourceWithdrawn).because(why).into())
        }
    }
}
