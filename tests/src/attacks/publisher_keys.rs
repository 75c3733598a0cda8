//! A publisher's key that was replaced, in the hands of whoever stole it.

use super::shop::{Shop, order};
use super::{Arena, Outcome, Trial, attacks};
use anyhow::{Context as _, Result, anyhow};
use portcullis_fixtures::{Answered, Draft, now, rng};
use portcullis_protocol::encoding::from_base64url;
use portcullis_protocol::wire::{
    AdoptionRequest, CatalogueEntry, OfferTerms, OffersAnswer, OffersRequest, PublishAnswer, VouchRequest,
};
use portcullis_protocol::{AdoptedVersions, Adoption, Digest, PublisherClaim, Rights, SecretKey, Verified, Vouch};
use reqwest::Method;

attacks! {
    "replaced-publisher-key-signs-on" => replaced_publisher_key_signs_on,
}

const PUBLISHER: &str = "successor";
const OFFERS: &str = "/v1/catalogue/successor/alpine-lake/offers";
const ADOPTION: &str = "/v1/catalogue/successor/alpine-lake/adoption";

/// The thief has the old key of a publisher, and a session of its account as well. He signs another version, and takes
/// up what the new key has left out.
async fn replaced_publisher_key_signs_on(arena: &mut Arena) -> Result<Outcome> {
    let shop = arena.shop().await?;
    let (mut owner, old) = shop.publisher(PUBLISHER).await?;
    let (genuine, planted) = (shop.seal(PUBLISHER, &old, "1.0.0")?, shop.seal(PUBLISHER, &old, "1.0.1")?);
    let mut digests = Vec::new();
    for file in [&genuine, &planted] {
        let answer: PublishAnswer = owner.ask(&Draft::upload(file)).await?;
        digests.push(answer.resource);
    }
    let (kept, left_out) = (digests[0], digests[1]);
    let terms = OfferTerms {
        id: None,
        operation: "view".parse()?,
        title: "To have it".into(),
        rights: Rights::Perpetual {},
        price: "1.99 EUR".parse()?,
    };
    let _: OffersAnswer = owner.ask(&Draft::json(Method::PUT, OFFERS, &OffersRequest { offers: vec![terms] })).await?;
    let new = SecretKey::generate(&mut rng());
    let mut trial = Trial::new();
    let answer = owner.send(&adoption(&new, [kept], &new)?).await?;
    trial.control("the new key names what it stands for", answer.status.is_success());
    owner.done(&change(shop, &old, &new)?).await?;

    let later = shop.seal(PUBLISHER, &old, "1.0.2")?;
    let published = refused(&owner.send(&Draft::upload(&later)).await?);
    trial.attack("publishing what the old key signs now", "with this key: claim it first", published);
    let forged = refused(&owner.send(&adoption(&new, [kept, left_out], &old)?).await?);
    trial.attack("a list in the new key's name", "the adoption is not accepted", forged);
    // The store takes it: that key might come into use again.
    owner.done(&adoption(&old, [left_out], &old)?).await?;
    let listed = entry(shop).await?.versions;
    let sold = |digest: Digest| listed.iter().any(|version| version.digest == digest && !version.withdrawn);
    trial.attack_fails("a list for the old key, signed by it", "sold no more", !sold(left_out));
    trial.control("what the new key stands for is sold all along", sold(kept));
    let mut customer = shop.customer().await?;
    let offer = entry(shop).await?.offers.first().context("an offer")?.clone();
    let offer = Digest::of(&from_base64url(offer.split('.').nth(1).context("a compact document")?)?);
    let bought = customer.order(&order(offer)).await;
    trial.control("what the new key stands for is bought", bought.is_ok());
    let mut request = shop.request("view");
    request.resource = kept;
    trial.control("and runs", customer.cycle(&request).await.is_ok());
    // By the new key's word it is sold again.
    owner.done(&adoption(&new, [kept, left_out], &new)?).await?;
    let all_sold = entry(shop).await?.versions.iter().all(|version| !version.withdrawn);
    trial.control("and by the new key's word it is sold again", all_sold);
    Ok(trial.finish())
}

/// A list of versions that a key stands for, signed by one.
fn adoption(named: &SecretKey, versions: impl IntoIterator<Item = Digest>, signer: &SecretKey) -> Result<Draft> {
    let adoption = Adoption {
        publisher: PUBLISHER.parse()?,
        name: "alpine-lake".parse()?,
        jwk: named.public().clone(),
        versions: AdoptedVersions::new(versions)?,
        iat: now(),
    };
    let adoption = Verified::sign(adoption, signer).compact().to_owned();
    Ok(Draft::json(Method::PUT, ADOPTION, &AdoptionRequest { adoption }))
}

/// The change from one key to another.
fn change(shop: &Shop, old: &SecretKey, new: &SecretKey) -> Result<Draft> {
    let (jwk, iat) = (new.public().clone(), now());
    let vouch = Vouch { name: PUBLISHER.parse()?, jwk: jwk.clone(), seq: 1, iat };
    let claim = PublisherClaim { name: PUBLISHER.parse()?, jwk, origin: shop.origin.clone(), iat };
    let request = VouchRequest {
        vouch: Verified::sign(vouch, old).compact().to_owned(),
        claim: Some(Verified::sign(claim, new).compact().to_owned()),
    };
    Ok(Draft::post("/v1/publishers/successor/vouches", &request))
}

/// What the catalogue says.
async fn entry(shop: &Shop) -> Result<CatalogueEntry> {
    let url = format!("{}/v1/catalogue/{PUBLISHER}/alpine-lake", shop.origin);
    Ok(serde_json::from_slice(&shop.publisher.http.get(url).send().await?.bytes().await?)?)
}

fn refused(answer: &Answered) -> Result<()> {
    if answer.status.is_success() { Ok(()) } else { Err(anyhow!("{}", answer.text())) }
}
