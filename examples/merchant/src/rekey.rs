//! Another key for the merchant: the one in use vouches for it, and everything on sale is signed anew.
//!
//! ```text
//! new key in its file ─▶ vouch (the store) ─▶ the new key in the place of the old one (one rename) ─▶ products signed anew
//! ```
//!
//! Whoever is interrupted runs it again, and goes on where it stood.

use crate::delivery::Desk;
use crate::shop::{NextKey, Shop};
use crate::store::{Store, StoreError};
use anyhow::{Context as _, Result, ensure};
use portcullis_protocol::wire::{
    Done, MerchantEntry, MerchantStatus, MerchantVouchRequest, ProductAnswer, ProductRequest,
};
use portcullis_protocol::{MerchantClaim, MerchantVouch, Product, Reason, SecretKey, Verified, paths};
use reqwest::Method;

/// Makes a key, has the store take it, and puts it to use. Returns the shop with it.
pub(crate) async fn rekey(shop: Shop, next: NextKey) -> Result<Shop> {
    if !is_in_use(&shop, &next.key).await? {
        vouch(&shop, &next.key).await?;
    }
    next.put_to_use(&shop.key)?;
    Ok(Shop { key: next.key, ..shop })
}

/// Whether the store takes the key for the merchant's: an earlier attempt came so far.
async fn is_in_use(shop: &Shop, key: &SecretKey) -> Result<bool> {
    match Store::new(&shop.settings, key, &shop.database)?.get::<MerchantStatus>(paths::OWN_MERCHANT).await {
        Ok(_) => Ok(true),
        Err(StoreError::Refused(refusal)) if refusal.reason == Reason::MerchantUnknown => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn vouch(shop: &Shop, next: &SecretKey) -> Result<()> {
    let (settings, iat) = (&shop.settings, crate::now());
    let store = Store::new(settings, &shop.key, &shop.database)?;
    let path = paths::fill(paths::MERCHANT, &[&settings.name]);
    let entry: MerchantEntry = store.shown(&path).await.context("the store does not show the merchant")?;
    let vouch = MerchantVouch {
        merchant: settings.name.clone(),
        jwk: next.public().clone(),
        seq: entry.vouches.len() as u64 + 1,
        iat,
    };
    let claim = MerchantClaim {
        name: settings.name.clone(),
        title: settings.title.clone(),
        jwk: next.public().clone(),
        origin: settings.store.clone(),
        webhook: settings.webhook.clone(),
        iat,
    };
    let body = MerchantVouchRequest {
        vouch: Verified::sign(vouch, &shop.key).compact().to_owned(),
        claim: Verified::sign(claim, next).compact().to_owned(),
    };
    let _: Done = store.say(Method::POST, paths::MERCHANT_VOUCHES, &body, None).await?;
    Ok(())
}

/// Signs everything on sale by the key that is in use. Returns how many products that are.
pub(crate) async fn resign(desk: &Desk) -> Result<usize> {
    let sold = desk.shop.database.on_sale().await?;
    for one in &sold {
        sell(desk, Product { iat: crate::now(), ..one.product.clone() }).await?;
    }
    Ok(sold.len())
}

/// Signs a product, and has the store sell it.
pub(crate) async fn sell(desk: &Desk, product: Product) -> Result<()> {
    let signed = Verified::sign(product.clone(), &desk.shop.key);
    // Known here before it can be ordered there.
    desk.shop.database.sell(signed.digest(), product).await?;
    let body = ProductRequest { product: signed.compact().to_owned() };
    let said: ProductAnswer = desk.store.say(Method::PUT, paths::PRODUCTS, &body, None).await?;
    ensure!(said.product == signed.digest(), "the store has answered for another product");
    Ok(())
}
