//! Attacks on what a server can bear: strangers who make it work, accounts that make it search.

use super::cheater::Cheater;
use super::shop::{Shop, USES, order, price_list};
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result, ensure};
use portcullis_fixtures::{Draft, now};
use portcullis_protocol::wire::{
    CatalogueEntry, EntitlementsAnswer, OfferTerms, OffersAnswer, OffersRequest, OrderRequest, PaymentMethod,
    SearchAnswer,
};
use portcullis_protocol::{Digest, Offer, Rights, Unverified, Verified};
use serde::de::DeserializeOwned;

attacks! {
    "search-that-buys-signatures" => search_that_buys_signatures,
    "account-stuffed-with-entitlements" => account_stuffed_with_entitlements,
}

/// What anybody may read.
async fn read<T: DeserializeOwned>(shop: &Shop, path: &str) -> Result<T> {
    let answer = shop.publisher.http.get(format!("{}{path}", shop.origin)).send().await?;
    ensure!(answer.status().is_success(), "{path}: {}", answer.status());
    Ok(serde_json::from_slice(&answer.bytes().await?)?)
}

/// How often the server has signed offers, by its log.
fn signings(shop: &Shop) -> usize {
    shop.server.log().matches("offers signed").count()
}

/// An offer that the server signed.
fn signed(shop: &Shop, compact: &str) -> Result<Verified<Offer>> {
    let offer = Unverified::<Offer>::parse(compact)?;
    let key = shop.publisher.keys.signing_key(offer.kid(), now()).context("an unknown signing key")?;
    Ok(offer.verify(key)?)
}

/// The price of `view` in an entry, as its offer says it, signed by the server.
fn price(shop: &Shop, entry: &CatalogueEntry) -> Result<String> {
    for compact in &entry.offers {
        let offer = signed(shop, compact)?;
        if offer.document().operation.as_str() == "view" {
            return Ok(offer.document().price.to_string());
        }
    }
    anyhow::bail!("`view` is not offered")
}

/// Somebody without an account searches and looks, over and over: each answer is full of signed offers.
async fn search_that_buys_signatures(arena: &mut Arena) -> Result<Outcome> {
    const AGAIN: usize = 50;
    let shop = arena.shop().await?;
    let mut trial = Trial::new();
    let _: SearchAnswer = read(shop, "/v1/search").await?;
    let before = signings(shop);
    for _ in 0..AGAIN {
        let _: SearchAnswer = read(shop, "/v1/search?q=lumen").await?;
        let _: SearchAnswer = read(shop, "/v1/search?q=alpine+lake&page=0").await?;
        let _: CatalogueEntry = read(shop, "/v1/catalogue/lumen/alpine-lake").await?;
    }
    let bought = signings(shop) - before;
    trial.note(format!("{} answers to a stranger: {bought} times signed", 3 * AGAIN));
    trial.attack_fails("having offers signed again", "signed once per price and key", bought == 0);

    shop.price("2.49 EUR").await?;
    let found: SearchAnswer = read(shop, "/v1/search?q=lumen").await?;
    let entry = found.results.iter().find(|entry| entry.name.as_str() == "alpine-lake").context("not found")?;
    trial.control("another price is signed, and shown at once", price(shop, entry)? == "2.49 EUR");
    trial.control("and what is signed is counted", signings(shop) > before);
    shop.price("1.99 EUR").await?;
    Ok(trial.finish())
}

/// How many entitlements to an operation the account is shown, over all pages.
async fn held(cheater: &mut Cheater, operation: &str) -> Result<usize> {
    let (mut count, mut path) = (0, "/v1/account/entitlements".to_owned());
    loop {
        let answer: EntitlementsAnswer = cheater.ask(&Draft::get(path.as_str())).await?;
        count += answer.entitlements.iter().filter(|held| held.operation.as_str() == operation).count();
        match answer.next {
            Some(next) => path = format!("/v1/account/entitlements/{next}"),
            None => return Ok(count),
        }
    }
}

/// Sells `preview` for good, for nothing. Returns its offer's digest.
async fn for_nothing(shop: &mut Shop) -> Result<Digest> {
    let terms = |operation: &str, rights, price: &str| -> Result<OfferTerms> {
        let (operation, price) = (operation.parse()?, price.parse()?);
        Ok(OfferTerms { id: None, operation, title: "To have it".into(), rights, price })
    };
    let offers =
        vec![terms("preview", Rights::Perpetual {}, "0.00 EUR")?, terms("view", Rights::Perpetual {}, "1.99 EUR")?];
    let answer: OffersAnswer = shop.publisher.ask(&price_list(&OffersRequest { offers })).await?;
    let signed = answer.offers.iter().map(|compact| signed(shop, compact)).collect::<Result<Vec<_>>>()?;
    let preview = signed.iter().find(|offer| offer.document().operation.as_str() == "preview");
    Ok(preview.context("`preview` is not offered")?.digest())
}

/// Orders what never runs out, over and over: each order is to leave a row that every authorisation of the account
/// reads.
async fn account_stuffed_with_entitlements(arena: &mut Arena) -> Result<Outcome> {
    const ORDERS: usize = 30;
    let shop = arena.shop().await?;
    let offer = for_nothing(shop).await?;
    let mut cheater = shop.customer().await?;
    let mut trial = Trial::new();
    let mut taken = 0;
    for _ in 0..ORDERS {
        taken += usize::from(cheater.order(&order(offer)).await.is_ok());
    }
    let rows = held(&mut cheater, "preview").await?;
    trial.note(format!("{ORDERS} orders for nothing, {taken} taken, {rows} entitlement"));
    trial.attack_fails("more than one entitlement to the same for nothing", "held once", rows == 1);
    trial.control("what was ordered is there", cheater.cycle(&shop.request("preview")).await.is_ok());

    // The ordinary prices again. Whoever wants to pay twice may, and holds it once.
    shop.price("1.99 EUR").await?;
    let payment = PaymentMethod { provider: "sandbox".into(), token: "ok".into() };
    let again = OrderRequest { offer: shop.offer("view")?.digest(), payment, again: true };
    let mut paid = 0;
    for _ in 0..3 {
        paid += usize::from(cheater.order(&Draft::post("/v1/orders", &again)).await.is_ok());
    }
    let rows = held(&mut cheater, "view").await?;
    trial.note(format!("{paid} paid orders, {rows} entitlement"));
    trial.attack_fails("more than one entitlement to the same, paid for again", "held once", rows == 1 && paid == 3);
    trial.control("what was paid for runs", cheater.cycle(&shop.request("view")).await.is_ok());
    shop.buy(&mut cheater, "print").await?;
    shop.buy(&mut cheater, "print").await?;
    trial.control("what runs out adds up", cheater.remaining("print").await? == 2 * u64::from(USES));
    trial.control("as two", held(&mut cheater, "print").await? == 2);
    Ok(trial.finish())
}
