//! What merchants sell, and what they ask one customer to pay.

use super::orders::former_key;
use crate::Core;
use crate::billing::answers::ServiceError;
use crate::store::{MAX_OPEN_REQUESTS, Merchant, MerchantState, ProductOutcome, ProductRevision, RequestOutcome};
use portcullis_protocol::limits::{MAX_PRODUCTS, MAX_REQUEST_LIFE};
use portcullis_protocol::wire::{PaymentRequestAnswer, PaymentRequestEntry, ProductAnswer};
use portcullis_protocol::{Digest, Money, PaymentRequest, Product, ProductName, Reason, Unverified};

/// How far ahead of this server's clock a merchant's may be, in seconds.
const SKEW: u64 = 300;

/// Sells a product, or another revision of it.
///
/// # Errors
/// [`ServiceError::Unacceptable`] says what is wrong with it.
pub async fn sell(core: &Core, merchant: &Merchant, compact: &str) -> Result<ProductAnswer, ServiceError> {
    let unacceptable = |why: String| ServiceError::Unacceptable(format!("the product is not accepted: {why}").into());
    let signed = Unverified::<Product>::parse(compact)
        .and_then(|product| product.verify(&merchant.key))
        .map_err(|error| unacceptable(error.to_string()))?;
    let product = signed.document();
    if product.merchant != merchant.name || product.aud != core.origin {
        return Err(unacceptable("it is signed for another platform or name".into()));
    }
    is_charged(core, product.price).map_err(unacceptable)?;
    let revision = ProductRevision {
        product: product.clone(),
        compact: compact.to_owned(),
        digest: signed.digest(),
        is_sold: true,
        merchant: merchant.id,
    };
    match core.store.sell_product(revision, &merchant.key).await? {
        ProductOutcome::Sold => Ok(ProductAnswer { product: signed.digest() }),
        // Suspended, or with another key, since its request came in.
        ProductOutcome::NotSigned => Err(Reason::MerchantUnknown.into()),
        ProductOutcome::TooMany => Err(unacceptable(format!("a merchant sells at most {MAX_PRODUCTS} products"))),
    }
}

/// Ends the sale of a product. Orders that are under way go on.
///
/// # Errors
/// [`ServiceError::NotFound`] if it is not sold.
pub async fn end(core: &Core, merchant: &Merchant, name: &ProductName) -> Result<(), ServiceError> {
    if core.store.end_product(&merchant.id, name).await? { Ok(()) } else { Err(ServiceError::NotFound) }
}

/// Takes a request, which whoever opens it can pay, once.
///
/// # Errors
/// `merchant-unknown` if the merchant is not approved; `product-unknown` if its product is not sold;
/// [`ServiceError::Unacceptable`].
pub async fn request(core: &Core, merchant: &Merchant, compact: &str) -> Result<PaymentRequestAnswer, ServiceError> {
    if merchant.state != MerchantState::Approved {
        return Err(Reason::MerchantUnknown.into());
    }
    let unacceptable = |why: String| ServiceError::Unacceptable(format!("the request is not accepted: {why}").into());
    let signed = Unverified::<PaymentRequest>::parse(compact)
        .and_then(|request| request.verify(&merchant.key))
        .map_err(|error| unacceptable(error.to_string()))?;
    let request = signed.document();
    if request.merchant != merchant.name || request.aud != core.origin {
        return Err(unacceptable("it is signed for another platform or name".into()));
    }
    let now = core.store.now().await?.seconds();
    let lives = request.exp.checked_sub(request.iat).is_some_and(|life| life <= MAX_REQUEST_LIFE);
    if !lives || request.iat > now.saturating_add(SKEW) || request.exp <= now {
        return Err(unacceptable("it has to be made now and to expire within 86,400 seconds".into()));
    }
    is_charged(core, request.amount).map_err(unacceptable)?;
    let product = core.store.product(&request.product).await?;
    if !product.is_some_and(|product| product.is_sold && product.merchant == merchant.id) {
        return Err(Reason::ProductUnknown.into());
    }
    let digest = signed.digest();
    match core.store.store_request(&merchant.id, &merchant.key, &digest, request, compact).await? {
        RequestOutcome::Stored => {}
        // Suspended, or with another key, since its request came in.
        RequestOutcome::NotSigned => return Err(Reason::MerchantUnknown.into()),
        RequestOutcome::TooMany => {
            let why = format!("{MAX_OPEN_REQUESTS} requests of the merchant wait to be paid: let them expire sooner");
            return Err(unacceptable(why));
        }
    }
    Ok(PaymentRequestAnswer { request: digest, url: format!("{}/pay/{digest}", core.origin) })
}

/// A request, for whoever has its address.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub async fn show_request(core: &Core, digest: &Digest) -> Result<PaymentRequestEntry, ServiceError> {
    let record = core.store.payment_request(digest).await?.ok_or(ServiceError::NotFound)?;
    let merchant = core.store.merchant(&record.request.merchant).await?;
    let merchant = merchant.filter(|merchant| merchant.state == MerchantState::Approved && !record.has_ended_unpaid());
    let merchant = merchant.ok_or(ServiceError::NotFound)?;
    let signer = Unverified::<PaymentRequest>::parse(&record.compact).map_err(|_| ServiceError::NotFound)?.kid();
    // One that was paid stays what it is when its merchant changes its key.
    let key = if merchant.key.thumbprint() == signer {
        merchant.key
    } else {
        former_key(core, &merchant, &signer).await?.ok_or(ServiceError::NotFound)?
    };
    Ok(PaymentRequestEntry { request: record.compact, product: record.product.compact, key })
}

/// Whether so much can be charged at all.
fn is_charged(core: &Core, amount: Money) -> Result<(), String> {
    if amount.is_zero() {
        return Err("the amount must be greater than zero".into());
    }
    core.currencies.check(amount).map_err(|error| error.to_string())
}
